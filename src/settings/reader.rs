//! Reads variables as typed values and collects what is wrong with them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::RangeInclusive;

use super::fault::Fault;
use super::layers::{Given, Layers};
use super::parse::{self, Problem, Seconds};
use super::secret::{Secret, SecretUrl};
use super::variables::{Kind, Variable};

/// Longest part of a faulty value that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// Reads variables one after the other. Every method answers `None` where it found a fault, which
/// [`Reader::faults`] then has; so reading goes on and all faults are told at once.
pub(super) struct Reader {
    layers: Layers,
    read: HashSet<&'static str>,
    masked: HashMap<&'static str, String>,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        Self {
            layers,
            read: HashSet::new(),
            masked: HashMap::new(),
        }
    }

    pub(super) fn is_sound(&self) -> bool {
        self.layers.faults.is_empty()
    }

    pub(super) fn faults(self) -> Vec<Fault> {
        self.layers.faults
    }

    /// The names of the variables that were read.
    #[cfg(test)]
    pub(super) fn names_read(&self) -> &HashSet<&'static str> {
        &self.read
    }

    /// What was given for `name`, defaults included.
    pub(super) fn given(&self, name: &str) -> Option<&Given> {
        self.layers.given.get(name)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        self.layers.given.contains_key(name)
    }

    /// The address that was read for `name`, without its password.
    pub(super) fn masked_url(&self, name: &str) -> Option<&String> {
        self.masked.get(name)
    }

    /// Adds a fault of `name`, as it was given or not.
    pub(super) fn fault(
        &mut self,
        name: &str,
        problem: impl Into<Problem>,
        expected: impl fmt::Display,
    ) {
        self.layers.faults.push(Fault {
            subject: name.to_owned(),
            origin: self.given(name).map(|given| given.origin.clone()),
            problem: problem.into(),
            expected: expected.to_string(),
        });
    }

    /// A variable that may be left out: `Some(None)` then.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        expected: impl fmt::Display,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Option<T>> {
        self.read.insert(name);
        let Some(given) = self.given(name) else {
            return Some(None);
        };
        match parse(given.text.trim()) {
            Ok(value) => Some(Some(value)),
            Err(problem) => {
                let problem = format!("{}{problem}", shown(name, given));
                self.fault(name, problem, expected);
                None
            }
        }
    }

    /// A variable that has a default, so that it is missing only where somebody broke the defaults.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        expected: impl fmt::Display,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        let value = self.optional(name, &expected, parse)?;
        if value.is_none() {
            self.fault(name, "is not set", expected);
        }
        value
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.required(name, parse::text_expected(), parse::text)
    }

    pub(super) fn optional_text(&mut self, name: &'static str) -> Option<Option<String>> {
        self.optional(name, parse::text_expected(), parse::text)
    }

    pub(super) fn path(&mut self, name: &'static str) -> Option<String> {
        let expected = "a path that begins with /, without ? and #";
        self.required(name, expected, parse::path)
    }

    pub(super) fn host(&mut self, name: &'static str) -> Option<String> {
        let expected = "an IP address or a host name, without scheme and port";
        self.required(name, expected, parse::host)
    }

    pub(super) fn whole<T: TryFrom<u64>>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.required(name, expected, |text| parse::whole(text, &range))
    }

    /// Seconds, as milliseconds.
    pub(super) fn seconds(
        &mut self,
        name: &'static str,
        range_ms: RangeInclusive<u64>,
    ) -> Option<u64> {
        let (least, most) = (Seconds(*range_ms.start()), Seconds(*range_ms.end()));
        let expected = format!("seconds from {least} to {most}, such as 30 or 0.25");
        self.required(name, expected, |text| parse::seconds(text, &range_ms))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let spellings = [("true", true), ("1", true), ("yes", true), ("on", true)];
        let opposites = [
            ("false", false),
            ("0", false),
            ("no", false),
            ("off", false),
        ];
        let spellings = [spellings, opposites].concat();
        self.required(name, "true or false", |text| {
            parse::spelling(&spellings, text)
        })
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let names: Vec<_> = choices.iter().map(|(spelling, _)| *spelling).collect();
        self.required(name, names.join(" or "), |text| {
            parse::spelling(choices, text)
        })
    }

    /// A secret is taken as it is, with any space around it.
    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.read.insert(name);
        self.given(name)
            .map(|given| Secret::new(given.text.as_str()))
    }

    pub(super) fn url(
        &mut self,
        name: &'static str,
        schemes: &[&str],
    ) -> Option<Option<SecretUrl>> {
        let expected = parse::url_expected(schemes);
        let url = self.optional(name, expected, |text| parse::neighbour(text, schemes))?;
        Some(self.remember(name, url))
    }

    pub(super) fn http_url(&mut self, name: &'static str) -> Option<Option<SecretUrl>> {
        let schemes = &["http", "https"];
        let expected = parse::url_expected(schemes);
        let url = self.optional(name, expected, |text| parse::http_neighbour(text, schemes))?;
        Some(self.remember(name, url))
    }

    fn remember(&mut self, name: &'static str, url: Option<SecretUrl>) -> Option<SecretUrl> {
        if let Some(url) = &url {
            self.masked.insert(name, url.to_string());
        }
        url
    }
}

/// The beginning of a fault's sentence: as much of the value as may be shown.
fn shown(name: &str, given: &Given) -> String {
    if Variable::find(name).is_none_or(|variable| variable.kind != Kind::Plain) {
        return "the value ".to_owned();
    }
    let beginning: String = given.text.chars().take(SHOWN_CHARS_MAX).collect();
    let is_whole = beginning.len() == given.text.len();
    format!("{beginning:?}{} ", if is_whole { "" } else { "…" })
}

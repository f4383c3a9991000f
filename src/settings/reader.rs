//! Turns texts into typed values and collects what is wrong with them.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use url::Url;

use super::fault::Fault;
use super::layers::{Given, Layers};
use super::secret::{Secret, SecretUrl};
use super::variables::{Kind, Variable};

/// Longest plain text, in bytes.
const TEXT_BYTES_MAX: usize = 255;
/// Longest part of a faulty value that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// What is wrong with a text, said about that text: "is no whole number".
type Problem = String;

/// Reads variables one after the other. Every method answers `None` where it found a fault, which
/// [`Reader::faults`] then has; so reading goes on and all faults are told at once.
#[derive(Debug)]
pub(super) struct Reader {
    layers: Layers,
    read: HashSet<&'static str>,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        Self { layers, read: HashSet::new() }
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
        let Some(given) = self.given(name) else { return Some(None) };
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
        self.required(name, text_expected(), parse_text)
    }

    pub(super) fn optional_text(&mut self, name: &'static str) -> Option<Option<String>> {
        self.optional(name, text_expected(), parse_text)
    }

    pub(super) fn path(&mut self, name: &'static str) -> Option<String> {
        self.required(name, "a path that begins with /, without ? and #", |text| {
            let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\');
            match text.starts_with('/') && text.chars().all(fits) {
                true => Ok(text.trim_end_matches('/').to_owned()),
                false => Err("is no such path".to_owned()),
            }
        })
    }

    pub(super) fn host(&mut self, name: &'static str) -> Option<String> {
        self.required(name, "an IP address or a host name, without scheme and port", |text| {
            let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let bare = bare.unwrap_or(text);
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            match bare.parse::<IpAddr>().is_ok() || bare.chars().all(fits) {
                true => Ok(bare.to_owned()),
                false => Err("is neither".to_owned()),
            }
        })
    }

    pub(super) fn whole<T: TryFrom<u64>>(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.required(name, expected, |text| {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("is no whole number".to_owned());
            }
            let number = text.parse().ok().filter(|number| range.contains(number));
            let number = number.and_then(|number| T::try_from(number).ok());
            number.ok_or_else(|| "is out of range".to_owned())
        })
    }

    /// Seconds, as milliseconds.
    pub(super) fn seconds(
        &mut self,
        name: &'static str,
        range_ms: RangeInclusive<u64>,
    ) -> Option<u64> {
        let (least, most) = (Seconds(*range_ms.start()), Seconds(*range_ms.end()));
        let expected = format!("seconds from {least} to {most}, such as 30 or 0.25");
        self.required(name, expected, |text| {
            let ms = parse_seconds(text)?;
            match range_ms.contains(&ms) {
                true => Ok(ms),
                false => Err("is out of range".to_owned()),
            }
        })
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Option<bool> {
        let spellings = [("true", true), ("false", false), ("1", true), ("0", false)];
        let more = [("yes", true), ("no", false), ("on", true), ("off", false)];
        self.required(name, "true or false", |text| {
            find_spelling(&[spellings, more].concat(), text)
        })
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let names: Vec<_> = choices.iter().map(|(spelling, _)| *spelling).collect();
        self.required(name, names.join(" or "), |text| find_spelling(choices, text))
    }

    /// A secret is taken as it is, with any space around it.
    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.read.insert(name);
        self.given(name).map(|given| Secret::new(given.text.as_str()))
    }

    /// The address of a neighbour that speaks one of `schemes`.
    pub(super) fn url(
        &mut self,
        name: &'static str,
        schemes: &[&str],
    ) -> Option<Option<SecretUrl>> {
        self.optional(name, url_expected(schemes), |text| {
            let url = parse_url(text, schemes)?;
            require_host(&url)?;
            Ok(SecretUrl::new(text.to_owned(), &url))
        })
    }

    /// The address of an HTTP service, to which paths are appended.
    pub(super) fn http_url(&mut self, name: &'static str) -> Option<Option<SecretUrl>> {
        let schemes = &["http", "https"];
        self.optional(name, url_expected(schemes), |text| {
            let url = parse_url(text, schemes)?;
            require_host(&url)?;
            if url.query().is_some() || url.fragment().is_some() {
                return Err("has a ? or # part".to_owned());
            }
            Ok(SecretUrl::new(text.trim_end_matches('/').to_owned(), &url))
        })
    }
}

/// The beginning of a fault's sentence: as much of the value as may be shown.
fn shown(name: &str, given: &Given) -> String {
    match Variable::find(name).map(|variable| variable.kind) {
        Some(Kind::Plain) => {
            let beginning: String = given.text.chars().take(SHOWN_CHARS_MAX).collect();
            let rest = if beginning.len() < given.text.len() { "…" } else { "" };
            format!("{beginning:?}{rest} ")
        }
        _ => "the value ".to_owned(),
    }
}

fn text_expected() -> String {
    format!("1 to {TEXT_BYTES_MAX} bytes without control characters")
}

fn parse_text(text: &str) -> Result<String, Problem> {
    match text {
        _ if text.len() > TEXT_BYTES_MAX => Err("is too long".to_owned()),
        _ if text.chars().any(char::is_control) => Err("has control characters".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

fn find_spelling<T: Copy>(choices: &[(&str, T)], text: &str) -> Result<T, Problem> {
    let found = choices.iter().find(|(spelling, _)| spelling.eq_ignore_ascii_case(text));
    found.map(|(_, value)| *value).ok_or_else(|| "is none of these".to_owned())
}

/// Milliseconds shown as the shortest decimal number of seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.write_str(decimal.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A decimal number with up to three places, times a thousand. No detour over floats: 0.1 is 100.
fn parse_seconds(text: &str) -> Result<u64, Problem> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) {
        return Err("is no decimal number".to_owned());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 3 {
        return Err("is finer than a millisecond".to_owned());
    }
    let thousandths = format!("{whole}{fraction:0<3}").parse();
    thousandths.map_err(|_| "is out of range".to_owned())
}

fn url_expected(schemes: &[&str]) -> String {
    let forms: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://host")).collect();
    forms.join(" or ")
}

/// Takes an absolute address. Its problems never quote it: it may hold a password.
pub(super) fn parse_url(text: &str, schemes: &[&str]) -> Result<Url, Problem> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("has white space or control characters".to_owned());
    }
    let Some((scheme, _)) = text.split_once("://") else {
        return Err("is no address with ://".to_owned());
    };
    if !schemes.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Err("has another scheme".to_owned());
    }
    Url::parse(text).map_err(|error| format!("is no address: {error}"))
}

pub(super) fn require_host(url: &Url) -> Result<(), Problem> {
    match url.host_str() {
        None | Some("") => Err("names no host".to_owned()),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_decimal_and_exact_to_the_millisecond() {
        let sound = [("60", 60_000), ("0.25", 250), ("0.1", 100), ("1.001", 1_001), ("2.50000", 2_500)];
        for (text, ms) in sound {
            assert_eq!(parse_seconds(text), Ok(ms), "{text}");
        }

        for text in ["", ".", "1.", ".5", "-1", "+1", "1e3", "NaN", "inf", "1,5", "1.2.3", "٣"] {
            assert_eq!(parse_seconds(text), Err("is no decimal number".to_owned()), "{text}");
        }
        assert_eq!(parse_seconds("0.0001"), Err("is finer than a millisecond".to_owned()));
        assert_eq!(parse_seconds("99999999999999999999"), Err("is out of range".to_owned()));
    }

    #[test]
    fn milliseconds_are_shown_as_the_shortest_number_of_seconds() {
        for (ms, shown) in [(1, "0.001"), (250, "0.25"), (9_999, "9.999"), (60_000, "60")] {
            assert_eq!(Seconds(ms).to_string(), shown);
        }
    }

    #[test]
    fn addresses_need_a_known_scheme_and_a_host() {
        let parse = |text| {
            let url = parse_url(text, &["http", "https", "amqp"])?;
            require_host(&url)
        };

        let cases = [
            ("http://host", None),
            ("HTTPS://host:8443/base", None),
            ("ftp://host", Some("has another scheme")),
            ("http:host", Some("is no address with ://")),
            ("host:8000", Some("is no address with ://")),
            ("http://", Some("is no address: empty host")),
            ("http://ho st", Some("has white space or control characters")),
            ("amqp:///vhost", Some("names no host")),
            ("http://host:99999", Some("is no address: invalid port number")),
        ];

        for (text, problem) in cases {
            assert_eq!(parse(text).err().as_deref(), problem, "{text}");
        }
    }
}

//! One place where variables are set: a file, `.env` or the environment.

use std::collections::HashMap;
use std::io::ErrorKind;

use config::{File, FileFormat, Source, ValueKind};

use super::fault::{Fault, Origin};
use super::layers::{Given, Sources};
use super::variables::{VARIABLES, Variable};

const DOT_ENV: &str = ".env";

/// One place, with the texts that it sets by their names in the environment.
pub(super) struct Layer {
    origin: Origin,
    texts: HashMap<String, String>,
}

impl Layer {
    fn empty(origin: Origin) -> Self {
        Self {
            origin,
            texts: HashMap::new(),
        }
    }

    /// The text of this very name; a blank one counts as not set.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.trim().is_empty())
    }

    pub(super) fn given(&self, variable: &Variable) -> Option<Given> {
        let text = variable.names().find_map(|name| self.text(name))?;
        Some(Given {
            text: text.to_owned(),
            origin: self.origin.clone(),
        })
    }

    pub(super) fn from_environment(sources: &Sources, faults: &mut Vec<Fault>) -> Self {
        let mut layer = Self::empty(Origin::Environment);
        for name in VARIABLES.iter().flat_map(Variable::names) {
            let Some(value) = sources.environment.get(name) else {
                continue;
            };
            match value.to_str() {
                Some(text) => {
                    layer.texts.insert(name.to_owned(), text.to_owned());
                }
                None => faults.push(Fault {
                    subject: name.to_owned(),
                    origin: Some(Origin::Environment),
                    problem: "its bytes are no text".to_owned(),
                    expected: "UTF-8".to_owned(),
                }),
            }
        }
        layer
    }

    /// Other names in the file are left alone: services that run side by side share one.
    pub(super) fn from_dot_env(sources: &Sources, faults: &mut Vec<Fault>) -> Self {
        let mut layer = Self::empty(Origin::DotEnv);
        let Some(text) = read_if_there(sources, DOT_ENV, faults) else {
            return layer;
        };
        for item in dotenvy::from_read_iter(text.as_bytes()) {
            match item {
                Ok((name, value)) => {
                    layer.texts.insert(name, value);
                }
                Err(error) => faults.push(dot_env_fault(&text, &error)),
            }
        }
        layer
    }

    pub(super) fn from_file(sources: &Sources, stem: &str, faults: &mut Vec<Fault>) -> Self {
        let path = format!("config/{stem}.toml");
        match read_if_there(sources, &path, faults) {
            Some(text) => Self::from_toml(Origin::File(path), &text, faults),
            None => Self::empty(Origin::File(path)),
        }
    }

    /// A file that is read because `ENV` is `chosen`, so it cannot say otherwise.
    pub(super) fn from_chosen_file(
        sources: &Sources,
        stem: &str,
        chosen: &str,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut layer = Self::from_file(sources, stem, faults);
        if let Some(other) = layer
            .texts
            .remove("ENV")
            .filter(|other| other.trim() != chosen)
        {
            faults.push(Fault {
                subject: "env".to_owned(),
                origin: Some(layer.origin.clone()),
                problem: format!("{other:?} comes too late to choose which files are read"),
                expected: "ENV in the environment, in .env or in config/default.toml".to_owned(),
            });
        }
        layer
    }

    pub(super) fn from_toml(origin: Origin, text: &str, faults: &mut Vec<Fault>) -> Self {
        let mut layer = Self::empty(origin);
        let values = match File::from_str(text, FileFormat::Toml).collect() {
            Ok(values) => values,
            Err(error) => {
                faults.push(toml_fault(&layer.origin, &error.to_string()));
                return layer;
            }
        };
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (key, value) in values {
            match entry(&key, &value.kind) {
                Ok((name, text)) => {
                    layer.texts.insert(name, text);
                }
                Err((problem, expected)) => faults.push(Fault {
                    subject: key,
                    origin: Some(layer.origin.clone()),
                    problem,
                    expected,
                }),
            }
        }
        layer
    }
}

/// A key of a file and its value as the environment would have them, or the problem with them and
/// what is expected.
fn entry(key: &str, value: &ValueKind) -> Result<(String, String), (String, String)> {
    let name = key.to_ascii_uppercase();
    if Variable::find(&name).is_none() {
        let expected = "a variable of the README's table, in lower case";
        return Err(("there is no such variable".to_owned(), expected.to_owned()));
    }
    if key != key.to_ascii_lowercase() {
        let expected = format!("{:?}", key.to_ascii_lowercase());
        return Err(("keys of files are in lower case".to_owned(), expected));
    }
    match plain_text(value) {
        Some(text) => Ok((name, text)),
        None => {
            let expected = "one text, number, true or false, or a list of texts";
            Err((
                "its value has parts of its own".to_owned(),
                expected.to_owned(),
            ))
        }
    }
}

fn plain_text(value: &ValueKind) -> Option<String> {
    match value {
        ValueKind::Nil | ValueKind::Table(_) => None,
        ValueKind::Array(items) => {
            let texts = items.iter().map(|item| match &item.kind {
                ValueKind::String(text) => Some(text.as_str()),
                _ => None,
            });
            texts
                .collect::<Option<Vec<_>>>()
                .map(|texts| texts.join(","))
        }
        single => Some(single.to_string()),
    }
}

fn read_if_there(sources: &Sources, path: &str, faults: &mut Vec<Fault>) -> Option<String> {
    match std::fs::read_to_string(sources.folder.join(path)) {
        Ok(text) => Some(text.trim_start_matches('\u{feff}').to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            faults.push(Fault {
                subject: path.to_owned(),
                origin: None,
                problem: format!("cannot be read: {error}"),
                expected: "a readable UTF-8 text file, or none".to_owned(),
            });
            None
        }
    }
}

/// The parser's message quotes the line, which may hold a secret; its first and last line do not.
fn toml_fault(origin: &Origin, message: &str) -> Fault {
    let place = message.lines().next().unwrap_or_default();
    let reason = message
        .lines()
        .last()
        .filter(|reason| *reason != place)
        .unwrap_or_default();
    Fault {
        subject: origin.to_string(),
        origin: None,
        problem: format!("{place} {reason}").trim().to_owned(),
        expected: "TOML of the form name = value".to_owned(),
    }
}

/// The parser's error quotes the line, which may hold a secret, so only its number is told.
fn dot_env_fault(text: &str, error: &dotenvy::Error) -> Fault {
    let place = match error {
        dotenvy::Error::LineParse(faulty, _) => {
            let faulty = faulty.lines().next().unwrap_or_default();
            text.lines().position(|line| line.contains(faulty))
        }
        _ => None,
    };
    let problem = match place {
        Some(index) => format!("line {} cannot be understood", index + 1),
        None => "a line cannot be understood".to_owned(),
    };
    let expected = "NAME=value, the value in single quotes where it has spaces or any of $ \\ \" #";
    Fault {
        subject: DOT_ENV.to_owned(),
        origin: None,
        problem,
        expected: expected.to_owned(),
    }
}

//! Reads the places where variables are set, from the weakest to the strongest.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use config::{File, FileFormat, Source, ValueKind};

use super::fault::{Fault, Origin};
use super::variables::{VARIABLES, Variable};

/// The defaults; also the reference of what can be set in a file.
const EMBEDDED: &str = include_str!("../../config/default.toml");
const DOT_ENV: &str = ".env";

/// Where a configuration is read from.
#[derive(Debug, Clone)]
pub struct Sources {
    environment: HashMap<String, OsString>,
    folder: PathBuf,
}

impl Sources {
    /// The environment of this process and its working directory.
    pub fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self { environment: std::env::vars_os().filter_map(named).collect(), folder: ".".into() }
    }

    /// The files `.env` and `config/*.toml` in `folder`, and an empty environment.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { environment: HashMap::new(), folder: folder.into() }
    }

    /// The same with `name` set to `value` in the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }
}

/// The text that a variable was given, and where.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// What the strongest layers say, by the name of the variable.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) given: HashMap<&'static str, Given>,
    pub(super) faults: Vec<Fault>,
}

impl Layers {
    /// Reads everything; what is faulty is left out and told in `faults`.
    pub(super) fn read(sources: &Sources) -> Self {
        let mut faults = Vec::new();
        let embedded = Layer::from_toml(Origin::Default, EMBEDDED, &mut faults);
        let base = Layer::from_file(sources, "default", &mut faults);
        let dot_env = Layer::from_dot_env(sources, &mut faults);
        let environment = Layer::from_environment(sources, &mut faults);

        let chosen = [&environment, &dot_env, &base, &embedded].into_iter();
        let chosen = chosen.filter_map(|layer| layer.text("ENV")).next().unwrap_or_default().trim();
        let mut layers = vec![embedded.clone(), base.clone()];
        if is_environment_name(chosen) && !["default", "local"].contains(&chosen) {
            layers.push(Layer::from_chosen_file(sources, chosen, chosen, &mut faults));
        }
        layers.push(Layer::from_chosen_file(sources, "local", chosen, &mut faults));
        layers.extend([dot_env.clone(), environment.clone()]);

        let strongest = |variable: &'static Variable| {
            let given = layers.iter().rev().find_map(|layer| layer.given(variable))?;
            Some((variable.name, given))
        };
        Self { given: VARIABLES.iter().filter_map(strongest).collect(), faults }
    }
}

/// Whether this can be a value of `ENV`; it becomes part of a file's name.
pub(super) fn is_environment_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

/// One place, with the texts that it sets by their names in the environment.
#[derive(Debug, Clone)]
struct Layer {
    origin: Origin,
    texts: HashMap<String, String>,
}

impl Layer {
    fn empty(origin: Origin) -> Self {
        Self { origin, texts: HashMap::new() }
    }

    /// The text of this very name; a blank one counts as not set.
    fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str).filter(|text| !text.trim().is_empty())
    }

    fn given(&self, variable: &Variable) -> Option<Given> {
        let text = variable.names().find_map(|name| self.text(name))?;
        Some(Given { text: text.to_owned(), origin: self.origin.clone() })
    }

    fn from_environment(sources: &Sources, faults: &mut Vec<Fault>) -> Self {
        let mut layer = Self::empty(Origin::Environment);
        for name in VARIABLES.iter().flat_map(Variable::names) {
            let Some(value) = sources.environment.get(name) else { continue };
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
    fn from_dot_env(sources: &Sources, faults: &mut Vec<Fault>) -> Self {
        let mut layer = Self::empty(Origin::DotEnv);
        let Some(text) = read_if_there(sources, DOT_ENV, faults) else { return layer };
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

    fn from_file(sources: &Sources, stem: &str, faults: &mut Vec<Fault>) -> Self {
        let path = format!("config/{stem}.toml");
        match read_if_there(sources, &path, faults) {
            Some(text) => Self::from_toml(Origin::File(path), &text, faults),
            None => Self::empty(Origin::File(path)),
        }
    }

    /// A file that is read because `ENV` is `chosen`, so it cannot say otherwise.
    fn from_chosen_file(
        sources: &Sources,
        stem: &str,
        chosen: &str,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut layer = Self::from_file(sources, stem, faults);
        if let Some(other) = layer.texts.remove("ENV").filter(|other| other.trim() != chosen) {
            faults.push(Fault {
                subject: "env".to_owned(),
                origin: Some(layer.origin.clone()),
                problem: format!("{other:?} comes too late to choose which files are read"),
                expected: "ENV in the environment, in .env or in config/default.toml".to_owned(),
            });
        }
        layer
    }

    fn from_toml(origin: Origin, text: &str, faults: &mut Vec<Fault>) -> Self {
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
            Err(("its value has parts of its own".to_owned(), expected.to_owned()))
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
            texts.collect::<Option<Vec<_>>>().map(|texts| texts.join(","))
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
    let reason = message.lines().last().filter(|reason| *reason != place).unwrap_or_default();
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
    Fault { subject: DOT_ENV.to_owned(), origin: None, problem, expected: expected.to_owned() }
}

//! Reads the places where variables are set, from the weakest to the strongest.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use super::fault::{Fault, Origin};
use super::layer::Layer;
use super::variables::{VARIABLES, Variable};

/// The defaults; also the reference of what can be set in a file.
const EMBEDDED: &str = include_str!("../../config/default.toml");

/// Where a configuration is read from.
#[derive(Clone)]
pub struct Sources {
    pub(super) environment: HashMap<String, OsString>,
    pub(super) folder: PathBuf,
}

impl Sources {
    /// The environment of this process and its working directory.
    pub fn of_process() -> Self {
        let named = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        Self {
            environment: std::env::vars_os().filter_map(named).collect(),
            folder: ".".into(),
        }
    }

    /// The files `.env` and `config/*.toml` in `folder`, and an empty environment.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            environment: HashMap::new(),
            folder: folder.into(),
        }
    }

    /// The same with `name` set to `value` in the environment.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }
}

/// The text that a variable was given, and where.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: Origin,
}

/// What the strongest layers say, by the name of the variable.
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

        let may_choose = [&environment, &dot_env, &base, &embedded];
        let chosen = may_choose.iter().find_map(|layer| layer.text("ENV"));
        let chosen = chosen.unwrap_or_default().trim().to_owned();
        let mut layers = vec![embedded, base];
        let mut add = |stem: &str| {
            layers.push(Layer::from_chosen_file(sources, stem, &chosen, &mut faults));
        };
        if is_environment_name(&chosen) && !["default", "local"].contains(&chosen.as_str()) {
            add(&chosen);
        }
        add("local");
        layers.extend([dot_env, environment]);

        let strongest = |variable: &'static Variable| {
            let given = layers
                .iter()
                .rev()
                .find_map(|layer| layer.given(variable))?;
            Some((variable.name, given))
        };
        Self {
            given: VARIABLES.iter().filter_map(strongest).collect(),
            faults,
        }
    }
}

/// Whether this can be a value of `ENV`; it becomes part of a file's name.
pub(super) fn is_environment_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

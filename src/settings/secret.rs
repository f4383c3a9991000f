//! Values that must not be seen in logs, errors or the output of `check-config`.

use std::fmt;

use subtle::ConstantTimeEq;
use url::Url;

/// Stands for whatever must not be shown.
pub(super) const MASK: &str = "***";

/// A secret text; debug output shows `***`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for signing and checking.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret; the time that it takes does not tell how much of it is right.
    pub fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// The address of a neighbour; its password is shown as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl {
    text: String,
    masked: String,
}

impl SecretUrl {
    /// `text` is what [`Self::expose`] answers, `url` the same parsed.
    pub(super) fn new(text: String, url: &Url) -> Self {
        let masked = masked(url).unwrap_or_else(|| text.clone());
        Self { text, masked }
    }

    /// The whole address with its password, for connecting. Addresses of HTTP services end without
    /// a slash, so that a path can follow.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked)
    }
}

/// The address without its secrets, or nothing where it has none.
fn masked(url: &Url) -> Option<String> {
    let in_query = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["pass", "secret", "token", "key"]
            .iter()
            .any(|word| name.contains(word))
    };
    if url.password().is_none() && !url.query_pairs().any(|(name, _)| in_query(&name)) {
        return None;
    }
    let mut shown = url.clone();
    if url.password().is_some() && shown.set_password(Some(MASK)).is_err() {
        return Some(MASK.to_owned());
    }
    if url.query().is_some() {
        let pairs = url.query_pairs().map(|(name, value)| {
            let value = if in_query(&name) { MASK.into() } else { value };
            (name, value)
        });
        shown.query_pairs_mut().clear().extend_pairs(pairs);
    }
    Some(shown.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret_url(text: &str) -> SecretUrl {
        SecretUrl::new(text.to_owned(), &Url::parse(text).unwrap())
    }

    #[test]
    fn a_secret_is_never_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    #[test]
    fn a_secret_matches_itself_only() {
        let secret = Secret::new("hunter2");

        assert!(secret.matches("hunter2"));
        for other in ["", "hunter", "hunter22", "Hunter2", "hunter2\0"] {
            assert!(!secret.matches(other), "{other:?} is another text");
        }
    }

    #[test]
    fn passwords_are_masked_wherever_an_address_holds_them() {
        let cases = [
            ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
            (
                "amqp://guest:pw@host:5672/%2f",
                "amqp://guest:***@host:5672/%2f",
            ),
            ("postgres://u:p@w@host/db", "postgres://u:***@host/db"),
            (
                "postgres://host/db?user=u&password=pw",
                "postgres://host/db?user=u&password=***",
            ),
            ("https://u:pw@host", "https://u:***@host/"),
            ("http://host:8000", "http://host:8000"),
        ];

        for (given, shown) in cases {
            let url = secret_url(given);
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(url.expose(), given);
        }
    }
}

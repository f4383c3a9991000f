//! Which browser pages may call.

use url::Url;

use super::reader::Reader;

/// Which browser pages may call, by their origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Nothing is configured: any page in dev, none elsewhere, and sockets don't look at it.
    NotSet,
    /// `*`: any page, so never together with credentials.
    Any,
    /// These, as browsers spell them: lower case, without a default port.
    Listed(Vec<String>),
}

impl Origins {
    /// Whether a page of this origin must be turned away; only a list of others does that.
    pub fn refuse(&self, origin: &str) -> bool {
        match self {
            Self::NotSet | Self::Any => false,
            Self::Listed(listed) => !listed.iter().any(|one| one.eq_ignore_ascii_case(origin)),
        }
    }
}

pub(super) fn read(reader: &mut Reader) -> Option<Origins> {
    let expected = "origins such as https://app.example.org, separated by commas, or *";
    let origins = reader.optional("CORS_ALLOWED_ORIGINS", expected, parse)?;
    Some(origins.unwrap_or(Origins::NotSet))
}

fn parse(text: &str) -> Result<Origins, String> {
    if text == "*" {
        return Ok(Origins::Any);
    }
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let origins = items.map(parse_origin).collect::<Result<Vec<_>, _>>()?;
    if origins.is_empty() {
        return Err("names no origin".to_owned());
    }
    Ok(Origins::Listed(origins))
}

fn parse_origin(item: &str) -> Result<String, String> {
    let problem = || format!("has {item:?}, which is no origin");
    let url = Url::parse(item).map_err(|_| problem())?;
    let is_bare = item.contains("://")
        && matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if is_bare {
        Ok(url.origin().ascii_serialization())
    } else {
        Err(problem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_listed_as_browsers_spell_them() {
        let origins = parse(" https://App.example.org:443/ ,http://localhost:3000,");

        let listed = ["https://app.example.org", "http://localhost:3000"].map(str::to_owned);
        assert_eq!(origins, Ok(Origins::Listed(listed.to_vec())));
    }

    #[test]
    fn what_is_no_origin_is_named() {
        for item in [
            "app.example.org",
            "https://a.org/path",
            "https://u@a.org",
            "ftp://a",
            "*",
        ] {
            let text = format!("http://ok,{item}");
            assert_eq!(
                parse(&text),
                Err(format!("has {item:?}, which is no origin"))
            );
        }
        assert_eq!(parse(","), Err("names no origin".to_owned()));
    }

    #[test]
    fn only_a_list_refuses_and_only_what_it_does_not_name() {
        let listed = Origins::Listed(vec!["http://a".to_owned()]);

        assert!(!listed.refuse("http://a"));
        assert!(listed.refuse("http://b"));
        assert!(listed.refuse("null"));
        assert!(!Origins::Any.refuse("http://b"));
        assert!(!Origins::NotSet.refuse("http://b"));
    }
}

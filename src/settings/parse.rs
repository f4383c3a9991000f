//! Takes texts apart. What is wrong with a text is said about it: "is no whole number". Problems of
//! addresses never quote them, because they may hold a password.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use url::Url;

use super::secret::SecretUrl;

/// Longest plain text, in bytes.
const TEXT_BYTES_MAX: usize = 255;

/// What is wrong with a text.
pub(super) type Problem = String;

pub(super) fn text_expected() -> String {
    format!("1 to {TEXT_BYTES_MAX} bytes without control characters")
}

pub(super) fn text(text: &str) -> Result<String, Problem> {
    match text {
        _ if text.len() > TEXT_BYTES_MAX => Err("is too long".to_owned()),
        _ if text.chars().any(char::is_control) => Err("has control characters".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// A path to which others are appended, so a slash at its end is left out.
pub(super) fn path(text: &str) -> Result<String, Problem> {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '\\');
    match text.starts_with('/') && text.chars().all(fits) {
        true => Ok(text.trim_end_matches('/').to_owned()),
        false => Err("is no such path".to_owned()),
    }
}

/// An IP address or a host name; the brackets of an IPv6 address are left out.
pub(super) fn host(text: &str) -> Result<String, Problem> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let bare = bare.unwrap_or(text);
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match bare.parse::<IpAddr>().is_ok() || bare.chars().all(fits) {
        true => Ok(bare.to_owned()),
        false => Err("is neither".to_owned()),
    }
}

pub(super) fn whole<T: TryFrom<u64>>(
    text: &str,
    range: &RangeInclusive<u64>,
) -> Result<T, Problem> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is no whole number".to_owned());
    }
    let number = text.parse().ok().filter(|number| range.contains(number));
    let number = number.and_then(|number| T::try_from(number).ok());
    number.ok_or_else(|| "is out of range".to_owned())
}

/// The value of the spelling that `text` is, in any letter case.
pub(super) fn spelling<T: Copy>(choices: &[(&str, T)], text: &str) -> Result<T, Problem> {
    let mut choices = choices.iter();
    let found = choices.find(|(spelling, _)| spelling.eq_ignore_ascii_case(text));
    let value = found.map(|(_, value)| *value);
    value.ok_or_else(|| "is none of these".to_owned())
}

/// Milliseconds shown as the shortest decimal number of seconds.
pub(super) struct Seconds(pub(super) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = format!("{}.{:03}", self.0 / 1_000, self.0 % 1_000);
        f.write_str(decimal.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A decimal number of seconds as milliseconds. No detour over floats: 0.1 is exactly 100.
pub(super) fn seconds(text: &str, range_ms: &RangeInclusive<u64>) -> Result<u64, Problem> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) {
        return Err("is no decimal number".to_owned());
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 3 {
        return Err("is finer than a millisecond".to_owned());
    }
    let ms = format!("{whole}{fraction:0<3}").parse().ok();
    let ms = ms.filter(|ms| range_ms.contains(ms));
    ms.ok_or_else(|| "is out of range".to_owned())
}

pub(super) fn url_expected(schemes: &[&str]) -> String {
    let forms: Vec<_> = schemes
        .iter()
        .map(|scheme| format!("{scheme}://host"))
        .collect();
    forms.join(" or ")
}

/// An absolute address, with a host or without.
pub(super) fn url(text: &str, schemes: &[&str]) -> Result<Url, Problem> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("has white space or control characters".to_owned());
    }
    let Some((scheme, _)) = text.split_once("://") else {
        return Err("is no address with ://".to_owned());
    };
    let mut schemes = schemes.iter();
    if !schemes.any(|known| known.eq_ignore_ascii_case(scheme)) {
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

/// The address of a neighbour that speaks one of `schemes`.
pub(super) fn neighbour(text: &str, schemes: &[&str]) -> Result<SecretUrl, Problem> {
    let url = url(text, schemes)?;
    require_host(&url)?;
    Ok(SecretUrl::new(text.to_owned(), &url))
}

/// The address of an HTTP service, to which paths are appended.
pub(super) fn http_neighbour(text: &str, schemes: &[&str]) -> Result<SecretUrl, Problem> {
    let url = url(text, schemes)?;
    require_host(&url)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("has a ? or # part".to_owned());
    }
    Ok(SecretUrl::new(text.trim_end_matches('/').to_owned(), &url))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: RangeInclusive<u64> = 0..=u64::MAX;

    #[test]
    fn seconds_are_decimal_and_exact_to_the_millisecond() {
        let sound = [
            ("60", 60_000),
            ("0.25", 250),
            ("0.1", 100),
            ("1.001", 1_001),
            ("2.50000", 2_500),
        ];
        for (text, ms) in sound {
            assert_eq!(seconds(text, &ANY), Ok(ms), "{text}");
        }

        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "NaN", "inf", "1,5", "1.2.3", "٣",
        ] {
            assert_eq!(
                seconds(text, &ANY),
                Err("is no decimal number".to_owned()),
                "{text}"
            );
        }
        assert_eq!(
            seconds("0.0001", &ANY),
            Err("is finer than a millisecond".to_owned())
        );
        assert_eq!(
            seconds("99999999999999999999", &ANY),
            Err("is out of range".to_owned())
        );
    }

    #[test]
    fn milliseconds_are_shown_as_the_shortest_number_of_seconds() {
        for (ms, shown) in [
            (1, "0.001"),
            (250, "0.25"),
            (9_999, "9.999"),
            (60_000, "60"),
        ] {
            assert_eq!(Seconds(ms).to_string(), shown);
        }
    }

    #[test]
    fn addresses_need_a_known_scheme_and_a_host() {
        let parse = |text| {
            let url = url(text, &["http", "https", "amqp"])?;
            require_host(&url)
        };

        let cases = [
            ("http://host", None),
            ("HTTPS://host:8443/base", None),
            ("ftp://host", Some("has another scheme")),
            ("http:host", Some("is no address with ://")),
            ("host:8000", Some("is no address with ://")),
            ("http://", Some("is no address: empty host")),
            (
                "http://ho st",
                Some("has white space or control characters"),
            ),
            ("amqp:///vhost", Some("names no host")),
            (
                "http://host:99999",
                Some("is no address: invalid port number"),
            ),
        ];

        for (text, problem) in cases {
            assert_eq!(parse(text).err().as_deref(), problem, "{text}");
        }
    }
}

//! Tokens for trying things out, signed as the user service signs them.

use jsonwebtoken::{Algorithm, EncodingKey, Header, get_current_timestamp};
use serde::Serialize;

use domain::UserId;
use settings::Auth;

/// How long a token lives if nobody says otherwise, in seconds: a day.
pub const LIFETIME_S: i64 = 24 * 3_600;

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// The present by the clock of the system, in seconds since the Unix epoch: whoever checks a token goes
/// by it too.
pub fn now_unix_s() -> i64 {
    i64::try_from(get_current_timestamp()).unwrap_or(i64::MAX)
}

/// Signs a token that lets its bearer act as `user`.
///
/// It is issued at `now_unix_s` and expires `lifetime_s` later, both in seconds; a negative
/// lifetime makes a token that has expired. It has an `aud` exactly where `auth` asks for one. The
/// caller sees to it that this happens in dev only.
///
/// # Errors
///
/// What the signing library reports; with a secret that `auth` can hold there is nothing to report.
pub fn mint(
    auth: &Auth,
    user: &UserId,
    now_unix_s: i64,
    lifetime_s: i64,
) -> Result<String, jsonwebtoken::errors::Error> {
    let claims = Claims {
        sub: user.as_str(),
        iss: &auth.issuer,
        kind: "access",
        iat: now_unix_s,
        exp: now_unix_s.saturating_add(lifetime_s),
        aud: auth.audience.as_deref(),
    };
    let key = EncodingKey::from_secret(auth.secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::{Value, json};

    use super::*;
    use settings::{Settings, Sources};

    const NOW: i64 = 1_800_000_000;

    fn auth(audience: &str) -> Auth {
        let folder = tempfile::TempDir::new().unwrap();
        let sources = Sources::in_folder(folder.path()).with("AUTH_AUDIENCE", audience);
        Settings::load(&sources).unwrap().auth
    }

    fn claims(token: &str) -> Value {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.validate_aud = false;
        let key = DecodingKey::from_secret(b"dev-only-change-me");
        jsonwebtoken::decode::<Value>(token, &key, &validation)
            .unwrap()
            .claims
    }

    #[test]
    fn a_token_is_signed_with_the_secret_and_says_exactly_what_the_contract_asks_for() {
        let token = mint(&auth(""), &UserId::parse("ada").unwrap(), NOW, 60).unwrap();

        let expected = json!({
            "sub": "ada", "iss": "user-service", "type": "access", "iat": NOW, "exp": NOW + 60
        });
        assert_eq!(claims(&token), expected);
    }

    #[test]
    fn a_token_names_the_audience_that_is_asked_for() {
        let token = mint(&auth("matching"), &UserId::parse("ada").unwrap(), NOW, 60).unwrap();

        assert_eq!(claims(&token)["aud"], json!("matching"));
    }

    #[test]
    fn a_negative_lifetime_makes_an_expired_token() {
        let token = mint(&auth(""), &UserId::parse("ada").unwrap(), NOW, -60).unwrap();

        assert_eq!(claims(&token)["exp"], json!(NOW - 60));
    }
}

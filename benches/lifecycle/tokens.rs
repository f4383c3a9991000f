//! Tokens for everybody, signed in advance.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;

use crate::options::Common;

/// How long tokens live, in seconds: longer than any run.
const LIFETIME_S: u64 = 24 * 3_600;

/// Signs tokens as the user service does.
pub struct Signer {
    key: EncodingKey,
    issuer: String,
    audience: Option<String>,
    expires_at: u64,
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iss: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(rename = "type")]
    kind: &'static str,
    exp: u64,
}

impl Signer {
    /// With the secret and the names of the command line.
    pub fn new(common: &Common) -> Self {
        Self {
            key: EncodingKey::from_secret(common.secret.as_bytes()),
            issuer: common.issuer.clone(),
            audience: common.audience.clone(),
            expires_at: unix_now_ms() / 1_000 + LIFETIME_S,
        }
    }

    /// A token of this user.
    pub fn token(&self, user: &str) -> anyhow::Result<String> {
        let claims = Claims {
            sub: user,
            iss: &self.issuer,
            aud: self.audience.as_deref(),
            kind: "access",
            exp: self.expires_at,
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key)
            .context("a token cannot be signed")
    }
}

/// Milliseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a tool has no clock to be given")]
pub fn unix_now_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since_epoch.unwrap_or_default().as_millis();
    u64::try_from(ms).unwrap_or(u64::MAX)
}

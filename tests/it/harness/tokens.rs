//! Tokens of every kind, good and bad.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::unix_now;

/// The secret that a server in dev uses.
pub const DEV_SECRET: &str = "dev-only-change-me";

/// base64url of `{"alg":"none","typ":"JWT"}`.
const HEADER_NONE: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
/// base64url of `{"alg":"RS256","typ":"JWT"}`.
const HEADER_RS256: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9";

/// What a good token of `user` says: valid for an hour.
pub fn claims(user: &str) -> Value {
    json!({
        "sub": user,
        "iss": "user-service",
        "type": "access",
        "exp": in_seconds(3600),
    })
}

/// [`claims`] with `name` changed to `value`.
pub fn claims_with(user: &str, name: &str, value: Value) -> Value {
    let mut claims = claims(user);
    claims[name] = value;
    claims
}

/// [`claims`] without `name`.
pub fn claims_without(user: &str, name: &str) -> Value {
    let mut claims = claims(user);
    claims
        .as_object_mut()
        .expect("claims are an object")
        .remove(name);
    claims
}

/// Unix seconds, `seconds` from now; negative for the past.
pub fn in_seconds(seconds: i64) -> i64 {
    unix_now() as i64 + seconds
}

/// A token that says `claims`, signed with HS256 and the dev secret.
pub fn signed(claims: &Value) -> String {
    signed_with(claims, DEV_SECRET, Algorithm::HS256)
}

/// A token that says `claims`, signed with `secret`.
pub fn signed_with(claims: &Value, secret: &str, algorithm: Algorithm) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("claims can be signed")
}

/// A good token in all but its algorithm: `none`, and no signature.
pub fn unsigned(user: &str) -> String {
    format!("{HEADER_NONE}.{}.", payload(user))
}

/// A good token whose header says RS256, signed with the shared secret as if it were the key.
pub fn confused(user: &str) -> String {
    let message = format!("{HEADER_RS256}.{}", payload(user));
    let key = EncodingKey::from_secret(DEV_SECRET.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256)
        .expect("a text can be signed");
    format!("{message}.{signature}")
}

/// A good token whose last part was changed.
pub fn tampered(user: &str) -> String {
    let token = signed(&claims(user));
    let (head, signature) = token.rsplit_once('.').expect("a token has three parts");
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{head}.{first}{}", &signature[1..])
}

fn payload(user: &str) -> String {
    let token = signed(&claims(user));
    let part = token.split('.').nth(1).expect("a token has three parts");
    part.to_owned()
}

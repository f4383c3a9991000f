//! How callers prove who they are, and the rules for secrets.

use super::reader::Reader;
use super::variables::DEV_SECRET;
use super::{Auth, DevTokens, Secret, UserService};

/// The shortest secret outside dev, in bytes.
const SECRET_BYTES_MIN: usize = 32;

pub(super) fn read(reader: &mut Reader, is_dev: bool) -> Option<Auth> {
    let algorithm = reader.choice("AUTH_ALGORITHM", &[("HS256", ())]);
    let secret = required_secret(reader, is_dev);
    let previous_secret = signing_secret(reader, "AUTH_ACCESS_SECRET_PREVIOUS", is_dev);
    let issuer = reader.text("AUTH_ISSUER");
    let audience = reader.optional_text("AUTH_AUDIENCE");
    let user_service = user_service(reader);
    let admin_token = admin_token(reader);
    let peers = [
        ("loopback", DevTokens::Loopback),
        ("any", DevTokens::AnyPeer),
    ];
    let dev_tokens = reader.choice("DEV_TOKENS", &peers);
    algorithm?;
    Some(Auth {
        secret: secret?,
        previous_secret: previous_secret?,
        issuer: issuer?,
        audience: audience?,
        user_service: user_service?,
        admin_token: admin_token?,
        dev_tokens: if is_dev { dev_tokens? } else { DevTokens::Off },
    })
}

fn required_secret(reader: &mut Reader, is_dev: bool) -> Option<Secret> {
    let name = "AUTH_ACCESS_SECRET";
    let secret = signing_secret(reader, name, is_dev)?;
    if secret.is_none() {
        reader.fault(name, "is not set", "the secret that signs tokens");
    }
    secret
}

/// A secret that signs tokens; outside dev a short or well-known one is an open door, whether it
/// is the current or the previous one.
fn signing_secret(reader: &mut Reader, name: &'static str, is_dev: bool) -> Option<Option<Secret>> {
    let secret = reader.secret(name);
    let expected = format!("{SECRET_BYTES_MIN} random bytes or more where ENV is not dev");
    match secret.as_ref().map(Secret::expose) {
        Some(DEV_SECRET) if !is_dev => {
            reader.fault(name, "is the default, which everybody knows", expected);
            None
        }
        Some(text) if !is_dev && text.len() < SECRET_BYTES_MIN => {
            reader.fault(name, format!("has only {} bytes", text.len()), expected);
            None
        }
        _ => Some(secret),
    }
}

fn user_service(reader: &mut Reader) -> Option<Option<UserService>> {
    let is_asked = reader.flag("AUTH_VERIFY_WITH_USER_SERVICE");
    let url = reader.http_url("USER_SERVICE_URL");
    let verify_path = reader.path("USER_SERVICE_VERIFY_PATH");
    let (is_asked, url, verify_path) = (is_asked?, url?, verify_path?);
    if !is_asked {
        return Some(None);
    }
    if url.is_none() {
        let expected = "http://host or https://host where AUTH_VERIFY_WITH_USER_SERVICE is true";
        reader.fault("USER_SERVICE_URL", "is not set", expected);
    }
    Some(Some(UserService {
        url: url?,
        verify_path,
    }))
}

/// Travels in a header, so only what a header can carry is taken.
fn admin_token(reader: &mut Reader) -> Option<Option<Secret>> {
    let token = reader.secret("ADMIN_TOKEN");
    let fits = |token: &Secret| token.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if token.as_ref().is_none_or(fits) {
        return Some(token);
    }
    let problem = "the value has white space or other characters that a header cannot carry";
    reader.fault("ADMIN_TOKEN", problem, "visible ASCII characters");
    None
}

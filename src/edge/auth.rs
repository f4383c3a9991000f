//! Who is calling: bearer tokens, checked without asking anybody.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use super::error::ApiError;
use super::state::Edge;
use crate::domain::{Timestamp, UserId};
use crate::ports::BearerToken;
use crate::settings::Auth;

/// How far the clocks of whoever signs and whoever checks may be apart, in seconds.
const LEEWAY_S: u64 = 5;
const _: () = assert!(LEEWAY_S <= 30, "the contract's bound");

/// A caller whose token is valid.
#[derive(Debug, Clone)]
pub struct AuthenticatedUser {
    /// Who.
    pub id: UserId,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The token itself.
    pub token: BearerToken,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    exp: u64,
    #[serde(rename = "type")]
    kind: String,
}

/// Checks tokens.
pub struct Verifier {
    keys: Vec<DecodingKey>,
    validation: Validation,
}

impl Verifier {
    /// Accepts tokens that are signed with the secret or the one before it.
    pub fn new(auth: &Auth) -> Self {
        let secrets = [Some(&auth.secret), auth.previous_secret.as_ref()];
        let key =
            |secret: &crate::settings::Secret| DecodingKey::from_secret(secret.expose().as_bytes());
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = LEEWAY_S;
        validation.validate_nbf = true;
        validation.set_issuer(&[&auth.issuer]);
        // Without this a token that has no issuer at all would pass.
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        match &auth.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.set_required_spec_claims(&["exp", "iss", "sub", "aud"]);
            }
            None => validation.validate_aud = false,
        }
        Self {
            keys: secrets.into_iter().flatten().map(key).collect(),
            validation,
        }
    }

    /// Whoever the token stands for.
    ///
    /// # Errors
    ///
    /// [`ApiError::Unauthorized`] whatever is wrong with it.
    pub fn verify(&self, token: &str) -> Result<AuthenticatedUser, ApiError> {
        for key in &self.keys {
            match decode::<Claims>(token, key, &self.validation) {
                Ok(data) if data.claims.kind == "access" => {
                    let id = UserId::parse(&data.claims.sub).map_err(|_| ApiError::Unauthorized)?;
                    let expires_ms = data.claims.exp.saturating_mul(1_000);
                    return Ok(AuthenticatedUser {
                        id,
                        expires_at: Timestamp::from_ms(0).plus_ms(expires_ms),
                        token: BearerToken::new(token),
                    });
                }
                Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {}
                Ok(_) | Err(_) => break,
            }
        }
        Err(ApiError::Unauthorized)
    }
}

/// The token of the `Authorization` header, if its scheme is `Bearer` in any letter case.
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl FromRequest for AuthenticatedUser {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let edge = request.app_data::<web::Data<Edge>>();
        ready(match (edge, bearer(request)) {
            (Some(edge), Some(token)) => edge.verifier.verify(token),
            _ => Err(ApiError::Unauthorized),
        })
    }
}

/// An operator: whoever has the admin token, and anybody in dev.
#[derive(Debug, Clone, Copy)]
pub struct Operator;

impl FromRequest for Operator {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(edge) = request.app_data::<web::Data<Edge>>() else {
            return ready(Err(ApiError::Unauthorized));
        };
        let secret = edge.settings.auth.admin_token.as_ref();
        let admitted = edge.settings.environment.is_dev()
            || secret
                .zip(bearer(request))
                .is_some_and(|(secret, given)| secret.matches(given));
        ready(if admitted {
            Ok(Self)
        } else {
            Err(ApiError::Unauthorized)
        })
    }
}

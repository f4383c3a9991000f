//! Who is calling: bearer tokens, checked without asking anybody.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use futures_util::future::{Either, LocalBoxFuture};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, get_current_timestamp};
use serde::Deserialize;
use tokio::time::Instant;

use super::error::ApiError;
use super::state::Edge;
use domain::UserId;
use ports::{BearerToken, Users};
use settings::Auth;

/// How far the clocks of whoever signs and whoever checks may be apart, in seconds.
const LEEWAY_S: u64 = 5;
const _: () = assert!(LEEWAY_S <= 30, "the contract's bound");

/// A caller whose token is valid.
#[derive(Debug, Clone)]
pub struct AuthenticatedUser {
    /// Who.
    pub id: UserId,
    /// How much longer the token is valid, by the clock of the system: whoever signs goes by it.
    pub valid_for: Duration,
    /// The token itself.
    pub token: BearerToken,
    /// When the request came: what is asked of the user service is part of the time it may take.
    pub since: Instant,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    /// Seconds since the Unix epoch; some who sign write fractions.
    exp: f64,
    #[serde(rename = "type")]
    kind: String,
    /// Compared by the library, which would let a list with the right one in it pass as well.
    #[serde(rename = "iss")]
    _issuer: String,
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
        let key = |secret: &settings::Secret| DecodingKey::from_secret(secret.expose().as_bytes());
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
                // A header that says that it must be understood is one that nobody here understands.
                Ok(data) if data.claims.kind == "access" && data.header.crit.is_none() => {
                    let id = UserId::parse(&data.claims.sub).map_err(|_| ApiError::Unauthorized)?;
                    let left_s = data.claims.exp - get_current_timestamp() as f64;
                    return Ok(AuthenticatedUser {
                        id,
                        valid_for: Duration::try_from_secs_f64(left_s.max(0.0))
                            .unwrap_or(Duration::MAX),
                        token: BearerToken::new(token),
                        since: Instant::now(),
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
    type Future =
        Either<Ready<Result<Self, ApiError>>, LocalBoxFuture<'static, Result<Self, ApiError>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let edge = request.app_data::<web::Data<Edge>>();
        let user = match (edge, bearer(request)) {
            (Some(edge), Some(token)) => edge.verifier.verify(token),
            _ => Err(ApiError::Unauthorized),
        };
        let Some(edge) = edge else {
            return Either::Left(ready(user));
        };
        match (user, edge.users()) {
            (Ok(user), Some(users)) => {
                let edge = edge.clone();
                Either::Right(Box::pin(async move {
                    let user = admitted(users, user).await?;
                    edge.lend_token(&user);
                    Ok(user)
                }))
            }
            (Ok(user), None) => {
                edge.lend_token(&user);
                Either::Left(ready(Ok(user)))
            }
            (Err(error), _) => Either::Left(ready(Err(error))),
        }
    }
}

/// The user, if the user service lets the token in as well.
pub async fn admitted(
    users: Arc<dyn Users>,
    user: AuthenticatedUser,
) -> Result<AuthenticatedUser, ApiError> {
    match users.admits(&user.token).await? {
        true => Ok(user),
        false => Err(ApiError::Unauthorized),
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

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use settings::{Settings, Sources};

    const ADMIN: &str = "an-admin-token-that-nobody-guesses";

    /// The edge of a server that is not a developer's.
    fn production() -> web::Data<Edge> {
        let folder = tempfile::TempDir::new().unwrap();
        let sources = [
            ("ENV", "production"),
            ("DATABASE_URL", "postgresql://db/matching"),
            ("REDIS_URL", "redis://cache"),
            ("RABBITMQ_URL", "amqp://broker"),
            ("QUESTION_SERVICE_URL", "http://questions"),
            (
                "AUTH_ACCESS_SECRET",
                "a-secret-with-more-than-32-bytes-in-it",
            ),
            ("ADMIN_TOKEN", ADMIN),
        ]
        .into_iter()
        .fold(
            Sources::in_folder(folder.path()),
            |sources, (name, value)| sources.with(name, value),
        );
        let settings = Settings::load(&sources).unwrap();
        web::Data::new(Edge::new(settings, 0, Box::new(String::new)))
    }

    #[actix_rt::test]
    async fn outside_dev_only_the_admin_token_makes_an_operator() {
        let edge = production();
        let admitted = |header: Option<String>| {
            let mut request = TestRequest::default().app_data(edge.clone());
            if let Some(header) = header {
                request = request.insert_header((AUTHORIZATION, header));
            }
            async { Operator::extract(&request.to_http_request()).await.is_ok() }
        };

        assert!(admitted(Some(format!("Bearer {ADMIN}"))).await);
        assert!(!admitted(Some(format!("Bearer {ADMIN}x"))).await);
        assert!(!admitted(Some(format!("Basic {ADMIN}"))).await);
        assert!(!admitted(Some("Bearer ".into())).await);
        assert!(!admitted(None).await);
    }
}

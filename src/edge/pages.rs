//! Pages that are part of the binary, and the development token that one of them needs.

use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, ContentType};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::docs::failures;
use super::error::ApiError;
use super::state::Edge;
use super::wire::{About, Token, TokenBody};
use super::{body, dev_token as tokens};
use domain::UserId;
use settings::DevTokens;

const PLAYGROUND: &str = include_str!("assets/playground.html");
const ADMIN: &str = include_str!("assets/admin.html");
static PLAYGROUND_POLICY: LazyLock<String> = LazyLock::new(|| policy(PLAYGROUND));
static ADMIN_POLICY: LazyLock<String> = LazyLock::new(|| policy(ADMIN));

/// What this is; in dev a page to play with it.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "read_root",
    tag = "documents",
    responses(
        (status = 200, description = "What this is.", content(
            (About = "application/json"),
            (String = "text/html"),
        )),
        failures::Serving,
    ),
    security(())
)]
pub async fn home(edge: web::Data<Edge>) -> HttpResponse {
    if !edge.settings.environment.is_dev() {
        return HttpResponse::Ok().json(About::new(&edge.settings.app_name));
    }
    page(PLAYGROUND, &PLAYGROUND_POLICY)
}

/// A page for operators.
///
/// The page alone, for everybody; it reads its data as any other operator does.
#[utoipa::path(
    get,
    path = "/admin",
    operation_id = "show_admin",
    tag = "operations",
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html"),
        failures::Serving,
    ),
    security(())
)]
pub async fn admin() -> HttpResponse {
    page(ADMIN, &ADMIN_POLICY)
}

/// What a page may run and load: the script and the style sheet that stand in it, by their hashes, and
/// calls to this server.
fn policy(html: &str) -> String {
    let [script, style] = ["script", "style"].map(|element| hash_of(element, html));
    format!(
        "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The hash of the only such element, as a source of a policy.
fn hash_of(element: &str, html: &str) -> String {
    let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
    let text = html.split_once(&begin).map_or("", |(_, rest)| rest);
    let text = text.split_once(&end).map_or("", |(text, _)| text);
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)))
}

fn page(html: &'static str, policy: &str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::html())
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(html)
}

/// A token to try things out with.
///
/// Exists in dev only, and answers callers on this machine only unless told otherwise.
#[utoipa::path(
    post,
    path = "/dev/token",
    operation_id = "mint_token",
    tag = "documents",
    request_body = TokenBody,
    responses((status = 200, description = "The token.", body = Token), failures::MintToken),
    security(())
)]
pub async fn dev_token(
    edge: web::Data<Edge>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let local = request
        .peer_addr()
        .is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    let admitted = match edge.settings.auth.dev_tokens {
        DevTokens::Off => false,
        DevTokens::Loopback => local,
        DevTokens::AnyPeer => true,
    };
    if !admitted {
        return Err(ApiError::NoSuchPath);
    }
    let user = UserId::parse(&body::json::<TokenBody>(&request, payload).await?.user_id)?;
    let now = tokens::now_unix_s();
    let token = tokens::mint(&edge.settings.auth, &user, now, tokens::LIFETIME_S);
    let token = token.map_err(|_| ApiError::Internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(Token { token }))
}

//! The least that any server would have to do for a request: checks the token, reads JSON, answers JSON.

use std::io::Read;

use actix_web::http::header::AUTHORIZATION;
use actix_web::rt::System;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::{Deserialize, Serialize};

use crate::options::Common;

/// Where the endpoint is.
pub const PATH: &str = "/bare";

#[derive(Clone)]
struct Checker {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Wish {
    difficulty: String,
    topic: String,
}

#[derive(Serialize)]
struct Answer<'a> {
    user_id: &'a str,
    difficulty: &'a str,
    topic: &'a str,
}

/// Serves until standard input ends, which it does with whoever started this process.
pub fn serve(common: &Common) -> anyhow::Result<()> {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[&common.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "sub"]);
    validation.validate_aud = false;
    let checker = web::Data::new(Checker {
        key: DecodingKey::from_secret(common.secret.as_bytes()),
        validation,
    });
    let app = move || {
        let app = App::new().app_data(checker.clone());
        app.route(PATH, web::post().to(answer))
    };
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let server = HttpServer::new(app).bind(("127.0.0.1", 0))?;
    let address = server.addrs().first().copied().context("it is bound")?;
    println!("listening on http://{address}");
    Ok(System::new().block_on(async move { server.run().await })?)
}

async fn answer(
    request: HttpRequest,
    checker: web::Data<Checker>,
    wish: web::Json<Wish>,
) -> HttpResponse {
    match caller(&request, &checker) {
        Some(Claims { sub, .. }) => HttpResponse::Ok().json(Answer {
            user_id: &sub,
            difficulty: &wish.difficulty,
            topic: &wish.topic,
        }),
        None => HttpResponse::Unauthorized().finish(),
    }
}

fn caller(request: &HttpRequest, checker: &Checker) -> Option<Claims> {
    let header = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let token = header.strip_prefix("Bearer ")?;
    let decoded = decode::<Claims>(token, &checker.key, &checker.validation);
    decoded
        .ok()
        .map(|data| data.claims)
        .filter(|claims| claims.kind == "access")
}

//! Who is let in, and that nobody else is, whatever they ask for: contract §1.

use jsonwebtoken::Algorithm;

use crate::harness::*;

/// An `Authorization` header, if any, and what is wrong about it.
type BadCredentials = Vec<(&'static str, Option<String>)>;

fn bearer(token: &str) -> Option<String> {
    Some(format!("Bearer {token}"))
}

/// Headers that prove nothing because of their form or their signature.
fn bad_form() -> BadCredentials {
    let ada = tokens::claims("ada");
    let good = tokens::signed(&ada);
    let signed_with =
        |secret: &str, algorithm| bearer(&tokens::signed_with(&ada, secret, algorithm));
    let filler = tokens::claims_with("ada", "filler", json!("x".repeat(9_000)));
    vec![
        ("no header", None),
        ("an empty header", Some(String::new())),
        ("no token", Some("Bearer".to_owned())),
        ("an empty token", bearer("")),
        ("no scheme", Some(good.clone())),
        ("another scheme", Some(format!("Token {good}"))),
        ("basic", Some("Basic YWRhOmFkYQ==".to_owned())),
        ("garbage", bearer("undefined")),
        ("garbage in three parts", bearer("a.b.c")),
        ("two tokens", bearer(&format!("{good} {good}"))),
        (
            "a token of 12 KiB",
            bearer(&format!("x{}", tokens::signed(&filler))),
        ),
        ("a changed signature", bearer(&tokens::tampered("ada"))),
        ("no signature", bearer(&tokens::unsigned("ada"))),
        ("a header that says RS256", bearer(&tokens::confused("ada"))),
        ("HS384", signed_with(tokens::DEV_SECRET, Algorithm::HS384)),
        ("HS512", signed_with(tokens::DEV_SECRET, Algorithm::HS512)),
        (
            "another secret",
            signed_with("another-secret", Algorithm::HS256),
        ),
        ("an empty secret", signed_with("", Algorithm::HS256)),
        (
            "claims are a list",
            bearer(&tokens::signed(&json!(["ada"]))),
        ),
        ("claims are null", bearer(&tokens::signed(&json!(null)))),
    ]
}

/// Well-signed tokens whose claims are not those of a user.
fn bad_claims() -> BadCredentials {
    let with = |name: &str, value: Value| {
        bearer(&tokens::signed(&tokens::claims_with("ada", name, value)))
    };
    let without = |name: &str| bearer(&tokens::signed(&tokens::claims_without("ada", name)));
    vec![
        ("expired", with("exp", json!(tokens::in_seconds(-31)))),
        ("long expired", with("exp", json!(1))),
        ("exp is text", with("exp", json!("tomorrow"))),
        ("exp is null", with("exp", json!(null))),
        ("exp is negative", with("exp", json!(-1))),
        ("not valid yet", with("nbf", json!(tokens::in_seconds(60)))),
        ("another issuer", with("iss", json!("somebody-else"))),
        ("iss is a number", with("iss", json!(1))),
        ("a refresh token", with("type", json!("refresh"))),
        (
            "another spelling of the type",
            with("type", json!("Access")),
        ),
        ("type is a list", with("type", json!(["access"]))),
        ("no exp", without("exp")),
        ("no iss", without("iss")),
        ("no type", without("type")),
        ("no sub", without("sub")),
        ("sub is empty", with("sub", json!(""))),
        ("sub is a number", with("sub", json!(17))),
        ("sub is null", with("sub", json!(null))),
        ("sub is a list", with("sub", json!(["ada"]))),
        ("sub has a line break", with("sub", json!("ada\nbob"))),
        ("sub has a NUL", with("sub", json!("ada\u{0}"))),
        (
            "sub has a C1 control character",
            with("sub", json!("ada\u{85}")),
        ),
        ("sub of 256 bytes", with("sub", json!("a".repeat(256)))),
        (
            "sub of 256 bytes in 128 characters",
            with("sub", json!("é".repeat(128))),
        ),
    ]
}

/// Every endpoint that wants to know who is calling.
fn protected(ticket: &str) -> Vec<(Method, String)> {
    vec![
        (Method::POST, format!("{PREFIX}/request")),
        (Method::GET, format!("{PREFIX}/requests/{ticket}/status")),
        (Method::DELETE, format!("{PREFIX}/request/{ticket}")),
        (Method::POST, format!("{PREFIX}/confirm")),
        (Method::GET, format!("{PREFIX}/sessions/active")),
        (Method::POST, format!("{PREFIX}/sessions/leave")),
    ]
}

#[actix_rt::test]
async fn nobody_is_let_in_with_anything_but_a_good_token() {
    let server = Server::with("LOG_LEVEL", "DEBUG").start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;

    for (fault, header) in bad_form().into_iter().chain(bad_claims()) {
        if let Some(header) = &header {
            server.api().keep_secret(header);
        }
        for (method, path) in protected(&ticket) {
            // The body is not looked at: it is no JSON, and for some endpoints it should be.
            let mut request = server.request(method.clone(), &path).body("{");
            if let Some(header) = &header {
                request = request.header("authorization", header);
            }
            let reply = request.send().await;
            assert_eq!(
                reply.status, 401,
                "{fault}: {method} {path}: {}",
                reply.text
            );
            reply.expect(401);
        }
    }

    assert_eq!(ada.state(&ticket).await, "pending");
}

#[actix_rt::test]
async fn the_token_is_asked_for_before_a_body_of_any_size() {
    let server = Server::start().await;

    for body in [
        "".to_owned(),
        "{".to_owned(),
        "x".repeat(20_000),
        "x".repeat(200_000),
    ] {
        let length = body.len();
        let request = server
            .request(Method::POST, &format!("{PREFIX}/request"))
            .body(body);
        let reply = request.bearer("garbage").send().await;
        assert_eq!(reply.status, 401, "{length} bytes: {}", reply.text);
    }
}

#[actix_rt::test]
async fn a_header_that_is_no_text_is_401() {
    let server = Server::start().await;
    let mut raw = Raw::connect(server.api()).await;
    let mut request = format!(
        "GET {PREFIX}/sessions/active HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer "
    )
    .into_bytes();
    request.extend([0xff, 0xfe, 0xfd]);
    request.extend(b"\r\n\r\n");

    raw.send(request).await;

    raw.reply().await.expect("it is answered").expect(401);
}

#[actix_rt::test]
async fn the_scheme_is_taken_in_any_letter_case() {
    let server = Server::start().await;
    let ada = server.user("ada");

    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let request = server.request(Method::GET, &format!("{PREFIX}/sessions/active"));
        let header = format!("{scheme} {}", ada.token);
        let reply = request.header("authorization", header).send().await;
        reply.expect_error(404, "No active session");
    }
}

#[actix_rt::test]
async fn any_text_of_up_to_255_bytes_is_a_user() {
    let server = Server::start().await;
    let longest = "a".repeat(255);

    for id in [
        "0",
        "user-123",
        "auth0|507f1f77bcf86cd799439011",
        "Ünï çödé 漢字",
        &longest,
        " ",
    ] {
        let user = server.user(id);
        let reply = user.ask("Easy", &format!("Array of {}", id.len())).await;
        assert_eq!(reply.expect(200)["user_id"], id);
    }
}

#[actix_rt::test]
async fn clocks_may_differ_a_little_and_tokens_may_say_more() {
    let server = Server::start().await;

    for (name, value) in [
        ("nbf", json!(tokens::in_seconds(-10))),
        ("iat", json!(tokens::in_seconds(-10))),
        ("aud", json!("anybody")),
        ("aud", json!(["anybody", "else"])),
        ("exp", json!(4_000_000_000_u64)),
        ("exp", json!(4_000_000_000.5)),
        ("role", json!({"admin": true})),
    ] {
        let user = server.user_with_claims("ada", &tokens::claims_with("ada", name, value));
        user.active_session()
            .await
            .expect_error(404, "No active session");
    }
}

#[actix_rt::test]
async fn the_secret_before_the_last_change_is_still_accepted() {
    let options = Server::with("AUTH_ACCESS_SECRET", "the-present-secret");
    let server = options
        .with("AUTH_ACCESS_SECRET_PREVIOUS", "the-former-secret")
        .start()
        .await;

    for (secret, status) in [
        ("the-present-secret", 404),
        ("the-former-secret", 404),
        (tokens::DEV_SECRET, 401),
    ] {
        let token = tokens::signed_with(&tokens::claims("ada"), secret, Algorithm::HS256);
        let reply = User::new(server.api(), "ada", token).active_session().await;
        reply.expect(status);
    }
    let late = tokens::claims_with("ada", "exp", json!(tokens::in_seconds(-60)));
    let token = tokens::signed_with(&late, "the-former-secret", Algorithm::HS256);
    User::new(server.api(), "ada", token)
        .active_session()
        .await
        .expect(401);
}

#[actix_rt::test]
async fn the_older_name_of_the_secret_and_another_issuer_work() {
    let options = Server::with("JWT_SECRET_KEY", "a-secret-by-its-older-name");
    let server = options.with("AUTH_ISSUER", "another-issuer").start().await;
    let good = tokens::claims_with("ada", "iss", json!("another-issuer"));
    let sign = |claims: &Value| {
        tokens::signed_with(claims, "a-secret-by-its-older-name", Algorithm::HS256)
    };

    let accepted = User::new(server.api(), "ada", sign(&good))
        .active_session()
        .await;
    let usual_issuer = User::new(server.api(), "ada", sign(&tokens::claims("ada")));
    let usual_secret = User::new(server.api(), "ada", tokens::signed(&good));

    accepted.expect_error(404, "No active session");
    usual_issuer.active_session().await.expect(401);
    usual_secret.active_session().await.expect(401);
}

#[actix_rt::test]
async fn the_audience_is_checked_where_one_is_set() {
    let server = Server::with("AUTH_AUDIENCE", "matching").start().await;

    for (audience, status) in [
        (json!("matching"), 404),
        (json!(["questions", "matching"]), 404),
        (json!("questions"), 401),
        (json!([]), 401),
        (json!(null), 401),
        (json!(7), 401),
    ] {
        let claims = tokens::claims_with("ada", "aud", audience.clone());
        let reply = server
            .user_with_claims("ada", &claims)
            .active_session()
            .await;
        assert_eq!(reply.status, status, "{audience}: {}", reply.text);
    }
    server.user("ada").active_session().await.expect(401);
}

#[actix_rt::test]
async fn no_token_is_ever_written_down() {
    let server = Server::with("LOG_LEVEL", "TRACE").start().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let screen = pair.first.connect().await;
    screen.match_with("bob").await;
    pair.open_session().await;
    let bad = User::new(server.api(), "eve", tokens::tampered("eve"));
    bad.connect().await.expect_close(4401).await;
    bad.ask("Easy", "Array").await.expect(401);
    bad.request(Method::GET, &format!("/no/such/path?token={}", bad.token))
        .send()
        .await;
    let mut raw = Raw::connect(server.api()).await;
    raw.send(format!(
        "GET /ws?token={} HTTP/1.1\r\n\r\n",
        pair.second.token
    ))
    .await;
    raw.reply().await;

    let output = server.output();

    for user in [&pair.first, &pair.second, &bad] {
        let payload = user
            .token
            .split('.')
            .nth(1)
            .expect("a token has three parts");
        assert!(
            !output.contains(payload),
            "a token of {} stands in the output",
            user.id
        );
    }
    let (metrics, debug) = (
        server.get("/metrics").await,
        server.get("/debug/actors").await,
    );
    for reply in [&metrics, &debug] {
        assert!(!reply.text.contains(pair.first.token.as_str()));
    }
    assert!(
        !output.contains("?token="),
        "query strings are not logged:\n{output}"
    );
}

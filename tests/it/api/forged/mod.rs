//! Tokens that were made to be taken for good ones: each is refused, and none differently from another.

mod kinds;

use crate::harness::*;
use kinds::{all, good_claims, well_signed};

#[actix_rt::test]
async fn every_forged_token_gets_the_same_answer() {
    let server = Server::start().await;
    let path = format!("{PREFIX}/sessions/active");
    let reference = server.get(&path).await;

    for (fault, token) in all() {
        let header = format!("Bearer {token}");
        let reply = server
            .request(Method::GET, &path)
            .header("authorization", header)
            .send()
            .await;
        assert_eq!(reply.status, 401, "{fault}: {}", reply.text);
        assert_eq!(reply.visible(), reference.visible(), "{fault}");
    }
    let huge = format!("Bearer {}", "x".repeat(65_536));
    let request = server
        .request(Method::GET, &path)
        .header("authorization", huge);
    request.send().await.expect(431);
}

#[actix_rt::test]
async fn every_forged_token_is_closed_out_of_its_socket() {
    let server = Server::start().await;

    for some in all().chunks(20) {
        let closed = some.iter().map(async |(fault, token)| {
            let header = format!("Bearer {token}");
            let socket = Socket::open(server.api(), "/ws", &[("authorization", &header)]).await;
            eventually(fault, async || socket.close_code()).await
        });
        let codes = join_all(closed).await;
        for ((fault, _), code) in some.iter().zip(codes) {
            assert_eq!(code, 4401, "{fault}");
        }
    }
    let state = server.get("/debug/actors").await;
    assert_eq!(state.expect(200)["sockets"]["users"], 0);
}

#[actix_rt::test]
async fn what_a_token_says_besides_does_not_matter() {
    let server = Server::start().await;
    let good = good_claims();

    for header in [
        json!({"alg": "HS256"}),
        json!({"alg": "HS256", "typ": "at+jwt", "kid": "2026-11"}),
        json!({"alg": "HS256", "jku": "http://127.0.0.1:1/keys.json", "x5t": "x"}),
    ] {
        let token = well_signed(&header.to_string(), good.as_bytes());
        let reply = User::new(server.api(), "ada", token).active_session().await;
        reply.expect_error(404, "No active session");
    }
    for (name, value) in [
        ("iat", json!("odd")),
        ("iat", json!(1e300)),
        ("jti", json!([])),
        ("aud", json!(7)),
    ] {
        let user = server.user_with_claims("ada", &tokens::claims_with("ada", name, value));
        user.active_session()
            .await
            .expect_error(404, "No active session");
    }
}

//! The WebSocket as a connection: who gets in, what keeps it open, what closes it. Contract §1, §4.

mod frames;

use std::time::{Duration, Instant};

use awc::ws::Message;
use jsonwebtoken::Algorithm;

use crate::harness::*;

/// How a WebSocket frame with a ping begins.
const PING: u8 = 9;

/// Answers to a handshake written by hand.
async fn handshake(server: &Server, target: &str, lines: &str) -> Reply {
    let mut raw = Raw::connect(server.api()).await;
    raw.send(upgrade(target, lines)).await;
    raw.reply().await.expect("a handshake is answered")
}

#[actix_rt::test]
async fn a_bad_token_is_let_in_and_closed_at_once_with_4401() {
    let server = Server::start().await;
    let late = tokens::claims_with("ada", "exp", json!(tokens::in_seconds(-60)));
    let refresh = tokens::claims_with("ada", "type", json!("refresh"));
    for token in [
        "garbage".to_owned(),
        "undefined".to_owned(),
        tokens::tampered("ada"),
        tokens::unsigned("ada"),
        tokens::signed(&late),
        tokens::signed(&refresh),
        tokens::signed_with(&tokens::claims("ada"), "another secret", Algorithm::HS256),
    ] {
        let user = User::new(server.api(), "ada", token);

        let screen = user.connect().await;

        screen.expect_close(4401).await;
        assert_eq!(screen.events().len(), 0);
    }
}

#[actix_rt::test]
async fn without_a_token_there_is_no_upgrade_but_401() {
    let server = Server::start().await;

    for target in ["/ws", "/ws?", "/ws?other=1"] {
        handshake(&server, target, "").await.expect(401);
    }
}

#[actix_rt::test]
async fn a_token_in_the_header_is_as_good_as_one_in_the_query() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let good = format!("bearer {}", ada.token);

    let screen = Socket::open(server.api(), "/ws", &[("authorization", &good)]).await;
    let empty = Socket::open(server.api(), "/ws?token=", &[("authorization", &good)]).await;
    let bad = Socket::open(server.api(), "/ws", &[("authorization", "Bearer garbage")]).await;

    bad.expect_close(4401).await;
    scenes::pair_up(ada, server.user("bob"), "Array").await;
    screen.match_with("bob").await;
    empty.match_with("bob").await;
}

#[actix_rt::test]
async fn a_socket_is_closed_when_its_token_expires_and_not_before() {
    let server = Server::start().await;
    let soon = tokens::claims_with("ada", "exp", json!(tokens::in_seconds(3)));
    let ada = server.user_with_claims("ada", &soon);
    let screen = ada.connect().await;
    scenes::pair_up(ada, server.user("bob"), "Array").await;
    screen.match_with("bob").await;
    assert_eq!(screen.close_code(), None);

    screen.expect_close(4401).await;

    assert!(unix_now() >= soon["exp"].as_f64().expect("exp is a number"));
}

#[actix_rt::test]
async fn a_foreign_origin_is_refused_where_origins_are_listed() {
    let listed = "https://app.example, http://localhost:3000";
    let server = Server::with("CORS_ALLOWED_ORIGINS", listed).start().await;
    let target = format!("/ws?token={}", server.user("ada").token);

    for origin in [
        "https://evil.example",
        "https://app.example.evil.example",
        "null",
    ] {
        let reply = handshake(&server, &target, &format!("Origin: {origin}\r\n")).await;
        assert_eq!(reply.status, 403, "{origin}: {}", reply.text);
        assert!(reply.json["detail"].is_string(), "{origin}: {}", reply.text);
    }
    for lines in [
        "Origin: https://app.example\r\n",
        "Origin: http://localhost:3000\r\n",
        "",
    ] {
        let reply = handshake(&server, &target, lines).await;
        assert_eq!(reply.status, 101, "{lines}: {}", reply.text);
    }
}

#[actix_rt::test]
async fn a_handshake_that_is_none_is_answered_400() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let target = format!("/ws?token={}", ada.token);
    let host = "HTTP/1.1\r\nHost: 127.0.0.1\r\n";

    for lines in [
        "",
        "Connection: Upgrade\r\nUpgrade: websocket\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 99\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        let mut raw = Raw::connect(server.api()).await;
        raw.send(format!("GET {target} {host}{lines}\r\n")).await;
        let reply = raw.reply().await.expect("a handshake is answered");
        reply.expect(400);
    }
}

#[actix_rt::test]
async fn a_message_of_4_kib_is_harmless_and_a_longer_one_closes_with_1009() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let (within, beyond) = (ada.connect().await, ada.connect().await);

    within.send_text(&"x".repeat(4096));
    beyond.send_text(&"x".repeat(4097));

    beyond.expect_close(1009).await;
    let binary = ada.connect().await;
    binary.send(Message::Binary(vec![0; 100_000].into()));
    binary.expect_close(1009).await;
    scenes::pair_up(ada, server.user("bob"), "Array").await;
    within.match_with("bob").await;
    assert_eq!(within.close_code(), None);
}

#[actix_rt::test]
async fn twenty_messages_at_once_are_harmless_and_many_more_close_with_1008() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let (within, beyond) = (ada.connect().await, ada.connect().await);

    (0..20).for_each(|_| within.send_text("hello"));
    (0..60).for_each(|_| beyond.send_text("hello"));

    beyond.expect_close(1008).await;
    scenes::pair_up(ada, server.user("bob"), "Array").await;
    within.match_with("bob").await;
    assert_eq!(within.close_code(), None);
}

#[actix_rt::test]
async fn whatever_else_a_client_says_is_harmless() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let screen = ada.connect().await;
    let ticket = ada.open_ticket("Easy", "Array").await;
    let cancel = format!(r#"{{"type":"cancel","request_id":"{ticket}"}}"#);
    for message in [
        "",
        "null",
        "{",
        "[[[[[[",
        r#"{"type":"match_found"}"#,
        "\u{0}\u{7}",
        &cancel,
    ] {
        screen.send_text(message);
    }
    screen.send(Message::Binary(vec![0xff, 0xfe, 0].into()));
    screen.send(Message::Pong("unasked".into()));
    screen.send(Message::Ping("still there?".into()));

    let bob = server.user("bob");
    bob.open_ticket("Easy", "Array").await;

    screen.match_with("bob").await;
    assert_eq!(screen.events().len(), 1, "{:?}", screen.events());
    assert_eq!(screen.close_code(), None);
}

/// A server that pings often and loses patience soon.
async fn nervous_server() -> Server {
    let options = Server::with("SOCKET_PING_SECONDS", "0.2");
    options.with("SOCKET_SILENCE_SECONDS", "1").start().await
}

#[actix_rt::test]
async fn the_server_pings_and_a_client_that_answers_stays() {
    let server = nervous_server().await;
    let screen = server.user("ada").connect().await;
    let begun = Instant::now();

    eventually(
        "pings come for longer than the silence that is allowed",
        async || (screen.pings() >= 10 && begun.elapsed() > Duration::from_secs(2)).then_some(()),
    )
    .await;

    assert_eq!(screen.close_code(), None);
}

#[actix_rt::test]
async fn a_client_that_never_answers_is_dropped() {
    let server = nervous_server().await;
    let target = format!("/ws?token={}", server.user("ada").token);
    let mut raw = Raw::connect(server.api()).await;
    raw.send(upgrade(&target, "")).await;
    assert_eq!(raw.reply().await.map(|reply| reply.status), Some(101));
    let begun = Instant::now();

    let received = raw.closed_within(Duration::from_secs(5)).await;

    assert!(
        begun.elapsed() > Duration::from_millis(700),
        "after {:?}",
        begun.elapsed()
    );
    assert_eq!(received[0], 0x80 | PING, "{received:?}");
}

#[actix_rt::test]
async fn a_user_may_hold_twenty_sockets_and_one_more_after_one_closed() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let mut screens = join_all((0..20).map(|_| ada.connect())).await;
    let target = format!("/ws?token={}", ada.token);

    handshake(&server, &target, "").await.expect(429);
    server.user("bob").connect().await;
    screens.pop();

    eventually("there is room again", async || {
        (handshake(&server, &target, "").await.status == 101).then_some(())
    })
    .await;
    assert!(screens.iter().all(|screen| screen.close_code().is_none()));
}

#[actix_rt::test]
async fn simultaneous_handshakes_do_not_pass_the_limit() {
    let server = Server::with("MAX_SOCKETS_PER_USER", 5).start().await;
    let target = format!("/ws?token={}", server.user("ada").token);
    let mut connections = Vec::new();
    for _ in 0..30 {
        connections.push(Raw::connect(server.api()).await);
    }

    let replies = join_all(connections.iter_mut().map(async |raw| {
        raw.send(upgrade(&target, "")).await;
        raw.reply().await.expect("a handshake is answered")
    }))
    .await;

    let upgraded = replies.iter().filter(|reply| reply.status == 101).count();
    assert_eq!(upgraded, 5);
    for refused in replies.iter().filter(|reply| reply.status != 101) {
        refused.expect(429);
    }
}

#[actix_rt::test]
async fn on_shutdown_every_socket_is_closed_with_1001_and_the_process_ends_in_time() {
    let server = Server::start().await;
    let users = ["ada", "bob", "cleo"].map(|name| server.user(name));
    let screens = join_all(users.iter().map(User::connect)).await;
    let target = format!("/ws?token={}", users[0].token);
    let mut silent = Raw::connect(server.api()).await;
    silent.send(upgrade(&target, "")).await;
    assert_eq!(silent.reply().await.map(|reply| reply.status), Some(101));

    let (status, took) = server.terminate().await;

    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(10), "took {took:?}");
    for screen in &screens {
        screen.expect_close(1001).await;
    }
}

//! Requests that are too long, too slow or no HTTP at all.

use std::time::{Duration, Instant};

use super::{Standing, patient_server, refused};
use crate::harness::*;

#[actix_rt::test]
async fn an_overlong_path_is_414_and_overlong_headers_are_431() {
    let server = patient_server().await;
    let standing = Standing::on(&server).await;
    let eve = server.user("eve");
    let long = "x".repeat(9_000);

    for path in [
        format!("/{long}"),
        format!("{PREFIX}/{long}/status"),
        format!("/health?{long}"),
    ] {
        refused(&server.get(&path).await, 414, "a path of 9 kB");
    }
    let one_long = eve
        .request(Method::GET, "/sessions/active")
        .header("x-long", "x".repeat(40_000));
    refused(&one_long.send().await, 431, "a header of 40 kB");
    let mut many = eve.request(Method::GET, "/sessions/active");
    for _ in 0..40 {
        many = many.header("x-many", "x".repeat(1_000));
    }
    refused(&many.send().await, 431, "40 headers of 1 kB");

    standing.is_unchanged(&server).await;
}

#[actix_rt::test]
async fn requests_beyond_every_measure_are_refused_or_cut_off() {
    let server = patient_server().await;
    let standing = Standing::on(&server).await;

    for request in [
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(500_000)),
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "x".repeat(500_000)
        ),
        format!(
            "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "X: y\r\n".repeat(5_000)
        ),
        "\r\n".repeat(1_000) + "nonsense\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n".to_owned(),
        "POST /health HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\nhello".to_owned(),
        "POST /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
    ] {
        let mut raw = Raw::connect(server.api()).await;
        raw.send(&request).await;
        if let Some(reply) = raw.reply_within(Duration::from_secs(12)).await {
            assert!(
                (400..500).contains(&reply.status),
                "{}: {}",
                &request[..40],
                reply.status
            );
        }
    }

    standing.is_unchanged(&server).await;
}

#[actix_rt::test]
async fn http_2_is_spoken_neither_at_once_nor_after_an_upgrade() {
    let server = patient_server().await;

    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut at_once = Raw::connect(server.api()).await;
    at_once
        .send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &settings].concat())
        .await;
    let heard = at_once.closed_within(Duration::from_secs(12)).await;
    assert!(heard.starts_with(b"HTTP/1.1 400"), "{heard:?}");

    let mut upgrading = Raw::connect(server.api()).await;
    upgrading
        .send(
            "GET /health HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n\
             Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
        )
        .await;
    let status = upgrading.reply().await.map(|reply| reply.status);
    assert_eq!(status, Some(200));
}

/// Slow: shows that the server waits for ten seconds and no longer.
#[actix_rt::test]
async fn a_request_that_does_not_come_to_its_end_is_cut_off_after_ten_seconds() {
    let server = Server::start().await;
    let ada = server.user("ada");
    let head = format!(
        "POST {PREFIX}/request HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n",
        ada.token
    );
    let starts = [
        "GET /health HTTP/1.1\r\nHost: 127.0.".to_owned(),
        format!("{head}Content-Length: 100\r\n\r\n{{\"difficulty\": "),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"dif\r\n"),
    ];

    let cut_off = starts.map(async |start| {
        let mut raw = Raw::connect(server.api()).await;
        raw.send(&start).await;
        let begun = Instant::now();
        let reply = raw.reply_within(Duration::from_secs(13)).await;
        let took = begun.elapsed();
        assert!(
            took > Duration::from_secs(4),
            "{start} was cut off after {took:?}"
        );
        if let Some(reply) = reply {
            assert_eq!(reply.status, 408, "{start}: {}", reply.text);
        }
    });
    join_all(cut_off).await;

    ada.open_ticket("Easy", "Array").await;
}

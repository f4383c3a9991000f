//! What is not valid is refused with the code of contract §2, and nothing changes.

use std::time::{Duration, Instant};

use crate::harness::*;

/// A user in each situation, to show after a table of bad requests that nothing changed.
struct Standing {
    waiting: User,
    ticket: String,
    pair: scenes::Pair,
    members: scenes::Pair,
    session: String,
}

impl Standing {
    async fn on(server: &Server) -> Self {
        let waiting = server.user("waiting");
        let ticket = waiting.open_ticket("Easy", "Nobody else's topic").await;
        let pair = scenes::pair(server, "first", "second", "Array").await;
        let members = scenes::pair(server, "member", "other member", "Graph").await;
        let session = members.open_session().await;
        Self {
            waiting,
            ticket,
            pair,
            members,
            session,
        }
    }

    /// Asserts that everybody still stands where they stood.
    async fn is_unchanged(&self, server: &Server) {
        assert_eq!(self.waiting.state(&self.ticket).await, "pending");
        let status = server.match_status(&self.pair.match_id).await;
        let unconfirmed = json!({"confirm_status": false, "session_id": null});
        assert_eq!(*status.expect(200), unconfirmed);
        for (user, ticket) in [
            (&self.pair.first, &self.pair.first_ticket),
            (&self.pair.second, &self.pair.second_ticket),
        ] {
            let matched = json!({"status": "matched", "match_id": self.pair.match_id});
            assert_eq!(*user.status(ticket).await.expect(200), matched);
            // Neither has confirmed: an ask for the same bucket would be a duplicate.
            let same = user.ask("Easy", "Array").await;
            assert_eq!(text(same.expect(200), "id"), ticket.as_str());
        }
        for user in [&self.members.first, &self.members.second] {
            let active = user.active_session().await;
            assert_eq!(active.expect(200)["session_id"], self.session.as_str());
        }
        server.get("/readyz").await.expect(200);
    }
}

/// Limits that a long table does not run into.
async fn patient_server() -> Server {
    Server::with("ASK_BURST", 100_000).start().await
}

/// Bodies that are no JSON object at all, with the code that each deserves.
fn broken_bodies() -> Vec<(&'static str, Vec<u8>, u16)> {
    let deep = |open: &str, close: &str, levels| open.repeat(levels) + &close.repeat(levels);
    vec![
        ("nothing", Vec::new(), 400),
        ("white space", b" \n\t ".to_vec(), 400),
        ("half an object", b"{\"topic\": \"Array\"".to_vec(), 400),
        ("two objects", b"{}{}".to_vec(), 400),
        ("null", b"null".to_vec(), 400),
        ("a number", b"17".to_vec(), 400),
        ("a text", b"\"Easy\"".to_vec(), 400),
        ("a list", b"[\"Easy\", \"Array\"]".to_vec(), 400),
        ("no field", b"{}".to_vec(), 400),
        ("a form", b"difficulty=Easy&topic=Array".to_vec(), 400),
        ("XML", b"<request/>".to_vec(), 400),
        ("no UTF-8", b"{\"topic\": \"\xff\xfe\"}".to_vec(), 400),
        ("UTF-16", b"\xff\xfe{\x00}\x00".to_vec(), 400),
        (
            "half a surrogate",
            b"{\"topic\": \"\\ud800\"}".to_vec(),
            400,
        ),
        ("NUL bytes", vec![0; 100], 400),
        ("lists in lists", deep("[", "]", 8_000).into_bytes(), 400),
        (
            "objects in objects",
            deep("{\"a\":", "}", 2_000).into_bytes(),
            400,
        ),
        (
            "a deep field",
            format!("{{\"x\":{}}}", deep("[", "]", 7_000)).into_bytes(),
            400,
        ),
        ("16 KiB and one byte", vec![b' '; 16 * 1024 + 1], 413),
        ("a megabyte", vec![b'x'; 1024 * 1024], 413),
    ]
}

/// Asserts that `reply` is refused with `status`, and says nothing internal.
#[track_caller]
fn refused(reply: &Reply, status: u16, fault: &str) {
    assert_eq!(
        reply.status, status,
        "{fault}: {} was answered {}",
        reply.what, reply.text
    );
    reply.expect(status);
    let detail = text(&reply.json, "detail");
    for internal in [
        "src/", ".rs", "panicked", "serde", "Sqlite", "SELECT", "INSERT",
    ] {
        assert!(!detail.contains(internal), "{fault}: {detail}");
    }
}

#[actix_rt::test]
async fn a_bad_ask_is_refused_and_nothing_changes() {
    let server = patient_server().await;
    let standing = Standing::on(&server).await;
    let eve = server.user("eve");

    for (fault, body, status) in broken_bodies() {
        refused(
            &eve.request(Method::POST, "/request")
                .body(body)
                .send()
                .await,
            status,
            fault,
        );
    }
    let (easy, array) = (json!("Easy"), json!("Array"));
    for (fault, difficulty, topic) in [
        ("unknown difficulty", json!("Extreme"), array.clone()),
        ("empty difficulty", json!(""), array.clone()),
        ("difficulty with a space", json!(" Easy"), array.clone()),
        ("difficulty is a number", json!(1), array.clone()),
        ("difficulty is null", json!(null), array.clone()),
        ("difficulty is a list", json!(["Easy"]), array.clone()),
        ("a dotless i", json!("medıum"), array.clone()),
        ("blank topic", easy.clone(), json!("   ")),
        ("empty topic", easy.clone(), json!("")),
        ("overlong topic", easy.clone(), json!("x".repeat(65))),
        (
            "overlong topic in other letters",
            easy.clone(),
            json!("漢".repeat(65)),
        ),
        ("topic is a number", easy.clone(), json!(5)),
        ("topic is null", easy.clone(), json!(null)),
        ("topic is a list", easy.clone(), json!(["Array"])),
        ("topic is an object", easy.clone(), json!({"name": "Array"})),
        ("NUL in the topic", easy.clone(), json!("Ar\u{0}ray")),
        (
            "line break in the topic",
            easy.clone(),
            json!("Array\nGraph"),
        ),
        (
            "tabulator in the topic",
            easy.clone(),
            json!("Array\tGraph"),
        ),
        (
            "escape in the topic",
            easy.clone(),
            json!("\u{1b}[31mArray"),
        ),
        ("DEL in the topic", easy.clone(), json!("Array\u{7f}")),
        (
            "C1 control in the topic",
            easy.clone(),
            json!("Arr\u{9b}ay"),
        ),
    ] {
        let body = json!({"difficulty": difficulty, "topic": topic});
        refused(&eve.posting("/request", &body).send().await, 400, fault);
    }
    for body in [json!({"topic": "Array"}), json!({"difficulty": "Easy"})] {
        refused(
            &eve.posting("/request", &body).send().await,
            400,
            "a field is missing",
        );
    }

    standing.is_unchanged(&server).await;
    let ticket = eve.open_ticket("Easy", "Extreme").await;
    assert_eq!(eve.state(&ticket).await, "pending");
}

#[actix_rt::test]
async fn a_bad_confirmation_is_refused_and_nothing_changes() {
    let server = patient_server().await;
    let standing = Standing::on(&server).await;
    let (member, match_id) = (&standing.pair.first, json!(standing.pair.match_id));

    for (fault, body, status) in broken_bodies() {
        refused(
            &member
                .request(Method::POST, "/confirm")
                .body(body)
                .send()
                .await,
            status,
            fault,
        );
    }
    for (fault, id, confirmed) in [
        ("no uuid", json!("17"), json!(true)),
        ("an empty id", json!(""), json!(true)),
        (
            "almost a uuid",
            json!("g0000000-0000-4000-8000-000000000000"),
            json!(true),
        ),
        ("NUL in the id", json!("\u{0}"), json!(true)),
        ("a long id", json!("a".repeat(10_000)), json!(true)),
        ("id is a number", json!(17), json!(true)),
        ("id is null", json!(null), json!(true)),
        ("id is a list", json!([match_id.clone()]), json!(true)),
        ("confirmed is text", match_id.clone(), json!("true")),
        ("confirmed is a number", match_id.clone(), json!(1)),
        ("confirmed is null", match_id.clone(), json!(null)),
        ("confirmed is an object", match_id.clone(), json!({})),
    ] {
        let body = json!({"match_id": id, "confirmed": confirmed});
        refused(&member.posting("/confirm", &body).send().await, 400, fault);
    }
    for body in [json!({"match_id": match_id}), json!({"confirmed": true})] {
        refused(
            &member.posting("/confirm", &body).send().await,
            400,
            "a field is missing",
        );
    }
    for foreign in [
        &standing.pair.first_ticket,
        &standing.session,
        &standing.members.match_id,
    ] {
        let reply = member.confirm(foreign, true).await;
        refused(&reply, 404, "an id of something else");
    }

    standing.is_unchanged(&server).await;
}

#[actix_rt::test]
async fn a_bad_leave_is_refused_or_ignored_and_nothing_changes() {
    let server = patient_server().await;
    let standing = Standing::on(&server).await;
    let member = &standing.members.first;

    for (fault, body, status) in broken_bodies() {
        let request = member.request(Method::POST, "/sessions/leave").body(body);
        refused(&request.send().await, status, fault);
    }
    for id in [
        json!(17),
        json!(null),
        json!([standing.session]),
        json!({}),
        json!(true),
    ] {
        let reply = member
            .posting("/sessions/leave", &json!({"session_id": id}))
            .send()
            .await;
        refused(&reply, 400, "session_id is no text");
    }
    for id in [
        "",
        "17",
        "\u{0}",
        &standing.session[1..],
        "*",
        &"a".repeat(10_000),
    ] {
        let reply = member.leave(id).await;
        match reply.status {
            200 => assert_eq!(reply.json, json!({"status": "ok"}), "{id}"),
            _ => refused(&reply, 400, "session_id is no uuid"),
        }
    }

    standing.is_unchanged(&server).await;
}

/// Ids that are no uuids, as they may stand in a path.
const BAD_IDS: [&str; 12] = [
    "17",
    "undefined",
    "null",
    "%00",
    "%ff%fe",
    "%0d%0aSet-Cookie:x",
    "'%20OR%201=1",
    "..%2f..%2fetc",
    "00000000-0000-0000-0000-00000000000g",
    "00000000-0000-4000-8000-0000000000000000",
    "%F0%9F%92%A9",
    "{}",
];

#[actix_rt::test]
async fn a_bad_id_in_a_path_is_404_and_nothing_changes() {
    let server = patient_server().await;
    let standing = Standing::on(&server).await;
    let foreign = [
        &standing.pair.match_id,
        &standing.session,
        &standing.pair.second_ticket,
    ];
    let ids = BAD_IDS
        .into_iter()
        .chain(foreign.into_iter().map(String::as_str));

    for id in ids {
        for (method, path) in [
            (Method::GET, format!("/requests/{id}/status")),
            (Method::DELETE, format!("/request/{id}")),
        ] {
            let reply = standing.waiting.request(method, &path).send().await;
            refused(&reply, 404, id);
        }
    }
    for id in BAD_IDS {
        refused(&server.match_status(id).await, 404, id);
        refused(&server.session(id).await, 404, id);
    }

    standing.is_unchanged(&server).await;
}

#[actix_rt::test]
async fn paths_that_do_not_exist_are_404_and_methods_that_do_not_are_405() {
    let server = patient_server().await;
    let standing = Standing::on(&server).await;
    let eve = server.user("eve");

    for path in [
        "/",
        "/nothing",
        "/request/",
        "/requests",
        "/sessions",
        "/sessions/leave/x",
    ] {
        refused(&eve.request(Method::GET, path).send().await, 404, path);
    }
    for path in [
        "/nothing",
        "/api",
        "/api/v2/matching/request",
        "/.env",
        "/%2e%2e/etc/passwd",
    ] {
        refused(&server.get(path).await, 404, path);
    }
    let ticket = &standing.ticket;
    for (method, path) in [
        (Method::GET, "/request".to_owned()),
        (Method::PUT, "/request".to_owned()),
        (Method::PATCH, format!("/request/{ticket}")),
        (Method::POST, format!("/requests/{ticket}/status")),
        (Method::DELETE, "/confirm".to_owned()),
        (Method::GET, "/sessions/leave".to_owned()),
        (Method::POST, "/sessions/active".to_owned()),
        (Method::DELETE, format!("/session/{}", standing.session)),
        (
            Method::from_bytes(b"BREW").expect("a method may have any name"),
            "/request".to_owned(),
        ),
    ] {
        refused(
            &eve.request(method.clone(), &path).send().await,
            405,
            &format!("{method}"),
        );
    }
    refused(
        &server.request(Method::POST, "/health").send().await,
        405,
        "POST /health",
    );

    standing.is_unchanged(&server).await;
}

#[actix_rt::test]
async fn json_is_read_whatever_it_is_called_and_fields_that_nobody_knows_are_ignored() {
    let server = patient_server().await;

    for (index, kind) in [
        "application/json",
        "text/plain",
        "text/plain;charset=UTF-8",
        "image/png",
        "",
        "nonsense",
    ]
    .into_iter()
    .enumerate()
    {
        let user = server.user(&format!("user-{index}"));
        let body = json!({
            "difficulty": "Easy", "topic": format!("Topic {index}"),
            "status": "matched", "user_id": "somebody else", "id": 1, "__proto__": {"admin": true},
        });
        let request = user
            .request(Method::POST, "/request")
            .body(body.to_string());
        let reply = request.header("content-type", kind).send().await;
        assert_eq!(text(reply.expect(200), "user_id"), user.id);
        assert_eq!(text(&reply.json, "status"), "pending");
    }

    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let body = json!({"session_id": session, "more": [1, 2]}).to_string();
    let request = pair
        .first
        .request(Method::POST, "/sessions/leave")
        .body(body);
    let reply = request
        .header("content-type", "text/plain;charset=UTF-8")
        .send()
        .await;
    assert_eq!(*reply.expect(200), json!({"status": "left"}));
}

#[actix_rt::test]
async fn a_compressed_body_is_400_and_is_never_unpacked() {
    let server = patient_server().await;
    let standing = Standing::on(&server).await;
    let eve = server.user("eve");
    let plain = json!({"difficulty": "Easy", "topic": "Array"}).to_string();

    for encoding in [
        "gzip",
        "deflate",
        "br",
        "zstd",
        "x-gzip",
        "gzip, identity",
        "nonsense",
    ] {
        for path in ["/request", "/confirm", "/sessions/leave"] {
            let request = eve.request(Method::POST, path).body(plain.clone());
            let reply = request.header("content-encoding", encoding).send().await;
            refused(&reply, 400, encoding);
        }
    }
    let request = eve.request(Method::POST, "/request").body(plain);
    request
        .header("content-encoding", "identity")
        .send()
        .await
        .expect(200);

    standing.is_unchanged_but_for_eve(&server, &eve).await;
}

impl Standing {
    /// Like `is_unchanged`, after eve asked in a bucket where the two proposed do not wait.
    async fn is_unchanged_but_for_eve(&self, server: &Server, eve: &User) {
        let duplicate = eve.ask("Easy", "Array").await;
        assert_eq!(text(duplicate.expect(400), "status"), "pending");
        self.is_unchanged(server).await;
    }
}

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

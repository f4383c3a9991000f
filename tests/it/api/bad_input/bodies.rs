//! Bodies that are not valid, for every endpoint that takes one.

use super::{Standing, broken_bodies, patient_server, refused};
use crate::harness::*;

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
    for (fault, difficulty, topic) in bad_wishes() {
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

/// Difficulties and topics of which one is not valid.
fn bad_wishes() -> Vec<(&'static str, Value, Value)> {
    let (easy, array) = (json!("Easy"), json!("Array"));
    vec![
        ("unknown difficulty", json!("Extreme"), array.clone()),
        ("empty difficulty", json!(""), array.clone()),
        ("difficulty with a space", json!(" Easy"), array.clone()),
        ("difficulty is a number", json!(1), array.clone()),
        ("difficulty is null", json!(null), array.clone()),
        ("difficulty is a list", json!(["Easy"]), array.clone()),
        ("a dotless i", json!("medıum"), array),
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
        ("C1 control in the topic", easy, json!("Arr\u{9b}ay")),
    ]
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

    standing.is_unchanged(&server).await;
}

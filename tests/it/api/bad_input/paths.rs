//! Paths, ids in them, and methods that do not exist.

use super::{Standing, patient_server, refused};
use crate::harness::*;

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

//! docs/clients/matchmaker.js, in a browser: two people in one page of another origin.

use std::path::Path;

use super::page::Page;
use crate::harness::*;

const SCRIPT: &str = include_str!("page.js");

/// What two people get who ask for the same.
async fn played(server: &Server, scenario: &str) -> Value {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clients/matchmaker.js");
    let query = format!("?server={}#{scenario}", server.api().url(""));
    let mut page = Page::open(SCRIPT, &client, &query).await;
    let report = page.report().await;
    assert_eq!(report["fault"], Value::Null, "{}", text_or_none(&report));
    report
}

fn text_or_none(report: &Value) -> &str {
    report["fault"].as_str().unwrap_or_default()
}

/// Both have been in one session, as the server knows it; gives what each heard on the socket.
#[track_caller]
fn assert_together(report: &Value) -> [Vec<&str>; 2] {
    let [ada, bob] = [&report["people"][0], &report["people"][1]];
    assert_eq!(ada["match_id"], bob["match_id"], "{report}");
    assert!(ada["match_id"].is_string(), "{report}");
    assert_eq!(ada["session"]["session_id"], bob["session"]["session_id"]);
    assert_eq!(ada["session"]["confirm_status"], true, "{report}");
    assert_eq!(ada["session"]["question"], bob["session"]["question"]);
    let mut users = ada["session"]["users"].clone();
    let users = users.as_array_mut().expect("there are users");
    users.sort_by_key(Value::to_string);
    assert_eq!(*users, ["ada", "bob"]);
    [ada, bob].map(|person| {
        let events = person["events"].as_array().into_iter().flatten();
        events.filter_map(Value::as_str).collect()
    })
}

#[actix_rt::test]
async fn two_pages_find_each_other_and_share_a_session() {
    let server = Server::start().await;

    let report = played(&server, "").await;

    for events in assert_together(&report) {
        assert!(events.contains(&"match_found"), "{report}");
        assert!(events.contains(&"match_ready"), "{report}");
    }
    assert_eq!(report["sockets"], 2, "{report}");
}

#[actix_rt::test]
async fn where_sockets_die_the_poll_carries_the_flow() {
    let server = Server::start().await;

    let report = played(&server, "cut").await;

    let [ada, bob] = assert_together(&report);
    for events in [&ada, &bob] {
        assert!(!events.contains(&"match_ready"), "{report}");
        assert!(events.contains(&"closed"), "{report}");
    }
    let sockets = report["sockets"].as_u64();
    assert!(sockets > Some(2), "they try to connect again: {report}");
}

#[actix_rt::test]
async fn a_client_gets_over_401_429_and_503() {
    let limited = Server::with("ASK_BURST", 1).with("ASKS_PER_SECOND", 1);
    let server = limited.start().await;

    let report = played(&server, "refused").await;

    assert_together(&report);
    for code in ["401", "429", "503"] {
        let waited = report["waits"][code].as_u64();
        assert!(waited > Some(0), "nobody was answered {code}: {report}");
    }
}

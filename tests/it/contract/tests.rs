//! What is not documented is noticed.

use awc::http::header::{HeaderMap, HeaderName, HeaderValue};
use jsonschema::Draft;
use lapin::BasicProperties;
use serde_json::{Value, json};

use super::Answer;
use super::asyncapi::{Events, document};
use super::openapi::check;
use super::schemas::faults;

const WAITS: &str = r#"{"status":"pending"}"#;
const STATUS: &str = "/api/v1/matching/requests/019a6c7e-87d8-7b42-9d3e-52f108c6a7e4/status";
const LOST: &str = r#"{"detail":"Not Found","error":"Not Found","status_code":404}"#;
const BUSY: &str = r#"{"detail":"The server is busy: try again in a moment"}"#;

fn fits(method: &str, target: &str, status: u16, headers: &[(&str, &str)], text: &str) -> bool {
    let pairs = headers.iter().map(|(name, value)| {
        let name = HeaderName::try_from(*name).expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    });
    let mut headers = HeaderMap::new();
    pairs.for_each(|(name, value)| headers.append(name, value));
    check(Answer {
        method,
        target,
        is_preflight: false,
        status,
        headers: &headers,
        text,
    })
    .is_ok()
}

#[test]
fn an_answer_fits_where_status_type_headers_and_body_are_documented() {
    let json = ("content-type", "application/json");

    for (what, fits) in [
        ("200", fits("GET", STATUS, 200, &[json], WAITS)),
        (
            "a query",
            fits("GET", &format!("{STATUS}?a"), 200, &[json], WAITS),
        ),
        (
            "503",
            fits("GET", STATUS, 503, &[json, ("retry-after", "1")], BUSY),
        ),
        ("404", fits("GET", "/nowhere", 404, &[json], LOST)),
        (
            "405",
            fits("PUT", STATUS, 405, &[json, ("allow", "GET")], BUSY),
        ),
        ("no HTTP", fits("GET", STATUS, 400, &[], "")),
    ] {
        assert!(fits, "{what}");
    }
}

#[test]
fn an_answer_that_is_not_documented_is_noticed() {
    let json = ("content-type", "application/json");
    let plain = ("content-type", "text/plain");
    let more = r#"{"status":"pending","place":3}"#;
    let no_id = r#"{"status":"matched"}"#;
    let word = r#"{"status":"waiting"}"#;

    for (what, fits) in [
        ("a status", fits("GET", STATUS, 201, &[json], WAITS)),
        ("a type", fits("GET", STATUS, 200, &[plain], WAITS)),
        ("a surplus field", fits("GET", STATUS, 200, &[json], more)),
        ("a missing field", fits("GET", STATUS, 200, &[json], no_id)),
        ("a word", fits("GET", STATUS, 200, &[json], word)),
        ("no JSON", fits("GET", STATUS, 200, &[json], "pending")),
        ("a missing header", fits("GET", STATUS, 503, &[json], BUSY)),
        (
            "a header",
            fits("GET", STATUS, 503, &[json, ("retry-after", "soon")], BUSY),
        ),
        ("a path", fits("GET", "/nowhere", 200, &[json], WAITS)),
        ("a body of 404", fits("GET", "/nowhere", 404, &[json], BUSY)),
        ("a method", fits("PUT", STATUS, 404, &[json], LOST)),
        (
            "another method",
            fits("PUT", STATUS, 405, &[json, ("allow", "PUT")], BUSY),
        ),
        (
            "an empty error",
            fits("GET", STATUS, 400, &[json, ("x-request-id", "1")], ""),
        ),
    ] {
        assert!(!fits, "{what} went unnoticed");
    }
}

#[test]
fn the_document_of_events_is_one_of_asyncapi() {
    let rules = serde_json::from_str(include_str!("asyncapi-3.0.0.json")).expect("JSON");
    let rules = jsonschema::options()
        .with_draft(Draft::Draft7)
        .build(&rules);
    let rules = rules.expect("the rules are a schema");
    let mut document = document();

    assert_eq!(faults(&rules, &document), "");
    document["channels"]["socket"]["bindings"]["ws"]["method"] = json!("BREW");
    assert_ne!(faults(&rules, &document), "", "a bad binding");
    document["operations"] = json!({"tell": {"action": "shout"}});
    assert_ne!(faults(&rules, &document), "", "a bad operation");
}

#[test]
fn an_event_that_is_not_documented_is_noticed() {
    let events = Events::of(&document());
    let id = "019a6c7e-87d8-7b42-9d3e-52f108c6a7e4";
    let told = json!({"type": "partner_left", "session_id": id, "user_id": "user-456"});
    let with = |name: &str, value: Value| {
        let mut told = told.clone();
        told[name] = value;
        events.check_event(&told).is_ok()
    };

    assert!(events.check_event(&told).is_ok());
    assert!(!with("type", json!("partner_gone")));
    assert!(!with("session_id", json!("soon")));
    assert!(!with("user_id", json!("")));
    assert!(!with("at", json!("2025-11-10T06:40:23Z")));
    assert!(
        events
            .check_event(&json!({"type": "partner_left"}))
            .is_err()
    );
    assert!(events.knows_close_code(4401));
    assert!(!events.knows_close_code(4402));
}

#[test]
fn an_announcement_that_is_not_documented_is_noticed() {
    let events = Events::of(&document());
    let announced = &document()["components"]["messages"]["announcement"]["examples"][0]["payload"];
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_delivery_mode(2)
        .with_message_id("019a6c7e-87d8-7b42-9d3e-52f108c6a7e4".into())
        .with_timestamp(1_762_756_823);
    let fits = |body: &Value, properties: &BasicProperties| {
        events
            .check_announcement(properties, &body.to_string())
            .is_ok()
    };
    let with = |place: &str, value: Value| {
        let mut body = announced.clone();
        *body.pointer_mut(place).expect("it is there") = value;
        fits(&body, &properties)
    };

    assert!(fits(announced, &properties));
    assert!(!with("/version", json!(2)));
    assert!(!with("/occurred_at", json!("yesterday")));
    assert!(!with("/users", json!([{"user_id": "user-123"}])));
    assert!(!with("/question/id", json!("17")));
    for other in [
        properties.clone().with_delivery_mode(1),
        properties.clone().with_content_type("text/plain".into()),
        properties.clone().with_message_id("17".into()),
        properties.clone().with_app_id("matchmaker".into()),
    ] {
        assert!(!fits(announced, &other), "{other:?}");
    }
}

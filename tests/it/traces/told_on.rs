//! What other services and the log are told of a request.

use super::{ADA_CONFIRMS, BOB_ASKS, BOB_CONFIRMS, Collector, Conduct, named, parent};
use crate::harness::*;
use crate::servers::{Conduct as Says, Postgres, Stub};

const QUESTION: &str = r#"[{"id": 1, "title": "One", "difficulty": "easy", "topics": ["Array"]}]"#;

/// The value of a header in the last request that the stub got.
fn header(stub: &Stub, name: &str) -> Option<String> {
    let requests = stub.requests();
    let head = requests.last().expect("it was called");
    let line = |line: &str| {
        let (found, value) = line.split_once(": ")?;
        found.eq_ignore_ascii_case(name).then(|| value.to_owned())
    };
    head.lines().find_map(line)
}

/// Two confirm on a server with these services; the second one says this of its request.
async fn opens(server: &Server, topic: &str) {
    let pair = scenes::pair(server, "ada", "bob", topic).await;
    let first = pair.first.answering(&pair.match_id, true);
    named(first, ADA_CONFIRMS, "ada-confirms")
        .send()
        .await
        .expect(200);
    let second = pair.second.answering(&pair.match_id, true);
    let second = named(second, BOB_CONFIRMS, "bob-confirms");
    second
        .header("tracestate", "vendor=1")
        .send()
        .await
        .expect(200);
}

fn on(questions: &Stub, users: &Stub) -> Options {
    Server::with("QUESTION_SERVICE_URL", questions.base())
        .with("AUTH_VERIFY_WITH_USER_SERVICE", true)
        .with("USER_SERVICE_URL", users.base())
}

#[actix_rt::test]
async fn other_services_are_told_the_request_and_the_trace() {
    let questions = Stub::new(Says::Answer(200, QUESTION.into())).await;
    let users = Stub::new(Says::Answer(200, "{}".into())).await;
    let collector = Collector::start(Conduct::Take);

    let server = on(&questions, &users).start().await;
    opens(&server, "Array").await;
    assert_eq!(
        header(&questions, "x-request-id").as_deref(),
        Some("bob-confirms")
    );
    assert_eq!(
        header(&questions, "traceparent"),
        Some(parent(BOB_CONFIRMS))
    );
    assert_eq!(
        header(&questions, "tracestate").as_deref(),
        Some("vendor=1")
    );
    let asked = named(
        server.user("cleo").asking("Easy", "Heap"),
        BOB_ASKS,
        "cleo-asks",
    );
    asked.send().await.expect(200);
    assert_eq!(header(&users, "x-request-id").as_deref(), Some("cleo-asks"));
    assert_eq!(header(&users, "traceparent"), Some(parent(BOB_ASKS)));
    drop(server);

    let traced = on(&questions, &users).with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let server = traced.start().await;
    opens(&server, "Array").await;
    let told = header(&questions, "traceparent").expect("it is told the trace");
    assert_eq!(
        header(&questions, "tracestate").as_deref(),
        Some("vendor=1")
    );
    server.terminate().await;
    let spans = collector.trace(BOB_CONFIRMS[0]);
    let called = spans.iter().find(|span| span.name == "question service");
    let called = called.expect("the call is a span");
    assert_eq!(told, parent([BOB_CONFIRMS[0], called.id.as_str()]));
    assert_eq!(called.attributes["http.response.status_code"], "200");
    assert!(!called.text.contains("difficulty"), "{called:?}");
    let asked = collector.spans();
    assert!(asked.iter().any(|span| span.name == "user service"));
}

/// The lines of a log in JSON that say this.
fn lines(server: &Server, message: &str) -> Vec<Value> {
    let output = server.output();
    let read = |line: &str| serde_json::from_str::<Value>(line).ok();
    let said = |line: &Value| text(line, "message").contains(message);
    output.lines().filter_map(read).filter(said).collect()
}

#[actix_rt::test]
async fn every_line_of_the_log_names_the_request_that_led_to_it() {
    let questions = Stub::new(Says::Answer(500, "{}".into())).await;
    let server = Server::with("QUESTION_SERVICE_URL", questions.base())
        .with("LOG_FORMAT", "json")
        .with("LOG_LEVEL", "DEBUG")
        .start()
        .await;

    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let first = pair.first.answering(&pair.match_id, true);
    named(first, ADA_CONFIRMS, "ada-confirms")
        .send()
        .await
        .expect(200);
    let second = || {
        named(
            pair.second.answering(&pair.match_id, true),
            BOB_CONFIRMS,
            "bob-confirms",
        )
    };
    second().send().await.expect(503);
    questions.now(Says::Answer(200, QUESTION.into()));
    eventually("the session opens by itself", async || {
        let reply = pair.second.confirm(&pair.match_id, true).await;
        (reply.status == 200).then_some(())
    })
    .await;

    let last = async || lines(&server, "became session").pop();
    let opened = eventually("all of it is written", last).await;
    let answered = |request: &str| {
        let mut answered = lines(&server, "answered").into_iter();
        answered.find(|line| line["request_id"] == request)
    };
    let line = answered("ada-confirms").expect("it is logged under the caller's name");
    assert_eq!(line["trace_id"], ADA_CONFIRMS[0]);
    assert_eq!(line["path"], format!("{PREFIX}/confirm"));
    for (message, at_least) in [("gave no question", 1), ("waits, because", 1)] {
        let said = lines(&server, message);
        assert!(said.len() >= at_least, "{message}: {}", server.output());
        assert_eq!(said[0]["request_id"], "bob-confirms", "{}", said[0]);
        assert_eq!(said[0]["trace_id"], BOB_CONFIRMS[0], "{}", said[0]);
    }
    assert!(opened["request_id"].is_string(), "{opened}");
    for line in lines(&server, "listening on") {
        assert_eq!(
            line.get("request_id"),
            None,
            "nobody asked for that: {line}"
        );
    }
}

#[actix_rt::test]
async fn the_line_that_writes_cannot_be_stored_names_the_request_that_found_it_out() {
    let postgres = Postgres::own();
    let server = Options::on(Backends::on_postgres(&postgres))
        .with("LOG_FORMAT", "json")
        .start()
        .await;
    postgres.kill();

    let asked = named(
        server.user("ada").asking("Easy", "Array"),
        BOB_ASKS,
        "ada-asks",
    );
    asked.send().await.expect(503);

    let said = async || lines(&server, "writes cannot be stored").pop();
    let line = eventually("it is said", said).await;
    assert_eq!(line["request_id"], "ada-asks", "{line}");
    assert_eq!(line["trace_id"], BOB_ASKS[0], "{line}");
}

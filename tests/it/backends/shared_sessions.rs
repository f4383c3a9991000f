//! The sessions that we share with the collaboration service.

use std::sync::Arc;

use matchmaker::adapters::InProcessSessions;
use matchmaker::domain::{Question, SessionId, SessionRecord};
use matchmaker::ports::{OpenSession, SharedSessions};
use serde_json::{Value, json};

use super::subject::{StoppedClock, at_ms, session, session_id, ticket_id};

/// Shared sessions of its own for one test.
struct Subject {
    clock: Arc<StoppedClock>,
    sessions: InProcessSessions,
}

impl Subject {
    fn holding(open: &[OpenSession]) -> Self {
        let clock = StoppedClock::at(1_000);
        let sessions = InProcessSessions::new(clock.clone(), open).expect("sessions are JSON");
        Self { clock, sessions }
    }

    fn empty() -> Self {
        Self::holding(&[])
    }

    fn ports(&self) -> &dyn SharedSessions {
        &self.sessions
    }

    /// Writes as the collaboration service does: the whole value.
    fn overwrite(&self, id: SessionId, text: &str) {
        assert!(self.sessions.overwrite(id, text));
    }

    async fn text(&self, id: SessionId) -> Option<String> {
        self.ports()
            .read(id)
            .await
            .expect("the sessions can be read")
    }

    async fn json(&self, id: SessionId) -> Value {
        let text = self.text(id).await.expect("the session is there");
        serde_json::from_str(&text).expect("it is JSON")
    }
}

fn ours() -> SessionRecord {
    SessionRecord {
        ends_at: at_ms(9_000),
        ..session(1, [1, 2])
    }
}

fn left(left: [bool; 2]) -> SessionRecord {
    SessionRecord { left, ..ours() }
}

const WRITTEN: &str = r#"{"question":{"id":17,"title":"Two \"Sum\"","difficulty":"medium","topics":["Array","Hash Table"]},"code":"","language":"python","users":["user-1","user-2"]}"#;

#[tokio::test]
async fn a_session_is_written_as_the_contract_says() {
    let shared = Subject::empty();

    let question = shared.ports().put_if_absent(&ours()).await;

    assert_eq!(question, Ok(ours().question));
    assert_eq!(shared.text(session_id(1)).await.as_deref(), Some(WRITTEN));
    assert_eq!(shared.text(session_id(2)).await, None);
}

#[tokio::test]
async fn the_question_that_is_there_already_is_the_one_used() {
    let shared = Subject::empty();
    shared
        .ports()
        .put_if_absent(&ours())
        .await
        .expect("it is written");
    let mut again = ours();
    again.question = Question {
        id: 18,
        ..ours().question
    };

    let question = shared.ports().put_if_absent(&again).await;

    assert_eq!(question, Ok(ours().question));
    assert_eq!(shared.text(session_id(1)).await.as_deref(), Some(WRITTEN));
}

#[tokio::test]
async fn a_value_without_a_question_gets_ours() {
    let shared = Subject::empty();
    for text in [
        "not JSON",
        "[1]",
        r#"{"code":"x = 1"}"#,
        r#"{"question":{"id":1}}"#,
    ] {
        shared
            .ports()
            .put_if_absent(&ours())
            .await
            .expect("it is written");
        shared.overwrite(session_id(1), text);

        let question = shared.ports().put_if_absent(&ours()).await;

        assert_eq!(question, Ok(ours().question));
        let stored = shared.json(session_id(1)).await;
        assert_eq!(stored["question"]["id"], 17, "{text}");
        assert_eq!(stored["users"], json!(["user-1", "user-2"]), "{text}");
    }
}

#[tokio::test]
async fn leaving_changes_the_members_and_keeps_what_others_wrote() {
    let shared = Subject::empty();
    shared
        .ports()
        .put_if_absent(&ours())
        .await
        .expect("it is written");
    let rewritten =
        json!({"question": {"id": 17}, "code": "x = 1", "language": "rust", "chat": ["hi"]});
    shared.overwrite(session_id(1), &rewritten.to_string());

    shared
        .ports()
        .write_left(&left([false, true]))
        .await
        .expect("it is written");

    let mut expected = rewritten;
    expected["users"] = json!(["user-1", "user-2"]);
    expected["left_users"] = json!(["user-2"]);
    assert_eq!(shared.json(session_id(1)).await, expected);
    shared
        .ports()
        .write_left(&left([true, true]))
        .await
        .expect("it is written");
    expected["left_users"] = json!(["user-1", "user-2"]);
    assert_eq!(shared.json(session_id(1)).await, expected);
}

#[tokio::test]
async fn a_value_that_is_no_json_object_is_rebuilt_at_a_leave() {
    let shared = Subject::empty();
    for text in ["", "not JSON", "null", "[]", "7", "{\"code\":"] {
        shared
            .ports()
            .put_if_absent(&ours())
            .await
            .expect("it is written");
        shared.overwrite(session_id(1), text);

        shared
            .ports()
            .write_left(&left([true, false]))
            .await
            .expect("it is written");

        let mut expected: Value = serde_json::from_str(WRITTEN).expect("it is JSON");
        expected["left_users"] = json!(["user-1"]);
        assert_eq!(shared.json(session_id(1)).await, expected, "{text}");
    }
}

#[tokio::test]
async fn a_session_that_was_lost_is_there_again_after_a_leave() {
    let shared = Subject::empty();

    shared
        .ports()
        .write_left(&left([true, false]))
        .await
        .expect("it is written");

    assert_eq!(
        shared.json(session_id(1)).await["left_users"],
        json!(["user-1"])
    );
}

#[tokio::test]
async fn a_removed_session_is_gone() {
    let shared = Subject::empty();
    shared
        .ports()
        .put_if_absent(&ours())
        .await
        .expect("it is written");

    shared
        .ports()
        .remove(session_id(1))
        .await
        .expect("it is removed");
    shared
        .ports()
        .remove(session_id(1))
        .await
        .expect("removing it again is harmless");

    assert_eq!(shared.text(session_id(1)).await, None);
}

#[tokio::test]
async fn a_session_is_gone_exactly_when_its_time_is_over() {
    let shared = Subject::empty();
    shared
        .ports()
        .put_if_absent(&ours())
        .await
        .expect("it is written");

    shared.clock.put_at(8_999);
    assert!(shared.text(session_id(1)).await.is_some());

    shared.clock.put_at(9_000);
    assert_eq!(shared.text(session_id(1)).await, None);
    shared
        .ports()
        .write_left(&left([true, false]))
        .await
        .expect("nothing to write");
    assert_eq!(shared.text(session_id(1)).await, None);
}

#[tokio::test]
async fn what_is_over_takes_no_memory() {
    let shared = Subject::empty();
    for number in 0..100 {
        let mut session = session(number, [1, 2]);
        session.ends_at = at_ms(2_000 + number as i64);
        shared
            .ports()
            .put_if_absent(&session)
            .await
            .expect("it is written");
    }

    shared.clock.put_at(2_049);

    assert_eq!(shared.sessions.len(), 50);
}

#[tokio::test]
async fn open_sessions_are_there_from_the_start() {
    let open = OpenSession {
        record: left([false, true]),
        tickets: [1, 2].map(ticket_id),
    };

    let shared = Subject::holding(&[open]);

    let mut expected: Value = serde_json::from_str(WRITTEN).expect("it is JSON");
    expected["left_users"] = json!(["user-2"]);
    assert_eq!(shared.json(session_id(1)).await, expected);
}

#[tokio::test]
async fn a_session_that_is_not_there_cannot_be_overwritten() {
    let shared = Subject::empty();

    assert!(!shared.sessions.overwrite(session_id(1), "{}"));
    assert_eq!(shared.text(session_id(1)).await, None);
}

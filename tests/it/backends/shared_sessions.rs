//! The sessions that we share with the collaboration service.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::AsyncCommands;
use deadpool_redis::redis::aio::MultiplexedConnection;
use matchmaker::adapters::InProcessSessions;
use matchmaker::adapters::redis::RedisSessions;
use matchmaker::domain::{Question, SessionId, SessionRecord};
use matchmaker::ports::{OpenSession, SharedSessions};
use serde_json::{Value, json};

use super::redis::{connect, link_to};
use super::subject::{StoppedClock, at_ms, session, session_id, ticket_id};
use crate::harness::eventually;
use crate::servers::{self, PrivateNumber};

/// Shared sessions of its own for one test.
struct Subject {
    clock: Arc<StoppedClock>,
    sessions: Sessions,
}

enum Sessions {
    InProcess(InProcessSessions),
    Redis {
        sessions: RedisSessions,
        redis: MultiplexedConnection,
        _place: PrivateNumber,
    },
}

impl Subject {
    fn holding(open: &[OpenSession]) -> Self {
        let clock = StoppedClock::at(1_000);
        let sessions = InProcessSessions::new(clock.clone(), open).expect("sessions are JSON");
        Self {
            clock,
            sessions: Sessions::InProcess(sessions),
        }
    }

    async fn in_process() -> Self {
        Self::holding(&[])
    }

    async fn on_redis() -> Self {
        let clock = StoppedClock::at(1_000);
        let place = servers::redis().number();
        let link = link_to(&place.url());
        Self {
            clock: clock.clone(),
            sessions: Sessions::Redis {
                sessions: RedisSessions::new(link, clock),
                redis: connect(&place.url()).await,
                _place: place,
            },
        }
    }

    fn ports(&self) -> &dyn SharedSessions {
        match &self.sessions {
            Sessions::InProcess(sessions) => sessions,
            Sessions::Redis { sessions, .. } => sessions,
        }
    }

    fn texts(&self) -> &InProcessSessions {
        match &self.sessions {
            Sessions::InProcess(sessions) => sessions,
            Sessions::Redis { .. } => panic!("this test is about the ones in process"),
        }
    }

    fn redis(&self) -> MultiplexedConnection {
        match &self.sessions {
            Sessions::InProcess(_) => panic!("this test is about the ones on Redis"),
            Sessions::Redis { redis, .. } => redis.clone(),
        }
    }

    /// Writes as the collaboration service does: the whole value.
    async fn overwrite(&self, id: SessionId, text: &str) {
        match &self.sessions {
            Sessions::InProcess(sessions) => assert!(sessions.overwrite(id, text)),
            Sessions::Redis { redis, .. } => {
                let written = redis.clone().set(id.to_string(), text).await;
                let () = written.expect("Redis takes it");
            }
        }
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
        opened_at: at_ms(1_000),
        ends_at: at_ms(601_000),
        ..session(1, [1, 2])
    }
}

fn left(left: [bool; 2]) -> SessionRecord {
    SessionRecord { left, ..ours() }
}

const WRITTEN: &str = r#"{"question":{"id":17,"title":"Two \"Sum\"","difficulty":"medium","topics":["Array","Hash Table"]},"code":"","language":"python","users":["user-1","user-2"]}"#;

macro_rules! on_every_implementation {
    ($($name:ident),* $(,)?) => {
        mod in_process {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Subject::in_process().await).await;
            })*
        }

        mod on_redis {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Subject::on_redis().await).await;
            })*
        }
    };
}

on_every_implementation!(
    a_session_is_written_as_the_contract_says,
    the_question_that_is_there_already_is_the_one_used,
    a_value_without_a_question_gets_ours,
    leaving_changes_the_members_and_keeps_what_others_wrote,
    what_could_not_be_represented_is_kept_byte_for_byte,
    an_object_that_is_no_json_is_left_as_it_stands,
    a_value_that_is_no_json_object_is_rebuilt_at_a_leave,
    a_session_that_was_lost_is_there_again_after_a_leave,
    a_removed_session_is_gone,
);

async fn a_session_is_written_as_the_contract_says(shared: &Subject) {
    let question = shared.ports().put_if_absent(&ours()).await;

    assert_eq!(question, Ok(ours().question));
    assert_eq!(shared.text(session_id(1)).await.as_deref(), Some(WRITTEN));
    assert_eq!(shared.text(session_id(2)).await, None);
}

async fn the_question_that_is_there_already_is_the_one_used(shared: &Subject) {
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

async fn a_value_without_a_question_gets_ours(shared: &Subject) {
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
        shared.overwrite(session_id(1), text).await;

        let question = shared.ports().put_if_absent(&ours()).await;

        assert_eq!(question, Ok(ours().question));
        let stored = shared.json(session_id(1)).await;
        assert_eq!(stored["question"]["id"], 17, "{text}");
        assert_eq!(stored["users"], json!(["user-1", "user-2"]), "{text}");
    }
}

async fn leaving_changes_the_members_and_keeps_what_others_wrote(shared: &Subject) {
    shared
        .ports()
        .put_if_absent(&ours())
        .await
        .expect("it is written");
    let rewritten =
        json!({"question": {"id": 17}, "code": "x = 1", "language": "rust", "chat": ["hi"]});
    shared
        .overwrite(session_id(1), &rewritten.to_string())
        .await;

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

async fn what_could_not_be_represented_is_kept_byte_for_byte(shared: &Subject) {
    let put = shared.ports().put_if_absent(&ours()).await;
    put.expect("it is written");
    let others = r#"{"code": "half \ud83d", "z": 123456789012345678901234567890, "a": [1.50,  2]"#;
    shared
        .overwrite(session_id(1), &format!("{others}}}"))
        .await;

    let written = shared.ports().write_left(&left([false, true])).await;

    written.expect("it is written");
    let text = shared.text(session_id(1)).await;
    let kept = r#"{"code":"half \ud83d","z":123456789012345678901234567890,"a":[1.50,  2]"#;
    let ours = r#","users":["user-1","user-2"],"left_users":["user-2"]}"#;
    assert_eq!(text, Some(format!("{kept}{ours}")));
}

async fn an_object_that_is_no_json_is_left_as_it_stands(shared: &Subject) {
    let put = shared.ports().put_if_absent(&ours()).await;
    put.expect("it is written");
    let others = r#"{"code": "x = 1", "cursor": NaN}"#;
    shared.overwrite(session_id(1), others).await;

    let written = shared.ports().write_left(&left([false, true])).await;
    let question = shared.ports().put_if_absent(&ours()).await;

    written.expect("there is nothing that could be written");
    assert_eq!(question, Ok(ours().question));
    assert_eq!(shared.text(session_id(1)).await.as_deref(), Some(others));
}

async fn a_value_that_is_no_json_object_is_rebuilt_at_a_leave(shared: &Subject) {
    for text in ["", "not JSON", "null", "[]", "7", "{\"code\":"] {
        shared
            .ports()
            .put_if_absent(&ours())
            .await
            .expect("it is written");
        shared.overwrite(session_id(1), text).await;

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

async fn a_session_that_was_lost_is_there_again_after_a_leave(shared: &Subject) {
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

async fn a_removed_session_is_gone(shared: &Subject) {
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
    let shared = Subject::in_process().await;
    shared
        .ports()
        .put_if_absent(&ours())
        .await
        .expect("it is written");

    shared.clock.put_at(600_999);
    assert!(shared.text(session_id(1)).await.is_some());

    shared.clock.put_at(601_000);
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
    let shared = Subject::in_process().await;
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

    assert_eq!(shared.texts().len(), 50);
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
    let shared = Subject::in_process().await;

    assert!(!shared.texts().overwrite(session_id(1), "{}"));
    assert_eq!(shared.text(session_id(1)).await, None);
}

#[tokio::test]
async fn our_writes_refresh_the_time_to_live_on_redis() {
    let shared = Subject::on_redis().await;
    let key = session_id(1).to_string();
    let put = shared.ports().put_if_absent(&ours()).await;
    put.expect("it is written");
    let first: i64 = shared.redis().pttl(&key).await.expect("Redis answers");
    let shortened: bool = shared
        .redis()
        .pexpire(&key, 60_000)
        .await
        .expect("Redis answers");

    let written = shared.ports().write_left(&left([true, false])).await;

    written.expect("it is written");
    let refreshed: i64 = shared.redis().pttl(&key).await.expect("Redis answers");
    assert!(shortened);
    assert!((590_000..=600_000).contains(&first), "{first}");
    assert!((590_000..=600_000).contains(&refreshed), "{refreshed}");
}

#[tokio::test]
async fn something_that_is_no_string_is_replaced_on_redis() {
    let shared = Subject::on_redis().await;
    let key = session_id(1).to_string();
    for round in 0..2 {
        let () = shared.redis().del(&key).await.expect("Redis answers");
        let pushed = shared.redis().rpush(&key, "x").await;
        let () = pushed.expect("Redis answers");
        assert_eq!(shared.text(session_id(1)).await, None);

        if round == 0 {
            let question = shared.ports().put_if_absent(&ours()).await;
            assert_eq!(question, Ok(ours().question));
        } else {
            let written = shared.ports().write_left(&ours()).await;
            assert_eq!(written, Ok(()));
        }

        assert_eq!(shared.text(session_id(1)).await.as_deref(), Some(WRITTEN));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leave_never_undoes_what_others_write_at_the_same_time() {
    let shared = Subject::on_redis().await;
    let put = shared.ports().put_if_absent(&ours()).await;
    put.expect("it is written");
    let (mut redis, key) = (shared.redis(), session_id(1).to_string());
    let others = tokio::spawn(async move {
        for number in 0..300 {
            let text = json!({"code": number, "language": "rust"}).to_string();
            let () = redis.set(&key, text).await.expect("Redis takes it");
            tokio::time::sleep(Duration::from_micros(300)).await;
        }
    });

    let write = async || match shared.ports().write_left(&left([true, false])).await {
        Ok(()) => Some(()),
        // Redis or this process had to wait for a processor.
        Err(away) if away.reason.starts_with("no answer within") => None,
        Err(away) => panic!("it is not written in a few tries: {away}"),
    };
    while !others.is_finished() {
        eventually("it is written", write).await;
    }
    eventually("it is written", write).await;

    let json = shared.json(session_id(1)).await;
    assert_eq!(json["code"], 299);
    assert_eq!(json["language"], "rust");
    assert_eq!(json["left_users"], json!(["user-1"]));
}

//! What Redis could not be told about sessions, and who leaves those that only Redis knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncCommands};
use futures_util::FutureExt;
use matchmaker::adapters::redis::{RedisFallback, RedisMirror, RedisSessions};
use matchmaker::domain::{Ending, Fate, SessionRecord, Side, UserId, Write};
use matchmaker::ports::{FallbackSessions, Left, OnLeft, QueueChange, QueueMirror, SharedSessions};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::redis::{connect, link_to, link_with_prefix};
use super::subject::{
    StoppedClock, Subject, at_ms, match_id, session, session_id, ticket, ticket_id,
    up_to_confirmed, up_to_session, user,
};
use crate::servers::{self, Own, PrivateNumber, Redis};

const NOW: i64 = 1_762_756_823_456;
const SOON: Duration = Duration::from_secs(8);

/// Shared sessions, with the task that tries again what fails.
struct Scene {
    sessions: RedisSessions,
    clock: Arc<StoppedClock>,
    _mirror: RedisMirror,
    place: PrivateNumber,
}

impl Scene {
    fn on(server: &Redis) -> Self {
        let place = server.number();
        let clock = StoppedClock::at(NOW);
        let sessions = RedisSessions::new(link_to(&place.url()), clock.clone());
        Self {
            _mirror: RedisMirror::start(sessions.clone(), [], Arc::new(Vec::new)),
            sessions,
            clock,
            place,
        }
    }

    async fn put(&self, session: &SessionRecord) {
        let put = self.sessions.put_if_absent(session).await;
        put.expect("it is written");
    }

    async fn redis(&self) -> MultiplexedConnection {
        connect(&self.place.url()).await
    }

    /// One that has found all sessions.
    async fn fallback(&self) -> RedisFallback {
        let fallback = RedisFallback::new(self.sessions.clone(), self.clock.clone());
        fallback.search(Subject::on_sqlite().await.records()).await;
        fallback
    }
}

/// Awaits a condition.
async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < SOON, "in vain: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn document(redis: &MultiplexedConnection, number: u64) -> Value {
    let text: Option<String> = redis
        .clone()
        .get(session_id(number).to_string())
        .await
        .expect("Redis answers");
    serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default()
}

async fn keys(redis: &MultiplexedConnection, number: u64) -> i64 {
    let id = session_id(number);
    let keys = [id.to_string(), format!("matching_session:{id}")];
    redis.clone().exists(&keys).await.expect("Redis answers")
}

/// Tells who was told.
fn telling() -> (impl Fn() -> OnLeft, mpsc::UnboundedReceiver<UserId>) {
    let (told, hears) = mpsc::unbounded_channel();
    let on_left = move || {
        let told = told.clone();
        let tell = move |partner| async move { told.send(partner).expect("it is heard") }.boxed();
        Box::new(tell) as OnLeft
    };
    (on_left, hears)
}

#[tokio::test]
async fn a_removal_that_failed_is_made_up_for() {
    let server = Redis::own();
    let scene = Scene::on(&server);
    scene.put(&session(1, [1, 2])).await;

    server.kill();
    let removed = scene.sessions.remove(session_id(1)).await;
    server.restart().await;

    removed.expect_err("Redis is away");
    let redis = scene.redis().await;
    eventually("both keys are removed", async || keys(&redis, 1).await == 0).await;
}

#[tokio::test]
async fn a_removal_is_given_up_when_the_key_is_gone_by_itself() {
    let server = Redis::own();
    let scene = Scene::on(&server);
    scene.put(&session(1, [1, 2])).await;
    scene.put(&session(2, [3, 4])).await;

    server.kill();
    let short = scene.sessions.clone().living_ms(1_000);
    let first = short.remove(session_id(1)).await;
    let second = scene.sessions.remove(session_id(2)).await;
    scene.clock.put_at(NOW + 1_000);
    server.restart().await;

    first.expect_err("Redis is away");
    second.expect_err("Redis is away");
    let redis = scene.redis().await;
    eventually("the second is removed", async || keys(&redis, 2).await == 0).await;
    assert_eq!(keys(&redis, 1).await, 2, "nobody asked for it any more");
}

#[tokio::test]
async fn what_keeps_failing_holds_up_neither_the_queues_nor_other_sessions() {
    let server = Redis::own();
    let place = server.number();
    let redis = connect(&place.url()).await;
    let acl = async |rules: &[&str]| {
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg("limited").arg(rules);
        let set = command.query_async(&mut redis.clone()).await;
        let () = set.expect("Redis answers");
    };
    acl(&["on", ">word", "+@all", "~matching_*"]).await;
    let (_, address) = place
        .url()
        .split_once('@')
        .map(|it| (it.0.len(), it.1.to_owned()))
        .expect("a URL with a password");
    let link = link_with_prefix(&format!("redis://limited:word@{address}"), "");
    let sessions = RedisSessions::new(link, StoppedClock::at(NOW));
    let mirror = RedisMirror::start(sessions.clone(), [], Arc::new(Vec::new));
    eventually("the mirror is there", async || mirror.is_exact()).await;
    for number in [1, 2] {
        let mut left = session(number, [1, 2]);
        left.left = [true, false];
        let written = sessions.write_left(&left).await;
        written.expect_err("it is not allowed");
    }

    acl(&[&format!("~{}", session_id(2))]).await;
    eventually("the second is told", async || {
        document(&redis, 2).await["left_users"] == json!(["user-1"])
    })
    .await;
    for number in 1..=8 {
        let began = Instant::now();
        mirror.note(QueueChange::Waits(Box::new(ticket(number))));
        let key = format!("matching_ticket:{}", ticket_id(number));
        while redis.clone().exists(&key).await != Ok(true) {
            let late = began.elapsed();
            assert!(late < Duration::from_millis(250), "{late:?}");
            sleep(Duration::from_millis(2)).await;
        }
    }
    assert_eq!(document(&redis, 1).await, Value::Null);
}

#[tokio::test]
async fn redis_is_told_at_the_start_what_ended_while_it_was_away() {
    let known = Subject::on_sqlite().await;
    known.clock().put_at(NOW);
    let scene = Scene::on(servers::redis());
    for number in [1, 2, 3] {
        let pair = [2 * number - 1, 2 * number];
        scene.put(&session(number, pair)).await;
        if number == 3 {
            known.stores(up_to_confirmed(number, pair)).await;
            continue;
        }
        known.stores(up_to_session(number, pair)).await;
        known
            .stores(Side::BOTH.map(|side| Write::LeaveSession {
                session: session_id(number),
                side,
                at: at_ms(NOW),
            }))
            .await;
    }
    known
        .stores([Write::EndMatch {
            match_id: match_id(3),
            ending: Ending::QuestionUnavailable,
            tickets: [5, 6].map(ticket_id),
            confirmed: [true, true],
            fates: Box::new([5, 6].map(|number| Fate::PutBack(ticket(number)))),
            opens: None,
            at: at_ms(NOW),
        }])
        .await;
    let redis = scene.redis().await;
    let gone = redis.clone().del(session_id(2).to_string()).await;
    let () = gone.expect("Redis answers");

    scene.sessions.owe_what_ended(known.records()).await;

    eventually("Redis is told that both have left", async || {
        document(&redis, 1).await["left_users"] == json!(["user-1", "user-2"])
    })
    .await;
    assert_eq!(keys(&redis, 3).await, 0, "a session that never began");
    let second = document(&redis, 2).await;
    assert_eq!(
        second,
        Value::Null,
        "nobody misses the key of one that is over"
    );
}

#[tokio::test]
async fn a_leave_that_redis_did_not_take_is_written_later_and_told_once() {
    let server = Redis::own();
    let scene = Scene::on(&server);
    scene.put(&session(1, [1, 2])).await;
    let fallback = scene.fallback().await;
    let (on_left, mut told) = telling();

    server.kill();
    for _ in 0..2 {
        let left = fallback.leave(session_id(1), &user(1), on_left()).await;
        left.expect_err("Redis is away");
    }
    assert_eq!(fallback.active_session(&user(1)), None);
    assert!(told.try_recv().is_err(), "it is not written");
    server.restart().await;

    let partner = timeout(SOON, told.recv()).await;
    assert_eq!(partner.expect("in time"), Some(user(2)));
    let redis = scene.redis().await;
    assert_eq!(document(&redis, 1).await["left_users"], json!(["user-1"]));
    let again = fallback.leave(session_id(1), &user(1), on_left()).await;
    assert_eq!(again, Ok(Left::Done));
    drop(on_left);
    assert_eq!(told.recv().await, None, "nobody is told twice");
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_nothing_half_done() {
    let server = Redis::own();
    let scene = Scene::on(&server);
    scene.put(&session(1, [1, 2])).await;
    let fallback = scene.fallback().await;
    let (on_left, mut told) = telling();

    server.pause();
    let leaver = user(1);
    let leaving = fallback.leave(session_id(1), &leaver, on_left());
    let hung_up = timeout(Duration::from_millis(20), leaving).await;
    server.resume();

    hung_up.expect_err("Redis does not answer");
    let partner = timeout(SOON, told.recv()).await;
    assert_eq!(partner.expect("in time"), Some(user(2)));
    let redis = scene.redis().await;
    assert_eq!(document(&redis, 1).await["left_users"], json!(["user-1"]));
}

#[tokio::test]
async fn two_who_leave_at_once_are_both_written_and_nobody_is_told_twice() {
    let scene = Scene::on(servers::redis());
    scene.put(&session(1, [1, 2])).await;
    let fallback = scene.fallback().await;
    let (on_left, mut told) = telling();

    let leaves = [1, 2, 1, 2].map(|number| {
        let fallback = &fallback;
        let on_left = on_left();
        async move { fallback.leave(session_id(1), &user(number), on_left).await }
    });
    let answers = futures_util::future::join_all(leaves).await;
    drop(on_left);

    assert_eq!(answers, [const { Ok(Left::Done) }; 4]);
    let redis = scene.redis().await;
    let left = document(&redis, 1).await["left_users"].clone();
    assert_eq!(left, json!(["user-1", "user-2"]));
    assert_eq!(told.recv().await, Some(user(2)));
    assert_eq!(told.recv().await, None);
}

#[tokio::test]
async fn a_search_that_redis_does_not_answer_keeps_nobody_from_asking() {
    let server: Own<Redis> = Redis::own();
    let scene = Scene::on(&server);
    scene.put(&session(1, [1, 2])).await;
    let known = Subject::on_sqlite().await;
    // Without a mirror that would find out as well.
    let sessions = RedisSessions::new(link_to(&scene.place.url()), scene.clock.clone());
    let text = sessions.read(session_id(1)).await;
    text.expect("Redis answers");
    let fallback = RedisFallback::new(sessions.clone(), scene.clock.clone());

    server.pause();
    let search = fallback.search(known.records());
    let searched = timeout(Duration::from_millis(600), search).await;
    let read = sessions.read(session_id(1)).await;
    server.resume();

    searched.expect_err("Redis does not answer");
    let away = read.expect_err("nor here");
    assert_eq!(away.reason, "no answer within 500 ms");
}

#[tokio::test]
async fn keys_that_cannot_be_read_do_not_end_the_search() {
    let server = Redis::own();
    let place = server.number();
    let mut redis = connect(&place.url()).await;
    let question = json!({"id": 1, "title": "t", "difficulty": "easy", "topics": []});
    let value = json!({"users": ["a", "b"], "question": question}).to_string();
    let mut pipe = redis::pipe();
    for number in 0..1_000 {
        pipe.set_ex(session_id(number).to_string(), &value, 600)
            .ignore();
    }
    let forbidden = "ffffffff-5a5e-4c0e-9d0b-2f4f4c2f9f11";
    pipe.set_ex(forbidden, &value, 600).ignore();
    pipe.cmd("ACL").arg(&[
        "SETUSER",
        "limited",
        "on",
        ">word",
        "+@all",
        "~matching_*",
        "~0*",
    ]);
    let () = pipe.query_async(&mut redis).await.expect("Redis answers");
    let address = place.url();
    let (_, address) = address.split_once('@').expect("a URL with a password");
    let link = link_with_prefix(&format!("redis://limited:word@{address}"), "");
    let clock = StoppedClock::at(NOW);
    let fallback = RedisFallback::new(RedisSessions::new(link, clock.clone()), clock);
    let fallback = Arc::new(fallback);

    let (search, known) = (Arc::clone(&fallback), Subject::on_sqlite().await);
    let searching = tokio::spawn(async move { search.search(known.records()).await });
    eventually(
        "all but those read together with it are found",
        async || {
            (0..1_000)
                .filter(|it| fallback.session(session_id(*it)).is_some())
                .count()
                >= 985
        },
    )
    .await;
    searching.abort();
}

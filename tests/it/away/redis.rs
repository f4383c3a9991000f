//! Redis away, emptied, or holding something else than we wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncCommands, Client, RedisResult};

use crate::harness::scenes::{Pair, pair, pair_at_screens};
use crate::harness::*;
use crate::servers::{Own, Redis};

use super::looks::document;
use super::{AT_ONCE, BACK_WITHIN, counter, in_time, nothing_broken};

/// What does not need Redis is as fast as ever, on a busy machine; calls to it give up later.
const NORMAL: Duration = Duration::from_millis(400);
/// The mirror is exact within 100 ms, and looking takes time as well.
const EXACT: Duration = Duration::from_millis(100);
/// An emptied Redis is noticed and put right.
const NOTICED: Duration = Duration::from_secs(4);

/// A connection of our own; none while Redis is away.
async fn connect(url: &str) -> MultiplexedConnection {
    let client = Client::open(url).expect("a URL of Redis");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("Redis answers")
}

/// What the mirror consists of: each queue with its tickets, and the user of each ticket.
#[derive(Debug, Default, PartialEq, Eq)]
struct Mirror {
    queues: BTreeMap<String, BTreeSet<String>>,
    users: BTreeMap<String, String>,
}

impl Mirror {
    /// Of these tickets: bucket, id, user.
    fn of(tickets: &[(&str, &str, &str)]) -> Self {
        let mut mirror = Self::default();
        for (bucket, ticket, user) in tickets {
            let queue = mirror.queues.entry(format!("matching_queue:{bucket}"));
            queue.or_default().insert((*ticket).to_owned());
            let key = format!("matching_ticket:{ticket}");
            mirror.users.insert(key, (*user).to_owned());
        }
        mirror
    }

    async fn read(redis: &mut MultiplexedConnection) -> RedisResult<Self> {
        let mut mirror = Self::default();
        let keys: Vec<String> = redis.keys("matching_*").await?;
        for key in keys {
            if key.starts_with("matching_queue:") {
                let members = redis.zrange(&key, 0, -1).await?;
                mirror.queues.insert(key, members);
            } else if key.starts_with("matching_ticket:") {
                let user: Option<String> = redis.hget(&key, "user_id").await?;
                mirror.users.insert(key, user.unwrap_or_default());
            }
        }
        Ok(mirror)
    }

    /// Awaits that Redis holds exactly this.
    async fn is_there(&self, redis: &mut MultiplexedConnection, limit: Duration) {
        let begun = Instant::now();
        loop {
            let found = Self::read(redis).await;
            if found.as_ref() == Ok(self) {
                return;
            }
            let in_time = is_in_time(begun.elapsed(), limit);
            assert!(in_time, "not within {limit:?}: {self:#?}, but {found:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Who is in the middle of what when Redis goes away.
struct Scene {
    server: Server,
    url: String,
    /// In a session with code in it.
    together: (Pair, String, Socket),
    /// The first has confirmed.
    half: (Pair, Socket, Socket),
    /// Nobody has confirmed.
    proposed: Pair,
    /// Waits.
    waiting: (User, String),
}

impl Scene {
    async fn on(own: &Own<Redis>) -> Self {
        let backends = Backends::on_redis(own);
        let url = backends.redis_url();
        let server = Options::on(backends).start().await;
        let (gus, _, screen) = pair_at_screens(&server, ["gus", "hana"], "Sets").await;
        let session = gus.open_session().await;
        let half = pair_at_screens(&server, ["cleo", "dan"], "Tree").await;
        half.0
            .first
            .confirm(&half.0.match_id, true)
            .await
            .expect(200);
        let proposed = pair(&server, "eve", "finn", "Trie").await;
        let waiting = server.user("waiting");
        let ticket = waiting.open_ticket("Hard", "Graph").await;
        Self {
            server,
            url,
            together: (gus, session, screen),
            half,
            proposed,
            waiting: (waiting, ticket),
        }
    }

    async fn redis(&self) -> MultiplexedConnection {
        connect(&self.url).await
    }

    /// Everything that does not need Redis, at normal speed. Gives who waits then: bucket, id, user.
    async fn goes_on_without(&self) -> Vec<(&'static str, String, String)> {
        let ada = self.server.user("ada");
        let asked = in_time(NORMAL, ada.asking("Easy", "Heap")).await;
        let ticket = text(asked.expect(200), "id").to_owned();
        let bob = self.server.user("bob");
        in_time(NORMAL, bob.asking("Easy", "Heap"))
            .await
            .expect(200);
        let match_id = ada.matched(&ticket).await;
        in_time(NORMAL, bob.answering(&match_id, true))
            .await
            .expect(200);
        let (eve, finn) = (&self.proposed.first, &self.proposed.second);
        let no = eve.answering(&self.proposed.match_id, false);
        in_time(NORMAL, no).await.expect(200);
        let kim = self.server.user("kim");
        let asked = in_time(NORMAL, kim.asking("Easy", "Queue")).await;
        let withdrawn = text(asked.expect(200), "id").to_owned();
        in_time(NORMAL, kim.cancelling(&withdrawn))
            .await
            .expect(200);
        let (waiting, graph) = &self.waiting;
        vec![
            (
                "easy:trie",
                self.proposed.second_ticket.clone(),
                finn.id.clone(),
            ),
            ("hard:graph", graph.clone(), waiting.id.clone()),
        ]
    }

    /// Both confirmed, and no session without its key.
    async fn second_confirmation_is_kept(&self) {
        let (pair, ..) = &self.half;
        let limit = Duration::from_secs(5);
        let in_vain = in_time(limit, pair.second.answering(&pair.match_id, true)).await;
        in_vain.expect(503);
        let status = self.server.match_status(&pair.match_id).await;
        assert_eq!(status.expect(200)["confirm_status"], false);
        let no = pair.first.confirm(&pair.match_id, false).await;
        no.expect_error(400, "The match is already confirmed by both");
    }

    /// The session that waited for Redis opens by itself.
    async fn session_opens(&self) -> String {
        let (pair, first, second) = &self.half;
        let ready = first.next_event_within("match_ready", BACK_WITHIN).await;
        let session = text(&ready, "session_id").to_owned();
        let told = second.next_event_within("match_ready", BACK_WITHIN).await;
        assert_eq!(told["session_id"], session.as_str());
        let repeated = pair.second.confirm(&pair.match_id, true).await;
        assert_eq!(repeated.expect(200)["session_id"], session.as_str());
        session
    }

    /// An open session is read from its record.
    async fn record_is_read(&self) {
        let path = format!("{PREFIX}/session/{}", self.together.1);
        let request = self.server.request(Method::GET, &path);
        let session = in_time(AT_ONCE, request).await;
        let session = session.expect(200);
        assert_eq!(session["code"], "");
        assert_eq!(session["language"], "python");
        assert_eq!(session["users"], json!(["gus", "hana"]));
    }
}

/// Redis goes away in the middle of everything, and comes back. `keeps` what was in it.
async fn survives(
    goes: impl FnOnce(&Own<Redis>),
    comes: impl AsyncFnOnce(&Own<Redis>),
    keeps: bool,
) {
    let own = Redis::own();
    let scene = Scene::on(&own).await;
    let (pair, session, screen) = &scene.together;
    let code = json!({"question": {"id": 1}, "code": "x = 1", "language": "python"});
    let written = scene.redis().await.set(session, code.to_string()).await;
    let () = written.expect("Redis answers");

    goes(&own);
    // The first to find out waits a little longer.
    in_time(AT_ONCE, pair.first.leaving(session))
        .await
        .expect(200);
    let left = screen.next_event("partner_left").await;
    assert_eq!(left["user_id"], "gus");
    let waiting = scene.goes_on_without().await;
    scene.second_confirmation_is_kept().await;
    scene.record_is_read().await;
    scene.server.get("/readyz").await.expect(200);
    comes(&own).await;
    let back = Instant::now();
    let opened = scene.session_opens().await;

    let mut redis = scene.redis().await;
    let waiting: Vec<(&str, &str, &str)> = waiting
        .iter()
        .map(|(bucket, ticket, user)| (*bucket, ticket.as_str(), user.as_str()))
        .collect();
    Mirror::of(&waiting).is_there(&mut redis, BACK_WITHIN).await;
    assert!(document(&mut redis, &opened).await.is_some());
    let told = within(BACK_WITHIN, "Redis is told who has left", async || {
        let found = document(&mut redis.clone(), session).await?;
        (found["left_users"] == json!(["gus"])).then_some(found)
    });
    let told = told.await;
    assert_eq!(told["users"], json!(["gus", "hana"]));
    assert_eq!(told["code"], if keeps { "x = 1" } else { "" });
    let took = back.elapsed();
    assert!(is_in_time(took, BACK_WITHIN), "it took {took:?}");
    nothing_broken(&scene.server).await;
}

#[actix_rt::test]
async fn without_a_redis_that_was_killed_all_but_sessions_goes_on_and_those_open_after_it() {
    survives(Own::kill, async |own| own.restart().await, true).await;
}

#[actix_rt::test]
async fn without_a_redis_that_is_frozen_all_but_sessions_goes_on_and_those_open_after_it() {
    survives(Own::pause, async |own| own.resume(), true).await;
}

#[actix_rt::test]
async fn a_redis_that_comes_back_empty_is_filled_again() {
    survives(Own::kill, async |own| own.restart_empty().await, false).await;
}

/// Both leave a session while Redis is away; `server_ends` before it returns, and is started again.
/// Redis is told.
async fn both_leave_without_redis(server_ends: bool) {
    let own = Redis::own();
    let backends = Backends::on_redis(&own);
    let url = backends.redis_url();
    let server = Options::on(backends).start().await;
    let pair = pair(&server, "gus", "hana", "Sets").await;
    let session = pair.open_session().await;

    own.kill();
    pair.first.leave(&session).await.expect(200);
    pair.second.leave(&session).await.expect(200);
    if server_ends {
        server.kill();
    }
    own.restart().await;
    if server_ends {
        server.restart().await;
    }

    let mut redis = connect(&url).await;
    let told = within(BACK_WITHIN, "Redis is told that both left", async || {
        let found = document(&mut redis, &session).await?;
        (found["left_users"] == json!(["gus", "hana"])).then_some(())
    });
    told.await;
    let own_key: String = redis
        .get(format!("matching_session:{session}"))
        .await
        .expect("our own record is there");
    assert!(own_key.contains("[true,true]"), "{own_key}");
}

#[actix_rt::test]
async fn a_session_that_both_left_while_redis_was_away_says_so_after_its_return() {
    both_leave_without_redis(false).await;
}

#[actix_rt::test]
async fn a_session_that_both_left_while_redis_was_away_says_so_after_a_restart_of_the_server() {
    both_leave_without_redis(true).await;
}

#[actix_rt::test]
async fn what_is_flushed_or_replaced_by_older_data_is_written_again() {
    let own = Redis::own();
    let backends = Backends::on_redis(&own);
    let mut redis = connect(&backends.redis_url()).await;
    let server = Options::on(backends).start().await;
    let pair = pair(&server, "gus", "hana", "Sets").await;
    let session = pair.open_session().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let first = ada.open_ticket("Hard", "Graph").await;
    let one = Mirror::of(&[("hard:graph", &first, "ada")]);
    one.is_there(&mut redis, EXACT).await;
    let older: String = redis.get("matching_mirror").await.expect("a marker");

    let flushed = redis::cmd("FLUSHALL").query_async(&mut redis).await;
    let () = flushed.expect("Redis answers");
    one.is_there(&mut redis, NOTICED).await;
    within(NOTICED, "the session's key is there again", async || {
        document(&mut redis, &session).await
    })
    .await;

    let second = bob.open_ticket("Easy", "Heap").await;
    let both = [
        ("hard:graph", first.as_str(), "ada"),
        ("easy:heap", second.as_str(), "bob"),
    ];
    Mirror::of(&both).is_there(&mut redis, EXACT).await;
    let mut restore = redis::pipe();
    restore.atomic().del("matching_queue:easy:heap");
    restore
        .del(format!("matching_ticket:{second}"))
        .del(&session);
    restore.set("matching_mirror", older);
    let restored = restore.query_async(&mut redis).await;
    let () = restored.expect("Redis answers");
    Mirror::of(&both).is_there(&mut redis, NOTICED).await;
    within(NOTICED, "the session's key is there again", async || {
        document(&mut redis, &session).await
    })
    .await;
}

#[actix_rt::test]
async fn the_mirror_is_exact_within_100_ms_of_each_answer() {
    let own = Redis::own();
    let backends = Backends::on_redis(&own);
    let mut redis = connect(&backends.redis_url()).await;
    let server = Options::on(backends).start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));

    for _ in 0..5 {
        let ticket = ada.open_ticket("Hard", " Two  Heaps ").await;
        let waits = Mirror::of(&[("hard:two heaps", &ticket, "ada")]);
        waits.is_there(&mut redis, EXACT).await;
        ada.cancel(&ticket).await.expect(200);
        Mirror::default().is_there(&mut redis, EXACT).await;
    }
    let waiting = ada.open_ticket("Easy", "Heap").await;
    let waits = Mirror::of(&[("easy:heap", &waiting, "ada")]);
    waits.is_there(&mut redis, EXACT).await;
    bob.open_ticket("Easy", "Heap").await;
    let match_id = ada.matched(&waiting).await;
    Mirror::default().is_there(&mut redis, EXACT).await;
    bob.confirm(&match_id, false).await.expect(200);
    waits.is_there(&mut redis, EXACT).await;
}

#[actix_rt::test]
async fn differences_at_the_start_are_counted_and_put_right() {
    let own = Redis::own();
    let backends = Backends::on_redis(&own);
    let mut redis = connect(&backends.redis_url()).await;
    let server = Options::on(backends).start().await;
    let ticket = server.user("ada").open_ticket("Hard", "Graph").await;
    let waits = Mirror::of(&[("hard:graph", &ticket, "ada")]);
    waits.is_there(&mut redis, EXACT).await;
    server.kill();
    let stranger = uuid::Uuid::new_v4();
    let mut spoil = redis::pipe();
    spoil.del(format!("matching_ticket:{ticket}"));
    spoil.zadd("matching_queue:hard:graph", stranger.to_string(), 1);
    spoil.hset(format!("matching_ticket:{stranger}"), "user_id", "nobody");
    let spoilt = spoil.query_async(&mut redis).await;
    let () = spoilt.expect("Redis answers");

    server.restart().await;

    waits.is_there(&mut redis, NOTICED).await;
    let name = "matchmaker_mirror_differences_total";
    within(NOTICED, "the differences are counted", async || {
        let missing = counter(&server, name, "missing").await;
        let surplus = counter(&server, name, "surplus").await;
        ((missing, surplus) == (1.0, 2.0)).then_some(())
    })
    .await;
}

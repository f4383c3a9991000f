//! The mirror of the queues on a real Redis, and what happens when that goes away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncCommands, Client};
use matchmaker::adapters::redis::{
    RedisFallback, RedisLink, RedisMirror, RedisOptions, RedisSessions,
};
use matchmaker::domain::{SessionId, SessionRecord, Ticket};
use matchmaker::ports::{FallbackSessions, QueueChange, QueueMirror, SharedSessions};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::subject::{
    StoppedClock, Subject, at_ms, session, session_id, ticket, ticket_id, up_to_match, user,
};
use crate::harness::is_in_time;
use crate::servers::{self, PrivateNumber, Redis};

const PREFIX: &str = "pre[fix]*:";

pub(super) fn link_to(url: &str) -> Arc<RedisLink> {
    link_with_prefix(url, "")
}

pub(super) fn link_with_prefix(url: &str, prefix: &str) -> Arc<RedisLink> {
    let options = RedisOptions {
        url: url.to_owned(),
        key_prefix: prefix.to_owned(),
        root_certificates: None,
    };
    RedisLink::new(&options, Handle::current()).expect("a URL of Redis")
}

pub(super) async fn connect(url: &str) -> MultiplexedConnection {
    let client = Client::open(url).expect("a URL of Redis");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("Redis answers")
}

/// What a mirror consists of: queue → ticket → place, and ticket → fields.
#[derive(Debug, Default, PartialEq)]
struct Copy {
    queues: BTreeMap<String, BTreeMap<String, f64>>,
    hashes: BTreeMap<String, BTreeMap<String, String>>,
}

impl Copy {
    fn of(tickets: &[Ticket], prefix: &str) -> Self {
        let mut copy = Self::default();
        for ticket in tickets {
            let queue = format!("{prefix}matching_queue:{}", ticket.wish.bucket());
            let place = ticket.enqueued_at.as_ms() as f64;
            let queue = copy.queues.entry(queue).or_default();
            queue.insert(ticket.id.to_string(), place);
            let fields = [
                ("user_id", ticket.user.to_string()),
                ("difficulty", "medium".to_owned()),
                ("topic", ticket.wish.topic.as_str().to_owned()),
                ("enqueued_at_ms", ticket.enqueued_at.as_ms().to_string()),
                ("waits_until_ms", ticket.waits_until.as_ms().to_string()),
            ];
            let fields = fields.map(|(name, value)| (name.to_owned(), value));
            let key = format!("{prefix}matching_ticket:{}", ticket.id);
            copy.hashes.insert(key, fields.into());
        }
        copy
    }

    /// What Redis holds; an error while it is away, or where a key has another type.
    async fn read(redis: &mut MultiplexedConnection) -> redis::RedisResult<Self> {
        let mut copy = Self::default();
        let queues: Vec<String> = redis.keys("*matching_queue:*").await?;
        for key in queues {
            let places: Vec<(String, f64)> = redis.zrange_withscores(&key, 0, -1).await?;
            copy.queues.insert(key, places.into_iter().collect());
        }
        let tickets: Vec<String> = redis.keys("*matching_ticket:*").await?;
        if tickets.is_empty() {
            return Ok(copy);
        }
        let mut together = redis::pipe();
        for key in &tickets {
            together.hgetall(key);
        }
        let fields: Vec<BTreeMap<String, String>> = together.query_async(redis).await?;
        copy.hashes = tickets.into_iter().zip(fields).collect();
        Ok(copy)
    }
}

/// A mirror of its own for one test.
struct Scene {
    mirror: RedisMirror,
    redis: MultiplexedConnection,
    prefix: &'static str,
    _place: PrivateNumber,
}

impl Scene {
    async fn new(waiting: Vec<Ticket>, open: Vec<SessionRecord>) -> Self {
        Self::on(servers::redis(), waiting, open).await
    }

    async fn on(server: &Redis, waiting: Vec<Ticket>, open: Vec<SessionRecord>) -> Self {
        let place = server.number();
        let prefix = PREFIX;
        let link = link_with_prefix(&place.url(), prefix);
        let open: Vec<Arc<SessionRecord>> = open.into_iter().map(Arc::new).collect();
        let sessions = RedisSessions::new(link, StoppedClock::at(1_762_756_823_456));
        let mirror = RedisMirror::start(sessions, waiting, Arc::new(move || open.clone()));
        let redis = connect(&place.url()).await;
        Self {
            mirror,
            redis,
            prefix,
            _place: place,
        }
    }

    fn waits(&self, ticket: &Ticket) {
        self.mirror
            .note(QueueChange::Waits(Box::new(ticket.clone())));
    }

    fn gone(&self, ticket: &Ticket) {
        self.mirror.note(QueueChange::Gone(ticket.id));
    }

    async fn becomes(&self, tickets: &[Ticket], within: Duration) {
        let expected = Copy::of(tickets, self.prefix);
        let began = Instant::now();
        loop {
            let found = Copy::read(&mut self.redis.clone()).await;
            if matches!(&found, Ok(found) if *found == expected) {
                return;
            }
            if !is_in_time(began.elapsed(), within) {
                let text = format!("{found:?}\nnot {expected:?}");
                panic!("it is {}", text.chars().take(2_000).collect::<String>());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn marker(&self) -> String {
        let key = format!("{}matching_mirror", self.prefix);
        self.redis.clone().get(key).await.expect("it is there")
    }
}

fn tickets(numbers: std::ops::Range<u64>) -> Vec<Ticket> {
    numbers.map(ticket).collect()
}

const SOON: Duration = Duration::from_secs(5);
/// What the contract grants, and as much again for a busy machine.
const EXACT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn the_mirror_follows_every_change_within_100_ms() {
    let scene = Scene::new(tickets(0..10), vec![]).await;
    scene.becomes(&tickets(0..10), SOON).await;

    for ticket in tickets(10..2_000) {
        scene.waits(&ticket);
    }
    scene.becomes(&tickets(0..2_000), SOON).await;
    for ticket in tickets(0..1_990) {
        scene.gone(&ticket);
    }
    scene.becomes(&tickets(1_990..2_000), SOON).await;

    scene.gone(&ticket(1_990));
    scene.becomes(&tickets(1_991..2_000), EXACT).await;
    let mut put_back = ticket(1_990);
    put_back.waits_until = at_ms(77_000);
    scene.waits(&put_back);
    let mut all = tickets(1_991..2_000);
    all.push(put_back);
    scene.becomes(&all, EXACT).await;
    assert!(scene.mirror.is_exact());
}

#[tokio::test]
async fn a_ticket_that_waits_only_for_a_moment_is_never_written() {
    let scene = Scene::new(vec![ticket(1)], vec![]).await;
    scene.becomes(&[ticket(1)], SOON).await;
    sleep(Duration::from_millis(50)).await;
    let before = scene.marker().await;

    for ticket in tickets(2..100) {
        scene.waits(&ticket);
        scene.gone(&ticket);
    }
    sleep(Duration::from_millis(100)).await;

    assert_eq!(scene.marker().await, before, "nothing was written");
    scene.becomes(&[ticket(1)], EXACT).await;
}

#[tokio::test]
async fn what_an_earlier_run_left_is_put_right_at_the_start() {
    let place = servers::redis().number();
    let mut redis = connect(&place.url()).await;
    let queue = format!("{PREFIX}matching_queue:{}", ticket(1).wish.bucket());
    let stale_hash = format!("{PREFIX}matching_ticket:{}", ticket_id(77));
    let wrong_hash = format!("{PREFIX}matching_ticket:{}", ticket_id(2));
    let mut pipe = redis::pipe();
    pipe.zadd(&queue, ticket_id(1).to_string(), 999) // not its place
        .zadd(&queue, "nonsense", 1)
        .zadd(&queue, ticket_id(77).to_string(), 77)
        .zadd(format!("{PREFIX}matching_queue:easy:gone"), "x", 1)
        .set(format!("{PREFIX}matching_queue:hard:no zset"), "x")
        .hset(&stale_hash, "user_id", "x")
        .hset(&wrong_hash, "surplus", "x")
        .set("matching_queue:of:others", "x");
    let () = pipe.query_async(&mut redis).await.expect("Redis answers");

    let link = link_with_prefix(&place.url(), PREFIX);
    let sessions = RedisSessions::new(link, StoppedClock::at(1_762_756_823_456));
    let mirror = RedisMirror::start(sessions, tickets(1..5), Arc::new(Vec::new));

    let scene = Scene {
        mirror,
        redis: redis.clone(),
        prefix: PREFIX,
        _place: place,
    };
    let began = Instant::now();
    while !scene.mirror.is_exact() && began.elapsed() < SOON {
        sleep(Duration::from_millis(5)).await;
    }
    let others: String = redis.get("matching_queue:of:others").await.expect("kept");
    let () = redis.del("matching_queue:of:others").await.expect("ours");
    scene.becomes(&tickets(1..5), SOON).await;
    assert_eq!(others, "x");
}

#[tokio::test]
async fn after_a_flush_the_mirror_and_the_keys_of_open_sessions_are_there_again() {
    let scene = Scene::new(
        tickets(0..700),
        vec![session(1, [1, 2]), session(2, [3, 4])],
    )
    .await;
    scene.becomes(&tickets(0..700), SOON).await;
    let mut redis = scene.redis.clone();

    let flush = redis::cmd("FLUSHDB").query_async(&mut redis).await;
    let () = flush.expect("Redis answers");
    // A change right after it must not hide the loss.
    scene.waits(&ticket(700));

    scene
        .becomes(&tickets(0..701), Duration::from_secs(3))
        .await;
    sleep(Duration::from_millis(100)).await;
    for number in [1, 2] {
        let key = format!("{PREFIX}{}", session_id(number));
        let text: String = redis.get(&key).await.expect("the session is there");
        assert!(text.contains("Two"), "{text}");
        let ttl_ms: i64 = redis.pttl(&key).await.expect("Redis answers");
        assert!(ttl_ms > 21_000_000, "{ttl_ms}");
    }
}

#[tokio::test]
async fn older_data_is_noticed_and_sessions_that_are_there_are_left_alone() {
    let scene = Scene::new(tickets(0..3), vec![session(1, [1, 2])]).await;
    scene.becomes(&tickets(0..3), SOON).await;
    let mut redis = scene.redis.clone();
    let older = scene.marker().await;
    scene.waits(&ticket(3));
    scene.gone(&ticket(0));
    scene.becomes(&tickets(1..4), EXACT).await;

    let queue = format!("{PREFIX}matching_queue:{}", ticket(1).wish.bucket());
    let mut pipe = redis::pipe();
    pipe.atomic()
        .zadd(&queue, ticket_id(0).to_string(), 0)
        .zrem(&queue, ticket_id(3).to_string())
        .set(format!("{PREFIX}{}", session_id(1)), "newer code")
        .set(format!("{PREFIX}matching_mirror"), older);
    let () = pipe.query_async(&mut redis).await.expect("Redis answers");

    scene.becomes(&tickets(1..4), Duration::from_secs(3)).await;
    let key = format!("{PREFIX}{}", session_id(1));
    let text: String = redis.get(key).await.expect("the session is there");
    assert_eq!(text, "newer code");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_killed_frozen_or_emptied_is_exact_again_by_itself() {
    let server = Redis::own();
    let scene = Scene::on(&server, tickets(0..100), vec![session(1, [1, 2])]).await;
    scene.becomes(&tickets(0..100), SOON).await;
    let clock = StoppedClock::at(1_762_756_823_456);
    let url = scene._place.url();
    let sessions = RedisSessions::new(link_with_prefix(&url, PREFIX), clock);
    let put = sessions.put_if_absent(&session(2, [3, 4])).await;
    put.expect("it is written");

    server.kill();
    let began = Instant::now();
    assert!(sessions.put_if_absent(&session(3, [5, 6])).await.is_err());
    assert!(is_in_time(began.elapsed(), Duration::from_millis(1_500)));
    scene.waits(&ticket(100));
    scene.gone(&ticket(0));
    server.restart().await;
    let scene = reconnected(scene, &url).await;
    scene.becomes(&tickets(1..101), SOON).await;

    server.pause();
    let began = Instant::now();
    assert!(sessions.read(session_id(2)).await.is_err());
    assert!(is_in_time(began.elapsed(), Duration::from_millis(1_500)));
    scene.waits(&ticket(101));
    sleep(Duration::from_millis(4_000)).await;
    server.resume();
    scene.becomes(&tickets(1..102), SOON).await;
    assert!(sessions.read(session_id(2)).await.expect("back").is_some());

    server.restart_empty().await;
    let scene = reconnected(scene, &url).await;
    scene.becomes(&tickets(1..102), SOON).await;
    sleep(Duration::from_millis(100)).await;
    assert!(sessions.read(session_id(1)).await.expect("back").is_some());
    scene.mirror.stop().await;
}

async fn reconnected(scene: Scene, url: &str) -> Scene {
    Scene {
        redis: connect(url).await,
        ..scene
    }
}

#[tokio::test]
async fn a_mirror_that_stops_writes_what_is_left() {
    let scene = Scene::new(vec![], vec![]).await;
    scene.becomes(&[], SOON).await;

    scene.waits(&ticket(1));
    scene.mirror.stop().await;

    scene.becomes(&[ticket(1)], Duration::ZERO).await;
}

#[tokio::test]
async fn what_is_written_again_after_a_loss_can_be_found_again() {
    let mut left = session(1, [1, 2]);
    left.left = [false, true];
    let scene = Scene::new(vec![], vec![left.clone()]).await;
    scene.becomes(&[], SOON).await;
    let mut redis = scene.redis.clone();
    let flush = redis::cmd("FLUSHDB").query_async(&mut redis).await;
    let () = flush.expect("Redis answers");
    let key = format!("{PREFIX}{}", session_id(1));
    let began = Instant::now();
    while redis.exists(&key).await != Ok(true) {
        assert!(began.elapsed() < SOON, "the key is not written again");
        sleep(Duration::from_millis(5)).await;
    }
    let rewritten = redis.set(&key, r#"{"code": "x"}"#).await;
    let () = rewritten.expect("Redis answers");
    let link = link_with_prefix(&scene._place.url(), PREFIX);
    let clock = StoppedClock::at(1_762_756_823_456);
    let fallback = RedisFallback::new(RedisSessions::new(link, clock.clone()), clock);

    fallback.search(Subject::on_sqlite().await.records()).await;

    assert_eq!(fallback.session(session_id(1)), Some(left));
}

#[tokio::test]
async fn sessions_that_are_not_lost_take_no_room_from_those_that_are() {
    let place = servers::redis().number();
    let link = link_with_prefix(&place.url(), PREFIX);
    let clock = StoppedClock::at(1_762_756_823_456);
    let sessions = RedisSessions::new(Arc::clone(&link), clock.clone());
    let known = Subject::on_sqlite().await;
    for number in 0..60 {
        let pair = [2 * number + 1, 2 * number + 2];
        let put = sessions.put_if_absent(&session(number, pair)).await;
        put.expect("it is written");
        if number < 50 {
            known.stores(up_to_match(number, pair)).await;
        }
    }

    let found = async |room| {
        let fallback = RedisFallback::new(sessions.clone(), clock.clone()).with_room_for(room);
        fallback.search(known.records()).await;
        fallback.open_sessions().len()
    };

    assert_eq!(found(10).await, 10);
    assert_eq!(found(7).await, 7);
}

#[tokio::test]
async fn sessions_that_only_redis_knows_are_found() {
    let place = servers::redis().number();
    let mut redis = connect(&place.url()).await;
    let link = link_with_prefix(&place.url(), PREFIX);
    let clock = StoppedClock::at(1_762_756_823_456);
    let sessions = || RedisSessions::new(Arc::clone(&link), clock.clone());
    for number in 0..1_000 {
        let put = sessions().put_if_absent(&session(number, [1, 2])).await;
        put.expect("it is written");
    }
    let mut left = session(7, [1, 2]);
    left.left = [true, false];
    let written = sessions().write_left(&left).await;
    written.expect("it is written");
    let whole = json!({"users": ["a", "b"], "question": {"id": 1, "title": "t", "topics": []}});
    let [elsewhere, no_json, nobody, alone] =
        [5_000, 5_001, 5_002, 5_005].map(|number| session_id(number).to_string());
    let mut pipe = redis::pipe();
    pipe.set(elsewhere, whole.to_string())
        .set(format!("{PREFIX}{no_json}"), "no JSON")
        .set(format!("{PREFIX}{nobody}"), r#"{"code": ""}"#)
        .set(format!("{PREFIX}{alone}"), r#"{"users": ["a"]}"#)
        .rpush(format!("{PREFIX}{}", session_id(5_003)), "x")
        .set(
            format!("{PREFIX}matching_ticket:{}", session_id(5_004)),
            "x",
        );
    let () = pipe.query_async(&mut redis).await.expect("Redis answers");
    let known = Subject::on_sqlite().await;
    known.stores(up_to_match(3, [1, 2])).await;
    let fallback = RedisFallback::new(sessions(), clock.clone());

    fallback.search(known.records()).await;

    assert_eq!(fallback.open_sessions().len(), 999);
    let found = (0..6_000).map(session_id);
    let found: BTreeSet<SessionId> = found.filter(|id| fallback.session(*id).is_some()).collect();
    let expected: BTreeSet<SessionId> = (0..1_000).filter(|it| *it != 3).map(session_id).collect();
    assert_eq!(found, expected);
    let seventh = fallback.session(session_id(7)).expect("it was found");
    assert_eq!(seventh.users, [user(1), user(2)]);
    assert_eq!(seventh.left, [true, false]);
    assert_eq!(seventh.question, session(7, [1, 2]).question);
    let lives_for = seventh.ends_at.ms_since(seventh.opened_at);
    assert!(lives_for > 21_000_000, "{lives_for} ms");
    clock.put_at(1_762_756_823_456 + 21_600_001);
    assert_eq!(fallback.session(session_id(7)), None);
    assert_eq!(fallback.active_session(&user(2)), None);
    assert!(fallback.open_sessions().is_empty());
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_its_password() {
    for url in [
        "",
        "http://u:secret@h",
        "redis://u:secret@h:port",
        "u:secret",
    ] {
        let options = RedisOptions {
            url: url.to_owned(),
            key_prefix: String::new(),
            root_certificates: None,
        };

        let refused = RedisLink::new(&options, Handle::current());

        let error = refused.err().expect("refused").to_string();
        assert!(!error.contains("secret"), "{error}");
        assert!(!format!("{options:?}").contains("secret"));
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn how_long_a_hundred_thousand_tickets_take() {
    let scene = Scene::new(tickets(0..100_000), vec![]).await;
    let began = Instant::now();
    while !scene.mirror.is_exact() {
        sleep(Duration::from_millis(5)).await;
    }
    eprintln!("100,000 tickets: {:?}", began.elapsed());
}

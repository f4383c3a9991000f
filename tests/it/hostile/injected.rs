//! What is a command, a pattern or markup to somebody is text to us, in every place that it comes to.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, FromRedisValue};
use matchmaker::domain::Topic;

use crate::harness::*;
use crate::servers::{Conduct, Stub};

/// Topics that mean something in SQL, Redis, AMQP, a shell, HTML, JSON, Prometheus, paths or a log.
const TOPICS: [&str; 14] = [
    "'; DROP TABLE tickets; --",
    "\" OR \"\"=\"\\",
    "matching_queue:easy:*",
    "{a}:{b} [x-z]?",
    "$1 %s%n %0d%0aSET%20x%20y \\r\\n",
    "match.#.*",
    "<img src=x onerror=alert(1)>",
    "\"} 1 # {topic=\"x\\",
    "{\"$ne\": null}",
    "../../../../etc/passwd",
    "${jndi:ldap://127.0.0.1:1/x} `id` $(id)",
    "topics&difficulty=hard#?/+%",
    "a\u{2028}b\u{202e}abc\u{200b}",
    "ﬁ İ ẞ 漢 💩 e\u{301}",
];

/// What the question service says to all of them.
const TITLE: &str = "</script>\r\n\"'; -- \u{1b}[31m {{7*7}} \u{2028}";

#[actix_rt::test]
async fn what_is_code_elsewhere_is_text_everywhere() {
    let question =
        json!([{"id": 7, "title": TITLE, "difficulty": "Easy", "topics": [TITLE, ":*"]}]);
    let stub = Stub::new(Conduct::Answer(200, question.to_string())).await;
    let backends = Backends::real();
    let Backends::Real(neighbours) = &backends else {
        panic!("these are the real ones");
    };
    let options = Options::on(backends.clone()).with("QUESTION_SERVICE_URL", stub.base());
    let server = options
        .with("LOG_LEVEL", "DEBUG")
        .with("LOG_FORMAT", "json")
        .start()
        .await;
    let listening = hear(&neighbours.vhost.url()).await;
    let mut collaboration = listening.expect("the exchange is there");
    let client = redis::Client::open(backends.redis_url()).expect("a URL of Redis");
    let connected = client.get_multiplexed_async_connection().await;
    let mut redis = connected.expect("Redis answers");

    let mut expected = BTreeSet::new();
    for topic in TOPICS {
        let names = ["a", "b"].map(|side| format!("{topic} {side}"));
        let first = server.user(&names[0]);
        let before = keys(&mut redis).await;
        let ticket = first.open_ticket("Easy", topic).await;
        assert_mirrored(&mut redis, &before, topic, &names[0], &ticket).await;

        let second = server.user(&names[1]);
        let screen = second.connect().await;
        second.open_ticket("Easy", topic).await;
        let found = screen.match_with(&names[0]).await;
        assert_eq!(found["topic"], topic);
        let id = text(&found, "match_id");
        first.confirm(id, true).await.expect(200);
        let ready = second.confirm(id, true).await;
        assert_eq!(ready.expect(200)["partner_id"], names[0]);

        let session = text(&ready.json, "session_id");
        assert_shared(&mut redis, &before, session, &names).await;
        assert_asked(&stub, topic);
        let (properties, body) = collaboration.next().await.expect("it is announced");
        assert!(properties.headers().is_none(), "{properties:?}");
        assert_announced(&body, session, &names);
        first.leave(session).await.expect(200);
        assert_eq!(screen.next_event("partner_left").await["user_id"], names[0]);
        expected.extend(names.map(|name| (name, topic.to_owned())));
    }

    let stored = stored_tickets(&neighbours.database.url()).await;
    assert_eq!(stored, expected);
    assert_unmeasured(&server).await;
    assert_logged_as_json(&server.output());
}

/// The keys that are there now and were not, but for the mirror's own.
async fn added(redis: &mut MultiplexedConnection, before: &BTreeSet<String>) -> BTreeSet<String> {
    let mut found = keys(redis).await;
    found.retain(|key| !before.contains(key) && key != "matching_mirror");
    found
}

/// A waiting ticket adds its queue and its hash to Redis, and nothing else.
async fn assert_mirrored(
    redis: &mut MultiplexedConnection,
    before: &BTreeSet<String>,
    topic: &str,
    user: &str,
    ticket: &str,
) {
    let folded = Topic::parse(topic).expect("it is one").key();
    let queue = format!("matching_queue:easy:{}", folded.as_str());
    let hash = format!("matching_ticket:{ticket}");
    let expected = BTreeSet::from([queue.clone(), hash.clone()]);
    eventually("the ticket is mirrored", async || {
        let added = added(redis, before).await;
        (added == expected).then_some(())
    })
    .await;
    let members: Vec<String> = asked(redis, &["ZRANGE", &queue, "0", "-1"]).await;
    assert_eq!(members, [ticket]);
    let fields: BTreeMap<String, String> = asked(redis, &["HGETALL", &hash]).await;
    assert_eq!(
        (fields["user_id"].as_str(), fields["topic"].as_str()),
        (user, topic)
    );
}

/// An open session adds its key and what we know of it; the tickets are gone.
async fn assert_shared(
    redis: &mut MultiplexedConnection,
    before: &BTreeSet<String>,
    session: &str,
    users: &[String; 2],
) {
    eventually("only the session is left", async || {
        let added = added(redis, before).await;
        let own = format!("matching_session:{session}");
        (added.contains(session) && added.iter().all(|key| *key == session || *key == own))
            .then_some(())
    })
    .await;
    let shared: String = asked(redis, &["GET", session]).await;
    let shared: Value = serde_json::from_str(&shared).expect("it is JSON");
    assert_eq!(shared["users"], json!(users));
    assert_eq!(shared["question"], question());
}

fn question() -> Value {
    json!({"id": 7, "title": TITLE, "difficulty": "easy", "topics": [TITLE, ":*"]})
}

/// The question service was asked for exactly this topic, in one line of a head.
fn assert_asked(stub: &Stub, topic: &str) {
    let heads = stub.requests();
    let head = heads.last().expect("it was asked");
    let target = head.split(' ').nth(1).expect("a request has a target");
    let url = url::Url::parse(&format!("http://stub{target}")).expect("a target is one");
    assert_eq!(url.path(), "/api/v1/questions/filter/topics-difficulty");
    let pairs: BTreeSet<_> = url.query_pairs().into_owned().collect();
    let expected = [("difficulty", "easy"), ("topics", topic)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(pairs, BTreeSet::from(expected));
}

fn assert_announced(body: &str, session: &str, users: &[String; 2]) {
    let event: Value = serde_json::from_str(body).expect("it is JSON");
    assert_eq!(event["session_id"], session);
    assert_eq!(event["question"], question());
    let users = users.clone().map(|user| json!({"user_id": user}));
    assert_eq!(event["users"], json!(users));
}

/// Users and topics of all tickets, as PostgreSQL holds them.
async fn stored_tickets(url: &str) -> BTreeSet<(String, String)> {
    let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("PostgreSQL answers");
    actix_rt::spawn(connection);
    let rows = client
        .query("SELECT user_id, topic FROM tickets", &[])
        .await;
    let rows = rows.expect("PostgreSQL answers");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Users are no labels, and topics that are end no line and begin none.
async fn assert_unmeasured(server: &Server) {
    let reply = server.get("/metrics").await;
    reply.expect(200);
    for topic in TOPICS {
        for side in ["a", "b"] {
            assert!(!reply.text.contains(&format!("{topic} {side}")), "{topic}");
        }
    }
    assert!(
        reply.text.lines().all(|line| line.is_empty()
            || line.starts_with("matchmaker_")
            || line.starts_with("# "))
    );
}

#[track_caller]
fn assert_logged_as_json(output: &str) {
    let mut lines = 0;
    for line in output.lines() {
        let logged: Result<Value, _> = serde_json::from_str(line);
        assert!(
            logged.is_ok_and(|it| it["timestamp"].is_string()),
            "who wrote this line? {line:?}"
        );
        lines += 1;
    }
    assert!(lines > TOPICS.len());
}

async fn keys(redis: &mut MultiplexedConnection) -> BTreeSet<String> {
    asked(redis, &["KEYS", "*"]).await
}

async fn asked<T: FromRedisValue>(redis: &mut MultiplexedConnection, command: &[&str]) -> T {
    let mut asked = redis::cmd(command[0]);
    asked.arg(&command[1..]);
    asked.query_async(redis).await.expect("Redis answers")
}

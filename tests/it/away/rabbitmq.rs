//! RabbitMQ away, killed, or without a queue: events are late, never lost.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use diesel::{Connection, RunQueryDsl, SqliteConnection};
use futures_util::future::join;

use super::looks::{awaits, holds, redis_at, shared_neighbours};
use crate::harness::*;
use crate::servers::{self, Own, RabbitMq};

/// Rows of the outbox that wait, of one session or of all.
pub const WAITING_ROWS: &str = "SELECT count(*) AS rows FROM outbox WHERE sent_at_ms IS NULL";

/// A session that somebody was told of.
#[derive(Debug, Clone)]
struct Told {
    session: String,
    question: String,
    users: [String; 2],
}

/// Two people ask, confirm, and are in a session.
async fn lifecycle(server: &Server, number: usize) -> Told {
    let [first, second] = ["a", "b"].map(|side| format!("{side}{number}"));
    let topic = format!("topic {number}");
    let pair = scenes::pair(server, &first, &second, &topic).await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    let reply = pair.second.confirm(&pair.match_id, true).await;
    let ready = reply.expect(200);
    Told {
        session: text(ready, "session_id").to_owned(),
        question: text(ready, "question_id").to_owned(),
        users: [first, second],
    }
}

/// Everything that the collaboration service was sent, by session: message ids and bodies.
#[derive(Default)]
struct Inbox {
    events: RefCell<BTreeMap<String, Vec<(String, String)>>>,
    repeated: Cell<usize>,
}

impl Inbox {
    /// Consumes for ever, and connects again when the connection is lost. A session must be in Redis
    /// when its event comes.
    async fn fill(&self, url: &str, mut redis: MultiplexedConnection) {
        loop {
            let Ok(mut collaboration) = hear(url).await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            while let Some((properties, body)) = collaboration.next().await {
                let event: Value = serde_json::from_str(&body).expect("JSON");
                let session = text(&event, "session_id").to_owned();
                assert!(holds(&mut redis, &session).await, "{session} is not there");
                let id = properties.message_id().as_ref().expect("an id").to_string();
                let mut events = self.events.borrow_mut();
                let known = events.entry(session).or_default();
                self.repeated
                    .set(self.repeated.get() + usize::from(!known.is_empty()));
                known.push((id, body));
            }
        }
    }

    fn has(&self, told: &Told) -> bool {
        self.events.borrow().contains_key(&told.session)
    }

    fn assert_holds_exactly(&self, told: &[Told]) {
        let events = self.events.borrow();
        assert_eq!(events.len(), told.len(), "no event but those of sessions");
        for told in told {
            let copies = &events[&told.session];
            assert!(copies.iter().all(|copy| *copy == copies[0]), "{copies:?}");
            assert_fields(told, &copies[0].1);
        }
    }
}

/// Contract §6: exactly these fields.
fn assert_fields(told: &Told, body: &str) {
    let event: Value = serde_json::from_str(body).expect("JSON");
    let question = &event["question"];
    let occurred_at = text(&event, "occurred_at");
    assert!((unix_now() - unix_seconds(occurred_at)).abs() < 120.0);
    let id: i64 = told.question.parse().expect("an id");
    let expected = json!({
        "event_type": "match.found",
        "version": 1,
        "occurred_at": occurred_at,
        "session_id": told.session,
        "question": {
            "id": id,
            "title": text(question, "title"),
            "difficulty": "easy",
            "topics": question["topics"].as_array().expect("a list"),
        },
        "users": [{"user_id": told.users[0]}, {"user_id": told.users[1]}],
    });
    assert_eq!(event, expected);
}

/// Opens sessions one after the other until `done`; each with the time that it took.
async fn open_sessions(server: &Server, told: &RefCell<Vec<(Told, Duration)>>, done: &Cell<bool>) {
    while !done.get() {
        let number = told.borrow().len();
        let begun = Instant::now();
        let session = lifecycle(server, number).await;
        told.borrow_mut().push((session, begun.elapsed()));
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

/// Awaits that so many more sessions were opened; gives their times.
async fn more_sessions(told: &RefCell<Vec<(Told, Duration)>>, count: usize) -> Vec<Duration> {
    let before = told.borrow().len();
    eventually("sessions are opened", async || {
        (told.borrow().len() >= before + count).then_some(())
    })
    .await;
    let told = told.borrow();
    told[before..].iter().map(|(_, time)| *time).collect()
}

#[actix_rt::test]
async fn every_session_is_announced_although_the_broker_is_killed_twice() {
    let broker: Own<RabbitMq> = RabbitMq::own();
    let neighbours = Neighbours {
        database: servers::postgres().database(),
        number: servers::redis().number(),
        vhost: broker.vhost(),
    };
    let (url, redis_url) = (neighbours.vhost.url(), neighbours.number.url());
    let server = Options::on(Backends::from(neighbours)).start().await;
    let (inbox, told, done) = (Inbox::default(), RefCell::default(), Cell::new(false));
    let filling = inbox.fill(&url, redis_at(&redis_url).await);

    let disturbing = async {
        let with_broker = more_sessions(&told, 30).await;
        broker.kill_settled();
        let without = more_sessions(&told, 30).await;
        broker.restart().await;
        more_sessions(&told, 10).await;
        broker.kill_settled();
        more_sessions(&told, 10).await;
        broker.restart().await;
        done.set(true);
        (with_broker, without)
    };
    let running = async {
        let (times, ()) = join(disturbing, open_sessions(&server, &told, &done)).await;
        within(Duration::from_secs(30), "every event comes", async || {
            let told = told.borrow();
            told.iter().all(|(told, _)| inbox.has(told)).then_some(())
        })
        .await;
        eventually("the outbox is empty", async || {
            let rows = server.metric("matchmaker_outbox_rows").await;
            (rows == 0.0).then_some(())
        })
        .await;
        times
    };
    let (with_broker, without) = tokio::select! {
        times = running => times,
        () = filling => unreachable!("it never ends"),
    };

    let told: Vec<Told> = told.borrow().iter().map(|(told, _)| told.clone()).collect();
    inbox.assert_holds_exactly(&told);
    let (before, during) = (median(with_broker), median(without));
    println!(
        "{} sessions, {} events came twice; a lifecycle took {before:?}, and {during:?} without a broker",
        told.len(),
        inbox.repeated.get()
    );
    assert!(during < before * 4 + Duration::from_millis(100));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[actix_rt::test]
async fn an_event_that_no_queue_takes_waits_and_comes_once_the_queue_is_declared() {
    let neighbours = shared_neighbours();
    let (url, database) = (neighbours.vhost.url(), neighbours.database.url());
    let server = Options::on(Backends::from(neighbours)).start().await;
    let first = lifecycle(&server, 1).await;
    eventually("the event was tried twice", async || {
        let tries = server.metric("matchmaker_events_unroutable_total").await;
        (tries >= 2.0).then_some(())
    })
    .await;
    let second = lifecycle(&server, 2).await;
    assert_eq!(rows(&database, WAITING_ROWS).await, 2);
    assert!(server.output().contains("no queue takes match.found"));
    eventually("the backlog is measured", async || {
        let rows = server.metric("matchmaker_outbox_rows").await;
        (rows == 2.0).then_some(())
    })
    .await;

    let mut collaboration = hear(&url).await.expect("it is up");
    let bodies = collaboration.bodies(2).await;

    for told in [first, second] {
        let body = bodies.iter().find(|body| body.contains(&told.session));
        assert_fields(&told, body.expect("its event came"));
    }
    eventually("both are marked", async || {
        (rows(&database, WAITING_ROWS).await == 0).then_some(())
    })
    .await;
}

#[actix_rt::test]
async fn an_event_that_was_sent_is_removed_after_its_retention() {
    let neighbours = shared_neighbours();
    let (url, database) = (neighbours.vhost.url(), neighbours.database.url());
    let server = Options::on(Backends::from(neighbours))
        .with("OUTBOX_RETENTION_SECONDS", 1.5)
        .start()
        .await;
    // Then the exchange is declared, and the queue can be bound.
    awaits(&server, 200, &[]).await;
    let mut collaboration = hear(&url).await.expect("it is up");
    let told = lifecycle(&server, 1).await;
    let sent_by = Instant::now();
    assert_fields(&told, &collaboration.bodies(1).await[0]);
    let all = "SELECT count(*) AS rows FROM outbox";
    assert_eq!(rows(&database, all).await, 1);

    eventually("the row is removed", async || {
        (rows(&database, all).await == 0).then_some(())
    })
    .await;

    assert!(sent_by.elapsed() > Duration::from_millis(1_400));
    server.session(&told.session).await.expect(200);
}

#[actix_rt::test]
async fn an_event_that_is_only_logged_is_removed_after_the_same_time() {
    let server = Options::on(Backends::Embedded)
        .with("OUTBOX_RETENTION_SECONDS", 1.5)
        .start()
        .await;
    let begun = Instant::now();
    let told = lifecycle(&server, 1).await;
    let mut file = SqliteConnection::establish(server.database_file().to_str().expect("UTF-8"))
        .expect("the file is there");
    let mut count = || {
        let counted = diesel::sql_query("SELECT count(*) AS rows FROM outbox");
        let counted: Rows = counted.get_result(&mut file).expect("a number");
        counted.rows
    };
    assert_eq!(count(), 1);
    eventually("the event is logged", async || {
        let logged = "stays in the outbox: no RABBITMQ_URL";
        server.output().contains(logged).then_some(())
    })
    .await;

    eventually("the row is removed", async || (count() == 0).then_some(())).await;

    assert!(begun.elapsed() > Duration::from_millis(1_400));
    server.session(&told.session).await.expect(200);
}

#[derive(diesel::QueryableByName)]
struct Rows {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    rows: i64,
}

/// What a counting query counts in a database of PostgreSQL.
pub async fn rows(database: &str, query: &str) -> i64 {
    let connected = tokio_postgres::connect(database, tokio_postgres::NoTls).await;
    let (client, connection) = connected.expect("PostgreSQL answers");
    actix_rt::spawn(connection);
    let set = client.batch_execute("SET search_path = matchmaker").await;
    set.expect("there is the schema");
    let counted = client.query_one(query, &[]).await;
    counted.expect("a number").get(0)
}

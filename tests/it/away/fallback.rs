//! The database was restored from a backup that is older than some sessions; Redis still has them.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, AsyncCommands, Client};
use tokio_postgres::NoTls;

use crate::harness::*;
use crate::servers;

/// Two servers' worth of databases on one Redis: what was written while `newer` was in use is not
/// in `older`.
struct Restored {
    newer: Backends,
    older: servers::PrivateDatabase,
}

impl Restored {
    fn new() -> Self {
        Self {
            newer: Backends::real(),
            older: servers::postgres().database(),
        }
    }

    async fn before(&self) -> Server {
        Options::on(self.newer.clone()).start().await
    }

    async fn after(&self) -> Server {
        let url = self.older.url();
        let options = Options::on(self.newer.clone()).with("DATABASE_URL", url);
        options.start().await
    }

    async fn redis(&self) -> MultiplexedConnection {
        let Backends::Real(neighbours) = &self.newer else {
            panic!("these are real backends");
        };
        let client = Client::open(neighbours.number.url()).expect("a URL of Redis");
        let connection = client.get_multiplexed_async_connection().await;
        connection.expect("Redis answers")
    }
}

async fn found_again(user: &User, session: &str) -> Value {
    eventually("the session is found again", async || {
        let reply = user.active_session().await;
        (reply.status == 200 && text(&reply.json, "session_id") == session).then_some(reply.json)
    })
    .await
}

#[actix_rt::test]
async fn a_session_that_only_redis_knows_is_found_again_for_its_members() {
    let restored = Restored::new();
    let before = restored.before().await;
    let pair = scenes::pair(&before, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let active = pair.second.active_session().await;
    let read = before.session(&session).await;
    before.terminate().await;

    let server = restored.after().await;
    let [ada, bob, eve] = ["ada", "bob", "eve"].map(|name| server.user(name));
    let again = found_again(&bob, &session).await;

    assert_eq!(again["question"], active.expect(200)["question"]);
    assert_eq!(again["partner_id"], "ada");
    let match_id = text(&again, "match_id");
    let status = server.match_status(match_id).await;
    assert_eq!(status.expect(200)["session_id"], session.as_str());
    assert_eq!(*server.session(&session).await.expect(200), read.json);
    let screen = bob.connect().await;
    let stranger = eve.leave(&session).await;
    stranger.expect_error(404, "Session not found");
    for _ in 0..2 {
        let left = ada.leave(&session).await;
        assert_eq!(*left.expect(200), json!({"status": "left"}));
    }
    let told = screen.next_event("partner_left").await;
    assert_eq!(text(&told, "user_id"), "ada");
    let gone = ada.active_session().await;
    gone.expect_error(404, "No active session");
    found_again(&bob, &session).await;
    // It is an open session, so nobody is kept from asking for the next partner.
    ada.ask("Easy", "Array").await.expect(200);
}

#[actix_rt::test]
async fn a_lost_session_is_found_although_its_key_was_rewritten_without_its_members() {
    let restored = Restored::new();
    let before = restored.before().await;
    let pair = scenes::pair(&before, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    let active = pair.second.active_session().await.expect(200).clone();
    let mut redis = restored.redis().await;
    // As the collaboration service does with every message.
    let question = json!({"id": active["question"]["id"]});
    let rewritten = json!({"question": question, "code": "x = 1", "chat": ["hi"]}).to_string();
    let set: Result<(), _> = redis.set(&session, &rewritten).await;
    set.expect("Redis takes it");
    before.terminate().await;

    let server = restored.after().await;
    let [ada, bob] = ["ada", "bob"].map(|name| server.user(name));
    let again = found_again(&bob, &session).await;

    assert_eq!(again, active, "the match's id and the question as well");
    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["session_id"], session.as_str());
    let read = server.session(&session).await.expect(200).clone();
    assert_eq!(read["code"], "x = 1");
    assert_eq!(read["users"], json!(["ada", "bob"]));
    assert_eq!(read["question"], active["question"]);
    let screen = bob.connect().await;
    ada.leave(&session).await.expect(200);
    let told = screen.next_event("partner_left").await;
    assert_eq!(text(&told, "user_id"), "ada");
    let key: String = redis.get(&session).await.expect("it is there");
    let key: Value = serde_json::from_str(&key).expect("it is JSON");
    assert_eq!(key["left_users"], json!(["ada"]));
    assert_eq!(key["chat"], json!(["hi"]));

    // Who has left is known even where the key is rewritten afterwards.
    let set: Result<(), _> = redis.set(&session, &rewritten).await;
    set.expect("Redis takes it");
    server.restart().await;
    found_again(&bob, &session).await;
    ada.active_session().await.expect(404);
}

#[actix_rt::test]
async fn the_key_of_a_session_that_was_found_is_written_again_where_redis_lost_it() {
    let restored = Restored::new();
    let before = restored.before().await;
    let pair = scenes::pair(&before, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    before.terminate().await;
    let server = restored.after().await;
    let bob = server.user("bob");
    found_again(&bob, &session).await;

    let mut redis = restored.redis().await;
    let flushed = redis::cmd("FLUSHDB").query_async(&mut redis).await;
    let () = flushed.expect("Redis answers");

    let key = eventually("the session's key is there again", async || {
        redis
            .clone()
            .get::<_, Option<String>>(&session)
            .await
            .ok()?
    })
    .await;
    let key: Value = serde_json::from_str(&key).expect("it is JSON");
    assert_eq!(key["users"], json!(["ada", "bob"]));
    server.restart().await;
    found_again(&bob, &session).await;
}

#[actix_rt::test]
async fn who_has_left_a_session_that_only_redis_knows_is_known_after_a_restart() {
    let restored = Restored::new();
    let before = restored.before().await;
    let pair = scenes::pair(&before, "ada", "bob", "Array").await;
    let session = pair.open_session().await;
    pair.first.leave(&session).await.expect(200);
    let both = scenes::pair(&before, "cleo", "dan", "Graph").await;
    let over = both.open_session().await;
    both.first.leave(&over).await.expect(200);
    both.second.leave(&over).await.expect(200);
    before.terminate().await;

    let server = restored.after().await;
    let [ada, bob, cleo] = ["ada", "bob", "cleo"].map(|name| server.user(name));
    found_again(&bob, &session).await;
    ada.active_session().await.expect(404);
    cleo.active_session().await.expect(404);
    bob.leave(&session).await.expect(200);
    server.restart().await;

    let mark = scenes::pair(&server, "x", "y", "Heap").await;
    mark.open_session().await;
    bob.active_session().await.expect(404);
}

#[actix_rt::test]
async fn a_key_that_a_match_names_is_no_session_that_was_lost() {
    let restored = Restored::new();
    let server = restored.after().await;
    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let (client, connection) = tokio_postgres::connect(&restored.older.url(), NoTls)
        .await
        .expect("PostgreSQL answers");
    let _connection = tokio::spawn(connection);
    let row = client
        .query_one("SELECT session_id::text FROM matchmaker.matches", &[])
        .await
        .expect("there is one match");
    let of_match: String = row.get(0);
    let lost = "0b5c2c6e-5a5e-4c0e-9d0b-2f4f4c2f9f11";
    let value = |users: [&str; 2]| {
        let question = json!({"id": 1, "title": "Two Sum", "difficulty": "easy", "topics": []});
        json!({"question": question, "code": "", "language": "python", "users": users}).to_string()
    };
    let mut redis = restored.redis().await;
    for (id, users) in [(of_match.as_str(), ["ada", "bob"]), (lost, ["cleo", "dan"])] {
        let set: Result<(), _> = redis.set_ex(id, value(users), 600).await;
        set.expect("Redis takes it");
    }

    server.restart().await;

    let found = found_again(&server.user("cleo"), lost).await;
    assert_eq!(text(&found, "match_id"), lost, "nothing knows its match");
    pair.first.active_session().await.expect(404);
    server.session(&of_match).await.expect(404);
    let status = server.match_status(&pair.match_id).await;
    assert_eq!(status.expect(200)["confirm_status"], false);
}

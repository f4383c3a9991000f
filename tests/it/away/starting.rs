//! SIGKILL while the server starts: the next start takes up where it ended.

use std::time::Duration;

use deadpool_redis::redis::{self, AsyncCommands};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::looks::{Ways, redis_at, shared_neighbours};
use super::nothing_broken;
use crate::api::crash::under_load::variable;
use crate::harness::*;

/// How the last migration is taken back.
const BACK: &str =
    include_str!("../../../migrations/postgres/2026-12-02-000000_recently_ended/down.sql");

#[actix_rt::test]
async fn a_server_that_is_killed_in_the_middle_of_a_migration_starts_again() {
    let neighbours = shared_neighbours();
    let url = neighbours.database.url();
    let database = Database::Postgres(url.clone());
    let server = Options::on(Backends::from(neighbours)).start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    server.kill();
    // As a start leaves it that ended between the first migration and the second.
    let forget = "DELETE FROM __diesel_schema_migrations WHERE version = '20261202000000'";
    database.run(&format!("{BACK} {forget}")).await;
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .expect("PostgreSQL answers");
    actix_rt::spawn(connection);
    // Its last statement waits for this.
    let lock = "BEGIN; LOCK TABLE matchmaker.matches IN ROW EXCLUSIVE MODE";
    client.batch_execute(lock).await.expect("the lock is free");

    server.start_until("");
    let waits = "SELECT 'it waits' AS text FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE datname = current_database() AND NOT granted
            AND pg_locks.relation = 'matches'::regclass";
    eventually("the migration waits for the lock", async || {
        (!database.texts(waits).await.is_empty()).then_some(())
    })
    .await;
    server.kill();
    client
        .batch_execute("COMMIT")
        .await
        .expect("it is given up");
    server.restart().await;

    assert_eq!(ada.state(&ticket).await, "pending");
    let indexes = "SELECT indexname::text AS text FROM pg_indexes
        WHERE indexname IN ('matches_given_up', 'sessions_left') ORDER BY indexname";
    let there = database.texts(indexes).await;
    assert_eq!(there, ["matches_given_up", "sessions_left"]);
    let pair = scenes::pair(&server, "bob", "cleo", "Graph").await;
    pair.open_session().await;
    nothing_broken(&server).await;
}

#[actix_rt::test]
async fn a_first_start_that_is_killed_at_any_moment_is_made_up_for_by_the_next() {
    let seed: u64 = variable("KILL_SEED").unwrap_or_else(|| rand::rng().random());
    let rounds: u64 = variable("KILL_ROUNDS").unwrap_or(5);
    println!("KILL_SEED={seed} KILL_ROUNDS={rounds}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = Options::on(Backends::Embedded).start().await;

    for round in 0..rounds {
        server.kill();
        let folder = server.database_file();
        let folder = folder.parent().expect("it is in a folder");
        std::fs::remove_dir_all(folder).expect("it is ours");
        server.start_until("");
        eventually("the file is made", async || {
            server.database_file().exists().then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..40))).await;
        server.restart().await;

        let pair = scenes::pair(&server, "ada", "bob", &format!("round {round}")).await;
        pair.open_session().await;
    }
}

#[actix_rt::test]
async fn a_server_that_is_killed_before_redis_was_put_right_leaves_that_to_the_next_start() {
    let neighbours = shared_neighbours();
    let mut redis = redis_at(&neighbours.number.url()).await;
    let ways = Ways::to(&neighbours);
    ways.open();
    let server = ways.options(neighbours).start().await;
    let (ada, bob) = (server.user("ada"), server.user("bob"));
    let ticket = ada.open_ticket("Easy", "Array").await;
    let mirrored = async |redis: &mut _| -> Vec<String> {
        let read = redis::cmd("ZRANGE")
            .arg("matching_queue:easy:array")
            .arg(0)
            .arg(-1)
            .to_owned();
        read.query_async(redis).await.expect("Redis answers")
    };
    eventually("the ticket is mirrored", async || {
        (mirrored(&mut redis).await == [ticket.clone()]).then_some(())
    })
    .await;
    server.kill();
    // What an earlier run has left, and what it did not come to write.
    let surplus = uuid::Uuid::new_v4().to_string();
    let queue = "matching_queue:easy:array";
    let () = redis.zadd(queue, &surplus, 1).await.expect("Redis answers");
    let () = redis.zrem(queue, &ticket).await.expect("Redis answers");

    ways.redis.freeze();
    server.restart().await;
    assert_eq!(ada.state(&ticket).await, "pending");
    server.kill();
    assert_eq!(mirrored(&mut redis).await, [surplus]);
    ways.redis.open();
    server.restart().await;

    eventually("the mirror is exact", async || {
        (mirrored(&mut redis).await == [ticket.clone()]).then_some(())
    })
    .await;
    let partners = bob.open_ticket("Easy", "Array").await;
    assert_eq!(ada.matched(&ticket).await, bob.matched(&partners).await);
    nothing_broken(&server).await;
}

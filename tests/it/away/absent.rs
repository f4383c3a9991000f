//! Servers that are not there yet when this one starts: it waits, says for what, and goes on by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::looks::{Ways, awaits, shared_neighbours, waiting_for};
use crate::harness::*;
use crate::servers;

/// The port opens after 2 s at the latest; a debug build on a busy machine takes its time as well.
const OPENS_WITHIN: Duration = Duration::from_secs(4);

fn up(backend: &str) -> String {
    format!("matchmaker_backend_up{{backend=\"{backend}\"}}")
}

#[actix_rt::test]
async fn a_server_that_starts_before_all_others_says_what_it_waits_for_and_goes_on_by_itself() {
    let neighbours = shared_neighbours();
    let events = neighbours.vhost.url();
    let ways = Ways::to(&neighbours);
    let begun = Instant::now();
    let server = ways.options(neighbours).start_unready().await;
    assert!(
        is_in_time(begun.elapsed(), OPENS_WITHIN),
        "{:?}",
        begun.elapsed()
    );

    awaits(&server, 503, &["postgresql", "redis", "rabbitmq"]).await;
    let said = server.get("/readyz").await;
    let names = "it waits for PostgreSQL and Redis and RabbitMQ";
    assert!(
        text(said.expect(503), "detail").contains(names),
        "{}",
        said.text
    );
    server.get("/livez").await.expect(200);
    let ada = server.user("ada");
    ada.ask("Easy", "Array").await.expect(503);
    for path in ["/health", "/metrics", "/debug/actors", "/nowhere"] {
        server.get(path).await.expect(503);
    }
    for name in ["PostgreSQL", "Redis", "RabbitMQ"] {
        let line = format!("waiting for {name}: ");
        assert!(server.output().contains(&line), "{}", server.output());
    }

    ways.postgres.open();
    awaits(&server, 200, &["redis", "rabbitmq"]).await;
    assert_eq!(server.metric(&up("postgresql")).await, 1.0);
    assert_eq!(server.metric(&up("redis")).await, 0.0);
    assert_eq!(server.metric(&up("rabbitmq")).await, 0.0);
    let (pair, first, second) = scenes::pair_at_screens(&server, ["ada", "bob"], "Array").await;
    pair.first.confirm(&pair.match_id, true).await.expect(200);
    pair.second.confirm(&pair.match_id, true).await.expect(503);

    ways.redis.open();
    awaits(&server, 200, &["rabbitmq"]).await;
    let session = first.next_event("match_ready").await["session_id"].clone();
    assert_eq!(
        second.next_event("match_ready").await["session_id"],
        session
    );

    ways.rabbitmq.open();
    awaits(&server, 200, &[]).await;
    assert_eq!(server.metric(&up("rabbitmq")).await, 1.0);
    let mut collaboration = hear(&events).await.expect("it is up");
    let event: Value = serde_json::from_str(&collaboration.bodies(1).await[0]).expect("JSON");
    assert_eq!(event["session_id"], session);
}

#[actix_rt::test]
async fn a_server_that_goes_away_later_is_named_until_it_is_back() {
    let neighbours = shared_neighbours();
    let ways = Ways::to(&neighbours);
    ways.open();
    let server = ways.options(neighbours).start().await;
    awaits(&server, 200, &[]).await;

    ways.redis.shut();
    ways.rabbitmq.shut();
    awaits(&server, 200, &["redis", "rabbitmq"]).await;
    ways.postgres.shut();
    awaits(&server, 503, &["postgresql", "redis", "rabbitmq"]).await;
    eventually("the database is counted as away", async || {
        (server.metric(&up("postgresql")).await == 0.0).then_some(())
    })
    .await;
    server.user("ada").ask("Easy", "Array").await.expect(503);

    ways.open();
    awaits(&server, 200, &[]).await;
    server.user("ada").open_ticket("Easy", "Array").await;
    let said = server.output();
    for name in ["PostgreSQL", "Redis", "RabbitMQ"] {
        assert_eq!(
            said.matches(&format!("{name} answers")).count(),
            2,
            "{said}"
        );
    }
}

#[actix_rt::test]
async fn a_server_that_starts_while_the_database_can_only_be_read_waits_until_it_can_write() {
    let neighbours = Arc::new(shared_neighbours());
    neighbours.database.is_only_read(true);
    let options = Options::on(Backends::Real(Arc::clone(&neighbours)));
    let server = options.start_unready().await;
    awaits(&server, 503, &["postgresql"]).await;

    neighbours.database.is_only_read(false);

    awaits(&server, 200, &[]).await;
    server.user("ada").open_ticket("Easy", "Array").await;
}

#[actix_rt::test]
async fn a_wrong_password_is_named_and_not_told() {
    let neighbours = shared_neighbours();
    let wrong = |url: String| url.replace(servers::PASSWORD, "not-the-password");
    let database = wrong(neighbours.database.url());
    let (redis, rabbitmq) = (
        wrong(neighbours.number.url()),
        wrong(neighbours.vhost.url()),
    );
    let options = Options::on(Backends::from(neighbours));
    let refused = options.clone().with("DATABASE_URL", database);
    let folder = new_folder();
    let server = options
        .with("REDIS_URL", redis)
        .with("RABBITMQ_URL", rabbitmq)
        .start()
        .await;

    let exit = refused.run_to_exit(folder.path(), &[]).await;
    assert_eq!(exit.status.code(), Some(1), "{exit:?}");
    assert!(
        exit.output.contains("does not let us in"),
        "{}",
        exit.output
    );
    assert!(exit.output.contains("password"), "{}", exit.output);
    awaits(&server, 200, &["redis", "rabbitmq"]).await;
    let said = server.output();
    let reason = |name: &str| {
        let line = said.lines().find(|line| line.contains(name));
        line.unwrap_or_else(|| panic!("{name} is not named:\n{said}"))
            .to_lowercase()
    };
    assert!(reason("waiting for Redis: ").contains("password"), "{said}");
    assert!(
        reason("waiting for RabbitMQ: ").contains("refused"),
        "{said}"
    );
    for output in [&exit.output, &said] {
        assert!(!output.contains("not-the-password"), "{output}");
    }
    server.user("ada").open_ticket("Easy", "Array").await;
    assert_eq!(waiting_for(&server).await.0, 200);
}

#[actix_rt::test]
async fn a_server_that_waits_can_be_stopped() {
    let neighbours = shared_neighbours();
    let ways = Ways::to(&neighbours);
    let server = ways.options(neighbours).start_unready().await;

    let (status, took) = server.terminate().await;

    assert_eq!(status.code(), Some(0), "{status}");
    assert!(is_in_time(took, Duration::from_secs(2)), "{took:?}");
}

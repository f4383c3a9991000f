//! The servers themselves: they start, answer, keep tests apart, and leave nothing behind.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use deadpool_redis::redis::{self, aio::MultiplexedConnection};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::harness::{Backends, Neighbours, Options, eventually, new_folder};
use crate::servers::process::has_ended;
use crate::servers::*;

/// What tells the test binary that it is to be killed while it holds servers.
const HOLD: &str = "HOLD_SERVERS";
/// How long a frozen server is given to answer nevertheless.
const FROZEN: Duration = Duration::from_millis(300);

async fn postgres_client(database: &PrivateDatabase) -> Client {
    let connected = tokio_postgres::connect(&database.url(), NoTls).await;
    let (client, connection) = connected.expect("PostgreSQL takes the URL");
    tokio::spawn(connection);
    client
}

async fn redis_client(number: &PrivateNumber) -> MultiplexedConnection {
    let client = redis::Client::open(number.url()).expect("the URL is one of Redis");
    let connection = client.get_multiplexed_async_connection().await;
    connection.expect("Redis takes the URL")
}

async fn channel(vhost: &PrivateVhost) -> (Connection, Channel) {
    let connected = Connection::connect(&vhost.url(), ConnectionProperties::default()).await;
    let connection = connected.expect("RabbitMQ takes the URL");
    let channel = connection.create_channel().await.expect("a channel");
    (connection, channel)
}

async fn declare(channel: &Channel, passive: bool) -> Result<(), lapin::Error> {
    let options = QueueDeclareOptions {
        passive,
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let declared = channel.queue_declare("letters".into(), options, FieldTable::default());
    declared.await.map(drop)
}

async fn set(client: &mut MultiplexedConnection, key: &str) -> redis::RedisResult<String> {
    redis::cmd("SET").arg(key).arg(1).query_async(client).await
}

async fn exists(client: &mut MultiplexedConnection, key: &str) -> bool {
    let command = redis::cmd("EXISTS").arg(key).query_async(client).await;
    command.expect("Redis answers")
}

#[tokio::test]
async fn a_database_belongs_to_one_test_and_is_dropped() {
    let (one, other) = (postgres().database(), postgres().database());
    let client = postgres_client(&one).await;
    let created = client.batch_execute("CREATE TABLE letters (id int)").await;
    created.expect("a table is created");

    let elsewhere = postgres_client(&other).await;

    let found = elsewhere.batch_execute("SELECT * FROM letters").await;
    assert!(found.is_err(), "another test's table is seen");
    let name = one.url().rsplit('/').next().map(str::to_owned);
    drop(one);
    eventually("the database is dropped", async || {
        let named = "SELECT 1 FROM pg_database WHERE datname = $1";
        let rows = elsewhere.query(named, &[&name]).await;
        rows.expect("PostgreSQL answers").is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_logical_database_belongs_to_one_test_and_is_emptied() {
    let server = Redis::own();
    let (one, other) = (server.number(), server.number());
    let mut client = redis_client(&one).await;
    set(&mut client, "letter").await.expect("Redis answers");

    let mut elsewhere = redis_client(&other).await;

    assert!(exists(&mut client, "letter").await);
    assert!(!exists(&mut elsewhere, "letter").await);
    drop(one);
    eventually("the logical database is emptied", async || {
        (!exists(&mut client, "letter").await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_virtual_host_belongs_to_one_test_and_is_deleted() {
    let (one, other) = (rabbitmq().vhost(), rabbitmq().vhost());
    let (_connection, here) = channel(&one).await;
    declare(&here, false).await.expect("a queue is declared");

    let (_elsewhere, there) = channel(&other).await;

    declare(&here, true).await.expect("the queue is there");
    let found = declare(&there, true).await;
    assert!(found.is_err(), "another test's queue is seen");
    let exists = format!(
        "rabbit_vhost:exists(<<\"{}\">>).",
        one.url().rsplit('/').next().expect("a URL has slashes")
    );
    assert_eq!(rabbitmq().evaluate(&exists), "true");
    drop(one);
    eventually("the virtual host is deleted", async || {
        (rabbitmq().evaluate(&exists) == "false").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_postgres_comes_back_with_what_it_committed() {
    let server = Postgres::own();
    let database = server.database();
    let client = postgres_client(&database).await;
    let created = client.batch_execute("CREATE TABLE letters (id int)").await;
    created.expect("a table is created");

    server.kill();
    let while_away = client.batch_execute("SELECT 1").await;
    server.restart().await;

    assert!(while_away.is_err());
    let client = postgres_client(&database).await;
    let found = client.batch_execute("SELECT * FROM letters").await;
    found.expect("the table is there");
    server.stop();
    server.restart().await;
    postgres_client(&database).await;
}

#[tokio::test]
async fn a_paused_postgres_says_nothing_and_goes_on_later() {
    let server = Postgres::own();
    let database = server.database();
    let client = postgres_client(&database).await;

    server.pause();
    let frozen = timeout(FROZEN, client.simple_query("SELECT 1")).await;
    server.resume();

    assert!(frozen.is_err(), "it answered");
    let answer = client.simple_query("SELECT 1").await;
    answer.expect("the same connection goes on");
}

#[tokio::test]
async fn a_killed_redis_comes_back_with_its_keys_or_empty() {
    let server = Redis::own();
    let number = server.number();
    let mut client = redis_client(&number).await;
    set(&mut client, "letter").await.expect("Redis answers");

    server.kill();
    let while_away = set(&mut client, "second").await;
    server.restart().await;

    assert!(while_away.is_err());
    assert!(exists(&mut redis_client(&number).await, "letter").await);
    server.restart_empty().await;
    assert!(!exists(&mut redis_client(&number).await, "letter").await);
}

#[tokio::test]
async fn a_paused_redis_says_nothing_and_goes_on_later() {
    let server = Redis::own();
    let number = server.number();
    let mut client = redis_client(&number).await;

    server.pause();
    let frozen = timeout(FROZEN, set(&mut client, "letter")).await;
    server.resume();

    assert!(frozen.is_err(), "it answered");
    eventually("what was sent meanwhile is done", async || {
        exists(&mut redis_client(&number).await, "letter")
            .await
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rabbitmq_can_be_paused_and_comes_back_with_its_letters_after_a_kill() {
    let server = RabbitMq::own();
    let vhost = server.vhost();
    let (_connection, here) = channel(&vhost).await;
    declare(&here, false).await.expect("a queue is declared");
    // A broker keeps what it was told of queues in memory for two seconds.
    assert_eq!(server.evaluate("mnesia:sync_log()."), "ok");

    server.pause();
    let frozen = timeout(FROZEN, declare(&here, true)).await;
    server.resume();
    publish(&here).await;
    server.kill();
    let while_away = Connection::connect(&vhost.url(), ConnectionProperties::default()).await;
    server.restart().await;

    assert!(frozen.is_err(), "it answered");
    assert!(while_away.is_err());
    let (_connection, here) = channel(&vhost).await;
    let letter = here.basic_get("letters".into(), BasicGetOptions::default());
    let letter = letter.await.expect("RabbitMQ answers");
    assert_eq!(letter.expect("the letter is there").data, b"dear Bob");
}

async fn publish(channel: &Channel) {
    let confirmed = channel.confirm_select(ConfirmSelectOptions::default());
    confirmed.await.expect("confirms are switched on");
    let sent = channel.basic_publish(
        "".into(),
        "letters".into(),
        BasicPublishOptions::default(),
        b"dear Bob",
        BasicProperties::default().with_delivery_mode(2),
    );
    let confirmed = sent.await.expect("it is sent").await;
    assert!(confirmed.expect("it is confirmed").is_ack());
}

#[tokio::test]
async fn servers_for_measuring_are_durable_and_keep_to_the_folder_that_one_names() {
    let folder = new_folder();
    // The servers' account has to get in.
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("it is ours");

    let postgres = Postgres::in_production(folder.path());
    let redis = Redis::in_production(folder.path());
    let rabbitmq = RabbitMq::in_production(folder.path());

    let processes = [postgres.process(), redis.process(), rabbitmq.process()];
    for process in processes {
        assert!(process.folder().at("").starts_with(folder.path()));
    }
    let original = postgres.database();
    let client = postgres_client(&original).await;
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await;
        let value: String = row.expect("PostgreSQL answers").get(0);
        assert_eq!((setting, value.as_str()), (setting, "on"));
    }
    let created = client.batch_execute("CREATE TABLE letters (id int)").await;
    created.expect("a table is created");
    assert!(postgres.copy(&original).is_err(), "somebody is connected");
    drop(client);
    let copy = eventually("nobody is connected", async || {
        postgres.copy(&original).ok()
    })
    .await;
    let found = postgres_client(&copy).await;
    let found = found.batch_execute("SELECT * FROM letters").await;
    found.expect("the copy has the table");
}

#[tokio::test]
async fn real_backends_are_three_urls_that_the_program_understands() {
    let folder = new_folder();
    let neighbours = Neighbours {
        database: postgres().database(),
        number: redis().number(),
        vhost: rabbitmq().vhost(),
    };
    let options = Options::on(Backends::from(neighbours));

    let exit = options.run_to_exit(folder.path(), &["check-config"]).await;

    let port = format!("127.0.0.1:{}", rabbitmq().port());
    assert!(exit.output.contains(&port), "{}", exit.output);
    assert!(!exit.output.contains(PASSWORD), "{}", exit.output);
}

#[tokio::test]
async fn nothing_stays_behind_when_the_test_process_is_killed() {
    let mut holder = Command::new(std::env::current_exe().expect("this program has a path"))
        .args(["--exact", "backends::servers::holds_servers", "--nocapture"])
        .env(HOLD, "yes")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary starts");
    let output = BufReader::new(holder.stdout.take().expect("stdout is piped"));
    let held = output.lines().map_while(Result::ok).find_map(|line| {
        let (_, held) = line.split_once("held: ")?;
        Some(held.split(' ').map(str::to_owned).collect::<Vec<_>>())
    });
    let held = held.expect("it says what it holds");
    let (ids, folders): (Vec<_>, Vec<_>) =
        held.iter().partition(|word| word.parse::<u32>().is_ok());
    let ids: Vec<u32> = ids.iter().filter_map(|id| id.parse().ok()).collect();
    assert_eq!((ids.len(), folders.len()), (4, 4), "{held:?}");
    assert!(!ids.iter().any(|id| has_ended(*id)), "{held:?}");

    holder.kill().expect("a child can be killed");
    holder.wait().expect("a killed child ends");

    eventually("processes and folders are gone", async || {
        let gone = ids.iter().all(|id| has_ended(*id))
            && !folders.iter().any(|folder| Path::new(folder).exists());
        gone.then_some(())
    })
    .await;
}

/// Holds servers until it is killed, when another test starts it for that; else nothing.
#[test]
fn holds_servers() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    start_all();
    // A killed server has nobody of its own who tidies up.
    let (killed, paused) = (Redis::own(), Postgres::own());
    let processes = [
        postgres().process(),
        redis().process(),
        rabbitmq().process(),
        paused.process(),
    ];
    let ids = processes.map(|process| process.id().to_string());
    let folders = processes.map(|process| process.folder().at("").display().to_string());
    killed.kill();
    paused.pause();
    println!("held: {} {}", ids.join(" "), folders.join(" "));
    loop {
        std::thread::park();
    }
}

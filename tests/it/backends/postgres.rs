//! What only PostgreSQL does: how statements are run, whom it shares a database with, how it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel_async::AsyncMigrationHarness;
use diesel_migrations::MigrationHarness;
use matchmaker::domain::{Side, TicketOutcome, Write, WriteOutcome};
use matchmaker::ports::{Clock, LiveState, Records, Store};
use matchmaker::store::{
    POSTGRES_MIGRATIONS, PostgresOpenError, PostgresOptions, PostgresStore, Runtimes,
    StoredHistory, StoredOutbox,
};
use tokio_postgres::Client;

use super::subject::{
    StoppedClock, Subject, admin, at_ms, confirm, connect, open_on_postgres, ticket, ticket_id,
    up_to_match, up_to_session,
};
use crate::harness::is_in_time;
use crate::servers::{self, PASSWORD, Postgres, PrivateDatabase};

pub(super) async fn texts(client: &Client, query: &str) -> Vec<String> {
    let rows = client.query(query, &[]).await.expect(query);
    rows.iter().map(|row| row.get(0)).collect()
}

pub(super) async fn open_error(url: &str) -> PostgresOpenError {
    let clock: Arc<dyn Clock> = StoppedClock::at(0);
    let options = PostgresOptions::default();
    let opened = PostgresStore::open(url, options, &clock, &Runtimes::current()).await;
    opened.err().expect("this cannot be opened")
}

/// How each statement with so many parameters is run by a connection that writes, on fresh tables.
async fn assert_walks_along_indexes(statements: impl Iterator<Item = (String, usize)>) {
    let store = Subject::on_postgres().await;
    let client = admin(store.database()).await;
    client
        .batch_execute("SET search_path = matchmaker")
        .await
        .expect("a setting");
    for (name, value) in PostgresStore::WRITER_SETTINGS {
        client
            .batch_execute(&format!("SET {name} = '{value}'"))
            .await
            .expect(name);
    }

    for (number, (statement, parameters)) in statements.enumerate() {
        let prepare = format!("PREPARE s{number} AS {statement}");
        client.batch_execute(&prepare).await.expect(&statement);
        let nulls = vec!["NULL"; parameters].join(", ");
        let plan = texts(&client, &format!("EXPLAIN EXECUTE s{number} ({nulls})")).await;
        let plan = plan.join("\n");

        for bad in [
            "Seq Scan",
            "Hash Join",
            "Merge Join",
            "Bitmap",
            "Join Filter",
            "Materialize",
        ] {
            assert!(!plan.contains(bad), "{bad} in {statement}\n{plan}");
        }
        // Each walk along an index begins at a value, and does not read all of the index.
        let lines: Vec<&str> = plan.lines().collect();
        for (at, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.contains("Index"))
        {
            let is_scan = line.contains("Scan using");
            let next = lines.get(at + 1).copied().unwrap_or_default();
            assert!(
                !is_scan || next.contains("Index Cond"),
                "{statement}\n{plan}"
            );
        }
    }
}

#[tokio::test]
async fn every_statement_walks_along_an_index_on_fresh_tables() {
    let statements = PostgresStore::statements();
    let counted = statements.map(|text| {
        let parameters = text.matches('$').count();
        (text, parameters)
    });
    assert_walks_along_indexes(counted).await;
}

#[tokio::test]
async fn every_statement_that_removes_walks_along_an_index_on_fresh_tables() {
    let statements = StoredHistory::statements().into_iter();
    let counted = statements.map(|text| {
        let text = text.split(" -- binds").next().unwrap_or_default();
        (text.to_owned(), text.matches('$').count())
    });
    assert_walks_along_indexes(counted).await;
}

#[tokio::test]
async fn what_announces_many_times_a_second_walks_along_an_index_on_fresh_tables() {
    let statements = StoredOutbox::statements().into_iter();
    let counted = statements.map(|text| {
        let text = text.split(" -- binds").next().unwrap_or_default();
        (text.to_owned(), text.matches('$').count())
    });
    assert_walks_along_indexes(counted).await;
}

#[tokio::test]
async fn a_row_that_no_statement_writes_is_found_when_its_database_is_let_go() {
    let store = Subject::on_postgres().await;
    store.stores(up_to_session(1, [2, 3])).await;
    let client = admin(store.database()).await;
    let changes = async |statement: &str| {
        let statement = format!("UPDATE matchmaker.{statement}");
        client.batch_execute(&statement).await.expect("a row");
        store.database().broken().len()
    };

    assert_eq!(store.database().broken(), Vec::<String>::new());
    // Two tickets, one match, one session, one announcement.
    for (statement, broken) in [
        ("tickets SET match_id = NULL", 2),
        (
            "tickets SET match_id = (SELECT id FROM matchmaker.matches)",
            0,
        ),
        ("tickets SET ended_at_ms = NULL", 2),
        ("tickets SET ended_at_ms = 1", 0),
        ("matches SET state = 'open'", 1),
        (
            "matches SET state = 'in_session', confirmed_first = false",
            1,
        ),
        (
            "matches SET confirmed_first = true, confirmed_second = false",
            1,
        ),
        (
            "matches SET confirmed_second = true, second_user = first_user",
            1,
        ),
        ("sessions SET second_user = first_user", 2),
        ("sessions SET second_user = 'other', match_id = id", 2),
        ("outbox SET session_id = event_id", 3),
        (
            "matches SET second_user = 'other', second_ticket = first_ticket",
            3,
        ),
    ] {
        assert_eq!(changes(statement).await, broken, "{statement}");
    }
    let let_go = catch_unwind(AssertUnwindSafe(|| drop(store)));
    assert!(let_go.is_err());
}

#[tokio::test]
async fn tables_of_others_are_left_alone() {
    let database = servers::postgres().database();
    let client = admin(&database).await;
    let foreign = "CREATE TABLE public.tickets (id integer); INSERT INTO public.tickets VALUES (7);
        CREATE TABLE public.__diesel_schema_migrations (version text, run_on timestamp);";
    client.batch_execute(foreign).await.expect("foreign tables");
    let clock: Arc<dyn Clock> = StoppedClock::at(0);

    open_on_postgres(&database.url(), &clock).await;

    assert_eq!(
        texts(&client, "SELECT id::text FROM public.tickets").await,
        ["7"]
    );
    let ours = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'matchmaker' ORDER BY 1";
    let tables = [
        "__diesel_schema_migrations",
        "matches",
        "outbox",
        "sessions",
        "tickets",
    ];
    assert_eq!(texts(&client, ours).await, tables);
    let theirs = "SELECT count(*)::text FROM public.__diesel_schema_migrations";
    assert_eq!(texts(&client, theirs).await, ["0"]);
}

#[tokio::test]
async fn servers_that_start_together_bring_the_tables_up_to_date_once() {
    let database = Arc::new(servers::postgres().database());

    let servers = (0..6).map(|_| {
        let database = Arc::clone(&database);
        tokio::spawn(async move {
            let clock: Arc<dyn Clock> = StoppedClock::at(0);
            let options = PostgresOptions::default();
            PostgresStore::open(&database.url(), options, &clock, &Runtimes::current()).await
        })
    });
    for server in servers.collect::<Vec<_>>() {
        server.await.expect("no panic").expect("the store opens");
    }
}

/// A SQL type, as PostgreSQL names it.
fn pg_type(of_sqlite: &str, table: &str, column: &str) -> &'static str {
    match (of_sqlite, table, column) {
        ("BLOB", ..) => "uuid",
        ("TEXT", ..) => "text",
        (_, "tickets", "put_back") => "boolean",
        (_, "matches", "confirmed_first" | "confirmed_second" | "extended") => "boolean",
        (_, "tickets", "silences") => "smallint",
        _ => "bigint",
    }
}

#[tokio::test]
async fn the_schema_is_what_the_migrations_make() {
    let store = Subject::on_postgres().await;
    let client = admin(store.database()).await;

    for (table, described) in super::schema::described() {
        let query = format!(
            "SELECT column_name || ' ' || data_type || ' ' || is_nullable
            FROM information_schema.columns
            WHERE table_schema = 'matchmaker' AND table_name = '{table}' ORDER BY ordinal_position"
        );
        let expected = described.iter().map(|(name, kind, nullable)| {
            let nullable = if *nullable { "YES" } else { "NO" };
            format!("{name} {} {nullable}", pg_type(kind, table, name))
        });
        assert_eq!(
            texts(&client, &query).await,
            expected.collect::<Vec<_>>(),
            "{table}"
        );
    }
}

async fn objects(database: &PrivateDatabase) -> Vec<String> {
    let query = "SELECT c.relname || ':' || coalesce(pg_get_indexdef(c.oid), c.relkind::text)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'matchmaker' AND c.relkind IN ('r', 'i', 'S')
            AND c.relname NOT LIKE '\\_\\_diesel%' ORDER BY 1";
    let query = query.replace(
        "coalesce(pg_get_indexdef(c.oid), c.relkind::text)",
        "CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) ELSE c.relkind::text END",
    );
    texts(&admin(database).await, &query).await
}

#[tokio::test]
async fn migrations_can_be_reverted_where_there_are_rows_and_run_again() {
    let store = Subject::on_postgres().await;
    store.stores(up_to_session(1, [1, 2])).await;
    store.stores(up_to_match(2, [3, 4])).await;
    let first = objects(store.database()).await;
    store.close().await;

    let mut harness = AsyncMigrationHarness::new(connect(store.database()).await);
    let reverted = tokio::task::spawn_blocking(move || {
        let reverted = harness
            .revert_all_migrations(POSTGRES_MIGRATIONS)
            .map(|_| ());
        reverted.expect("the way down");
        harness
    });
    let mut harness = reverted.await.expect("no panic");
    let none = objects(store.database()).await;
    let again = tokio::task::spawn_blocking(move || {
        let again = harness
            .run_pending_migrations(POSTGRES_MIGRATIONS)
            .map(|_| ());
        again.expect("the way up again");
    });
    again.await.expect("no panic");

    assert_eq!(none, [""; 0]);
    assert!(first.len() >= 10);
    assert_eq!(objects(store.database()).await, first);
}

#[tokio::test]
async fn the_database_itself_refuses_what_must_not_be() {
    let store = Subject::on_postgres().await;
    store.stores(up_to_session(1, [1, 2])).await;
    store.stores(up_to_match(2, [3, 4])).await;
    let client = admin(store.database()).await;
    client
        .batch_execute("SET search_path = matchmaker")
        .await
        .expect("a setting");

    for (statement, because) in [
        (
            "UPDATE tickets SET user_id = 'user-4' WHERE user_id = 'user-3'",
            "23505",
        ),
        (
            "UPDATE tickets SET status = 'lost' WHERE user_id = 'user-3'",
            "23514",
        ),
        ("UPDATE tickets SET avoided = '{}'", "23514"),
        (
            "UPDATE matches SET state = 'over' WHERE state = 'open'",
            "23514",
        ),
        ("UPDATE sessions SET id = NULL", "23502"),
        ("UPDATE outbox SET body = '[]'", "23514"),
    ] {
        let refused = client.batch_execute(statement).await.expect_err(statement);

        let code = refused.code().map(tokio_postgres::error::SqlState::code);
        assert_eq!(code, Some(because), "{statement}");
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_without_the_password() {
    let database = servers::postgres().database();
    let missing = open_error(&database.url().replace("/test_", "/missing_")).await;
    let away = open_error("postgresql://u:secret@127.0.0.1:1/m").await;
    let no_tls = open_error(&format!("{}?sslmode=require", database.url())).await;

    assert!(
        matches!(missing, PostgresOpenError::Refused { .. }),
        "{missing:?}"
    );
    assert!(
        matches!(no_tls, PostgresOpenError::Refused { .. }),
        "{no_tls:?}"
    );
    assert!(away.is_away(), "{away:?}");
    for error in [missing, away, no_tls] {
        assert!(!error.to_string().contains("secret"), "{error}");
        assert!(!error.to_string().contains(PASSWORD), "{error}");
        assert!(
            error.to_string().starts_with("PostgreSQL at 127.0.0.1:"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_group_that_meets_a_lock_is_tried_again() {
    let store = Subject::on_postgres().await;
    store.stores(up_to_match(1, [1, 2])).await;
    let client = admin(store.database()).await;
    let lock = "BEGIN; SELECT FROM matchmaker.matches FOR UPDATE";
    client.batch_execute(lock).await.expect("the lock is free");

    let waiting = store.submit(confirm(1, Side::First), None);
    // Not in the same group: it is another worker's then.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let other = store.write(Write::OpenTicket(ticket(9))).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    client
        .batch_execute("COMMIT")
        .await
        .expect("the lock is given up");

    assert_eq!(other, WriteOutcome::Stored);
    assert_eq!(waiting.await, Ok(WriteOutcome::Stored));
}

/// What is read as live while a server that died has `begun` something and commits it in the middle.
async fn live_after_commit(store: &Subject, begun: &str) -> LiveState {
    let client = admin(store.database()).await;
    let ours = "SET application_name = 'matchmaker'; SET search_path = matchmaker; BEGIN";
    let begun = client.batch_execute(&format!("{ours}; {begun}")).await;
    begun.expect("no lock");
    let reading = tokio::spawn({
        let store = store.clone();
        async move { store.live().await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!reading.is_finished(), "it is waited for");
    client.batch_execute("COMMIT").await.expect("a commit");
    reading.await.expect("no panic")
}

#[tokio::test]
async fn what_a_dead_server_is_about_to_commit_is_read_as_well() {
    let store = Subject::on_postgres().await;
    store.stores(up_to_match(1, [1, 2])).await;

    let confirms = "UPDATE matches SET confirmed_second = true";
    let live = live_after_commit(&store, confirms).await;

    assert_eq!(live.matches[0].confirmed, [false, true]);
}

#[tokio::test]
async fn a_ticket_or_a_leave_that_a_dead_server_is_about_to_commit_is_read_as_well() {
    let store = Subject::on_postgres().await;
    store.stores(up_to_session(1, [1, 2])).await;
    store.stores([Write::OpenTicket(ticket(3))]).await;

    let opens = "INSERT INTO tickets SELECT (jsonb_populate_record(tickets,
            jsonb_build_object('id', gen_random_uuid(), 'user_id', 'somebody else'))).*
        FROM tickets WHERE status = 'waiting'";
    let opened = live_after_commit(&store, opens).await;
    let leaves = "UPDATE sessions SET left_first_ms = opened_at_ms";
    let left = live_after_commit(&store, leaves).await;

    let mut users = opened.tickets.iter().map(|ticket| ticket.user.as_str());
    assert!(users.any(|user| user == "somebody else"));
    assert_eq!(left.sessions[0].record.left, [true, false]);
}

#[tokio::test]
async fn connections_that_are_cut_are_made_again() {
    let store = Subject::on_postgres().await;
    let client = admin(store.database()).await;
    let cut = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";

    for number in 1..=5 {
        store.stores([Write::OpenTicket(ticket(number))]).await;
        assert_eq!(store.records().ping().await, Ok(()));
        texts(&client, cut).await;
        // The client hears of it a moment later; what is sent before has no known outcome then, and
        // is looked up.
        tokio::time::sleep(Duration::from_millis(20 * (number % 2))).await;
        let close = Write::CloseTicket {
            ticket: ticket_id(number),
            outcome: TicketOutcome::Withdrawn,
            at: at_ms(9_000),
        };
        store.stores([close]).await;
    }
    assert_eq!(store.live().await.tickets, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_said_within_a_second() {
    let server = Postgres::own();
    let database = server.database();
    let clock: Arc<dyn Clock> = StoppedClock::at(0);
    let opened = open_on_postgres(&database.url(), &clock).await;
    assert_eq!(opened.records.ping().await, Ok(()));

    server.kill();
    let began = Instant::now();
    let away = opened.records.ping().await;
    let (done, outcome) = tokio::sync::oneshot::channel();
    let done = Box::new(move |outcome| drop(done.send(outcome)));
    let write = Write::OpenTicket(ticket(1));
    opened.writer.submit(write, None, done);
    let outcome = outcome.await;

    assert!(away.is_err());
    assert_eq!(outcome, Ok(WriteOutcome::Unavailable));
    assert!(is_in_time(began.elapsed(), Duration::from_secs(1)));
}

#[tokio::test]
async fn a_server_on_this_machine_is_reached_over_its_unix_socket() {
    let postgres = servers::postgres();
    let database = postgres.database();
    let clock: Arc<dyn Clock> = StoppedClock::at(0);

    let opened = open_on_postgres(&postgres.url_by_socket(&database), &clock).await;

    assert_eq!(opened.records.ping().await, Ok(()));
}

//! Opening a store: what was acknowledged is there, and what cannot be opened says why.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use matchmaker::adapters::store::{SqliteOptions, SqliteStore, StoreOpenError};
use matchmaker::domain::{Side, TicketOutcome, Write};
use matchmaker::ports::{Clock, StoredStatus};
use tokio::runtime::Handle;

use crate::backends::subject::{
    StoppedClock, Subject, at_ms, confirm, match_id, session, session_id, ticket, ticket_id,
    up_to_match, up_to_session,
};

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_restart() {
    let before = Subject::fresh();
    before.stores(up_to_session(1, [1, 2])).await;
    before.stores(up_to_match(2, [3, 4])).await;
    before
        .stores([confirm(2, Side::Second), Write::OpenTicket(ticket(5))])
        .await;
    let withdraw = Write::CloseTicket {
        ticket: ticket_id(6),
        outcome: TicketOutcome::Withdrawn,
        at: at_ms(9_000),
    };
    before
        .stores([Write::OpenTicket(ticket(6)), withdraw])
        .await;
    let live_before = before.live().await;

    // Nothing is closed first: the file is as a killed server leaves it.
    let after = before.again();

    assert_eq!(after.live().await, live_before);
    assert_eq!(live_before.tickets, [ticket(5)]);
    assert_eq!(live_before.matches[0].id, match_id(2));
    assert_eq!(live_before.sessions[0].record.id, session_id(1));
    let withdrawn = StoredStatus::Closed(TicketOutcome::Withdrawn);
    assert_eq!(after.status(ticket_id(6)).await, Some(withdrawn));
}

#[tokio::test]
async fn the_newest_time_is_that_of_the_last_ticket_match_or_session() {
    let store = Subject::fresh();
    assert_eq!(store.live().await.newest, None);

    store.stores([Write::OpenTicket(ticket(77))]).await;
    assert_eq!(store.live().await.newest, Some(at_ms(77)));

    store.stores(up_to_match(1, [78, 79])).await;
    assert_eq!(store.live().await.newest, Some(at_ms(5_000)));

    store.stores(up_to_session(2, [80, 81])).await;
    let opened_at = session(2, [80, 81]).opened_at;
    assert_eq!(store.live().await.newest, Some(opened_at));
    for side in Side::BOTH {
        let leave = Write::LeaveSession {
            session: session_id(2),
            side,
            at: opened_at,
        };
        store.stores([leave]).await;
    }
    // Also where nothing of it is live any more.
    assert_eq!(store.live().await.newest, Some(opened_at));
}

async fn open_error(path: &Path) -> StoreOpenError {
    let clock: Arc<dyn Clock> = StoppedClock::at(0);
    let opened = SqliteStore::open(path, SqliteOptions::default(), &clock, &Handle::current());
    opened.err().expect("this cannot be opened")
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let place = tempfile::tempdir().expect("a temporary folder");
    fs::write(place.path().join("file"), "").expect("a file");
    let folder = place.path().join("file/data");

    let error = open_error(&folder.join("m.db")).await;

    assert!(matches!(&error, StoreOpenError::NoFolder { folder: named, .. } if *named == folder));
    let sentence = format!(
        "the folder {} for the database cannot be created",
        folder.display()
    );
    assert!(error.to_string().starts_with(&sentence), "{error}");
}

#[tokio::test]
async fn a_path_that_cannot_be_written_is_named() {
    let place = tempfile::tempdir().expect("a temporary folder");

    let error = open_error(place.path()).await;

    assert!(matches!(&error, StoreOpenError::NotWritable { path, .. } if path == place.path()));
    assert!(error.to_string().contains("must be writable"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let path = place.path().join("notes.txt");
    let text = "nothing that SQLite could read\n".repeat(100);
    fs::write(&path, &text).expect("a file");

    let error = open_error(&path).await;

    assert_eq!(error, StoreOpenError::NotADatabase { path: path.clone() });
    let sentence = format!("the file {} is not a SQLite database", path.display());
    assert_eq!(error.to_string(), sentence);
    assert_eq!(fs::read_to_string(&path).expect("still there"), text);
}

#[tokio::test]
async fn a_database_with_foreign_tables_of_our_names_is_said_to_be_so() {
    let store = Subject::fresh();
    store.close().await;
    let mut connection = store.sqlite();
    connection
        .batch_execute("DROP TABLE outbox; DELETE FROM __diesel_schema_migrations;")
        .expect("the tables can be spoilt");

    let path = store.path();
    let error = open_error(&path).await;

    assert!(matches!(error, StoreOpenError::Migration { .. }), "{error}");
    assert!(
        error.to_string().contains("cannot be brought up to date"),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_that_another_process_holds_is_said_to_be_locked() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let path = place.path().join("m.db");
    let mut other =
        <diesel::SqliteConnection as diesel::Connection>::establish(path.to_str().expect("UTF-8"))
            .expect("the file opens");
    other
        .batch_execute("BEGIN EXCLUSIVE")
        .expect("the lock is free");

    let error = open_error(&path).await;

    assert_eq!(error, StoreOpenError::Locked { path });
}

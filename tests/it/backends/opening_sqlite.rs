//! Opening a SQLite file: what cannot be opened says why.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use diesel::connection::SimpleConnection;
use matchmaker::ports::Clock;
use matchmaker::store::{Runtimes, SqliteOptions, SqliteStore, StoreOpenError};

use super::subject::{StoppedClock, Subject};

async fn open_error(path: &Path) -> StoreOpenError {
    let clock: Arc<dyn Clock> = StoppedClock::at(0);
    let opened = SqliteStore::open(path, SqliteOptions::default(), &clock, &Runtimes::current());
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
    let store = Subject::on_sqlite().await;
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

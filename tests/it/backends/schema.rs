//! `schema.rs` says of the tables what freshly migrated ones are; migrations go both ways.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, SmallInt, Text};
use diesel_migrations::MigrationHarness;
use matchmaker::store::SQLITE_MIGRATIONS;
use matchmaker::store::schema::{matches, outbox, sessions, sql_types::Id, tickets};

use super::subject::{Subject, up_to_match, up_to_session};

/// A column: its name, its type on SQLite, and whether it may be null.
pub type Described = (String, String, bool);

/// A SQL type, as SQLite names it.
trait Kind {
    const NAME: &'static str;
    const NULLABLE: bool = false;
}

impl Kind for Id {
    const NAME: &'static str = "BLOB";
}

impl Kind for Text {
    const NAME: &'static str = "TEXT";
}

impl Kind for BigInt {
    const NAME: &'static str = "INTEGER";
}

impl Kind for SmallInt {
    const NAME: &'static str = "INTEGER";
}

impl Kind for Bool {
    const NAME: &'static str = "INTEGER";
}

impl<T: Kind> Kind for Nullable<T>
where
    T: diesel::sql_types::SqlType,
{
    const NAME: &'static str = T::NAME;
    const NULLABLE: bool = true;
}

/// All columns of a table.
trait Columns {
    fn described(&self) -> Vec<Described>;
}

macro_rules! columns {
    ($($column:ident)+) => {
        impl<$($column: Column),+> Columns for ($($column,)+)
        where
            $($column::SqlType: Kind),+
        {
            fn described(&self) -> Vec<Described> {
                vec![$((
                    $column::NAME.to_owned(),
                    <$column::SqlType as Kind>::NAME.to_owned(),
                    <$column::SqlType as Kind>::NULLABLE,
                )),+]
            }
        }
    };
}

columns!(A B C D E F G H I);
columns!(A B C D E F G H I J K L);
columns!(A B C D E F G H I J K L M N);
columns!(A B C D E F G H I J K L M N O);

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Bool)]
    required: bool,
}

fn migrated() -> SqliteConnection {
    let mut connection = SqliteConnection::establish(":memory:").expect("memory is there");
    connection
        .batch_execute("PRAGMA foreign_keys = ON")
        .expect("a setting");
    connection
        .run_pending_migrations(SQLITE_MIGRATIONS)
        .expect("the migrations fit");
    connection
}

fn columns_of(table: &str, connection: &mut SqliteConnection) -> Vec<Described> {
    let query = "SELECT name, type AS kind, \"notnull\" AS required FROM pragma_table_info(?)";
    let found: Vec<Found> = diesel::sql_query(query)
        .bind::<Text, _>(table)
        .load(connection)
        .expect("the table's columns");
    let described = |column: Found| (column.name, column.kind, !column.required);
    found.into_iter().map(described).collect()
}

/// Every table and index, with the text that made it.
fn objects(connection: &mut SqliteConnection) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Object {
        #[diesel(sql_type = Text)]
        text: String,
    }
    let query = "SELECT name || ': ' || coalesce(sql, '') AS text FROM sqlite_master \
                 WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE '__diesel%' ORDER BY name";
    let found: Vec<Object> = diesel::sql_query(query)
        .load(connection)
        .expect("sqlite_master");
    found.into_iter().map(|object| object.text).collect()
}

/// Every table, as `schema.rs` describes it.
pub fn described() -> [(&'static str, Vec<Described>); 4] {
    [
        ("tickets", tickets::all_columns.described()),
        ("matches", matches::all_columns.described()),
        ("sessions", sessions::all_columns.described()),
        ("outbox", outbox::all_columns.described()),
    ]
}

#[test]
fn the_schema_is_what_the_migrations_make() {
    let mut connection = migrated();

    for (table, described) in described() {
        assert_eq!(described, columns_of(table, &mut connection), "{table}");
    }
}

#[test]
fn migrations_can_be_reverted_and_run_again() {
    let mut connection = migrated();
    let first = objects(&mut connection);

    connection
        .revert_all_migrations(SQLITE_MIGRATIONS)
        .expect("the way down");
    let reverted = objects(&mut connection);
    connection
        .run_pending_migrations(SQLITE_MIGRATIONS)
        .expect("the way up again");

    assert!(first.len() >= 4);
    assert_eq!(reverted, [""; 0]);
    assert_eq!(objects(&mut connection), first);
}

#[tokio::test]
async fn migrations_can_be_reverted_where_there_are_rows() {
    let store = Subject::on_sqlite().await;
    store.stores(up_to_session(1, [1, 2])).await;
    store.stores(up_to_match(2, [3, 4])).await;
    store.close().await;
    let mut connection = store.sqlite();
    connection
        .batch_execute("PRAGMA foreign_keys = ON")
        .expect("a setting");

    connection
        .revert_all_migrations(SQLITE_MIGRATIONS)
        .expect("the way down");

    assert_eq!(objects(&mut connection), [""; 0]);
}

#[tokio::test]
async fn the_database_itself_refuses_what_must_not_be() {
    let store = Subject::on_sqlite().await;
    store.stores(up_to_session(1, [1, 2])).await;
    store.stores(up_to_match(2, [3, 4])).await;
    let mut connection = store.sqlite();
    connection
        .batch_execute("PRAGMA foreign_keys = ON")
        .expect("a setting");

    for (statement, because) in [
        (
            "UPDATE tickets SET user_id = 'user-4' WHERE user_id = 'user-3'",
            "UNIQUE",
        ),
        (
            "UPDATE tickets SET match_id = randomblob(16) WHERE user_id = 'user-3'",
            "FOREIGN KEY",
        ),
        (
            "UPDATE tickets SET status = 'waiting' WHERE user_id = 'user-3'",
            "CHECK",
        ),
        (
            "UPDATE tickets SET status = 'lost' WHERE user_id = 'user-3'",
            "CHECK",
        ),
        ("UPDATE matches SET second_user = first_user", "CHECK"),
        (
            "UPDATE matches SET state = 'in_session', ended_at_ms = 1 WHERE state = 'open'",
            "CHECK",
        ),
        (
            "UPDATE sessions SET match_id = (SELECT id FROM matches WHERE state = 'open'), id = NULL",
            "NOT NULL",
        ),
        ("DELETE FROM tickets", "FOREIGN KEY"),
        ("DELETE FROM matches", "FOREIGN KEY"),
        ("DELETE FROM sessions", "FOREIGN KEY"),
        ("UPDATE outbox SET body = 'nonsense'", "CHECK"),
        (
            "INSERT INTO sessions SELECT randomblob(16), match_id, first_user, second_user, question_id, \
             question_title, question_difficulty, question_topics, opened_at_ms, ends_at_ms, NULL, NULL \
             FROM sessions",
            "UNIQUE",
        ),
    ] {
        let refused = connection
            .batch_execute(statement)
            .map_err(|error| error.to_string());

        let reason = refused.expect_err(statement);
        assert!(
            reason.contains(&format!("{because} constraint failed")),
            "{statement}: {reason}"
        );
    }
}

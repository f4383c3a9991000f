//! A server's database, whichever it is, read and changed behind the server's back.

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::sql_types::Text;
use diesel::{Connection, QueryableByName, RunQueryDsl, SqliteConnection};
use tokio_postgres::{Client, NoTls};

use super::{Backends, Server};

/// Where the rows are.
pub enum Database {
    /// In this file.
    Sqlite(PathBuf),
    /// In PostgreSQL, at this URL.
    Postgres(String),
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

impl Database {
    /// That of a server on these backends.
    pub fn of(server: &Server, backends: &Backends) -> Self {
        match backends {
            Backends::Embedded => Self::Sqlite(server.database_file()),
            Backends::Real(neighbours) => Self::Postgres(neighbours.database.url()),
        }
    }

    /// SQL that gives an id as it is written on the wire.
    pub fn id(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => {
                let part = |at, length| format!("substr(hex({column}), {at}, {length})");
                let parts = [(1, 8), (9, 4), (13, 4), (17, 4), (21, 12)];
                let parts = parts.map(|(at, length)| part(at, length));
                format!("lower({})", parts.join(" || '-' || "))
            }
            Self::Postgres(_) => format!("{column}::text"),
        }
    }

    /// What stands in the column `text` of what `query` gives.
    pub async fn texts(&self, query: &str) -> Vec<String> {
        match self {
            Self::Sqlite(path) => {
                let rows = diesel::sql_query(query).load(&mut sqlite(path));
                let rows: Vec<Row> = rows.expect(query);
                rows.into_iter().map(|row| row.text).collect()
            }
            Self::Postgres(url) => {
                let rows = postgres(url).await.query(query, &[]).await;
                let rows = rows.expect(query);
                rows.iter().map(|row| row.get("text")).collect()
            }
        }
    }

    /// Runs these statements.
    pub async fn run(&self, statements: &str) {
        match self {
            Self::Sqlite(path) => {
                let ran = sqlite(path).batch_execute(statements);
                ran.expect(statements);
            }
            Self::Postgres(url) => {
                let ran = postgres(url).await.batch_execute(statements).await;
                ran.expect(statements);
            }
        }
    }
}

fn sqlite(path: &std::path::Path) -> SqliteConnection {
    let path = path.to_str().expect("UTF-8");
    let mut connection = SqliteConnection::establish(path).expect("the file opens");
    let patience = connection.batch_execute("PRAGMA busy_timeout = 2000");
    patience.expect("a setting");
    connection
}

async fn postgres(url: &str) -> Client {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.expect("PostgreSQL answers");
    actix_rt::spawn(connection);
    let set = client.batch_execute("SET search_path = matchmaker").await;
    set.expect("there is the schema");
    client
}

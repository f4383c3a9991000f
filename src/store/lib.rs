//! The store: a writer that groups, conditional transactions that decide, and cold reads.
//!
//! Shared by both backends: the rows, the writer and the reads. Written once per backend: how one
//! group of writes becomes one transaction.

mod contradictions;
mod ended;
mod group;
mod history;
mod in_flight;
mod lanes;
mod live;
mod names;
mod outbox;
mod postgres;
mod records;
mod rows;
mod runtimes;
pub mod schema;
mod sqlite;
mod timeline;
mod worker;
mod worker_count;
mod writer;

pub use history::StoredHistory;
pub use outbox::StoredOutbox;
pub use postgres::{
    MIGRATIONS as POSTGRES_MIGRATIONS, PostgresOpenError, PostgresOptions, PostgresStore,
};
pub use records::StoredRecords;
pub use runtimes::Runtimes;
pub use sqlite::{MIGRATIONS as SQLITE_MIGRATIONS, SqliteOptions, SqliteStore, StoreOpenError};
pub use writer::{GroupError, GroupStore, Writer, WriterOptions};

use std::sync::Arc;

/// A store that was opened.
pub struct OpenedStore {
    /// Where facts become durable.
    pub writer: Arc<Writer>,
    /// What is stored.
    pub records: Arc<StoredRecords>,
}

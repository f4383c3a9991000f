//! What a server that died has left on its way to PostgreSQL.
//!
//! Its connections are gone, but a commit that waits for the disk goes on. What it stores must not
//! come after the next life has read what is live: memory would not know of it. A ticket that memory
//! does not know keeps its user out, and a confirmation makes the end of its match refused.

use std::collections::HashSet;
use std::time::Duration;

use diesel::sql_types::Text;
use diesel::{QueryResult, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use tokio::time::{Instant, sleep};
use tracing::warn;

/// How often it is looked whether they are done.
const STEP: Duration = Duration::from_millis(20);
/// How long they are waited for; longer than any statement of ours may take.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Transactions of any server of ours that have begun to write to what is read as live, or to lock
/// some of it first.
const WRITING: &str = "
SELECT pg_locks.virtualtransaction AS name
FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE pg_stat_activity.datname = current_database()
    AND pg_stat_activity.application_name = current_setting('application_name')
    AND pg_locks.relation IN ('tickets'::regclass, 'matches'::regclass, 'sessions'::regclass)
    AND pg_locks.mode IN ('RowShareLock', 'RowExclusiveLock')";

#[derive(QueryableByName)]
struct Transaction {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Waits until every transaction has ended that writes now; those that begin later are not of
/// anybody who died before.
pub(super) async fn see_ended(connection: &mut AsyncPgConnection) -> QueryResult<()> {
    let began = Instant::now();
    let mut going_on = writing(connection).await?;
    while !going_on.is_empty() {
        if began.elapsed() >= WAIT_MAX {
            warn!("a transaction goes on that began before this server: {going_on:?}");
            return Ok(());
        }
        sleep(STEP).await;
        let writing = writing(connection).await?;
        going_on.retain(|name| writing.contains(name));
    }
    Ok(())
}

async fn writing(connection: &mut AsyncPgConnection) -> QueryResult<HashSet<String>> {
    let found: Vec<Transaction> = diesel::sql_query(WRITING).load(connection).await?;
    Ok(found.into_iter().map(|found| found.name).collect())
}

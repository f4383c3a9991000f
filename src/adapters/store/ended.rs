//! What ended a short while ago: read once, when the server starts.

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

use super::records::{Pools, ReadError, SqliteReader, with_connection};
use super::rows::{self, SessionRow};
use crate::adapters::schema::{Id, matches, sessions};
use crate::domain::{Ending, SessionId, SessionRecord, Timestamp};

/// Rows among which is looked for the newest of a kind that no index knows. Ids are in the order of
/// time.
const NEWEST: i64 = 100_000;

fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Sessions that both have left before their time was over.
pub(super) async fn both_left(
    pools: &Pools,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<SessionRecord>, ReadError> {
    let rows: Vec<SessionRow> = with_connection!(pools, |connection| {
        let newest: Option<Id> = sessions::table
            .order(sessions::id.desc())
            .offset(NEWEST)
            .select(sessions::id)
            .first(connection)
            .await
            .optional()?;
        sessions::table
            .filter(sessions::id.gt(newest.unwrap_or(Id(Uuid::nil()))))
            .filter(sessions::left_first_ms.is_not_null())
            .filter(sessions::left_second_ms.is_not_null())
            .filter(sessions::ends_at_ms.gt(now.as_ms()))
            .order(sessions::id.desc())
            .limit(as_limit(limit))
            .select(SessionRow::as_select())
            .load(connection)
            .await?
    });
    // One that cannot be read is nothing that could be told.
    Ok(rows.iter().filter_map(|row| row.record().ok()).collect())
}

/// Sessions that were given up before they began.
pub(super) async fn given_up(
    pools: &Pools,
    since: Timestamp,
    limit: usize,
) -> Result<Vec<SessionId>, ReadError> {
    let ids: Vec<Id> = with_connection!(pools, |connection| {
        let newest: Option<Id> = matches::table
            .order(matches::id.desc())
            .offset(NEWEST)
            .select(matches::id)
            .first(connection)
            .await
            .optional()?;
        matches::table
            .filter(matches::id.gt(newest.unwrap_or(Id(Uuid::nil()))))
            .filter(matches::state.eq(rows::ended_state(Ending::QuestionUnavailable)))
            .filter(matches::ended_at_ms.gt(since.as_ms()))
            .order(matches::id.desc())
            .limit(as_limit(limit))
            .select(matches::session_id)
            .load(connection)
            .await?
    });
    Ok(ids.into_iter().map(SessionId::from).collect())
}

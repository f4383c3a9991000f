//! What ended a short while ago: read once, when the server starts.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::records::{Pools, ReadError, SqliteReader, with_connection};
use super::rows::SessionRow;
use crate::schema::{Id, matches, sessions};
use domain::{SessionId, SessionRecord, Timestamp};

fn as_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Sessions that both have left before their time was over; those that end last come first.
pub(super) async fn both_left(
    pools: &Pools,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<SessionRecord>, ReadError> {
    let rows: Vec<SessionRow> = with_connection!(pools, |connection| {
        sessions::table
            .filter(sessions::left_first_ms.is_not_null())
            .filter(sessions::left_second_ms.is_not_null())
            .filter(sessions::ends_at_ms.gt(now.as_ms()))
            .order((sessions::ends_at_ms.desc(), sessions::id.desc()))
            .limit(as_limit(limit))
            .select(SessionRow::as_select())
            .load(connection)
            .await?
    });
    // One that cannot be read is nothing that could be told.
    Ok(rows.iter().filter_map(|row| row.record().ok()).collect())
}

/// Sessions that were given up before they began; the last ones come first.
pub(super) async fn given_up(
    pools: &Pools,
    since: Timestamp,
    limit: usize,
) -> Result<Vec<SessionId>, ReadError> {
    let ids: Vec<Id> = with_connection!(pools, |connection| {
        matches::table
            // As the index has it: SQLite knows it again only as a literal.
            .filter(sql::<Bool>("state = 'question_unavailable'"))
            .filter(matches::ended_at_ms.gt(since.as_ms()))
            .order((matches::ended_at_ms.desc(), matches::id.desc()))
            .limit(as_limit(limit))
            .select(matches::session_id)
            .load(connection)
            .await?
    });
    Ok(ids.into_iter().map(SessionId::from).collect())
}

//! Writes about one ticket, each on its condition.

use diesel::prelude::*;
use diesel::{QueryResult, SqliteConnection};

use super::super::live::is_live;
use super::super::rows::{self, MATCHED, TicketRow, WAITING};
use super::unwritable;
use crate::schema::{Id, tickets};
use domain::{Refusal, Ticket, TicketId, TicketOutcome, Timestamp, WriteOutcome};

/// The live ticket of a user; a macro, so that a test can see how it would be run.
macro_rules! live_ticket_of {
    ($user:expr) => {
        tickets::table
            .filter(tickets::user_id.eq($user.as_str()))
            .filter(is_live())
            .select((tickets::id, tickets::status))
    };
}

/// A new waiting ticket, if its user has no live one.
pub(super) fn open(
    connection: &mut SqliteConnection,
    ticket: &Ticket,
) -> QueryResult<WriteOutcome> {
    if insert(connection, ticket)? {
        return Ok(WriteOutcome::Stored);
    }
    let stored_before = status_of(connection, ticket.id)?.is_some();
    if stored_before {
        return Ok(WriteOutcome::Stored);
    }
    already_live(connection, ticket).map(WriteOutcome::Refused)
}

/// The end of a ticket, if it still waits.
pub(super) fn close(
    connection: &mut SqliteConnection,
    ticket: TicketId,
    outcome: TicketOutcome,
    at: Timestamp,
) -> QueryResult<WriteOutcome> {
    if outcome == TicketOutcome::InSession {
        // A session is opened by a write of its own, never for one ticket alone.
        return Ok(WriteOutcome::Refused(Refusal::NotOpen));
    }
    let status = rows::ended_status(outcome);
    let closed = diesel::update(tickets::table.find(Id::from(ticket)))
        .filter(tickets::status.eq(WAITING))
        .set((
            tickets::status.eq(status),
            tickets::ended_at_ms.eq(at.as_ms()),
        ))
        .execute(connection)?;
    let stored = closed == 1 || status_of(connection, ticket)?.as_deref() == Some(status);
    Ok(stored_or_not_waiting(stored, ticket))
}

/// The end of a waiting ticket and the beginning of another of the same user, if the old one still
/// waits.
pub(super) fn replace(
    connection: &mut SqliteConnection,
    old: TicketId,
    new: &Ticket,
) -> QueryResult<WriteOutcome> {
    if status_of(connection, new.id)?.is_some() {
        return Ok(WriteOutcome::Stored);
    }
    // The user's only live ticket is the old one: once that is closed, the new one has no rival.
    let closed = diesel::update(tickets::table.find(Id::from(old)))
        .filter(tickets::status.eq(WAITING))
        .filter(tickets::user_id.eq(new.user.as_str()))
        .set((
            tickets::status.eq(rows::ended_status(TicketOutcome::Replaced)),
            tickets::ended_at_ms.eq(new.enqueued_at.as_ms()),
        ))
        .execute(connection)?;
    let stored = closed == 1 && insert(connection, new)?;
    Ok(stored_or_not_waiting(stored, old))
}

/// The end, as refused, of a live ticket that no actor can hold.
pub(super) fn discard(
    connection: &mut SqliteConnection,
    ticket: TicketId,
    at: Timestamp,
) -> QueryResult<WriteOutcome> {
    let refused = rows::ended_status(TicketOutcome::Refused);
    let discarded = diesel::update(tickets::table.find(Id::from(ticket)))
        .filter(tickets::status.eq(WAITING).or(tickets::status.eq(MATCHED)))
        .set((
            tickets::status.eq(refused),
            tickets::match_id.eq(None::<Id>),
            tickets::ended_at_ms.eq(at.as_ms()),
        ))
        .execute(connection)?;
    let stored = discarded == 1 || status_of(connection, ticket)?.as_deref() == Some(refused);
    Ok(stored_or_not_waiting(stored, ticket))
}

/// How often a live ticket has been asked for again.
pub(super) fn count_ask(
    connection: &mut SqliteConnection,
    ticket: TicketId,
    asks: u32,
) -> QueryResult<WriteOutcome> {
    let counted = diesel::update(tickets::table.find(Id::from(ticket)))
        .filter(tickets::status.eq(WAITING).or(tickets::status.eq(MATCHED)))
        .set(tickets::asks.eq(i64::from(asks)))
        .execute(connection)?;
    Ok(stored_or_not_waiting(counted == 1, ticket))
}

/// False, and nothing stored, where the id or the user's live claim is taken.
pub(super) fn insert(connection: &mut SqliteConnection, ticket: &Ticket) -> QueryResult<bool> {
    let row = TicketRow::waiting(ticket).map_err(unwritable)?;
    diesel::insert_into(tickets::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(connection)
        .map(|inserted| inserted == 1)
}

/// The live ticket of this ticket's user.
pub(super) fn already_live(
    connection: &mut SqliteConnection,
    ticket: &Ticket,
) -> QueryResult<Refusal> {
    let (live, status): (Id, String) = live_ticket_of!(ticket.user).first(connection)?;
    Ok(Refusal::AlreadyLive {
        ticket: live.into(),
        matched: status == MATCHED,
    })
}

/// What is stored of a ticket, if anything.
pub(super) fn status_of(
    connection: &mut SqliteConnection,
    ticket: TicketId,
) -> QueryResult<Option<String>> {
    tickets::table
        .find(Id::from(ticket))
        .select(tickets::status)
        .first(connection)
        .optional()
}

fn stored_or_not_waiting(stored: bool, ticket: TicketId) -> WriteOutcome {
    if stored {
        WriteOutcome::Stored
    } else {
        WriteOutcome::Refused(Refusal::NotWaiting(vec![ticket]))
    }
}

#[cfg(test)]
mod tests {
    use diesel::sqlite::Sqlite;

    use super::super::testing;
    use super::*;
    use domain::testing::user;

    #[test]
    fn whoever_asks_twice_is_found_by_index() {
        let query = diesel::debug_query::<Sqlite, _>(&live_ticket_of!(user(1))).to_string();

        let plan = testing::plan(&mut testing::migrated(), &query);

        assert_eq!(
            plan,
            ["SEARCH tickets USING INDEX tickets_one_live_per_user (user_id=?)"]
        );
    }
}

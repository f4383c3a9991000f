//! Writes about a match or a session, each on its condition.

use diesel::prelude::*;
use diesel::{QueryResult, SqliteConnection};

use super::super::rows::{
    self, IN_SESSION, MATCHED, MatchRow, NewOutboxRow, OPEN, SessionRow, WAITING,
};
use super::{tickets as ticket_writes, unwritable};
use crate::schema::{Id, matches, outbox, sessions, tickets};
use domain::{
    Ending, EventId, Fate, MatchId, Proposal, Refusal, SessionId, SessionRecord, Side, Ticket,
    TicketId, Timestamp, WriteOutcome, confirmed_with,
};

const NOT_OPEN: WriteOutcome = WriteOutcome::Refused(Refusal::NotOpen);

/// A match, if both tickets still wait.
pub(super) fn propose(
    connection: &mut SqliteConnection,
    proposal: &Proposal,
) -> QueryResult<WriteOutcome> {
    let [first, second] = proposal.tickets.map(Id::from);
    if first == second || proposal.users[0] == proposal.users[1] {
        return Ok(NOT_OPEN);
    }
    let waiting: Vec<(Id, String)> = tickets::table
        .filter(tickets::id.eq(first).or(tickets::id.eq(second)))
        .filter(tickets::status.eq(WAITING))
        .select((tickets::id, tickets::user_id))
        .load(connection)?;
    let waits = |ticket: TicketId, side: Side| {
        let user = proposal.users[side.index()].as_str();
        waiting
            .iter()
            .any(|(id, owner)| TicketId::from(*id) == ticket && owner == user)
    };
    let gone: Vec<TicketId> = Side::BOTH
        .into_iter()
        .map(|side| (proposal.tickets[side.index()], side))
        .filter(|(ticket, side)| !waits(*ticket, *side))
        .map(|(ticket, _)| ticket)
        .collect();
    if !gone.is_empty() {
        let stored_before = find(connection, proposal.id)?.is_some();
        let refused = WriteOutcome::Refused(Refusal::NotWaiting(gone));
        return Ok(if stored_before {
            WriteOutcome::Stored
        } else {
            refused
        });
    }
    let inserted = diesel::insert_into(matches::table)
        .values(MatchRow::proposed(proposal))
        .on_conflict_do_nothing()
        .execute(connection)?;
    if inserted == 0 {
        // Stored before and ended since; or another match has the session's id, which is random.
        let stored_before = find(connection, proposal.id)?.is_some();
        return Ok(if stored_before {
            WriteOutcome::Stored
        } else {
            NOT_OPEN
        });
    }
    diesel::update(tickets::table)
        .filter(tickets::id.eq(first).or(tickets::id.eq(second)))
        .set((
            tickets::status.eq(MATCHED),
            tickets::match_id.eq(Some(Id::from(proposal.id))),
        ))
        .execute(connection)?;
    Ok(WriteOutcome::Stored)
}

/// One side's confirmation, if the match is open.
pub(super) fn confirm(
    connection: &mut SqliteConnection,
    match_id: MatchId,
    side: Side,
) -> QueryResult<WriteOutcome> {
    let open =
        diesel::update(matches::table.find(Id::from(match_id))).filter(matches::state.eq(OPEN));
    let confirmed = match side {
        Side::First => open
            .set(matches::confirmed_first.eq(true))
            .execute(connection)?,
        Side::Second => open
            .set(matches::confirmed_second.eq(true))
            .execute(connection)?,
    };
    Ok(stored_or_not_open(confirmed == 1))
}

/// The end of a match without a session.
pub(super) struct End<'a> {
    pub(super) match_id: MatchId,
    pub(super) ending: Ending,
    pub(super) tickets: [TicketId; 2],
    pub(super) confirmed: [bool; 2],
    pub(super) fates: &'a [Fate; 2],
    pub(super) opens: Option<&'a Ticket>,
    pub(super) at: Timestamp,
}

/// The end of a match without a session, if it is open, just these have confirmed it and its window
/// is over where time ends it, and what becomes of its tickets.
pub(super) fn end(connection: &mut SqliteConnection, end: &End<'_>) -> QueryResult<WriteOutcome> {
    let Some(row) = find(connection, end.match_id)? else {
        return Ok(NOT_OPEN);
    };
    if row.tickets() != end.tickets {
        return Ok(NOT_OPEN);
    }
    let as_known = row.confirmed() == end.confirmed;
    if row.state != OPEN {
        let so = as_known && row.state == rows::ended_state(end.ending);
        let stored = so && has_ended_so(connection, &row, end)?;
        return Ok(stored_or_not_open(stored));
    }
    let is_early = end.ending == Ending::Expired && row.expires_at_ms > end.at.as_ms();
    if !as_known || is_early {
        return Ok(WriteOutcome::Refused(Refusal::OpenOtherwise {
            confirmed: row.confirmed(),
            expires_at: Timestamp::from_ms(row.expires_at_ms),
        }));
    }
    let Some(opens) = end.opens else {
        close_match(connection, end)?;
        return Ok(WriteOutcome::Stored);
    };
    // The ticket to be opened is the last thing that could be refused, and the rest goes with it.
    let result = connection.transaction(|connection| {
        close_match(connection, end)?;
        if ticket_writes::insert(connection, opens)? {
            return Ok(WriteOutcome::Stored);
        }
        Err(Undo::Refused(ticket_writes::already_live(
            connection, opens,
        )?))
    });
    match result {
        Ok(outcome) => Ok(outcome),
        Err(Undo::Refused(refusal)) => Ok(WriteOutcome::Refused(refusal)),
        Err(Undo::Failed(error)) => Err(error),
    }
}

/// Whether an ended match is what `end` would make of it. Confirmed by the same, and yet whoever was
/// silent before may be known to one server only; and a match may be declined with a new ticket and
/// without one.
fn has_ended_so(
    connection: &mut SqliteConnection,
    row: &MatchRow,
    end: &End<'_>,
) -> QueryResult<bool> {
    let [first, second] = end.tickets.map(Id::from);
    let closed: Vec<Id> = tickets::table
        .filter(tickets::id.eq(first).or(tickets::id.eq(second)))
        .filter(tickets::ended_at_ms.eq(row.ended_at_ms))
        .select(tickets::id)
        .load(connection)?;
    let closed = [first, second].map(|ticket| closed.contains(&ticket));
    if closed != end.fates.each_ref().map(Fate::is_closed) {
        return Ok(false);
    }
    end.opens.map_or(Ok(true), |new| {
        Ok(ticket_writes::status_of(connection, new.id)?.is_some())
    })
}

/// Why one write is rolled back.
enum Undo {
    Refused(Refusal),
    Failed(diesel::result::Error),
}

impl From<diesel::result::Error> for Undo {
    fn from(error: diesel::result::Error) -> Self {
        Self::Failed(error)
    }
}

fn close_match(connection: &mut SqliteConnection, end: &End<'_>) -> QueryResult<()> {
    diesel::update(matches::table.find(Id::from(end.match_id)))
        .set((
            matches::state.eq(rows::ended_state(end.ending)),
            matches::ended_at_ms.eq(end.at.as_ms()),
        ))
        .execute(connection)?;
    for (ticket, fate) in end.tickets.into_iter().zip(end.fates) {
        // One that was discarded meanwhile stays so.
        let row = tickets::table
            .find(Id::from(ticket))
            .filter(tickets::match_id.eq(Id::from(end.match_id)));
        let no_match = tickets::match_id.eq(None::<Id>);
        match fate {
            Fate::PutBack(ticket) => diesel::update(row)
                .set((
                    no_match,
                    tickets::status.eq(WAITING),
                    tickets::waits_until_ms.eq(ticket.waits_until.as_ms()),
                    tickets::put_back.eq(ticket.put_back),
                    tickets::silences.eq(i16::from(ticket.silences)),
                    tickets::asks.eq(i64::from(ticket.asks)),
                    tickets::avoided.eq(rows::avoided_text(&ticket.avoided).map_err(unwritable)?),
                ))
                .execute(connection)?,
            Fate::Closed(outcome) => diesel::update(row)
                .set((
                    no_match,
                    tickets::status.eq(rows::ended_status(*outcome)),
                    tickets::ended_at_ms.eq(end.at.as_ms()),
                ))
                .execute(connection)?,
        };
    }
    Ok(())
}

/// A session and its announcement, if both sides have confirmed, counting the one that confirms with
/// it, and there is none yet.
pub(super) fn open_session(
    connection: &mut SqliteConnection,
    session: &SessionRecord,
    both: [TicketId; 2],
    event: EventId,
    confirms: Option<Side>,
) -> QueryResult<WriteOutcome> {
    let Some(row) = find(connection, session.match_id)? else {
        return Ok(NOT_OPEN);
    };
    if row.session_id != Id::from(session.id) || !row.is_of(both, &session.users) {
        return Ok(NOT_OPEN);
    }
    let confirmed = confirmed_with(row.confirmed(), confirms);
    match (row.state.as_str(), confirmed) {
        (IN_SESSION, _) => return Ok(WriteOutcome::Stored),
        (OPEN, [true, true]) => {}
        _ => return Ok(NOT_OPEN),
    }
    let opened_at_ms = session.opened_at.as_ms();
    let inserted = diesel::insert_into(sessions::table)
        .values(SessionRow::opened(session).map_err(unwritable)?)
        .on_conflict_do_nothing()
        .execute(connection)?;
    if inserted == 0 {
        return Ok(NOT_OPEN);
    }
    diesel::update(matches::table.find(row.id))
        .set((
            matches::state.eq(IN_SESSION),
            matches::ended_at_ms.eq(opened_at_ms),
            matches::confirmed_first.eq(true),
            matches::confirmed_second.eq(true),
        ))
        .execute(connection)?;
    let [first, second] = both.map(Id::from);
    diesel::update(tickets::table)
        .filter(tickets::id.eq(first).or(tickets::id.eq(second)))
        // One that was discarded meanwhile stays so.
        .filter(tickets::match_id.eq(row.id))
        .set((
            tickets::status.eq(IN_SESSION),
            tickets::ended_at_ms.eq(opened_at_ms),
        ))
        .execute(connection)?;
    diesel::insert_into(outbox::table)
        .values(NewOutboxRow::announcing(session, event).map_err(unwritable)?)
        .execute(connection)?;
    Ok(WriteOutcome::Stored)
}

/// One side's leaving, if the session is known. The first time counts.
pub(super) fn leave_session(
    connection: &mut SqliteConnection,
    session: SessionId,
    side: Side,
    at: Timestamp,
) -> QueryResult<WriteOutcome> {
    let row = sessions::table.find(Id::from(session));
    let left = match side {
        Side::First => diesel::update(row)
            .filter(sessions::left_first_ms.is_null())
            .set(sessions::left_first_ms.eq(at.as_ms()))
            .execute(connection)?,
        Side::Second => diesel::update(row)
            .filter(sessions::left_second_ms.is_null())
            .set(sessions::left_second_ms.eq(at.as_ms()))
            .execute(connection)?,
    };
    if left == 1 {
        return Ok(WriteOutcome::Stored);
    }
    let known: Option<Id> = row.select(sessions::id).first(connection).optional()?;
    Ok(stored_or_not_open(known.is_some()))
}

/// A later end of the confirmation window, once per match, if the match is open.
pub(super) fn extend(
    connection: &mut SqliteConnection,
    match_id: MatchId,
    expires_at: Timestamp,
) -> QueryResult<WriteOutcome> {
    let expires_at_ms = expires_at.as_ms();
    let extended = diesel::update(matches::table.find(Id::from(match_id)))
        .filter(matches::state.eq(OPEN))
        .filter(
            matches::extended
                .eq(false)
                .or(matches::expires_at_ms.eq(expires_at_ms)),
        )
        .set((
            matches::extended.eq(true),
            matches::expires_at_ms.eq(expires_at_ms),
        ))
        .execute(connection)?;
    Ok(stored_or_not_open(extended == 1))
}

fn find(connection: &mut SqliteConnection, id: MatchId) -> QueryResult<Option<MatchRow>> {
    matches::table
        .find(Id::from(id))
        .select(MatchRow::as_select())
        .first(connection)
        .optional()
}

fn stored_or_not_open(stored: bool) -> WriteOutcome {
    if stored {
        WriteOutcome::Stored
    } else {
        NOT_OPEN
    }
}

//! What is stored about one ticket: one text for both backends.

use async_trait::async_trait;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use super::records::{Pools, ReadError, SqliteReader, StoredRecords, with_connection};
use super::rows::{MatchRow, SessionRow, UnreadableRow};
use crate::schema::{Id, matches, outbox, sessions, tickets};
use domain::{Difficulty, MatchId, TicketId, Timestamp, Topic, UserId, Wish};
use ports::{Away, PastAnnouncement, PastMatch, PastSession, StoredPast, Timelines};

#[derive(Queryable, Selectable)]
#[diesel(table_name = tickets, check_for_backend(Pg, Sqlite))]
struct PastTicketRow {
    user_id: String,
    difficulty: String,
    topic: String,
    status: String,
    match_id: Option<Id>,
    enqueued_at_ms: i64,
    waits_until_ms: i64,
    put_back: bool,
    silences: i16,
    asks: i64,
    ended_at_ms: Option<i64>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox, check_for_backend(Pg, Sqlite))]
struct PastOutboxRow {
    event_id: Id,
    session_id: Id,
    sent_at_ms: Option<i64>,
    attempts: i64,
}

#[async_trait]
impl Timelines for StoredRecords {
    async fn past_of(
        &self,
        ticket: TicketId,
        matches: &[MatchId],
    ) -> Result<Option<StoredPast>, Away> {
        let known: Vec<Id> = matches.iter().copied().map(Id::from).collect();
        self.read(move |pools| async move { read_past(&pools, ticket, known).await })
            .await
    }
}

async fn read_past(
    pools: &Pools,
    ticket: TicketId,
    mut known: Vec<Id>,
) -> Result<Option<StoredPast>, ReadError> {
    let own = Id::from(ticket);
    let found: Option<PastTicketRow> = with_connection!(pools, |connection| {
        tickets::table
            .find(own)
            .select(PastTicketRow::as_select())
            .first(connection)
            .await
            .optional()?
    });
    let Some(row) = found else {
        return Ok(None);
    };
    known.extend(row.match_id);
    let rows: Vec<(MatchRow, Option<SessionRow>)> = with_connection!(pools, |connection| {
        matches::table
            .filter(matches::id.eq_any(&known))
            .filter(
                matches::first_ticket
                    .eq(own)
                    .or(matches::second_ticket.eq(own)),
            )
            .left_join(sessions::table)
            .order((matches::proposed_at_ms, matches::id))
            .select((MatchRow::as_select(), Option::<SessionRow>::as_select()))
            .load(connection)
            .await?
    });
    let opened: Vec<Id> = rows
        .iter()
        .filter_map(|(_, row)| Some(row.as_ref()?.id))
        .collect();
    let announced: Vec<PastOutboxRow> = with_connection!(pools, |connection| {
        outbox::table
            .filter(outbox::session_id.eq_any(&opened))
            .select(PastOutboxRow::as_select())
            .load(connection)
            .await?
    });
    let past =
        |(of, session): (MatchRow, Option<SessionRow>)| past_match(own, of, session, &announced);
    let matches = rows.into_iter().map(past).collect();
    Ok(Some(past_ticket(row, matches)?))
}

fn past_ticket(row: PastTicketRow, matches: Vec<PastMatch>) -> Result<StoredPast, UnreadableRow> {
    let unreadable = |fault: String| UnreadableRow {
        table: "tickets",
        fault,
    };
    let wish = Wish {
        difficulty: Difficulty::parse(&row.difficulty).map_err(|it| unreadable(it.to_string()))?,
        topic: Topic::parse(&row.topic).map_err(|it| unreadable(it.to_string()))?,
    };
    Ok(StoredPast {
        user: UserId::parse(&row.user_id).map_err(|it| unreadable(it.to_string()))?,
        wish,
        status: row.status,
        enqueued_at: Timestamp::from_ms(row.enqueued_at_ms),
        waits_until: Timestamp::from_ms(row.waits_until_ms),
        put_back: row.put_back,
        silences: row.silences.unsigned_abs().into(),
        asks: row.asks.unsigned_abs(),
        ended_at: row.ended_at_ms.map(Timestamp::from_ms),
        matches,
    })
}

/// A decline is told as this ticket's user or the partner made it.
fn sided_state(state: String, is_first: bool) -> String {
    match (state.as_str(), is_first) {
        ("declined_first", true) | ("declined_second", false) => "declined".to_owned(),
        ("declined_first", false) | ("declined_second", true) => "declined_by_partner".to_owned(),
        _ => state,
    }
}

fn past_match(
    own: Id,
    row: MatchRow,
    session: Option<SessionRow>,
    announced: &[PastOutboxRow],
) -> PastMatch {
    let is_first = row.first_ticket == own;
    // This ticket's side first.
    let sided = |pair: [bool; 2]| if is_first { pair } else { [pair[1], pair[0]] };
    let session = session.map(|session| {
        let left = [session.left_first_ms, session.left_second_ms];
        let left = left.map(|at| at.map(Timestamp::from_ms));
        let announcement = announced.iter().find(|row| row.session_id == session.id);
        PastSession {
            id: session.id.into(),
            opened_at: Timestamp::from_ms(session.opened_at_ms),
            ends_at: Timestamp::from_ms(session.ends_at_ms),
            left_at: if is_first { left } else { [left[1], left[0]] },
            announcement: announcement.map(|row| PastAnnouncement {
                id: row.event_id.into(),
                sent_at: row.sent_at_ms.map(Timestamp::from_ms),
                attempts: row.attempts.unsigned_abs(),
            }),
        }
    });
    let partner = if is_first {
        row.second_ticket
    } else {
        row.first_ticket
    };
    PastMatch {
        id: row.id.into(),
        partner: partner.into(),
        confirmed: sided([row.confirmed_first, row.confirmed_second]),
        state: sided_state(row.state, is_first),
        proposed_at: Timestamp::from_ms(row.proposed_at_ms),
        expires_at: Timestamp::from_ms(row.expires_at_ms),
        ended_at: row.ended_at_ms.map(Timestamp::from_ms),
        session,
    }
}

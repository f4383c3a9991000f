//! All that is live, put together from its rows; what contradicts a guarantee is left out.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::rows::{IN_SESSION, LiveTicketRow, MatchRow, SessionRow};
use crate::adapters::schema::{Id, matches, outbox, sessions, tickets};
use crate::domain::{Breach, Guarantee, MatchId, Place, Ticket, TicketId, Timestamp, UserId};
use crate::ports::{LiveState, OpenMatch, OpenSession};

/// Ticket waits or is matched. Written out, so that the planner sees that a partial index covers it.
pub(super) fn is_live() -> SqlLiteral<Bool> {
    sql("tickets.status IN ('waiting', 'matched')")
}

/// What is live, by table. Macros, because each backend has its own way to run a query and only the
/// text is the same.
macro_rules! live_tickets {
    () => {
        tickets::table
            .filter(is_live())
            .order((tickets::enqueued_at_ms, tickets::id))
            .select(LiveTicketRow::as_select())
    };
}

macro_rules! open_matches {
    () => {
        matches::table
            .filter(sql::<Bool>("matches.state = 'open'"))
            .order((matches::proposed_at_ms, matches::id))
            .select(MatchRow::as_select())
    };
}

macro_rules! open_sessions {
    ($now:expr) => {
        sessions::table
            .inner_join(matches::table)
            .filter(sql::<Bool>(
                "(sessions.left_first_ms IS NULL OR sessions.left_second_ms IS NULL)",
            ))
            .filter(sessions::ends_at_ms.gt($now.as_ms()))
            .order((sessions::ends_at_ms, sessions::id))
            .select((SessionRow::as_select(), MatchRow::as_select()))
    };
}

/// Ids of tickets are in the order of time, so the last one is the newest.
macro_rules! newest_ticket {
    () => {
        tickets::table
            .order(tickets::id.desc())
            .select(tickets::enqueued_at_ms)
    };
}

/// The outbox is numbered in the order of commits, so its last row tells of the newest session.
macro_rules! newest_session {
    () => {
        outbox::table
            .order(outbox::sequence.desc())
            .select(outbox::created_at_ms)
    };
}

/// Reads all that is live at the same moment.
pub(super) fn read(connection: &mut SqliteConnection, now: Timestamp) -> QueryResult<LiveRows> {
    connection.transaction(|connection| {
        // Row by row, so that no more than one is in memory twice.
        let tickets = live_tickets!()
            .load_iter::<LiveTicketRow, _>(connection)?
            .map(|row| row.map(LiveTicketRow::into_ticket))
            .collect::<QueryResult<_>>()?;
        let newest_ticket: Option<i64> = newest_ticket!().first(connection).optional()?;
        let newest_session: Option<i64> = newest_session!().first(connection).optional()?;
        Ok(LiveRows {
            tickets,
            matches: open_matches!().load(connection)?,
            sessions: open_sessions!(now).load(connection)?,
            newest_ms: newest_ticket.max(newest_session),
        })
    })
}

/// The rows of everything live, each table in a fixed order.
pub(super) struct LiveRows {
    pub(super) tickets: Vec<LiveTicket>,
    pub(super) matches: Vec<MatchRow>,
    pub(super) sessions: Vec<(SessionRow, MatchRow)>,
    pub(super) newest_ms: Option<i64>,
}

/// A live ticket with the match that it is in, or the id of a row that cannot be read.
pub(super) type LiveTicket = Result<(Ticket, Option<MatchId>), Id>;

/// What the rows say, without those that contradict a guarantee.
pub(super) fn assemble(rows: LiveRows) -> LiveState {
    let mut assembly = Assembly::default();
    assembly.live.newest = rows.newest_ms.map(Timestamp::from_ms);
    let waiting = assembly.sort_tickets(rows.tickets);
    for row in &rows.matches {
        assembly.seen_at(row.proposed_at_ms);
        assembly.add_match(row);
    }
    assembly.leave_out_lone_tickets();
    assembly.add_waiting(waiting);
    for (row, its_match) in &rows.sessions {
        for at_ms in [
            Some(row.opened_at_ms),
            row.left_first_ms,
            row.left_second_ms,
        ] {
            at_ms.into_iter().for_each(|at_ms| assembly.seen_at(at_ms));
        }
        assembly.add_session(row, its_match);
    }
    assembly.live
}

#[derive(Default)]
struct Assembly {
    live: LiveState,
    /// Tickets that say that they are in a match, with that match, in the order of their places.
    matched: BTreeMap<Place, (Ticket, MatchId)>,
    places: HashMap<TicketId, Place>,
    claimed: HashSet<UserId>,
    taken: HashSet<TicketId>,
    in_session: HashSet<MatchId>,
}

impl Assembly {
    /// Keeps the matched tickets, gives the waiting ones.
    fn sort_tickets(&mut self, tickets: Vec<LiveTicket>) -> Vec<Ticket> {
        let mut waiting = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            match ticket {
                Ok((ticket, None)) => waiting.push(ticket),
                Ok((ticket, Some(match_id))) => {
                    self.places.insert(ticket.id, ticket.place());
                    self.matched.insert(ticket.place(), (ticket, match_id));
                }
                Err(id) => self.leave_out(Guarantee::Durable, "a live ticket cannot be read", id),
            }
        }
        waiting
    }

    fn add_match(&mut self, row: &MatchRow) {
        let both = row.tickets();
        if row.first_user == row.second_user {
            return self.leave_out(
                Guarantee::SymmetricPairs,
                "an open match has one user on both sides",
                row.id,
            );
        }
        if both.iter().any(|ticket| self.taken.contains(ticket)) {
            return self.leave_out(
                Guarantee::SymmetricPairs,
                "a ticket is in two open matches",
                row.id,
            );
        }
        let [Some(first), Some(second)] = both.map(|ticket| self.member(ticket, row)) else {
            return self.leave_out(
                Guarantee::SymmetricPairs,
                "an open match names a ticket that is not in it",
                row.id,
            );
        };
        let users = [&first.user, &second.user].map(UserId::clone);
        if !row.is_of(both, &users) {
            return self.leave_out(
                Guarantee::SymmetricPairs,
                "an open match names a user who is not in it",
                row.id,
            );
        }
        if users.iter().any(|user| self.claimed.contains(user)) {
            return self.leave_out(
                Guarantee::OneLiveClaim,
                "a user has two live tickets",
                row.id,
            );
        }
        for ticket in [&first, &second] {
            self.matched.remove(&ticket.place());
        }
        self.claimed.extend(users);
        self.taken.extend(both);
        self.live.matches.push(OpenMatch {
            id: row.id.into(),
            session: row.session_id.into(),
            tickets: [first, second],
            confirmed: [row.confirmed_first, row.confirmed_second],
            expires_at: Timestamp::from_ms(row.expires_at_ms),
            extended: row.extended,
        });
    }

    /// The ticket, where it says that it is in this match.
    fn member(&self, ticket: TicketId, row: &MatchRow) -> Option<Ticket> {
        let (ticket, match_id) = self.matched.get(self.places.get(&ticket)?)?;
        (*match_id == row.id.into()).then(|| ticket.clone())
    }

    fn leave_out_lone_tickets(&mut self) {
        for (place, _) in std::mem::take(&mut self.matched) {
            self.leave_out(
                Guarantee::OneOutcome,
                "a ticket is in a match that is not open",
                place.ticket.into(),
            );
        }
    }

    fn add_waiting(&mut self, tickets: Vec<Ticket>) {
        self.live.tickets.reserve(tickets.len());
        for ticket in tickets {
            if self.claimed.insert(ticket.user.clone()) {
                self.live.tickets.push(ticket);
            } else {
                self.leave_out(
                    Guarantee::OneLiveClaim,
                    "a user has two live tickets",
                    ticket.id.into(),
                );
            }
        }
    }

    fn add_session(&mut self, row: &SessionRow, its_match: &MatchRow) {
        let Ok(record) = row.record() else {
            return self.leave_out(Guarantee::Durable, "an open session cannot be read", row.id);
        };
        let tickets = its_match.tickets();
        let named = its_match.state == IN_SESSION && its_match.session_id == row.id;
        if !named || !its_match.is_of(tickets, &record.users) {
            return self.leave_out(
                Guarantee::OneSession,
                "a session and its match do not name each other",
                row.id,
            );
        }
        if !self.in_session.insert(record.match_id) {
            return self.leave_out(Guarantee::OneSession, "a match has two sessions", row.id);
        }
        self.live.sessions.push(OpenSession { record, tickets });
    }

    fn seen_at(&mut self, at_ms: i64) {
        self.live.newest = self.live.newest.max(Some(Timestamp::from_ms(at_ms)));
    }

    fn leave_out(&mut self, guarantee: Guarantee, seen: &'static str, id: Id) {
        tracing::error!(id = %id.0, "left out at the start: {seen}");
        self.live.contradictions.push(Breach { guarantee, seen });
    }
}

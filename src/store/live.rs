//! All that is live, put together from its rows; what contradicts a guarantee is left out.

use std::collections::{BTreeMap, HashMap, HashSet};

use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::TryStreamExt;

use super::contradictions;
use super::in_flight;
use super::rows::{IN_SESSION, LiveTicketRow, MatchRow, SessionRow};
use crate::schema::{Id, matches, outbox, sessions, tickets};
use domain::{Breach, Guarantee, MatchId, Place, Ticket, TicketId, Timestamp, UserId};
use ports::{LiveState, OpenMatch, OpenSession};

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

/// The same on PostgreSQL, however long it takes, with what a server that died was about to commit.
pub(super) async fn read_postgres(
    connection: &mut AsyncPgConnection,
    now: Timestamp,
) -> QueryResult<LiveRows> {
    use diesel_async::RunQueryDsl;

    in_flight::see_ended(connection).await?;
    let transaction = connection.build_transaction();
    let mut transaction = transaction.read_only().repeatable_read();
    transaction
        .run(async |connection| {
            // Far from what a request may wait for.
            let settings = "SET LOCAL statement_timeout = '60s'";
            connection.batch_execute(settings).await?;
            let tickets =
                RunQueryDsl::load_stream::<LiveTicketRow>(live_tickets!(), connection).await?;
            let tickets = tickets
                .map_ok(LiveTicketRow::into_ticket)
                .try_collect()
                .await?;
            let newest_ticket: Option<i64> = RunQueryDsl::first(newest_ticket!(), connection)
                .await
                .optional()?;
            let newest_session: Option<i64> = RunQueryDsl::first(newest_session!(), connection)
                .await
                .optional()?;
            Ok(LiveRows {
                tickets,
                matches: RunQueryDsl::load(open_matches!(), connection).await?,
                sessions: RunQueryDsl::load(open_sessions!(now), connection).await?,
                newest_ms: newest_ticket.max(newest_session),
            })
        })
        .await
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
        assembly.report(contradictions::in_match(row), row.id);
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
            if let Ok((ticket, _)) = &ticket {
                self.report(contradictions::in_ticket(ticket), ticket.id.into());
            }
            match ticket {
                Ok((ticket, None)) => waiting.push(ticket),
                Ok((ticket, Some(match_id))) => {
                    self.places.insert(ticket.id, ticket.place());
                    self.matched.insert(ticket.place(), (ticket, match_id));
                }
                Err(id) => {
                    self.live.orphans.push(id.into());
                    self.leave_out(Guarantee::Durable, "a live ticket cannot be read", id);
                }
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
            self.live.orphans.push(place.ticket);
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
                self.live.orphans.push(ticket.id);
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

    /// What a row says that cannot be, though it is good enough to go on with.
    fn report(&mut self, breaches: impl IntoIterator<Item = Breach>, id: Id) {
        for breach in breaches {
            tracing::error!(id = %id.0, "found at the start: {}", breach.seen);
            self.live.contradictions.push(breach);
        }
    }

    fn leave_out(&mut self, guarantee: Guarantee, seen: &'static str, id: Id) {
        tracing::error!(id = %id.0, "left out at the start: {seen}");
        self.live.contradictions.push(Breach { guarantee, seen });
    }
}

#[cfg(test)]
mod tests {
    use diesel::sqlite::Sqlite;

    use super::*;
    use crate::sqlite::testing;
    use domain::testing::{at_ms, match_id, session_id, session_record, ticket, user};
    use domain::{BucketKey, Proposal, SessionRecord};

    fn match_row(number: u64, tickets: [u64; 2]) -> MatchRow {
        let bucket: BucketKey = ticket(1).wish.bucket();
        MatchRow::proposed(&Proposal {
            id: match_id(number),
            session: session_id(number),
            bucket,
            tickets: tickets.map(|number| ticket(number).id),
            users: tickets.map(user),
            proposed_at: at_ms(5_000),
            expires_at: at_ms(9_000),
        })
    }

    fn session(number: u64, its_match: u64, tickets: [u64; 2]) -> (SessionRow, MatchRow) {
        let record = SessionRecord {
            id: session_id(number),
            match_id: match_id(its_match),
            users: tickets.map(user),
            opened_at: at_ms(6_000),
            ends_at: at_ms(99_000),
            ..session_record()
        };
        let mut row = match_row(its_match, tickets);
        row.state = IN_SESSION.to_owned();
        (SessionRow::opened(&record).unwrap(), row)
    }

    fn waiting(number: u64) -> LiveTicket {
        Ok((ticket(number), None))
    }

    fn matched(number: u64, its_match: u64) -> LiveTicket {
        Ok((ticket(number), Some(match_id(its_match))))
    }

    fn rows(tickets: Vec<LiveTicket>, matches: Vec<MatchRow>) -> LiveRows {
        LiveRows {
            tickets,
            matches,
            sessions: Vec::new(),
            newest_ms: None,
        }
    }

    fn seen(live: &LiveState) -> Vec<&'static str> {
        live.contradictions
            .iter()
            .map(|breach| breach.seen)
            .collect()
    }

    #[test]
    fn rows_without_a_contradiction_are_all_there() {
        let mut all = rows(
            vec![matched(1, 1), matched(2, 1), waiting(3)],
            vec![match_row(1, [1, 2])],
        );
        all.sessions.push(session(2, 2, [4, 5]));

        let live = assemble(all);

        assert_eq!(seen(&live), [""; 0]);
        assert_eq!(live.tickets, [ticket(3)]);
        assert_eq!(live.matches[0].tickets, [ticket(1), ticket(2)]);
        assert_eq!(live.matches[0].session, session_id(1));
        assert_eq!(live.sessions[0].tickets, [ticket(4).id, ticket(5).id]);
        assert_eq!(live.newest, Some(at_ms(6_000)));
    }

    #[test]
    fn the_later_of_two_live_tickets_of_one_user_is_left_out() {
        let mut second = ticket(3);
        second.user = user(1);

        let live = assemble(rows(vec![waiting(1), Ok((second, None))], Vec::new()));

        assert_eq!(live.tickets, [ticket(1)]);
        assert_eq!(seen(&live), ["a user has two live tickets"]);
    }

    #[test]
    fn a_matched_ticket_goes_before_a_waiting_one_of_the_same_user() {
        let mut second = ticket(3);
        second.user = user(3);
        let mut waits = ticket(1);
        waits.user = user(3);
        let tickets = vec![
            Ok((waits, None)),
            matched(2, 1),
            Ok((second, Some(match_id(1)))),
        ];

        let live = assemble(rows(tickets, vec![match_row(1, [2, 3])]));

        assert_eq!(live.tickets, []);
        assert_eq!(live.matches.len(), 1);
        assert_eq!(seen(&live), ["a user has two live tickets"]);
    }

    #[test]
    fn a_match_of_one_user_with_themselves_is_left_out_with_its_tickets() {
        let mut row = match_row(1, [1, 2]);
        row.second_user.clone_from(&row.first_user);

        let live = assemble(rows(vec![matched(1, 1), matched(2, 1)], vec![row]));

        assert_eq!(live.matches, []);
        let lone = "a ticket is in a match that is not open";
        let own = "an open match has one user on both sides";
        assert_eq!(seen(&live), [own, lone, lone]);
    }

    #[test]
    fn a_ticket_in_two_open_matches_stays_in_the_first() {
        let tickets = vec![matched(1, 1), matched(2, 1), matched(3, 2)];
        let matches = vec![match_row(1, [1, 2]), match_row(2, [2, 3])];

        let live = assemble(rows(tickets, matches));

        assert_eq!(live.matches.len(), 1);
        let twice = "a ticket is in two open matches";
        assert_eq!(
            seen(&live),
            [twice, "a ticket is in a match that is not open"]
        );
    }

    #[test]
    fn a_match_whose_ticket_or_user_is_elsewhere_is_left_out() {
        let mut stranger = match_row(2, [3, 4]);
        stranger.second_user = "stranger".to_owned();
        let tickets = vec![matched(1, 1), waiting(2), matched(3, 2), matched(4, 2)];

        let live = assemble(rows(tickets, vec![match_row(1, [1, 2]), stranger]));

        assert_eq!(live.matches, []);
        assert_eq!(live.tickets, [ticket(2)]);
        assert_eq!(
            seen(&live)[..2],
            [
                "an open match names a ticket that is not in it",
                "an open match names a user who is not in it"
            ]
        );
    }

    #[test]
    fn rows_that_cannot_be_read_are_left_out() {
        let mut all = rows(vec![Err(ticket(1).id.into()), waiting(2)], Vec::new());
        let (mut broken, its_match) = session(1, 1, [3, 4]);
        broken.question_topics = "[".to_owned();
        all.sessions.push((broken, its_match));

        let live = assemble(all);

        assert_eq!(live.tickets, [ticket(2)]);
        let unreadable = [
            "a live ticket cannot be read",
            "an open session cannot be read",
        ];
        assert_eq!(seen(&live), unreadable);
    }

    #[test]
    fn one_match_has_one_session() {
        let mut all = rows(Vec::new(), Vec::new());
        let (mut second, mut its_match) = session(2, 2, [1, 2]);
        second.match_id = match_id(1).into();
        its_match.session_id = session_id(2).into();
        let (stray, mut other) = session(3, 3, [5, 6]);
        other.session_id = session_id(9).into();
        all.sessions
            .extend([session(1, 1, [1, 2]), (second, its_match), (stray, other)]);

        let live = assemble(all);

        assert_eq!(live.sessions.len(), 1);
        let unnamed = "a session and its match do not name each other";
        assert_eq!(seen(&live), ["a match has two sessions", unnamed]);
    }

    #[test]
    fn start_up_reads_by_indexes_that_cover_what_is_live() {
        let connection = &mut testing::migrated();
        let now = at_ms(1);
        let mut plan = |sql: String| testing::plan(connection, &sql);

        assert_eq!(
            plan(diesel::debug_query::<Sqlite, _>(&live_tickets!()).to_string()),
            ["SCAN tickets USING INDEX tickets_live_by_place"]
        );
        assert_eq!(
            plan(diesel::debug_query::<Sqlite, _>(&open_matches!()).to_string()),
            ["SCAN matches USING INDEX matches_open"]
        );
        let sessions = plan(diesel::debug_query::<Sqlite, _>(&open_sessions!(now)).to_string());
        assert_eq!(
            sessions[0],
            "SEARCH sessions USING INDEX sessions_open (ends_at_ms>?)"
        );
        assert_eq!(
            plan(diesel::debug_query::<Sqlite, _>(&newest_ticket!()).to_string()),
            ["SCAN tickets"]
        );
    }
}

//! A group of writes as few statements.
//!
//! Writes of one kind become one statement, and kinds come in a fixed order. Writes that name a
//! common ticket, match, session or user keep their own order: where the fixed one would turn it
//! round, the later write goes to the next stage, which begins with the first kind again. All others
//! were asked for at the same moment, by askers who do not know of each other.

use std::collections::{BTreeSet, HashMap};

use uuid::Uuid;

use super::cells::{Cell, Row};
use super::records_of;
use domain::{Fate, Refusal, TicketOutcome, Write, WriteOutcome};

/// Where a kind stands in the fixed order, and its statement in [`super::prepared::ALL`]. What
/// frees a claim comes before what takes one.
pub(super) type Kind = usize;

pub(super) const CLOSE: Kind = 0;
pub(super) const END: Kind = 1;
pub(super) const REPLACE: Kind = 2;
pub(super) const OPEN: Kind = 3;
pub(super) const COUNT: Kind = 4;
pub(super) const PROPOSE: Kind = 5;
pub(super) const EXTEND: Kind = 6;
pub(super) const CONFIRM: Kind = 7;
pub(super) const OPEN_SESSION: Kind = 8;
pub(super) const LEAVE: Kind = 9;
pub(super) const DISCARD: Kind = 10;

/// Writes of one kind that share a statement.
pub(super) struct Batch<'a> {
    pub(super) kind: Kind,
    /// Sorted, so that rows are locked in one order everywhere.
    pub(super) rows: Vec<Row<'a>>,
    /// Which writes, with the id that the statement answers where it grants them.
    pub(super) writes: Vec<(usize, Uuid)>,
}

/// All that one transaction runs.
#[derive(Default)]
pub(super) struct Plan<'a> {
    /// Locked first, in this order; empty where no other group can be in the way.
    pub(super) matches: Vec<Uuid>,
    /// Locked after the matches.
    pub(super) tickets: Vec<Uuid>,
    pub(super) batches: Vec<Batch<'a>>,
}

impl<'a> Plan<'a> {
    /// The statements for the writes at `pending`.
    pub(super) fn of(writes: &'a [Write], pending: &[usize]) -> serde_json::Result<Self> {
        let mut stages: Vec<[Vec<usize>; 11]> = Vec::new();
        let mut seen: HashMap<Name<'a>, (usize, Kind)> = HashMap::new();
        let mut names = Vec::new();
        for &at in pending {
            let kind = kind_of(&writes[at]);
            names.clear();
            names_in(&writes[at], &mut names);
            let after = names.iter().filter_map(|name| seen.get(name));
            let stage = after.map(|(stage, last)| {
                let in_order = *last < kind || (*last == kind && merges(kind));
                stage + usize::from(!in_order)
            });
            let stage = stage.max().unwrap_or(0);
            seen.extend(names.iter().map(|name| (*name, (stage, kind))));
            if stages.len() <= stage {
                stages.resize_with(stage + 1, Default::default);
            }
            stages[stage][kind].push(at);
        }
        let mut plan = Self::default();
        for (kind, members) in stages.iter().flat_map(|stage| stage.iter().enumerate()) {
            if !members.is_empty() {
                plan.batches.push(batch(kind, writes, members)?);
            }
        }
        plan.lock(writes, pending);
        Ok(plan)
    }

    /// Whether one statement is all, which is a transaction by itself.
    pub(super) fn is_single(&self) -> bool {
        self.batches.len() == 1 && self.matches.is_empty() && self.tickets.is_empty()
    }

    /// Says which rows are locked first: all that are there already, if more than one statement
    /// locks any, or one that goes from table to table.
    fn lock(&mut self, writes: &[Write], pending: &[usize]) {
        let lockers = self.batches.iter().filter(|batch| batch.kind != OPEN);
        let (mut count, mut in_order) = (0, true);
        for batch in lockers {
            count += 1;
            let one_table = matches!(batch.kind, CLOSE | COUNT | EXTEND | CONFIRM | LEAVE);
            in_order &= one_table || batch.rows.len() == 1;
        }
        if count == 0 || (count == 1 && in_order) {
            return;
        }
        let (mut matches, mut tickets) = (BTreeSet::new(), BTreeSet::new());
        let mut names = Vec::new();
        for &at in pending {
            names_in(&writes[at], &mut names);
        }
        for name in names {
            match name {
                Name::Match(id) => matches.insert(id),
                Name::Ticket(id) => tickets.insert(id),
                Name::Session(_) | Name::User(_) => false,
            };
        }
        self.matches.extend(matches);
        self.tickets.extend(tickets);
    }
}

/// What orders two writes of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name<'a> {
    Ticket(Uuid),
    Match(Uuid),
    Session(Uuid),
    User(&'a str),
}

fn names_in<'a>(write: &'a Write, names: &mut Vec<Name<'a>>) {
    match write {
        Write::OpenTicket(ticket) => {
            names.extend([Name::Ticket(ticket.id.0), Name::User(ticket.user.as_str())]);
        }
        Write::CloseTicket { ticket, .. }
        | Write::CountAsk { ticket, .. }
        | Write::DiscardTicket { ticket, .. } => {
            names.push(Name::Ticket(ticket.0));
        }
        Write::ReplaceTicket { old, new } => {
            names.extend([old.0, new.id.0].map(Name::Ticket));
            names.push(Name::User(new.user.as_str()));
        }
        Write::ProposeMatch(proposal) => {
            names.push(Name::Match(proposal.id.0));
            names.push(Name::Session(proposal.session.0));
            names.extend(proposal.tickets.map(|ticket| Name::Ticket(ticket.0)));
        }
        Write::ConfirmMatch { match_id, .. } | Write::ExtendMatch { match_id, .. } => {
            names.push(Name::Match(match_id.0));
        }
        Write::EndMatch {
            match_id,
            tickets,
            fates,
            opens,
            ..
        } => {
            names.push(Name::Match(match_id.0));
            names.extend(tickets.map(|ticket| Name::Ticket(ticket.0)));
            for fate in fates.iter() {
                if let Fate::PutBack(ticket) = fate {
                    names.push(Name::User(ticket.user.as_str()));
                }
            }
            if let Some(opens) = opens {
                names.extend([Name::Ticket(opens.id.0), Name::User(opens.user.as_str())]);
            }
        }
        Write::OpenSession {
            session, tickets, ..
        } => {
            names.push(Name::Match(session.match_id.0));
            names.push(Name::Session(session.id.0));
            names.extend(tickets.map(|ticket| Name::Ticket(ticket.0)));
            names.extend(session.users.iter().map(|user| Name::User(user.as_str())));
        }
        Write::LeaveSession { session, .. } => names.push(Name::Session(session.0)),
    }
}

fn kind_of(write: &Write) -> Kind {
    match write {
        Write::CloseTicket { .. } => CLOSE,
        Write::EndMatch { .. } => END,
        Write::ReplaceTicket { .. } => REPLACE,
        Write::OpenTicket(_) => OPEN,
        Write::CountAsk { .. } => COUNT,
        Write::ProposeMatch(_) => PROPOSE,
        Write::ExtendMatch { .. } => EXTEND,
        Write::ConfirmMatch { .. } => CONFIRM,
        Write::OpenSession { .. } => OPEN_SESSION,
        Write::LeaveSession { .. } => LEAVE,
        Write::DiscardTicket { .. } => DISCARD,
    }
}

/// Whether several writes of this kind about the same row become one row of the statement.
fn merges(kind: Kind) -> bool {
    matches!(kind, CONFIRM | LEAVE)
}

fn batch<'a>(kind: Kind, writes: &'a [Write], members: &[usize]) -> serde_json::Result<Batch<'a>> {
    let mut rows: Vec<Row<'a>> = Vec::with_capacity(members.len());
    let mut granted = Vec::with_capacity(members.len());
    let mut row_of: HashMap<Uuid, usize> = HashMap::new();
    for &at in members {
        let (id, row) = records_of::row(&writes[at])?;
        granted.push((at, id));
        match row_of.get(&id).filter(|_| merges(kind)) {
            Some(&first) => merge(&mut rows[first], row),
            None => {
                row_of.insert(id, rows.len());
                rows.push(row);
            }
        }
    }
    rows.sort_by(|one, other| one.sort_by.order(&other.sort_by));
    Ok(Batch {
        kind,
        rows,
        writes: granted,
    })
}

/// Both sides of one match or session; what stands there already came first and stays.
fn merge<'a>(row: &mut Row<'a>, other: Row<'a>) {
    for (cell, other) in row.cells.iter_mut().zip(other.cells) {
        match (&*cell, &other) {
            (Cell::Null, _) | (Cell::Flag(false), Cell::Flag(true)) => *cell = other,
            _ => {}
        }
    }
}

/// The outcome of a write that can never be granted, whatever is stored.
pub(super) fn never(write: &Write) -> Option<WriteOutcome> {
    let refused = match write {
        // A session is opened by a write of its own, never for one ticket alone.
        Write::CloseTicket { outcome, .. } => *outcome == TicketOutcome::InSession,
        Write::ProposeMatch(proposal) => {
            proposal.tickets[0] == proposal.tickets[1] || proposal.users[0] == proposal.users[1]
        }
        _ => false,
    };
    refused.then_some(WriteOutcome::Refused(Refusal::NotOpen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::{at_ms, match_id, ticket};
    use domain::{Side, TicketId};

    fn open(number: u64) -> Write {
        Write::OpenTicket(ticket(number))
    }

    fn close(number: u64) -> Write {
        Write::CloseTicket {
            ticket: ticket(number).id,
            outcome: TicketOutcome::Withdrawn,
            at: at_ms(1),
        }
    }

    fn confirm(number: u64, side: Side) -> Write {
        Write::ConfirmMatch {
            match_id: match_id(number),
            side,
        }
    }

    /// Kinds with how many rows and writes each statement has.
    fn shape(writes: &[Write]) -> Vec<(Kind, usize, usize)> {
        let pending: Vec<usize> = (0..writes.len()).collect();
        let plan = Plan::of(writes, &pending).unwrap();
        let shape = |batch: &Batch<'_>| (batch.kind, batch.rows.len(), batch.writes.len());
        plan.batches.iter().map(shape).collect()
    }

    #[test]
    fn writes_of_one_kind_share_a_statement_whatever_stands_between_them() {
        let writes = [
            open(3),
            confirm(1, Side::First),
            close(9),
            open(1),
            confirm(1, Side::Second),
            confirm(2, Side::First),
        ];

        assert_eq!(
            shape(&writes),
            [(CLOSE, 1, 1), (OPEN, 2, 2), (CONFIRM, 2, 3)]
        );
    }

    #[test]
    fn writes_about_one_ticket_keep_their_order() {
        let writes = [open(1), close(1), open(2), open(1)];

        let expected = [(OPEN, 2, 2), (CLOSE, 1, 1), (OPEN, 1, 1)];
        assert_eq!(shape(&writes), expected);
    }

    #[test]
    fn rows_are_in_the_order_in_which_they_are_locked() {
        let writes = [close(3), close(1), close(2)];
        let plan = Plan::of(&writes, &[0, 1, 2]).unwrap();

        let ids: Vec<Cell<'_>> = plan.batches[0]
            .rows
            .iter()
            .map(|row| row.cells[0].clone())
            .collect();

        let in_order: [TicketId; 3] = [1, 2, 3].map(|number| ticket(number).id);
        assert_eq!(ids, in_order.map(|id| Cell::Id(id.0)));
        assert!(plan.is_single());
    }

    #[test]
    fn where_several_statements_lock_rows_all_are_locked_first() {
        let alone = [open(1), close(2)];
        let two = [close(2), confirm(1, Side::First), close(1)];

        let alone = Plan::of(&alone, &[0, 1]).unwrap();
        let two = Plan::of(&two, &[0, 1, 2]).unwrap();

        assert_eq!((alone.matches.len(), alone.tickets.len()), (0, 0));
        assert_eq!(two.matches, [match_id(1).0]);
        assert_eq!(two.tickets, [1, 2].map(|number| ticket(number).id.0));
    }
}

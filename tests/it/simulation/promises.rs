//! What the contract promises of each write, in words of its own: who may be paired, what becomes of
//! whom, and when. Shares no rule with the domain; compares with it at every write.

use std::collections::{BTreeMap, BTreeSet};

use matchmaker::domain::limits::{OPENING_GIVE_UP_MS, Timeouts};
use matchmaker::domain::{
    BucketKey, Ending, Fate, Place, Proposal, Side, Ticket, TicketId, TicketOutcome, Timestamp,
    UserId, Write, confirmed_with,
};

use super::referee::{Database, Status, TicketRow};

/// What must be remembered besides the rows.
#[derive(Debug, Clone, Default)]
pub struct Promises {
    /// The place that each ticket was given when it was first stored.
    places: BTreeMap<TicketId, Place>,
    /// Proposals in a row that each ticket's user did not answer.
    silences: BTreeMap<TicketId, u8>,
    /// Tickets whose partner declined, with that partner.
    declined: BTreeSet<(TicketId, UserId)>,
    /// Pairs whose proposal ran out, with those of them who were silent.
    ran_out: Vec<([UserId; 2], Vec<UserId>)>,
}

impl Promises {
    /// Remembers what a write that was applied changes.
    pub fn note(&mut self, write: &Write, db: &Database) {
        match write {
            Write::OpenTicket(new) | Write::ReplaceTicket { new, .. } => self.opened(new),
            Write::CountAsk { ticket, .. } => self.asked(&db.tickets[ticket].ticket.user),
            Write::ConfirmMatch { match_id, side } => {
                let ticket = db.matches[match_id].proposal.tickets[side.index()];
                self.silences.insert(ticket, 0);
            }
            Write::EndMatch {
                match_id,
                ending,
                tickets,
                opens,
                ..
            } => {
                let row = &db.matches[match_id];
                match ending {
                    Ending::Declined(side) => {
                        let decliner = row.proposal.users[side.index()].clone();
                        self.declined
                            .insert((tickets[side.other().index()], decliner));
                    }
                    Ending::Expired => {
                        let silent: Vec<TicketId> = Side::BOTH
                            .into_iter()
                            .filter(|side| !row.confirmed[side.index()])
                            .map(|side| tickets[side.index()])
                            .collect();
                        for ticket in &silent {
                            *self.silences.entry(*ticket).or_default() += 1;
                        }
                        let users = |ids: &[TicketId]| -> Vec<UserId> {
                            let user = |id| db.tickets[id].ticket.user.clone();
                            ids.iter().map(user).collect()
                        };
                        let silent = users(&silent);
                        self.ran_out.push((row.proposal.users.clone(), silent));
                    }
                    Ending::QuestionUnavailable => {}
                }
                opens.iter().for_each(|new| self.opened(new));
            }
            Write::CloseTicket { .. }
            | Write::DiscardTicket { .. }
            | Write::ProposeMatch(_)
            | Write::OpenSession { .. }
            | Write::LeaveSession { .. }
            | Write::ExtendMatch { .. } => {}
        }
    }

    /// The oldest ticket that has a partner among `waiting`, with its oldest partner.
    pub fn expected_pair(&self, waiting: &[&Ticket]) -> Option<[TicketId; 2]> {
        let mut sorted: Vec<&Ticket> = waiting.to_vec();
        sorted.sort_by_key(|ticket| self.places[&ticket.id]);
        for (index, older) in sorted.iter().enumerate() {
            for younger in &sorted[index + 1..] {
                if self.may_meet(older, younger) {
                    return Some([older.id, younger.id]);
                }
            }
        }
        None
    }

    fn may_meet(&self, one: &Ticket, other: &Ticket) -> bool {
        let pair = |users: &[UserId; 2]| users.contains(&one.user) && users.contains(&other.user);
        one.user != other.user
            && !self.declined.contains(&(one.id, other.user.clone()))
            && !self.declined.contains(&(other.id, one.user.clone()))
            && !self.ran_out.iter().any(|(users, _)| pair(users))
    }

    /// Whoever was silent and asks again may meet everybody again.
    fn asked(&mut self, user: &UserId) {
        self.ran_out.retain(|(_, silent)| !silent.contains(user));
    }

    fn opened(&mut self, new: &Ticket) {
        self.asked(&new.user);
        self.places.insert(new.id, new.place());
    }

    /// Every row still has the place that it was given first.
    pub fn check_places(&self, db: &Database) {
        for (id, row) in &db.tickets {
            assert_eq!(row.ticket.place(), self.places[id], "G6: a place changed");
        }
    }

    /// Checks a write when the domain asks for it; its rows are as the domain believes.
    pub fn check(&self, write: &Write, db: &Database, now: Timestamp, timeouts: Timeouts) {
        match write {
            Write::OpenTicket(new) => check_new(new, now, timeouts),
            Write::CloseTicket {
                ticket,
                outcome,
                at,
            } => {
                let due = db.tickets[ticket].ticket.waits_until <= now;
                assert_eq!(*at, now);
                match outcome {
                    TicketOutcome::Expired => assert!(due, "G7: {ticket} expires early"),
                    other => assert_eq!(*other, TicketOutcome::Withdrawn),
                }
            }
            Write::ReplaceTicket { old, new } => {
                let row = &db.tickets[old].ticket;
                check_new(new, now, timeouts);
                assert!(row.put_back, "only a ticket that was put back is replaced");
                assert!(
                    row.waits_until > now,
                    "its end is due: the ask waits for that"
                );
                assert_ne!(row.wish.bucket(), new.wish.bucket());
                assert_eq!(row.user, new.user);
            }
            Write::CountAsk { ticket, asks } => check_count(*ticket, *asks, db, now),
            Write::DiscardTicket { .. } => panic!("only start-up discards tickets"),
            Write::ProposeMatch(proposal) => check_proposal(proposal, db, now, timeouts),
            Write::ConfirmMatch { match_id, side } => {
                let row = db.open_match(*match_id).expect("the match is open");
                assert!(!row.confirmed[side.index()], "confirmed twice");
                assert!(row.proposal.expires_at > now, "confirmed after the window");
            }
            Write::EndMatch { .. } => self.check_end(write, db, now, timeouts),
            Write::OpenSession {
                session,
                tickets,
                confirms,
                ..
            } => {
                let row = db.open_match(session.match_id).expect("the match is open");
                let in_time = confirms.is_none() || row.proposal.expires_at > now;
                assert!(in_time, "confirmed after the window");
                assert_eq!(
                    confirmed_with(row.confirmed, *confirms),
                    [true, true],
                    "G5: a session nobody confirmed"
                );
                assert_eq!(
                    (&row.proposal.users, row.proposal.session),
                    (&session.users, session.id)
                );
                assert_eq!(row.proposal.tickets, *tickets);
                assert_eq!(session.ends_at, now.plus_ms(timeouts.session_ttl_ms));
            }
            Write::LeaveSession { session, side, .. } => {
                assert!(
                    !db.sessions[session].record.left[side.index()],
                    "left twice"
                );
            }
            Write::ExtendMatch { .. } => {}
        }
    }

    fn check_end(&self, write: &Write, db: &Database, now: Timestamp, timeouts: Timeouts) {
        let Write::EndMatch {
            match_id,
            ending,
            tickets,
            confirmed,
            fates,
            opens,
            at,
        } = write
        else {
            unreachable!("the caller looked");
        };
        let row = db.open_match(*match_id).expect("the match is open");
        let both = row.confirmed == [true, true];
        let over_at = row.proposal.expires_at;
        assert_eq!((*at, *tickets), (now, row.proposal.tickets));
        assert_eq!(
            *confirmed, row.confirmed,
            "G4: ended as if others confirmed"
        );
        match ending {
            Ending::Declined(_) => assert!(!both && over_at > now, "declined too late"),
            Ending::Expired => assert!(!both && over_at <= now, "G7: expired too early"),
            Ending::QuestionUnavailable => {
                let gives_up_at = over_at.plus_ms(OPENING_GIVE_UP_MS);
                assert!(both && gives_up_at <= now, "gave up too early");
            }
        }
        for side in Side::BOTH {
            let ticket = &db.tickets[&tickets[side.index()]];
            let closes = match ending {
                Ending::Declined(decliner) if *decliner == side => {
                    let replaced = TicketOutcome::Replaced;
                    Some(if opens.is_some() {
                        replaced
                    } else {
                        TicketOutcome::Declined
                    })
                }
                Ending::Expired if !row.confirmed[side.index()] => {
                    (self.silences(ticket) >= 1).then_some(TicketOutcome::Expired)
                }
                _ => None,
            };
            match (&fates[side.index()], closes) {
                (Fate::Closed(outcome), Some(expected)) => assert_eq!(*outcome, expected),
                (Fate::PutBack(back), None) => {
                    let silent = *ending == Ending::Expired && !row.confirmed[side.index()];
                    self.check_back(ticket, back, silent, now.plus_ms(timeouts.ticket_wait_ms));
                }
                (fate, expected) => panic!("{ticket:?} got {fate:?}, expected {expected:?}"),
            }
        }
        if let (Some(new), Ending::Declined(side)) = (opens, ending) {
            let old = &db.tickets[&tickets[side.index()]].ticket;
            check_new(new, now, timeouts);
            assert!(
                !row.confirmed[side.index()],
                "a duplicate replaced a ticket"
            );
            assert_eq!(old.user, new.user);
            assert_ne!(old.wish.bucket(), new.wish.bucket());
        }
    }

    fn check_back(&self, row: &TicketRow, back: &Ticket, silent: bool, waits_until: Timestamp) {
        let expected = Ticket {
            put_back: true,
            waits_until,
            silences: self.silences(row) + u8::from(silent),
            avoided: back.avoided.clone(),
            ..row.ticket.clone()
        };
        assert_eq!(*back, expected, "G6, G7: put back otherwise than promised");
    }

    fn silences(&self, row: &TicketRow) -> u8 {
        self.silences.get(&row.ticket.id).copied().unwrap_or(0)
    }
}

fn check_new(new: &Ticket, now: Timestamp, timeouts: Timeouts) {
    let fresh = Ticket::new(
        new.id,
        new.user.clone(),
        new.wish.clone(),
        new.enqueued_at,
        timeouts,
    );
    assert!(new.enqueued_at <= now);
    assert_eq!(*new, fresh);
}

fn check_proposal(proposal: &Proposal, db: &Database, now: Timestamp, timeouts: Timeouts) {
    let [older, younger] = proposal.tickets.map(|ticket| &db.tickets[&ticket].ticket);
    let bucket = |ticket: &Ticket| -> BucketKey { ticket.wish.bucket() };
    assert_ne!(older.user, younger.user, "G3: matched with themselves");
    assert_eq!(proposal.users, [older.user.clone(), younger.user.clone()]);
    assert_eq!(
        [bucket(older), bucket(younger)],
        [proposal.bucket.clone(), proposal.bucket.clone()]
    );
    assert_eq!(proposal.expires_at, now.plus_ms(timeouts.confirm_window_ms));
}

fn check_count(ticket: TicketId, asks: u32, db: &Database, now: Timestamp) {
    let row = &db.tickets[&ticket];
    assert_eq!(asks, row.ticket.asks + 1);
    match row.status {
        Status::Matched(id) => {
            let side = db.side(id, &row.ticket.user).expect("its own match");
            let open = db.open_match(id).expect("the match is open");
            assert!(!open.confirmed[side.index()], "a duplicate was counted");
            assert!(open.proposal.expires_at > now, "its end is due");
        }
        _ => {
            assert!(row.ticket.put_back, "a duplicate was counted");
            assert!(row.ticket.waits_until > now, "its end is due");
        }
    }
}

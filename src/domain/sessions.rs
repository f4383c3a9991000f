//! A session: the shared work of two users, until both have left or its time is over.

use std::collections::VecDeque;

use super::limits::PARKED_MAX;
use super::notices::{Breach, CallId, Guarantee, LeaveAnswer, Notice};
use super::values::{MatchId, SessionId, TicketId, Timestamp, UserId};
use super::writes::{Side, Write, WriteOutcome};

/// What the two work on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The question service's id.
    pub id: i64,
    /// Its title.
    pub title: String,
    /// Its difficulty, lower case.
    pub difficulty: String,
    /// Its topics, as the question service spells them.
    pub topics: Vec<String>,
}

/// The facts of a session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionRecord {
    /// Its id, chosen with the match.
    pub id: SessionId,
    /// The match that opened it.
    pub match_id: MatchId,
    /// Its members; the first is the one of the older ticket.
    pub users: [UserId; 2],
    /// What they work on.
    pub question: Question,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
    /// Who has left, in the order of `users`.
    pub left: [bool; 2],
}

impl SessionRecord {
    /// On which side `user` is, if a member.
    pub fn side_of(&self, user: &UserId) -> Option<Side> {
        Side::BOTH
            .into_iter()
            .find(|side| self.users[side.index()] == *user)
    }

    /// Whether both have left, or its time is over.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.left == [true, true] || self.ends_at <= now
    }
}

/// An open session. Effects are to be carried out in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session {
    record: SessionRecord,
    tickets: [TicketId; 2],
    under_way: Option<Leaving>,
    parked: VecDeque<Parked>,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Leaving {
    side: Side,
    call: CallId,
    /// See [`Session::write_by`].
    by: Option<Timestamp>,
}

/// Somebody who leaves while another's leaving is under way; after `by` nobody waits for the answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Parked {
    user: UserId,
    call: CallId,
    by: Option<Timestamp>,
}

/// Something that the session wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEffect {
    /// Store this; the outcome comes back through [`Session::on_written`].
    Store(Write),
    /// Write who has left to the shared session; its end comes back through [`Session::on_shared`].
    ShareLeft(SessionRecord),
    /// The record has changed.
    Changed(SessionRecord),
    /// Tell this user.
    Tell(UserId, Notice),
    /// The answer to somebody who leaves.
    AnswerLeave(CallId, LeaveAnswer),
    /// A guarantee was found broken.
    Breached(Breach),
    /// Nobody is in the session any more.
    Over,
}

impl Session {
    /// A stored session.
    pub fn new(record: SessionRecord, tickets: [TicketId; 2]) -> Self {
        Self {
            record,
            tickets,
            under_way: None,
            parked: VecDeque::new(),
            over: false,
        }
    }

    /// Its facts.
    pub fn record(&self) -> &SessionRecord {
        &self.record
    }

    /// The tickets of its members, in the order of its users.
    pub fn tickets(&self) -> [TicketId; 2] {
        self.tickets
    }

    /// By when the write under way must have reached the store, where somebody waits for it.
    pub fn write_by(&self) -> Option<Timestamp> {
        self.under_way.and_then(|leaving| leaving.by)
    }

    /// When [`Session::on_time`] has something to do.
    pub fn next_wake(&self) -> Option<Timestamp> {
        // While somebody leaves, the end waits for that.
        (!self.over && self.under_way.is_none()).then_some(self.record.ends_at)
    }

    /// Ends the session when its time is over.
    pub fn on_time(&mut self, now: Timestamp) -> Vec<SessionEffect> {
        if self.over || self.under_way.is_some() || !self.record.has_ended(now) {
            return Vec::new();
        }
        self.over = true;
        vec![SessionEffect::Over]
    }

    /// Somebody leaves, and waits for the answer until `by`. Leaving again is harmless.
    pub fn leave(
        &mut self,
        user: UserId,
        call: CallId,
        by: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<SessionEffect> {
        let Some(side) = self.record.side_of(&user) else {
            return vec![SessionEffect::AnswerLeave(call, LeaveAnswer::NotMember)];
        };
        if self.record.left[side.index()] {
            return vec![SessionEffect::AnswerLeave(call, LeaveAnswer::Left)];
        }
        if self.under_way.is_none() {
            self.under_way = Some(Leaving { side, call, by });
            let write = Write::LeaveSession {
                session: self.record.id,
                side,
                at: now,
            };
            return vec![SessionEffect::Store(write)];
        }
        if self.parked.len() < PARKED_MAX {
            self.parked.push_back(Parked { user, call, by });
            Vec::new()
        } else {
            vec![SessionEffect::AnswerLeave(call, LeaveAnswer::Busy)]
        }
    }

    /// The store answered.
    pub fn on_written(&mut self, outcome: &WriteOutcome, now: Timestamp) -> Vec<SessionEffect> {
        let Some(Leaving { side, call, .. }) = self.under_way else {
            return Vec::new();
        };
        let answer = match outcome {
            WriteOutcome::Stored => {
                self.record.left[side.index()] = true;
                // The partner is told after the shared session says so: `on_shared` goes on.
                return vec![
                    SessionEffect::Changed(self.record.clone()),
                    SessionEffect::ShareLeft(self.record.clone()),
                ];
            }
            WriteOutcome::Unavailable => {
                vec![SessionEffect::AnswerLeave(call, LeaveAnswer::Unavailable)]
            }
            WriteOutcome::Refused(_) => vec![
                SessionEffect::Breached(Breach {
                    guarantee: Guarantee::Durable,
                    seen: "an open session was not found in the database",
                }),
                SessionEffect::AnswerLeave(call, LeaveAnswer::Unavailable),
            ],
        };
        self.under_way = None;
        self.go_on(answer, now)
    }

    /// The shared session was written, or could not be: the mirror makes up for that later.
    pub fn on_shared(&mut self, now: Timestamp) -> Vec<SessionEffect> {
        let Some(Leaving { side, call, .. }) = self.under_way.take() else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        if !self.record.left[side.other().index()] {
            let left = Notice::PartnerLeft {
                session: self.record.id,
                user: self.record.users[side.index()].clone(),
            };
            let partner = self.record.users[side.other().index()].clone();
            effects.push(SessionEffect::Tell(partner, left));
        }
        effects.push(SessionEffect::AnswerLeave(call, LeaveAnswer::Left));
        self.go_on(effects, now)
    }

    fn go_on(&mut self, mut effects: Vec<SessionEffect>, now: Timestamp) -> Vec<SessionEffect> {
        while self.under_way.is_none()
            && let Some(Parked { user, call, by }) = self.parked.pop_front()
        {
            if by.is_some_and(|by| by <= now) {
                let unavailable = LeaveAnswer::Unavailable;
                effects.push(SessionEffect::AnswerLeave(call, unavailable));
            } else {
                effects.extend(self.leave(user, call, by, now));
            }
        }
        effects.extend(self.on_time(now));
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at_ms, session_id, session_record, ticket, user};
    use super::*;

    fn open_session() -> Session {
        let record = SessionRecord {
            ends_at: at_ms(9_000),
            ..session_record()
        };
        Session::new(record, [ticket(1).id, ticket(2).id])
    }

    fn leave_through(session: &mut Session, number: u64, call: u64) -> Vec<SessionEffect> {
        session.leave(user(number), CallId(call), None, at_ms(2_000));
        session.on_written(&WriteOutcome::Stored, at_ms(2_000));
        session.on_shared(at_ms(2_000))
    }

    #[test]
    fn the_partner_is_told_after_the_leaving_is_stored_and_shared() {
        let mut session = open_session();

        let asked = session.leave(user(1), CallId(1), None, at_ms(2_000));
        let stored = session.on_written(&WriteOutcome::Stored, at_ms(2_000));
        let shared = session.on_shared(at_ms(2_000));

        let write = Write::LeaveSession {
            session: session_id(1),
            side: Side::First,
            at: at_ms(2_000),
        };
        assert_eq!(asked, [SessionEffect::Store(write)]);
        assert!(matches!(
            stored[..],
            [SessionEffect::Changed(_), SessionEffect::ShareLeft(_)]
        ));
        let told = Notice::PartnerLeft {
            session: session_id(1),
            user: user(1),
        };
        assert_eq!(
            shared,
            [
                SessionEffect::Tell(user(2), told),
                SessionEffect::AnswerLeave(CallId(1), LeaveAnswer::Left)
            ]
        );
    }

    #[test]
    fn leaving_again_is_answered_without_a_write_and_the_second_leaver_ends_the_session() {
        let mut session = open_session();
        leave_through(&mut session, 1, 1);

        let again = session.leave(user(1), CallId(2), None, at_ms(2_000));
        let last = leave_through(&mut session, 2, 3);

        assert_eq!(
            again,
            [SessionEffect::AnswerLeave(CallId(2), LeaveAnswer::Left)]
        );
        let answered = SessionEffect::AnswerLeave(CallId(3), LeaveAnswer::Left);
        assert_eq!(last, [answered, SessionEffect::Over]);
    }

    #[test]
    fn a_stranger_changes_nothing() {
        let mut session = open_session();

        let effects = session.leave(user(3), CallId(1), None, at_ms(2_000));

        assert_eq!(
            effects,
            [SessionEffect::AnswerLeave(
                CallId(1),
                LeaveAnswer::NotMember
            )]
        );
        assert_eq!(session.record().left, [false, false]);
    }

    #[test]
    fn both_leaving_at_once_are_stored_one_after_the_other() {
        let mut session = open_session();
        session.leave(user(1), CallId(1), None, at_ms(2_000));

        let second = session.leave(user(2), CallId(2), None, at_ms(2_000));
        session.on_written(&WriteOutcome::Stored, at_ms(2_000));
        let first_done = session.on_shared(at_ms(2_000));

        assert_eq!(second, []);
        let write = Write::LeaveSession {
            session: session_id(1),
            side: Side::Second,
            at: at_ms(2_000),
        };
        assert_eq!(first_done.last(), Some(&SessionEffect::Store(write)));
    }

    #[test]
    fn a_parked_leaving_whose_caller_has_been_refused_meanwhile_is_dropped() {
        let mut session = open_session();
        session.leave(user(1), CallId(1), Some(at_ms(2_900)), at_ms(2_000));
        session.leave(user(2), CallId(2), Some(at_ms(3_000)), at_ms(2_100));
        assert_eq!(session.write_by(), Some(at_ms(2_900)));

        session.on_written(&WriteOutcome::Stored, at_ms(3_000));
        let shared = session.on_shared(at_ms(3_000));

        let refused = SessionEffect::AnswerLeave(CallId(2), LeaveAnswer::Unavailable);
        assert_eq!(shared.last(), Some(&refused));
        assert_eq!(session.record().left, [true, false]);
    }

    #[test]
    fn of_many_who_leave_at_once_only_so_many_wait_for_the_first() {
        let mut session = open_session();
        session.leave(user(1), CallId(0), None, at_ms(2_000));
        for call in 1..=PARKED_MAX as u64 {
            let waits = session.leave(user(2), CallId(call), None, at_ms(2_000));
            assert_eq!(waits, []);
        }

        let refused = session.leave(user(2), CallId(99), None, at_ms(2_000));

        let busy = SessionEffect::AnswerLeave(CallId(99), LeaveAnswer::Busy);
        assert_eq!(refused, [busy]);
    }

    #[test]
    fn a_store_that_is_away_leaves_everybody_in() {
        let mut session = open_session();
        session.leave(user(1), CallId(1), None, at_ms(2_000));

        let effects = session.on_written(&WriteOutcome::Unavailable, at_ms(2_000));

        assert_eq!(
            effects,
            [SessionEffect::AnswerLeave(
                CallId(1),
                LeaveAnswer::Unavailable
            )]
        );
        assert_eq!(session.record().left, [false, false]);
    }

    #[test]
    fn the_session_ends_exactly_when_its_time_is_over() {
        let mut session = open_session();

        assert_eq!(session.on_time(at_ms(8_999)), []);
        assert_eq!(session.on_time(at_ms(9_000)), [SessionEffect::Over]);
        assert_eq!(session.next_wake(), None);
    }
}

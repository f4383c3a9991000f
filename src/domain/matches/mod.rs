//! A match: from the proposal until both confirmed and a session is open, or until it ended.
//!
//! One write is under way at a time; commands that arrive meanwhile are parked and decided
//! afterwards. What the store's answers do is in `outcomes`, the ends without a session are in
//! `ending`, the way from the second confirmation to the session is in `opening`.

mod effects;
mod ending;
mod opening;
mod outcomes;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::bucket::MatchIds;
use super::limits::{PARKED_MAX, TOGETHER_MS, Timeouts};
use super::notices::{AskAnswer, CallId, Notice, ProposalAnswer, WithdrawAnswer};
use super::retry::Backoff;
use super::sessions::SessionRecord;
use super::tickets::Ticket;
use super::values::{Timestamp, UserId};
use super::writes::{Ending, Fate, Side, Write};

pub use effects::{MatchCommand, MatchEffect};

use opening::Opening;

/// Two paired tickets. Effects are to be carried out in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Match {
    ids: MatchIds,
    tickets: [Ticket; 2],
    expires_at: Timestamp,
    timeouts: Timeouts,
    confirmed: [bool; 2],
    phase: Phase,
    /// A question or the shared session is awaited.
    awaits: bool,
    /// There may be a shared session, although the match is not confirmed.
    may_be_shared: bool,
    writing: Option<Writing>,
    /// See [`Match::write_by`].
    write_by: Option<Timestamp>,
    parked: VecDeque<Parked>,
    backoff: Backoff,
}

/// A command that waits for the write under way; after this time nobody waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Parked {
    command: MatchCommand,
    by: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Phase {
    /// Somebody has not answered yet; after a store that was away, no earlier than this.
    Proposed { again_at: Option<Timestamp> },
    /// Both confirmed.
    Opening(Opening),
    /// Ended, perhaps because that side declined.
    Over(Option<Side>),
}

/// The write that is under way, with what follows from it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Writing {
    Confirm {
        side: Side,
        call: CallId,
    },
    Count {
        side: Side,
        call: CallId,
    },
    End {
        ending: Ending,
        fates: [Fate; 2],
        asked: EndedBy,
    },
    /// Nothing yet: the second confirmation is to be stored together with the session, but by itself
    /// where that takes longer.
    Together {
        side: Side,
        call: CallId,
        /// How long the question may take; nothing once it is there. The shared session is waited
        /// for, so that it can be removed if it is not to be.
        until: Option<Timestamp>,
    },
    Open {
        session: SessionRecord,
        /// Who confirms with it, and waits for the answer.
        confirms: Option<(Side, CallId)>,
    },
}

/// Who or what ends a match.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum EndedBy {
    Time,
    Decline(CallId),
    Replace { new: Box<Ticket>, call: CallId },
}

impl Match {
    /// A stored proposal; `tickets` are the older one first.
    pub fn new(
        ids: MatchIds,
        tickets: [Ticket; 2],
        expires_at: Timestamp,
        timeouts: Timeouts,
    ) -> Self {
        Self {
            ids,
            tickets,
            expires_at,
            timeouts,
            confirmed: [false; 2],
            phase: Phase::Proposed { again_at: None },
            awaits: false,
            may_be_shared: false,
            writing: None,
            write_by: None,
            parked: VecDeque::new(),
            backoff: Backoff::default(),
        }
    }

    /// A match read at start-up. [`Match::on_time`] takes it from there.
    #[must_use]
    pub fn with_confirmations(mut self, confirmed: [bool; 2]) -> Self {
        self.learn(confirmed);
        self
    }

    /// Takes over which confirmations are stored, of a match that nobody has ended.
    fn learn(&mut self, confirmed: [bool; 2]) {
        self.confirmed = confirmed;
        // A server may have ended while it was about to store the second one with the session.
        self.may_be_shared |= confirmed.contains(&true);
        for (ticket, confirmed) in self.tickets.iter_mut().zip(confirmed) {
            if confirmed {
                ticket.silences = 0;
            }
        }
        self.phase = match confirmed {
            [true, true] => Phase::Opening(Opening::default()),
            _ => Phase::Proposed { again_at: None },
        };
    }

    /// Its ids.
    pub fn ids(&self) -> MatchIds {
        self.ids
    }

    /// Its users, in the order of its tickets.
    pub fn users(&self) -> [&UserId; 2] {
        self.tickets.each_ref().map(|ticket| &ticket.user)
    }

    /// Its tickets, the older first.
    pub fn tickets(&self) -> &[Ticket; 2] {
        &self.tickets
    }

    /// Whether both have confirmed, so that a session is being opened.
    pub fn is_opening(&self) -> bool {
        matches!(self.phase, Phase::Opening(_))
    }

    /// Whether the second confirmation is about to be stored, with the session or by itself.
    pub fn is_about_to_open(&self) -> bool {
        matches!(self.writing, Some(Writing::Together { .. }))
    }

    /// When the confirmation window is over.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// What the user on `side` is told of the proposal.
    pub fn found(&self, side: Side) -> Notice {
        Notice::MatchFound {
            match_id: self.ids.id,
            partner: self.user(side.other()).clone(),
            wish: self.tickets[side.index()].wish.clone(),
            expires_at: self.expires_at,
        }
    }

    /// By when the write under way must have reached the store, where somebody waits for it.
    pub fn write_by(&self) -> Option<Timestamp> {
        self.write_by
    }

    /// When [`Match::on_time`] has something to do next.
    pub fn next_wake(&self) -> Option<Timestamp> {
        match self.writing {
            Some(Writing::Together { until, .. }) => return until,
            Some(_) => return None,
            None => {}
        }
        match &self.phase {
            Phase::Proposed { again_at } => Some(again_at.unwrap_or(self.expires_at)),
            Phase::Opening(_) if self.awaits => None,
            Phase::Opening(opening) => opening.next_wake(self.gives_up_at()),
            Phase::Over(_) => None,
        }
    }

    /// Does what is due at `now`. Being late changes nothing but the time at which it is done.
    pub fn on_time(&mut self, now: Timestamp) -> Vec<MatchEffect> {
        let mut effects = Vec::new();
        match self.writing {
            Some(Writing::Together {
                until: Some(until), ..
            }) if until <= now => {
                self.confirm_alone(now, &mut effects);
                return effects;
            }
            Some(_) => return effects,
            None => {}
        }
        match &self.phase {
            Phase::Proposed { again_at } => {
                if self.expires_at <= now && again_at.is_none_or(|at| at <= now) {
                    self.expire(now, &mut effects);
                }
            }
            Phase::Opening(_) => self.open(now, &mut effects),
            Phase::Over(_) => {}
        }
        effects
    }

    /// One of the two wants something, and waits for the answer until `by`.
    pub fn command(
        &mut self,
        command: MatchCommand,
        by: Option<Timestamp>,
        now: Timestamp,
    ) -> Vec<MatchEffect> {
        let mut effects = self.on_time(now);
        let stranger = command
            .proposal_caller()
            .filter(|(user, _)| self.side_of(user).is_none());
        if let Some((_, call)) = stranger {
            effects.push(MatchEffect::Answer(call, ProposalAnswer::NotFound));
        } else if self.writing.is_none() {
            self.decide(Parked { command, by }, now, &mut effects);
        } else if self.parked.len() < PARKED_MAX {
            self.parked.push_back(Parked { command, by });
        } else {
            effects.push(command.busy());
        }
        effects
    }

    fn decide(&mut self, parked: Parked, now: Timestamp, effects: &mut Vec<MatchEffect>) {
        let Parked { command, by } = parked;
        // Whoever was told that the store is away may have wanted something else since then. And
        // where the end is due, but the store could not take it yet, nothing else may win now.
        if by.is_some_and(|by| by <= now) || self.is_overdue(now) {
            effects.push(command.unavailable());
            return;
        }
        self.carry_out(command, now, effects);
        if self.writing.is_some() {
            self.write_by = by;
        }
    }

    fn carry_out(&mut self, command: MatchCommand, now: Timestamp, effects: &mut Vec<MatchEffect>) {
        match command {
            MatchCommand::Confirm(user, call) => self.confirm(&user, call, now, effects),
            MatchCommand::Decline(user, call) => self.decline(&user, call, now, effects),
            MatchCommand::AskAgain(new, call) => self.ask_again(new, call, now, effects),
            MatchCommand::Withdraw(call) => effects.push(match self.phase {
                Phase::Over(_) => MatchEffect::Reconsider(call),
                Phase::Proposed { .. } | Phase::Opening(_) => {
                    MatchEffect::AnswerWithdraw(call, WithdrawAnswer::NotPending)
                }
            }),
        }
    }

    fn confirm(
        &mut self,
        user: &UserId,
        call: CallId,
        now: Timestamp,
        effects: &mut Vec<MatchEffect>,
    ) {
        let Some(side) = self.side_of(user) else {
            effects.push(MatchEffect::Answer(call, ProposalAnswer::NotFound));
            return;
        };
        let together = self.may_confirm_together(side, now);
        match &mut self.phase {
            Phase::Proposed { .. } if self.confirmed[side.index()] => {
                effects.push(MatchEffect::Answer(call, ProposalAnswer::WaitingForPartner));
            }
            Phase::Proposed { .. } if together => {
                let until = Some(now.plus_ms(TOGETHER_MS));
                self.writing = Some(Writing::Together { side, call, until });
                self.find_question(effects);
            }
            Phase::Proposed { .. } => self.store_confirmation(side, call, effects),
            Phase::Opening(opening) => {
                if opening.await_session(call) {
                    self.open(now, effects);
                } else {
                    effects.push(MatchEffect::Answer(call, ProposalAnswer::Busy));
                }
            }
            Phase::Over(_) => effects.push(MatchEffect::Answer(call, ProposalAnswer::NotFound)),
        }
    }

    fn decline(
        &mut self,
        user: &UserId,
        call: CallId,
        now: Timestamp,
        effects: &mut Vec<MatchEffect>,
    ) {
        let answer = match (self.side_of(user), &self.phase) {
            (Some(side), Phase::Proposed { .. }) => {
                return self.end_by_decline(side, EndedBy::Decline(call), now, effects);
            }
            (Some(_), Phase::Opening(_)) => ProposalAnswer::AlreadyConfirmed,
            (Some(side), Phase::Over(decliner)) if *decliner == Some(side) => {
                ProposalAnswer::Declined
            }
            (None, _) | (_, Phase::Over(_)) => ProposalAnswer::NotFound,
        };
        effects.push(MatchEffect::Answer(call, answer));
    }

    fn ask_again(
        &mut self,
        new: Box<Ticket>,
        call: CallId,
        now: Timestamp,
        effects: &mut Vec<MatchEffect>,
    ) {
        let (Some(side), false) = (
            self.side_of(&new.user),
            matches!(self.phase, Phase::Over(_)),
        ) else {
            effects.push(MatchEffect::Reconsider(call));
            return;
        };
        let held = &self.tickets[side.index()];
        if self.confirmed[side.index()] {
            let duplicate = AskAnswer::Duplicate {
                ticket: held.id,
                matched: true,
            };
            effects.push(MatchEffect::AnswerAsk(call, duplicate));
        } else if held.wish.bucket() == new.wish.bucket() {
            let write = Write::CountAsk {
                ticket: held.id,
                asks: held.asks + 1,
            };
            self.write(write, Writing::Count { side, call }, effects);
        } else {
            self.end_by_decline(side, EndedBy::Replace { new, call }, now, effects);
        }
    }

    fn write(&mut self, write: Write, writing: Writing, effects: &mut Vec<MatchEffect>) {
        self.writing = Some(writing);
        self.write_by = None;
        effects.push(MatchEffect::Store(write));
    }

    fn user(&self, side: Side) -> &UserId {
        &self.tickets[side.index()].user
    }

    /// Whether the confirmation window is over and the end not stored yet.
    fn is_overdue(&self, now: Timestamp) -> bool {
        matches!(self.phase, Phase::Proposed { .. }) && self.expires_at <= now
    }

    /// On which side `user` is, if one of the two.
    pub fn side_of(&self, user: &UserId) -> Option<Side> {
        Side::BOTH.into_iter().find(|side| self.user(*side) == user)
    }
}

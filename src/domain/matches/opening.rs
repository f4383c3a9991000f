//! From the second confirmation to the session: a question, the shared session, the rows.

use crate::domain::limits::{OPENING_GIVE_UP_MS, PARKED_MAX};
use crate::domain::notices::{CallId, ProposalAnswer};
use crate::domain::sessions::{Question, SessionRecord};
use crate::domain::values::Timestamp;
use crate::domain::writes::{Ending, Fate, Side, Write};

use super::{EndedBy, Match, MatchEffect, Phase, Writing};

/// How far the opening of a session has come.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Opening {
    step: Step,
    /// Who confirmed and waits for the session.
    waiting: Vec<CallId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Step {
    /// Nothing is under way, and the next try may begin.
    #[default]
    Idle,
    /// The last try failed; the next one is due then.
    Retry(Timestamp),
    /// A question or the shared session is awaited.
    Away,
}

impl Opening {
    /// Takes a caller who confirmed; false, and nothing changed, where too many wait already.
    pub(super) fn await_session(&mut self, call: CallId) -> bool {
        if self.waiting.len() >= PARKED_MAX {
            return false;
        }
        self.waiting.push(call);
        // Repeating a confirmation starts a try at once.
        if matches!(self.step, Step::Retry(_)) {
            self.step = Step::Idle;
        }
        true
    }

    pub(super) fn next_wake(&self, gives_up_at: Timestamp) -> Option<Timestamp> {
        match self.step {
            Step::Idle => Some(gives_up_at),
            Step::Retry(at) => Some(at),
            Step::Away => None,
        }
    }

    pub(super) fn take_waiting(&mut self) -> Vec<CallId> {
        std::mem::take(&mut self.waiting)
    }
}

impl Match {
    /// When the opening is given up, and both are put back.
    pub(super) fn gives_up_at(&self) -> Timestamp {
        self.expires_at.plus_ms(OPENING_GIVE_UP_MS)
    }

    /// Starts the next try if one is due, or gives up.
    pub(super) fn open(&mut self, now: Timestamp, effects: &mut Vec<MatchEffect>) {
        let give_up = self.gives_up_at() <= now;
        let Phase::Opening(opening) = &mut self.phase else {
            return;
        };
        match opening.step {
            Step::Away => return,
            Step::Retry(at) if at > now => return,
            Step::Idle | Step::Retry(_) => {}
        }
        if give_up {
            let fates = Side::BOTH.map(|side| {
                let mut back = self.tickets[side.index()].back_in_place(now, self.timeouts, None);
                back.silences = 0;
                Fate::PutBack(back)
            });
            self.end(
                Ending::QuestionUnavailable,
                fates,
                EndedBy::Time,
                now,
                effects,
            );
        } else {
            opening.step = Step::Away;
            effects.push(MatchEffect::FindQuestion);
        }
    }

    /// A question was found, or none could be had now.
    pub fn on_question(&mut self, question: Option<Question>, now: Timestamp) -> Vec<MatchEffect> {
        match question {
            Some(question) if self.gives_up_at() > now && self.is_opening() => {
                vec![MatchEffect::Share(self.session_record(question, now))]
            }
            _ => self.try_later(now),
        }
    }

    /// The shared session holds `question`, or could not be written now.
    pub fn on_shared(&mut self, question: Option<Question>, now: Timestamp) -> Vec<MatchEffect> {
        match question {
            Some(question) if self.gives_up_at() > now && self.is_opening() => {
                let record = self.session_record(question, now);
                let mut effects = Vec::new();
                self.write_session(record, &mut effects);
                effects
            }
            _ => self.try_later(now),
        }
    }

    fn write_session(&mut self, session: SessionRecord, effects: &mut Vec<MatchEffect>) {
        let write = Write::OpenSession {
            session: session.clone(),
            tickets: [self.tickets[0].id, self.tickets[1].id],
            event: self.ids.event,
        };
        self.write(write, Writing::Open(session), effects);
    }

    /// Whoever waits is told; the server goes on trying, and the time to give up is not put off.
    pub(super) fn try_later(&mut self, now: Timestamp) -> Vec<MatchEffect> {
        let again_at = self.backoff.next(now).min(self.gives_up_at());
        self.try_at(again_at, now)
    }

    /// The end itself could not be stored.
    pub(super) fn give_up_later(&mut self, now: Timestamp) -> Vec<MatchEffect> {
        let again_at = self.backoff.next(now);
        self.try_at(again_at, now)
    }

    fn try_at(&mut self, again_at: Timestamp, now: Timestamp) -> Vec<MatchEffect> {
        let Phase::Opening(opening) = &mut self.phase else {
            return Vec::new();
        };
        opening.step = Step::Retry(again_at);
        let unavailable = |call| MatchEffect::Answer(call, ProposalAnswer::QuestionUnavailable);
        let mut effects: Vec<MatchEffect> = opening
            .take_waiting()
            .into_iter()
            .map(unavailable)
            .collect();
        effects.extend(self.on_time(now));
        effects
    }

    fn session_record(&self, question: Question, now: Timestamp) -> SessionRecord {
        SessionRecord {
            id: self.ids.session,
            match_id: self.ids.id,
            users: Side::BOTH.map(|side| self.user(side).clone()),
            question,
            opened_at: now,
            ends_at: now.plus_ms(self.timeouts.session_ttl_ms),
            left: [false, false],
        }
    }
}

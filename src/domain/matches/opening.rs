//! From the second confirmation to the session: a question, the shared session, the rows.
//!
//! The confirmation is stored with those rows. Where a question or the shared session is not to be had
//! at once, it is stored by itself, and the session follows.

use crate::limits::{OPENING_GIVE_UP_MS, PARKED_MAX, TOGETHER_MARGIN_MS};
use crate::notices::{CallId, ProposalAnswer};
use crate::sessions::{Question, SessionRecord};
use crate::values::Timestamp;
use crate::writes::{Ending, Fate, Side, Write};

use super::{EndedBy, Match, MatchCommand, MatchEffect, Parked, Phase, Writing};

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
        if self.awaits || matches!(opening.step, Step::Retry(at) if at > now) {
            return;
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
            opening.step = Step::Idle;
            self.find_question(effects);
        }
    }

    /// A question was found, or none could be had now.
    pub fn on_question(&mut self, question: Option<Question>, now: Timestamp) -> Vec<MatchEffect> {
        self.awaits = false;
        match question.filter(|_| self.may_open(now)) {
            Some(question) => {
                (self.awaits, self.may_be_shared) = (true, true);
                if let Some(Writing::Together { until, .. }) = &mut self.writing {
                    *until = None;
                }
                vec![MatchEffect::Share(self.session_record(question, now))]
            }
            None => self.not_now(now),
        }
    }

    /// The shared session holds `question`, or could not be written now.
    pub fn on_shared(&mut self, question: Option<Question>, now: Timestamp) -> Vec<MatchEffect> {
        self.awaits = false;
        match question.filter(|_| self.may_open(now)) {
            Some(question) => {
                let record = self.session_record(question, now);
                let mut effects = Vec::new();
                self.write_session(record, &mut effects);
                effects
            }
            None => self.not_now(now),
        }
    }

    pub(super) fn find_question(&mut self, effects: &mut Vec<MatchEffect>) {
        self.awaits = true;
        effects.push(MatchEffect::FindQuestion);
    }

    /// Whether the confirmation of `side` may wait for a question and the shared session.
    pub(super) fn may_confirm_together(&self, side: Side, now: Timestamp) -> bool {
        let is_second = self.confirmed[side.other().index()];
        is_second && !self.awaits && now.plus_ms(TOGETHER_MARGIN_MS) < self.expires_at
    }

    /// Stores the second confirmation by itself, while what is awaited goes on. Where this comes so
    /// late that the window is over, it waits for that end.
    pub(super) fn confirm_alone(&mut self, now: Timestamp, effects: &mut Vec<MatchEffect>) {
        let Some((side, call)) = self.together() else {
            return;
        };
        if self.is_overdue(now) {
            self.writing = None;
            let command = MatchCommand::Confirm(self.user(side).clone(), call);
            let by = self.write_by;
            self.parked.push_front(Parked { command, by });
            effects.extend(self.on_time(now));
            self.decide_parked(now, effects);
        } else {
            self.store_confirmation_alone(side, call, effects);
        }
    }

    pub(super) fn store_confirmation(
        &mut self,
        side: Side,
        call: CallId,
        effects: &mut Vec<MatchEffect>,
    ) {
        let write = Write::ConfirmMatch {
            match_id: self.ids.id,
            side,
        };
        self.write(write, Writing::Confirm { side, call }, effects);
    }

    /// In place of the write that was to store both, and by the same time.
    pub(super) fn store_confirmation_alone(
        &mut self,
        side: Side,
        call: CallId,
        effects: &mut Vec<MatchEffect>,
    ) {
        let by = self.write_by;
        self.store_confirmation(side, call, effects);
        self.write_by = by;
    }

    /// Whose confirmation is to be stored together with the session.
    fn together(&self) -> Option<(Side, CallId)> {
        match self.writing {
            Some(Writing::Together { side, call, .. }) => Some((side, call)),
            _ => None,
        }
    }

    fn may_open(&self, now: Timestamp) -> bool {
        match self.together() {
            Some(_) => !self.is_overdue(now),
            None => self.is_opening() && self.gives_up_at() > now,
        }
    }

    /// There is no question or no shared session now.
    fn not_now(&mut self, now: Timestamp) -> Vec<MatchEffect> {
        if self.together().is_none() {
            return self.try_later(now);
        }
        let mut effects = Vec::new();
        self.confirm_alone(now, &mut effects);
        effects
    }

    fn write_session(&mut self, session: SessionRecord, effects: &mut Vec<MatchEffect>) {
        let (confirms, by) = (self.together(), self.write_by);
        let write = Write::OpenSession {
            session: session.clone(),
            tickets: [self.tickets[0].id, self.tickets[1].id],
            event: self.ids.event,
            confirms: confirms.map(|(side, _)| side),
        };
        self.write(write, Writing::Open { session, confirms }, effects);
        self.write_by = by.filter(|_| confirms.is_some());
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

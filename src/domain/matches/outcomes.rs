//! What a match does when the store has answered.

use crate::notices::{
    AskAnswer, Breach, CallId, ExpiryReason, Guarantee, Notice, ProposalAnswer, WithdrawAnswer,
};
use crate::sessions::{Session, SessionRecord};
use crate::tickets::TicketOutcome;
use crate::values::Timestamp;
use crate::writes::{Ending, Fate, Refusal, Side, WriteOutcome};

use super::opening::Opening;
use super::{EndedBy, Match, MatchCommand, MatchEffect, Parked, Phase, Writing};

impl Match {
    /// The store answered the write under way.
    pub fn on_written(&mut self, outcome: &WriteOutcome, now: Timestamp) -> Vec<MatchEffect> {
        let mut effects = Vec::new();
        let Some(writing) = self.writing.take() else {
            return effects;
        };
        match outcome {
            WriteOutcome::Stored => {
                self.backoff.reset();
                self.stored(writing, &mut effects);
            }
            WriteOutcome::Refused(Refusal::OpenOtherwise {
                confirmed,
                expires_at,
            }) if self.is_news(&writing, *confirmed, *expires_at) => {
                self.expires_at = self.expires_at.max(*expires_at);
                self.learn(*confirmed);
                self.decide_again(writing, &mut effects);
            }
            WriteOutcome::Refused(_) => self.refused(writing, &mut effects),
            WriteOutcome::Unavailable => self.unavailable(writing, now, &mut effects),
        }
        effects.extend(self.on_time(now));
        self.decide_parked(now, &mut effects);
        effects
    }

    /// Decides what waited for the write that was under way.
    pub(super) fn decide_parked(&mut self, now: Timestamp, effects: &mut Vec<MatchEffect>) {
        while self.writing.is_none()
            && let Some(parked) = self.parked.pop_front()
        {
            match parked.command {
                // Whoever asked again may have gone meanwhile, and then nothing must be declined or
                // replaced for them: the roster sees to that.
                MatchCommand::AskAgain(_, call) => effects.push(MatchEffect::Reconsider(call)),
                _ => self.decide(parked, now, effects),
            }
        }
    }

    fn stored(&mut self, writing: Writing, effects: &mut Vec<MatchEffect>) {
        match writing {
            Writing::Confirm { side, call } => self.confirmed(side, call, effects),
            Writing::Count { side, call } => {
                let ticket = &mut self.tickets[side.index()];
                ticket.asks += 1;
                let ticket = Box::new(ticket.clone());
                let answer = AskAnswer::Ticket {
                    ticket,
                    matched: true,
                };
                effects.push(MatchEffect::AnswerAsk(call, answer));
            }
            Writing::End {
                ending,
                fates,
                asked,
            } => self.ended(ending, fates, asked, effects),
            Writing::Open { session, confirms } => {
                if let Some((side, _)) = confirms {
                    self.learn_confirmation(side);
                }
                self.opened(session, confirms.map(|(_, call)| call), effects);
            }
            // It is not stored yet.
            Writing::Together { .. } => self.writing = Some(writing),
        }
    }

    fn confirmed(&mut self, side: Side, call: CallId, effects: &mut Vec<MatchEffect>) {
        self.learn_confirmation(side);
        if self.confirmed == [true, true] {
            let mut opening = Opening::default();
            opening.await_session(call);
            // `on_time`, which comes next, starts the first try.
            self.phase = Phase::Opening(opening);
        } else {
            effects.push(MatchEffect::Answer(call, ProposalAnswer::WaitingForPartner));
        }
    }

    fn learn_confirmation(&mut self, side: Side) {
        self.confirmed[side.index()] = true;
        self.tickets[side.index()].silences = 0;
    }

    fn ended(
        &mut self,
        ending: Ending,
        fates: [Fate; 2],
        asked: EndedBy,
        effects: &mut Vec<MatchEffect>,
    ) {
        let decliner = match ending {
            Ending::Declined(side) => Some(side),
            Ending::Expired | Ending::QuestionUnavailable => None,
        };
        let waiting = self.over(decliner);
        if self.may_be_shared || ending == Ending::QuestionUnavailable {
            effects.push(MatchEffect::Unshare);
        }
        // Everybody is told after all tickets are where they belong.
        let gone = |call| MatchEffect::Answer(call, ProposalAnswer::NotFound);
        let mut told: Vec<MatchEffect> = waiting.into_iter().map(gone).collect();
        let mut replacement = None;
        match asked {
            EndedBy::Replace { new, call } => replacement = Some((new, call)),
            EndedBy::Decline(call) => {
                told.push(MatchEffect::Answer(call, ProposalAnswer::Declined));
            }
            EndedBy::Time => {}
        }
        for (side, fate) in Side::BOTH.into_iter().zip(fates) {
            if let Some(notice) = self.ending_notice(side, ending, &fate) {
                told.push(MatchEffect::Tell(self.user(side).clone(), notice));
            }
            let (ticket, user) = (self.tickets[side.index()].id, self.user(side).clone());
            match (
                fate,
                replacement.take_if(|_| ending == Ending::Declined(side)),
            ) {
                (Fate::PutBack(ticket), _) => effects.push(MatchEffect::PutBack(ticket)),
                (Fate::Closed(_), Some((new, call))) => {
                    let answer = AskAnswer::Ticket {
                        ticket: new.clone(),
                        matched: false,
                    };
                    effects.push(MatchEffect::Replaced {
                        old: ticket,
                        new: *new,
                    });
                    told.push(MatchEffect::AnswerAsk(call, answer));
                }
                (Fate::Closed(outcome), None) => {
                    effects.push(MatchEffect::Closed {
                        ticket,
                        user,
                        outcome,
                    });
                }
            }
        }
        effects.extend(told);
        effects.push(MatchEffect::Over);
    }

    /// The match is over from here on; gives back those who waited for its session.
    fn over(&mut self, decliner: Option<Side>) -> Vec<CallId> {
        match std::mem::replace(&mut self.phase, Phase::Over(decliner)) {
            Phase::Opening(mut opening) => opening.take_waiting(),
            Phase::Proposed { .. } | Phase::Over(_) => Vec::new(),
        }
    }

    fn ending_notice(&self, side: Side, ending: Ending, fate: &Fate) -> Option<Notice> {
        let reason = match ending {
            Ending::Declined(decliner) if decliner == side => return None,
            Ending::Declined(_) => ExpiryReason::PartnerDeclined,
            Ending::Expired => ExpiryReason::ConfirmationTimeout,
            Ending::QuestionUnavailable => ExpiryReason::QuestionUnavailable,
        };
        Some(self.expired_notice(reason, fate))
    }

    fn opened(
        &mut self,
        record: SessionRecord,
        confirmed_by: Option<CallId>,
        effects: &mut Vec<MatchEffect>,
    ) {
        let mut waiting = self.over(None);
        waiting.extend(confirmed_by);
        let tickets = [self.tickets[0].id, self.tickets[1].id];
        effects.push(MatchEffect::Opened(Box::new(Session::new(
            record.clone(),
            tickets,
        ))));
        for side in Side::BOTH {
            let ready = Notice::MatchReady {
                match_id: self.ids.id,
                session: record.id,
                question_id: record.question.id,
                partner: self.user(side.other()).clone(),
            };
            effects.push(MatchEffect::Tell(self.user(side).clone(), ready));
        }
        for call in waiting {
            let answer = ProposalAnswer::Session(Box::new(record.clone()));
            effects.push(MatchEffect::Answer(call, answer));
        }
        for parked in std::mem::take(&mut self.parked) {
            effects.push(parked.command.after_opening(&record));
        }
    }

    /// Whether another server has added something to this match since it was read, so that its end
    /// is to be decided again. Confirmations only grow and a window is extended once: that comes to
    /// an end.
    fn is_news(&self, writing: &Writing, confirmed: [bool; 2], expires_at: Timestamp) -> bool {
        let ends = matches!(writing, Writing::End { .. });
        let proposed = matches!(self.phase, Phase::Proposed { .. });
        let kept = self
            .confirmed
            .into_iter()
            .zip(confirmed)
            .all(|(known, stored)| stored || !known);
        let more = self.confirmed != confirmed || self.expires_at < expires_at;
        ends && proposed && kept && more
    }

    /// What is known now may have another end, or none yet: whoever wanted one is heard again, and
    /// time is asked next.
    fn decide_again(&mut self, writing: Writing, effects: &mut Vec<MatchEffect>) {
        let Writing::End { ending, asked, .. } = writing else {
            return;
        };
        match (asked, ending) {
            (EndedBy::Decline(call), Ending::Declined(side)) => {
                let command = MatchCommand::Decline(self.user(side).clone(), call);
                let by = self.write_by;
                self.parked.push_front(Parked { command, by });
            }
            (EndedBy::Replace { call, .. } | EndedBy::Decline(call), _) => {
                effects.push(MatchEffect::Reconsider(call));
            }
            (EndedBy::Time, _) => {}
        }
    }

    /// Where the second confirmation was refused together with the session, it is stored by itself: that
    /// tells which of the two cannot be, and keeps what can.
    fn refused(&mut self, writing: Writing, effects: &mut Vec<MatchEffect>) {
        match writing {
            Writing::Open {
                confirms: Some((side, call)),
                ..
            } => self.store_confirmation_alone(side, call, effects),
            writing => self.lost(writing, effects),
        }
    }

    /// The database does not know this match as memory did: the database decides.
    fn lost(&mut self, writing: Writing, effects: &mut Vec<MatchEffect>) {
        effects.push(MatchEffect::Breached(broken_by_refusal(&writing)));
        let waiting = self.over(None);
        for side in Side::BOTH {
            let (ticket, user) = (self.tickets[side.index()].id, self.user(side).clone());
            effects.push(MatchEffect::Closed {
                ticket,
                user,
                outcome: TicketOutcome::Refused,
            });
        }
        let gone = |call| MatchEffect::Answer(call, ProposalAnswer::NotFound);
        effects.extend(waiting.into_iter().map(gone));
        match writing {
            Writing::Confirm { call, .. }
            | Writing::Together { call, .. }
            | Writing::End {
                asked: EndedBy::Decline(call),
                ..
            } => effects.push(gone(call)),
            Writing::Count { call, .. }
            | Writing::End {
                asked: EndedBy::Replace { call, .. },
                ..
            } => {
                effects.push(MatchEffect::Reconsider(call));
            }
            Writing::End {
                asked: EndedBy::Time,
                ..
            }
            | Writing::Open { .. } => {}
        }
        effects.push(MatchEffect::Over);
    }

    /// Nothing was stored: everything is as before, and what time demands is tried again.
    fn unavailable(&mut self, writing: Writing, now: Timestamp, effects: &mut Vec<MatchEffect>) {
        let ends = matches!(writing, Writing::End { .. });
        match writing {
            Writing::Confirm { call, .. }
            | Writing::Together { call, .. }
            | Writing::Open {
                confirms: Some((_, call)),
                ..
            }
            | Writing::End {
                asked: EndedBy::Decline(call),
                ..
            } => {
                effects.push(MatchEffect::Answer(call, ProposalAnswer::Unavailable));
            }
            Writing::Count { call, .. }
            | Writing::End {
                asked: EndedBy::Replace { call, .. },
                ..
            } => {
                effects.push(MatchEffect::AnswerAsk(call, AskAnswer::Unavailable));
            }
            Writing::End {
                asked: EndedBy::Time,
                ..
            }
            | Writing::Open { confirms: None, .. } => {}
        }
        if self.is_opening() && ends {
            effects.extend(self.give_up_later(now));
        } else if self.is_opening() {
            effects.extend(self.try_later(now));
        } else if self.expires_at <= now {
            self.phase = Phase::Proposed {
                again_at: Some(self.backoff.next(now)),
            };
        }
    }
}

/// What it breaks that a write about a match that memory knows as open was refused.
fn broken_by_refusal(writing: &Writing) -> Breach {
    match writing {
        Writing::Open { .. } => Breach {
            guarantee: Guarantee::OneSession,
            seen: "a confirmed match could not become its session in the database",
        },
        Writing::Confirm { .. }
        | Writing::Together { .. }
        | Writing::Count { .. }
        | Writing::End { .. } => Breach {
            guarantee: Guarantee::OneOutcome,
            seen: "an open match was found otherwise in the database",
        },
    }
}

impl MatchCommand {
    /// What a command is answered that comes after the match became the session `record`.
    pub fn after_opening(self, record: &SessionRecord) -> MatchEffect {
        match self {
            Self::Confirm(user, call) => {
                let answer = match record.side_of(&user) {
                    Some(_) => ProposalAnswer::Session(Box::new(record.clone())),
                    None => ProposalAnswer::NotFound,
                };
                MatchEffect::Answer(call, answer)
            }
            Self::Decline(user, call) => {
                let answer = match record.side_of(&user) {
                    Some(_) => ProposalAnswer::AlreadyConfirmed,
                    None => ProposalAnswer::NotFound,
                };
                MatchEffect::Answer(call, answer)
            }
            Self::AskAgain(_, call) => MatchEffect::Reconsider(call),
            Self::Withdraw(call) => MatchEffect::AnswerWithdraw(call, WithdrawAnswer::NotPending),
        }
    }

    /// What a command is answered that comes after the match ended without a session.
    pub fn after_ending(self) -> MatchEffect {
        match self {
            Self::Confirm(_, call) | Self::Decline(_, call) => {
                MatchEffect::Answer(call, ProposalAnswer::NotFound)
            }
            Self::AskAgain(_, call) | Self::Withdraw(call) => MatchEffect::Reconsider(call),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::MatchIds;
    use crate::limits::Timeouts;
    use crate::testing::{at_ms, match_id, session_id, session_record, ticket};
    use crate::values::EventId;
    use crate::writes::Refusal;

    #[test]
    fn a_refused_session_is_a_breach_of_its_own() {
        let ids = MatchIds {
            id: match_id(1),
            session: session_id(1),
            event: EventId(uuid::Uuid::nil()),
        };
        let mut confirmed = Match::new(
            ids,
            [ticket(1), ticket(2)],
            at_ms(9_000),
            Timeouts::default(),
        )
        .with_confirmations([true, true]);
        let question = session_record().question;
        confirmed.on_time(at_ms(10));
        confirmed.on_question(Some(question.clone()), at_ms(10));
        confirmed.on_shared(Some(question), at_ms(10));

        let effects = confirmed.on_written(&WriteOutcome::Refused(Refusal::NotOpen), at_ms(10));

        let breach = match &effects[0] {
            MatchEffect::Breached(breach) => Some(breach.guarantee),
            _ => None,
        };
        assert_eq!(breach, Some(Guarantee::OneSession));
        assert_eq!(effects.last(), Some(&MatchEffect::Over));
    }
}

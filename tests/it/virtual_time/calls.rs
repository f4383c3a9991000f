//! Commands, sent as the edge sends them: with a deadline, and a place for the answer.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message};
use matchmaker::actors::board::{Board, MatchView};
use matchmaker::actors::messages::{
    AnswerProposal, LeaveSession, OpenTicket, Reply, WithdrawTicket,
};
use matchmaker::actors::roster::RosterActor;
use matchmaker::adapters::SystemClock;
use matchmaker::domain::{
    AskAnswer, Ending, LeaveAnswer, MatchId, ProposalAnswer, SessionId, Side, TicketId, Timestamp,
    UserId, Wish, WithdrawAnswer,
};
use matchmaker::edge::{ANSWER_WITHIN_MS, CONFIRM_WITHIN_MS};
use matchmaker::observability::Cause;
use matchmaker::ports::{BearerToken, Clock};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::world::World;
use crate::simulation::referee::MatchState;
use crate::simulation::witness::Answer;
use crate::simulation::world::{Call, Want};

/// How often the edge looks whether waiting any longer makes sense, in milliseconds.
const LOOK_EVERY_MS: u64 = 50;

/// A process, as its callers reach it.
#[derive(Clone)]
pub struct Server {
    pub world: Arc<World>,
    pub roster: Addr<RosterActor>,
    pub board: Arc<Board>,
    pub clock: Arc<SystemClock>,
    /// Tells the relay to stop.
    pub relay: Arc<watch::Sender<bool>>,
}

/// Somebody who wants something, and how long that one waits.
#[derive(Debug, Clone)]
pub struct Caller {
    pub person: usize,
    pub user: UserId,
    /// Hangs up after so many milliseconds.
    pub patience_ms: Option<u64>,
}

/// What a caller hears.
#[derive(Debug)]
enum Heard<T> {
    Answer(T),
    /// The roster has no room.
    Busy,
    /// The time is over, or the caller hung up.
    Nothing,
}

impl Server {
    async fn call<M, T>(
        &self,
        caller: &Caller,
        goes_on: impl Fn(&Board) -> bool,
        command: impl FnOnce(Timestamp, Reply<T>) -> M,
    ) -> Heard<T>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        RosterActor: Handler<M>,
        <RosterActor as Actor>::Context: ToEnvelope<RosterActor, M>,
    {
        self.board
            .tokens
            .lend(&caller.user, &BearerToken::new("lent"));
        let (reply, mut answer) = oneshot::channel();
        let deadline = self.clock.now().plus_ms(ANSWER_WITHIN_MS);
        let (began, now) = (self.world.now(), Instant::now());
        if self.roster.try_send(command(deadline, reply)).is_err() {
            return Heard::Busy;
        }
        let hangs_up_ms = caller.patience_ms.unwrap_or(u64::MAX);
        let limit_ms = hangs_up_ms.min(CONFIRM_WITHIN_MS);
        let mut waits_ms = hangs_up_ms.min(ANSWER_WITHIN_MS);
        let answered = loop {
            match timeout_at(now + Duration::from_millis(waits_ms), &mut answer).await {
                Ok(answered) => {
                    assert!(answered.is_ok(), "a command of {caller:?} was dropped");
                    break answered.ok();
                }
                Err(_) if waits_ms < limit_ms && goes_on(&self.board) => {
                    waits_ms = (waits_ms + LOOK_EVERY_MS).min(limit_ms);
                }
                Err(_) => {
                    answer.close();
                    break answer.try_recv().ok();
                }
            }
        };
        let in_vain = answered.is_none() && waits_ms < hangs_up_ms;
        let calm = self.world.state().is_calm_since(began);
        assert!(
            !in_vain || !calm,
            "G10: {caller:?} waited in vain, and every backend was well"
        );
        answered.map_or(Heard::Nothing, Heard::Answer)
    }

    pub async fn ask(&self, caller: Caller, wish: Wish) {
        let (user, asked) = (caller.user.clone(), wish.clone());
        let before = {
            let mut state = self.world.state();
            state.note(&format!("{} asks for {}", caller.user, wish.bucket()));
            state.people[caller.person].asks_under_way += 1;
            state.rows.opened.get(&user).copied()
        };
        let command = |deadline, reply| OpenTicket {
            user,
            wish: asked,
            cause: Cause::NONE,
            deadline,
            reply,
        };
        let heard = self.call(&caller, |_| false, command).await;
        let mut state = self.world.state();
        state.note(&format!("{} hears {heard:?}", caller.user));
        let alone = state.people[caller.person].ask_over(matches!(heard, Heard::Nothing));
        let Heard::Answer(answer) = heard else {
            return state.count("asks without an answer");
        };
        let mut made = TicketId(uuid::Uuid::nil());
        match &answer {
            AskAnswer::Ticket { ticket, .. } => {
                if state.rows.known.insert(ticket.id) {
                    made = ticket.id;
                }
                state.people[caller.person].has(ticket.id);
                state.count("asks answered");
            }
            AskAnswer::Duplicate { ticket, .. } => {
                state.rows.known.insert(*ticket);
                state.people[caller.person].has(*ticket);
                state.count("duplicates");
            }
            AskAnswer::Busy | AskAnswer::Unavailable => {
                let after = state.rows.opened.get(&caller.user).copied();
                assert!(!alone || before == after, "G4: answered 503, but stored");
                state.count("asks refused");
            }
        }
        let want = Want::Ask {
            wish,
            ticket: made,
            claimed: false,
        };
        drop(state);
        self.witness(caller.user, want, Answer::Ask(answer));
    }

    pub async fn withdraw(&self, caller: Caller, ticket: TicketId) {
        let user = caller.user.clone();
        let text = format!("{} withdraws {ticket}", caller.user);
        self.world.state().note(&text);
        let command = |deadline, reply| WithdrawTicket {
            user,
            ticket,
            cause: Cause::NONE,
            deadline,
            reply,
        };
        let heard = self.call(&caller, |_| false, command).await;
        let text = format!("{} hears {heard:?}", caller.user);
        self.world.state().note(&text);
        let answer = match heard {
            Heard::Answer(Some(answer)) => answer,
            Heard::Answer(None) => {
                let state = self.world.state();
                let row = state.rows.db.tickets.get(&ticket);
                if row.is_none_or(|row| row.ticket.user != caller.user) {
                    return;
                }
                WithdrawAnswer::NotPending
            }
            Heard::Busy | Heard::Nothing => return,
        };
        let want = Want::Withdraw(ticket);
        self.witness(caller.user, want, Answer::Withdraw(answer));
    }

    pub async fn answer(&self, caller: Caller, match_id: MatchId, confirmed: bool) {
        let user = caller.user.clone();
        let text = format!("{} answers {match_id}: {confirmed}", caller.user);
        self.world.state().note(&text);
        let command = |deadline, reply| AnswerProposal {
            user,
            match_id,
            confirmed,
            token: BearerToken::new("lent"),
            cause: Cause::NONE,
            deadline,
            reply,
        };
        let opens = |board: &Board| board.find_match(match_id) == Some(MatchView::Opening);
        let heard = self.call(&caller, opens, command).await;
        let text = format!("{} hears {heard:?}", caller.user);
        self.world.state().note(&text);
        let answer = match heard {
            Heard::Answer(Some(answer)) => answer,
            Heard::Answer(None) => self.over(match_id, &caller.user, confirmed),
            Heard::Busy | Heard::Nothing => return,
        };
        if let ProposalAnswer::Session(record) = &answer {
            let mut state = self.world.state();
            state.people[caller.person].joined(record.id);
            state.count("confirmed to the session");
        }
        let want = match confirmed {
            true => Want::Confirm(match_id),
            false => Want::Decline(match_id),
        };
        self.witness(caller.user, want, Answer::Proposal(answer));
    }

    /// No actor holds the match: the rows tell how it ended.
    fn over(&self, id: MatchId, user: &UserId, confirmed: bool) -> ProposalAnswer {
        let state = self.world.state();
        let db = &state.rows.db;
        let (Some(row), Some(side)) = (db.matches.get(&id), db.side(id, user)) else {
            return ProposalAnswer::NotFound;
        };
        match row.state {
            MatchState::InSession if confirmed => {
                let record = db.sessions[&row.proposal.session].record.clone();
                ProposalAnswer::Session(Box::new(record))
            }
            MatchState::InSession => ProposalAnswer::AlreadyConfirmed,
            MatchState::Ended(Ending::Declined(by)) if by == side && !confirmed => {
                ProposalAnswer::Declined
            }
            // Of an open one somebody must know: the witness objects.
            MatchState::Ended(_) | MatchState::Open => ProposalAnswer::NotFound,
        }
    }

    pub async fn leave(&self, caller: Caller, session: SessionId) {
        let user = caller.user.clone();
        let text = format!("{} leaves {session}", caller.user);
        self.world.state().note(&text);
        let command = |deadline, reply| LeaveSession {
            user,
            session,
            cause: Cause::NONE,
            deadline,
            reply,
        };
        let heard = self.call(&caller, |_| false, command).await;
        let text = format!("{} hears {heard:?}", caller.user);
        self.world.state().note(&text);
        let Heard::Answer(answer) = heard else {
            return;
        };
        let Some(answer) = answer else {
            let state = self.world.state();
            let now = state.server_now();
            let row = state.rows.db.sessions.get(&session);
            let open = row.is_some_and(|row| !row.record.has_ended(now));
            assert!(!open, "G4: nobody knows of the open session {session}");
            return;
        };
        if answer == LeaveAnswer::Left {
            self.world.state().count("left");
        }
        self.witness(caller.user, Want::Leave(session), Answer::Leave(answer));
    }

    /// Compares an answer with what is stored at this moment.
    fn witness(&self, user: UserId, want: Want, answer: Answer) {
        let state = self.world.state();
        let (gone, db) = (false, &state.rows.db);
        let call = Call { user, want, gone };
        let nobody = std::collections::BTreeSet::new();
        // One witness is as good as another: answers leave no trace in it.
        crate::simulation::witness::Witness::default().answered(&call, &answer, db, &nobody);
    }

    /// Which side of its match the user is on; for whoever looks at the rows.
    pub fn side(&self, id: MatchId, user: &UserId) -> Option<Side> {
        self.world.state().rows.db.side(id, user)
    }
}

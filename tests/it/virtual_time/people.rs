//! The people: what each knows, and what each does next.

use std::time::Duration;

use actix::{Actor, Addr};
use futures_util::future::join;
use matchmaker::actors::messages::{SocketClosed, SocketConnected, SocketId};
use matchmaker::domain::{Difficulty, MatchId, Notice, SessionId, TicketId, Topic, UserId, Wish};
use tokio::time::sleep;

use super::calls::{Caller, Server};
use super::chance::Chance;
use super::hearing::Socket;
use super::plan::{PEOPLE, TOPICS};

/// Matches, sessions and tickets that each remembers, the newest last.
const REMEMBERED: usize = 4;
/// Longest pause between two deeds, in milliseconds.
const PAUSE_MAX_MS: u64 = 120_000;

/// Somebody, over all processes.
#[derive(Debug)]
pub struct Person {
    pub id: UserId,
    chance: Chance,
    /// Of a hundred proposals, so many are not answered.
    silence_percent: u32,
    pub tickets: Vec<TicketId>,
    pub matches: Vec<MatchId>,
    pub sessions: Vec<SessionId>,
    /// Whether the newest match was answered or passed over.
    reacted: bool,
    pub asks_under_way: usize,
    /// More asks than one were under way, or one was not heard of.
    unsure: bool,
}

#[derive(Debug, Clone)]
pub enum Deed {
    Ask(Wish),
    AskTwice(Wish),
    Withdraw(TicketId),
    Answer(MatchId, bool),
    /// Both at the same moment, from two windows.
    AnswerBoth(MatchId),
    Leave(SessionId),
    Connect,
    Disconnect,
    Nothing,
}

impl Person {
    pub fn new(seed: u64, number: usize) -> Self {
        let mut chance = Chance::new(seed, "person", number as u64);
        let silence_percent = *chance.pick(&[0, 5, 15, 80]).expect("not empty");
        Self {
            id: UserId::parse(&format!("person-{number}")).expect("a valid user id"),
            chance,
            silence_percent,
            tickets: Vec::new(),
            matches: Vec::new(),
            sessions: Vec::new(),
            reacted: false,
            asks_under_way: 0,
            unsure: false,
        }
    }

    /// The process is gone, and every call with it.
    pub fn cut_off(&mut self) {
        (self.asks_under_way, self.unsure) = (0, false);
    }

    pub fn has(&mut self, ticket: TicketId) {
        remember(&mut self.tickets, ticket);
    }

    pub fn joined(&mut self, session: SessionId) {
        remember(&mut self.sessions, session);
    }

    fn found(&mut self, id: MatchId) {
        if remember(&mut self.matches, id) {
            self.reacted = false;
        }
    }

    pub fn told(&mut self, notice: &Notice) {
        match notice {
            Notice::MatchFound { match_id, .. } => self.found(*match_id),
            Notice::MatchReady { session, .. } => self.joined(*session),
            Notice::MatchExpired { .. }
            | Notice::TicketExpired { .. }
            | Notice::PartnerLeft { .. } => {}
        }
    }

    /// An ask is over; whether it was the only one that could have opened a ticket.
    pub fn ask_over(&mut self, in_vain: bool) -> bool {
        let alone = self.asks_under_way == 1 && !self.unsure;
        self.asks_under_way -= 1;
        self.unsure = in_vain || self.asks_under_way > 0 || (self.unsure && !alone);
        alone
    }

    fn pause_ms(&mut self) -> u64 {
        self.chance.skewed(PAUSE_MAX_MS)
    }

    fn patience_ms(&mut self) -> Option<u64> {
        let hangs_up = self.chance.percent(8);
        hangs_up.then(|| self.chance.skewed(1_500))
    }

    fn next(&mut self, sockets: usize, others: (Option<MatchId>, Option<SessionId>)) -> Deed {
        if self.chance.percent(8) {
            return self.next_about_sockets(sockets);
        }
        if self.chance.percent(6) {
            return self.next_odd(others);
        }
        let newest = self.matches.last().copied();
        if let Some(id) = newest.filter(|_| !self.reacted) {
            // Whoever is silent once is silent about the whole proposal.
            self.reacted = true;
            if !self.chance.percent(self.silence_percent) {
                return self.next_about_proposal(id);
            }
            return Deed::Nothing;
        }
        let (ticket, session) = (self.tickets.last().copied(), self.sessions.last().copied());
        match (self.chance.within(0..=9), ticket, session) {
            (0..=3, ..) => Deed::Ask(self.wish()),
            (4, ..) => Deed::AskTwice(self.wish()),
            (5, Some(ticket), _) => Deed::Withdraw(ticket),
            (6 | 7, _, Some(session)) => Deed::Leave(session),
            _ => Deed::Nothing,
        }
    }

    fn next_about_sockets(&mut self, sockets: usize) -> Deed {
        match self.chance.within(0..=2) {
            0 if sockets > 0 => Deed::Disconnect,
            _ if sockets < 3 => Deed::Connect,
            _ => Deed::Disconnect,
        }
    }

    fn next_about_proposal(&mut self, id: MatchId) -> Deed {
        match self.chance.within(0..=19) {
            0..=12 => Deed::Answer(id, true),
            13..=15 => Deed::Answer(id, false),
            16 => Deed::AnswerBoth(id),
            17 => self
                .tickets
                .last()
                .copied()
                .map_or(Deed::Nothing, Deed::Withdraw),
            _ => Deed::Ask(self.wish()),
        }
    }

    /// What nobody should do, and what has been done already.
    fn next_odd(&mut self, (id, session): (Option<MatchId>, Option<SessionId>)) -> Deed {
        let own = self.matches.first().copied();
        let left = self.sessions.first().copied();
        let confirmed = self.chance.percent(60);
        let deed = match self.chance.within(0..=5) {
            0 => id.map(|id| Deed::Answer(id, confirmed)),
            1 => session.map(Deed::Leave),
            2 => left.map(Deed::Leave),
            3 => self.tickets.first().copied().map(Deed::Withdraw),
            _ => own.map(|id| Deed::Answer(id, confirmed)),
        };
        deed.unwrap_or(Deed::Nothing)
    }

    fn wish(&mut self) -> Wish {
        let number = self.chance.index(TOPICS);
        let spelling = if self.chance.percent(50) {
            "topic"
        } else {
            "Topic "
        };
        let topic = Topic::parse(&format!("{spelling} {number}")).expect("a valid topic");
        Wish {
            difficulty: Difficulty::Easy,
            topic,
        }
    }
}

/// Whether it is new.
fn remember<T: PartialEq>(all: &mut Vec<T>, one: T) -> bool {
    if all.last() == Some(&one) {
        return false;
    }
    let known = all.contains(&one);
    all.retain(|other| *other != one);
    all.push(one);
    if all.len() > REMEMBERED {
        all.remove(0);
    }
    !known
}

/// An open socket: as long as its actor is held.
pub struct Open {
    pub id: SocketId,
    _actor: Addr<Socket>,
}

/// One person's life with one process.
pub struct Life {
    server: Server,
    me: usize,
    user: UserId,
    sockets: Vec<Open>,
}

impl Life {
    pub fn new(server: &Server, me: usize) -> Self {
        let user = server.world.state().people[me].id.clone();
        Self {
            server: server.clone(),
            me,
            user,
            sockets: Vec::new(),
        }
    }

    /// Until the hour is over, or the process.
    pub async fn live(mut self) {
        loop {
            let pause_ms = self.pause_ms();
            sleep(Duration::from_millis(pause_ms)).await;
            if self.server.world.state().healed {
                return;
            }
            self.look();
            let (deed, patience_ms, waits) = {
                let mut state = self.server.world.state();
                let other = state.people[self.me].chance.index(PEOPLE);
                let others = state.others(self.me, other);
                let person = &mut state.people[self.me];
                let deed = person.next(self.sockets.len(), others);
                (deed, person.patience_ms(), person.chance.percent(75))
            };
            match deed {
                Deed::Connect => self.connect().await,
                Deed::Disconnect => self.disconnect().await,
                Deed::Nothing => {}
                deed => {
                    let does = act(self.server.clone(), self.caller(patience_ms), deed);
                    if waits {
                        does.await;
                    } else {
                        // The next deed may come before the answer.
                        actix_rt::spawn(does);
                    }
                }
            }
        }
    }

    /// Until the next deed, which may be due for many at the same moment.
    fn pause_ms(&self) -> u64 {
        let mut state = self.server.world.state();
        let pause_ms = state.people[self.me].pause_ms();
        let due = state.now().plus_ms(pause_ms).as_ms().unsigned_abs();
        pause_ms + due.next_multiple_of(self.server.world.plan.rush_ms) - due
    }

    fn caller(&self, patience_ms: Option<u64>) -> Caller {
        Caller {
            person: self.me,
            user: self.user.clone(),
            patience_ms,
        }
    }

    /// Polls, as clients without a socket do.
    fn look(&self) {
        let board = &self.server.board;
        let mut state = self.server.world.state();
        let person = &mut state.people[self.me];
        let ticket = person.tickets.last().and_then(|id| board.ticket(*id));
        if let Some(id) = ticket.and_then(|view| view.match_id) {
            person.found(id);
        }
        if let Some(session) = board.active_session(&self.user) {
            person.joined(session.id);
        }
    }

    async fn connect(&mut self) {
        let (id, too_slow) = self.server.world.state().open_socket(self.me);
        let world = self.server.world.clone();
        let actor = Socket { world, id }.start();
        let connected = SocketConnected {
            user: self.user.clone(),
            socket: id,
            recipient: actor.clone().recipient(),
            too_slow,
        };
        let sent = self.server.roster.send(connected).await;
        assert!(sent.is_ok(), "the roster is gone");
        self.server.world.state().socket_connected(id);
        self.sockets.push(Open { id, _actor: actor });
    }

    async fn disconnect(&mut self) {
        if self.sockets.is_empty() {
            return;
        }
        let index = {
            let mut state = self.server.world.state();
            state.people[self.me].chance.index(self.sockets.len())
        };
        let open = self.sockets.remove(index);
        self.server.world.state().ears.close(open.id);
        let closed = SocketClosed {
            user: self.user.clone(),
            socket: open.id,
        };
        let sent = self.server.roster.send(closed).await;
        assert!(sent.is_ok(), "the roster is gone");
    }
}

async fn act(server: Server, caller: Caller, deed: Deed) {
    let again = caller.clone();
    match deed {
        Deed::Ask(wish) => server.ask(caller, wish).await,
        Deed::AskTwice(wish) => {
            join(server.ask(caller, wish.clone()), server.ask(again, wish)).await;
        }
        Deed::Withdraw(ticket) => server.withdraw(caller, ticket).await,
        Deed::Answer(id, confirmed) => server.answer(caller, id, confirmed).await,
        Deed::AnswerBoth(id) => {
            join(
                server.answer(caller, id, true),
                server.answer(again, id, false),
            )
            .await;
        }
        Deed::Leave(session) => server.leave(caller, session).await,
        Deed::Connect | Deed::Disconnect | Deed::Nothing => {}
    }
}

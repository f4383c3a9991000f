//! What may happen next, drawn at random, and how it is done to the world.

use std::fmt;

use matchmaker::domain::limits::OPENING_GIVE_UP_MS;
use matchmaker::domain::matches::Match;
use matchmaker::domain::{
    Difficulty, Ending, MatchId, Side, TicketId, TicketOutcome, Timestamp, Topic, UserId, Wish,
};
use proptest::bool;
use proptest::prelude::{Just, any, prop_oneof};
use proptest::sample::{Index, select};
use proptest::strategy::Strategy;

use super::referee::{MatchState, Status, TicketRow};
use super::world::{Reply, World};
use super::{USERS, users};

/// What stays the same during one life of the server.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Matches at the same time.
    pub permits: usize,
    /// How many users ask.
    pub users: usize,
    /// How often the outside is away, of some twenty tries.
    pub outages: u32,
    /// Whether rows are changed behind the server's back.
    pub tampering: bool,
}

/// Time passes, then one thing happens.
#[derive(Clone)]
pub struct Step {
    passes: Passes,
    /// Whether timers that are due fire before the thing happens, or only after it.
    timers_first: bool,
    action: Action,
}

impl fmt::Debug for Step {
    /// On one line, so that a failing life can be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timers = if self.timers_first { "timers, " } else { "" };
        let (passes, action) = (format!("{:?}", self.passes), format!("{:?}", self.action));
        write!(f, "{passes}, {timers}{action}")
    }
}

#[derive(Debug, Clone, Copy)]
enum Passes {
    Ms(u64),
    UntilNextTimer,
    /// Until something that is stored is due, or 1 ms before.
    UntilDue {
        which: Index,
        early: bool,
    },
}

#[derive(Debug, Clone)]
enum Action {
    Nothing,
    Ask {
        user: usize,
        topic: usize,
    },
    /// Withdraws the newest ticket, or an older one.
    Withdraw {
        user: usize,
        which: Index,
        newest: bool,
    },
    /// The caller is one of the two, or anybody.
    Confirm {
        caller: Caller,
        which: Index,
    },
    Decline {
        caller: Caller,
        which: Index,
    },
    Leave {
        caller: Caller,
        which: Index,
    },
    HangUp {
        which: Index,
    },
    Reply {
        which: Index,
        reply: Reply,
    },
    /// Everything under way now is answered, in the order in which it was asked for.
    ReplyToAll,
    Restart {
        down_ms: u64,
    },
    CloseTicketBehindItsBack {
        which: Index,
    },
    EndMatchBehindItsBack {
        which: Index,
    },
}

/// Who does something to a match or a session.
#[derive(Debug, Clone, Copy)]
enum Caller {
    Member(Side),
    /// Perhaps a stranger; and to something that may be over.
    Anybody(usize),
}

/// The same bucket may be spelt in several ways; the last is another one.
const TOPICS: [&str; 6] = ["Array", "array", "Array", "Array", "Graph", "Hash Table"];

pub fn setup() -> impl Strategy<Value = Setup> {
    let permits = select(&[1_usize, 2, 3, 9][..]);
    let users = select(&[2_usize, 3, 4, USERS][..]);
    let outages = select(&[1_u32, 3, 3, 12][..]);
    let all = (permits, users, outages, bool::weighted(0.2));
    all.prop_map(|(permits, users, outages, tampering)| Setup {
        permits,
        users,
        outages,
        tampering,
    })
}

pub fn step(setup: &Setup) -> impl Strategy<Value = Step> + use<> {
    let lifetimes = &[1_000_u64, 10_000, 60_000, 61_000, 120_000, 150_000, 400_000][..];
    let passes = prop_oneof![
        750 => Just(Passes::Ms(0)),
        80 => (1_u64..50).prop_map(Passes::Ms),
        50 => (50_u64..2_500).prop_map(Passes::Ms),
        12 => select(lifetimes).prop_map(Passes::Ms),
        2 => (0_u64..30_000_000).prop_map(Passes::Ms),
        35 => Just(Passes::UntilNextTimer),
        40 => (any::<Index>(), bool::ANY)
            .prop_map(|(which, early)| Passes::UntilDue { which, early }),
    ];
    let action = action(setup);
    (passes, bool::ANY, action).prop_map(|(passes, timers_first, action)| Step {
        passes,
        timers_first,
        action,
    })
}

fn action(setup: &Setup) -> impl Strategy<Value = Action> + use<> {
    let (user, tampering) = (0..setup.users, setup.tampering);
    let index = any::<Index>;
    let reply = prop_oneof![
        12 => Just(Reply::Granted),
        setup.outages => Just(Reply::Away),
        3 => Just(Reply::DoneUnsaid),
    ];
    let caller = || {
        prop_oneof![
            6 => Just(Caller::Member(Side::First)),
            6 => Just(Caller::Member(Side::Second)),
            1 => (0..USERS).prop_map(Caller::Anybody),
        ]
    };
    prop_oneof![
        5 => Just(Action::Nothing),
        24 => (user.clone(), 0..TOPICS.len()).prop_map(|(user, topic)| Action::Ask { user, topic }),
        6 => (user, index(), bool::weighted(0.9))
            .prop_map(|(user, which, newest)| Action::Withdraw { user, which, newest }),
        20 => (caller(), index()).prop_map(|(caller, which)| Action::Confirm { caller, which }),
        4 => (caller(), index()).prop_map(|(caller, which)| Action::Decline { caller, which }),
        5 => (caller(), index()).prop_map(|(caller, which)| Action::Leave { caller, which }),
        4 => index().prop_map(|which| Action::HangUp { which }),
        40 => (index(), reply).prop_map(|(which, reply)| Action::Reply { which, reply }),
        20 => Just(Action::ReplyToAll),
        3 => (0_u64..20_000).prop_map(|down_ms| Action::Restart { down_ms }),
        1 => select(&[70_000_u64, 125_000, 200_000][..])
            .prop_map(|down_ms| Action::Restart { down_ms }),
        3 => (index(), bool::ANY).prop_map(move |(which, ticket)| match (tampering, ticket) {
            (true, true) => Action::CloseTicketBehindItsBack { which },
            (true, false) => Action::EndMatchBehindItsBack { which },
            (false, _) => Action::Nothing,
        }),
    ]
}

impl World {
    pub fn take(&mut self, step: Step) {
        let until = match step.passes {
            Passes::Ms(ms) => Some(self.now.plus_ms(ms)),
            Passes::UntilNextTimer => self.next_wake(),
            Passes::UntilDue { which, early } => {
                let due = self.due_later();
                let at = (!due.is_empty()).then(|| *which.get(&due));
                at.map(|at| Timestamp::from_ms(at.as_ms() - i64::from(early)))
            }
        };
        self.now = self.now.max(until.unwrap_or(self.now));
        if step.timers_first {
            self.on_time();
        }
        self.act(step.action);
        self.on_time();
        self.pair();
    }

    /// When what is stored will be due: waits, confirmation windows and openings.
    fn due_later(&self) -> Vec<Timestamp> {
        let waiting = |row: &&TicketRow| row.status == Status::Waiting;
        let waits = self.db.tickets.values().filter(waiting);
        let windows = self.matches.values().map(Match::expires_at);
        let all = waits
            .map(|row| row.ticket.waits_until)
            .chain(windows.flat_map(|at| [at, at.plus_ms(OPENING_GIVE_UP_MS)]));
        all.filter(|at| *at > self.now).collect()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Nothing => {}
            Action::Ask { user, topic } => self.ask(user_at(user), wish(topic)),
            Action::Withdraw {
                user,
                which,
                newest,
            } => {
                let user = user_at(user);
                let known = self.tickets_of(&user);
                if let Some(last) = known.last() {
                    let ticket = if newest { *last } else { *which.get(&known) };
                    self.withdraw(user, ticket);
                }
            }
            Action::Confirm { caller, which } => {
                if let Some((user, id)) = self.caller_of_match(caller, which) {
                    self.confirm(user, id);
                }
            }
            Action::Decline { caller, which } => {
                if let Some((user, id)) = self.caller_of_match(caller, which) {
                    self.decline(user, id);
                }
            }
            Action::Leave { caller, which } => {
                let open: Vec<_> = self.sessions.keys().copied().collect();
                if !open.is_empty() {
                    let id = *which.get(&open);
                    let user = match caller {
                        Caller::Member(side) => {
                            self.sessions[&id].record().users[side.index()].clone()
                        }
                        Caller::Anybody(user) => user_at(user),
                    };
                    self.leave(user, id);
                }
            }
            Action::HangUp { which } => {
                let open: Vec<_> = self.calls.keys().copied().collect();
                if !open.is_empty() {
                    self.hang_up(*which.get(&open));
                }
            }
            Action::Reply { which, reply } => {
                if !self.errands.is_empty() {
                    self.reply(which.index(self.errands.len()), reply);
                }
            }
            Action::ReplyToAll => {
                for _ in 0..self.errands.len() {
                    self.reply(0, Reply::Granted);
                }
            }
            Action::Restart { down_ms } => self.restart(down_ms),
            Action::CloseTicketBehindItsBack { which } => self.close_behind_its_back(which),
            Action::EndMatchBehindItsBack { which } => self.end_behind_its_back(which),
        }
    }

    /// Those that are over, and the one that the server knows as live.
    fn tickets_of(&self, user: &UserId) -> Vec<TicketId> {
        let over = self
            .db
            .tickets
            .values()
            .filter(|row| row.ticket.user == *user && matches!(row.status, Status::Closed(_)));
        let claim = self.roster.claim(user).map(|claim| claim.place.ticket);
        let over = over
            .map(|row| row.ticket.id)
            .filter(|id| claim != Some(*id));
        over.chain(claim).collect()
    }

    fn caller_of_match(&self, caller: Caller, which: Index) -> Option<(UserId, MatchId)> {
        match caller {
            Caller::Member(side) => {
                let known: Vec<&Match> = self.matches.values().collect();
                let known = (!known.is_empty()).then(|| *which.get(&known))?;
                Some((known.tickets()[side.index()].user.clone(), known.ids().id))
            }
            Caller::Anybody(user) => {
                // Nobody knows of a match before the server does.
                let known = |id: &MatchId| {
                    self.matches.contains_key(id) || self.db.open_match(*id).is_none()
                };
                let matches = self.db.matches.keys().copied().filter(known);
                let matches: Vec<MatchId> = matches.collect();
                (!matches.is_empty()).then(|| (user_at(user), *which.get(&matches)))
            }
        }
    }

    fn close_behind_its_back(&mut self, which: Index) {
        let settled = self.settled();
        let open = |id: &TicketId| self.db.is_waiting(*id) && !settled.contains(id);
        let waiting: Vec<TicketId> = self.db.tickets.keys().copied().filter(open).collect();
        if !waiting.is_empty() {
            let ticket = *which.get(&waiting);
            self.tamper(ticket);
        }
    }

    fn end_behind_its_back(&mut self, which: Index) {
        let settled = self.settled();
        let is_open = |id: &MatchId| {
            let row = self.db.open_match(*id);
            row.is_some_and(|row| !settled.contains(&row.proposal.tickets[0]))
        };
        let open: Vec<MatchId> = self.db.matches.keys().copied().filter(is_open).collect();
        if open.is_empty() {
            return;
        }
        let row = self
            .db
            .matches
            .get_mut(which.get(&open))
            .expect("just listed");
        row.state = MatchState::Ended(Ending::Expired);
        for ticket in row.proposal.tickets {
            self.tamper(ticket);
        }
    }

    fn tamper(&mut self, ticket: TicketId) {
        let row = self.db.tickets.get_mut(&ticket).expect("a known ticket");
        row.status = Status::Closed(TicketOutcome::Withdrawn);
        self.tampered.insert(ticket);
    }

    /// Everything outside works from here on, and nobody does anything any more: every call gets
    /// its answer, and every ticket, match and session its end.
    pub fn run_out(&mut self) {
        for _ in 0..1_000 {
            for _ in 0..1_000 {
                if !self.errands.is_empty() {
                    self.reply(0, Reply::Granted);
                    self.pair();
                }
            }
            assert!(
                self.errands.is_empty(),
                "writes without end: {:?}",
                self.errands
            );
            self.check();
            let Some(at) = self.next_wake() else { break };
            self.now = self.now.max(at);
            self.on_time();
            self.pair();
        }
        assert!(self.calls.is_empty(), "never answered: {:?}", self.calls);
        assert!(
            self.matches.is_empty() && self.sessions.is_empty(),
            "never ended"
        );
        assert!(
            self.roster.is_empty(),
            "G1: claims that nobody will ever release"
        );
        assert!(
            self.db.live().next().is_none(),
            "rows that nobody will ever end"
        );
    }
}

fn user_at(index: usize) -> UserId {
    users()
        .nth(index)
        .expect("the strategies stay within the users")
}

fn wish(index: usize) -> Wish {
    let topic = Topic::parse(TOPICS[index]).expect("a valid topic");
    let difficulty = Difficulty::Easy;
    Wish { difficulty, topic }
}

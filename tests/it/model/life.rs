//! The life of a server: how it begins from what is stored.

use std::collections::BTreeMap;

use matchmaker::domain::limits::DOWNTIME_GRACE_MS;
use matchmaker::domain::matches::Match;
use matchmaker::domain::{
    EventId, Holder, MatchId, Proposal, Session, SessionRecord, Side, Ticket, Write, WriteOutcome,
};

use super::sealed::Sealed;
use super::setup::{
    Begin, Setup, TIMEOUTS, at_step, event_of, match_id, question, session_of, ticket_id, user,
    wish,
};
use super::state::{Errand, Memory, Person, Server, State};
use super::turn::Turn;
use crate::simulation::referee::{Database, MatchRow, MatchState, Status};

impl State {
    /// Everybody is as the setup says, and all servers have read that.
    pub fn first(setup: &Setup) -> Self {
        let mut db = Database::default();
        for write in stored_before(setup) {
            let outcome = db.apply_on(setup.conditions, &write);
            assert_eq!(outcome, WriteOutcome::Stored, "{write:?}");
        }
        let shared = db.sessions.values();
        let shared = shared.map(|row| (row.record.id, row.record.question.id));
        let person = Person {
            asks: setup.asks,
            acts: setup.acts,
        };
        let mut state = Self {
            shared: shared.collect(),
            db: Sealed::new(db),
            published: Default::default(),
            servers: vec![Sealed::new(Server::Down); setup.servers],
            people: vec![person; setup.users],
            step: 0,
            crashes: setup.crashes,
            lost: setup.lost,
            away: setup.away,
            removals: setup.removals,
        };
        for server in 0..setup.servers {
            state.start(setup, server);
        }
        state
    }

    /// Reads what is live. Windows that ran out meanwhile get more time before anything begins.
    pub fn start(&mut self, setup: &Setup, server: usize) {
        let (read, now) = (self.db.clone(), self.now());
        let overdue = |row: &&MatchRow| {
            row.state == MatchState::Open && !row.extended && row.proposal.expires_at <= now
        };
        let extend = |row: &MatchRow| {
            let write = Write::ExtendMatch {
                match_id: row.proposal.id,
                expires_at: now.plus_ms(DOWNTIME_GRACE_MS),
            };
            let answer = None;
            (row.proposal.id, Errand { write, answer })
        };
        let overdue = read.matches.values().filter(overdue);
        let extending: BTreeMap<MatchId, Errand> = overdue.map(extend).collect();
        if extending.is_empty() {
            self.begin(setup, server, &read);
        } else {
            let read = Box::new(read.into_inner());
            self.servers[server] = Sealed::new(Server::Starting { read, extending });
        }
    }

    /// One of those windows gets more time, unless the match is not open any more or another server
    /// that begins gave it some: the own grace is counted in either case.
    pub fn extend(&mut self, setup: &Setup, server: usize, id: MatchId) {
        let taken = std::mem::replace(&mut self.servers[server], Sealed::new(Server::Down));
        let Server::Starting {
            mut read,
            mut extending,
        } = taken.into_inner()
        else {
            unreachable!("only who starts extends");
        };
        let errand = extending.remove(&id).expect("it was listed");
        self.db
            .change(|db| db.apply_on(setup.conditions, &errand.write));
        if let Write::ExtendMatch { expires_at, .. } = errand.write
            && let Some(row) = read.matches.get_mut(&id)
        {
            row.proposal.expires_at = expires_at;
            row.extended = true;
        }
        if extending.is_empty() {
            self.begin(setup, server, &read);
        } else {
            self.servers[server] = Sealed::new(Server::Starting { read, extending });
        }
    }

    /// Memory is made of what was read.
    fn begin(&mut self, setup: &Setup, server: usize, read: &Database) {
        let memory = Box::new(Memory::new(setup, setup.crashes - self.crashes));
        let mut turn = Turn::with(setup, self, server, memory);
        let open = |row: &&MatchRow| row.state == MatchState::Open;
        for row in read.matches.values().filter(open) {
            let Proposal {
                id,
                tickets,
                expires_at,
                ..
            } = row.proposal;
            let tickets = tickets.map(|id| read.tickets[&id].ticket.clone());
            for ticket in &tickets {
                turn.claim(ticket, Holder::Match(id));
            }
            let rebuilt = Match::new(turn.ids(id), tickets, expires_at, TIMEOUTS);
            let rebuilt = rebuilt.with_confirmations(row.confirmed);
            turn.memory.matches.insert(id, rebuilt);
        }
        let waiting = read
            .tickets
            .values()
            .filter(|row| row.status == Status::Waiting);
        let mut waiting: Vec<Ticket> = waiting.map(|row| row.ticket.clone()).collect();
        waiting.sort_by_key(Ticket::place);
        for ticket in waiting {
            turn.claim(&ticket, Holder::Bucket);
            turn.admit(ticket);
        }
        for row in read.sessions.values() {
            if !row.record.has_ended(turn.now) {
                let session = Session::new(row.record.clone(), row.tickets);
                turn.memory.sessions.insert(row.record.id, session);
            }
        }
        turn.on_time();
        turn.end();
    }
}

/// The writes that lead to where the setup begins.
fn stored_before(setup: &Setup) -> Vec<Write> {
    let (id, now) = (match_id(0, 0), at_step(0));
    let new = |number| {
        let new = Ticket::new(ticket_id(number, 0), user(number), wish(0), now, TIMEOUTS);
        let silences = u8::from(setup.begin == Begin::SilentBefore);
        let put_back = matches!(setup.begin, Begin::Alone(_));
        Ticket {
            silences,
            put_back,
            ..new
        }
    };
    let users = if setup.begin == Begin::Waiting {
        setup.users
    } else {
        2
    };
    let mut writes: Vec<Write> = (0..users)
        .map(|number| Write::OpenTicket(new(number)))
        .collect();
    let tickets = [ticket_id(0, 0), ticket_id(1, 0)];
    writes.push(Write::ProposeMatch(Proposal {
        id,
        session: session_of(id),
        bucket: wish(0).bucket(),
        tickets,
        users: [user(0), user(1)],
        proposed_at: now,
        expires_at: now.plus_ms(TIMEOUTS.confirm_window_ms),
    }));
    let match_id = id;
    writes.extend(Side::BOTH.map(|side| Write::ConfirmMatch { match_id, side }));
    let event: EventId = event_of(id, 0, 0);
    let session = SessionRecord {
        id: session_of(id),
        match_id,
        users: [user(0), user(1)],
        question: question(0),
        opened_at: now,
        ends_at: now.plus_ms(TIMEOUTS.session_ttl_ms),
        left: [false, false],
    };
    writes.push(Write::OpenSession {
        session,
        tickets,
        event,
        confirms: None,
    });
    let stored = match setup.begin {
        Begin::Empty => 0,
        Begin::Alone(number) => return vec![Write::OpenTicket(new(number))],
        Begin::Waiting => users,
        Begin::Matched | Begin::SilentBefore => 3,
        Begin::HalfConfirmed => 4,
        Begin::Confirmed => 5,
        Begin::InSession => 6,
    };
    writes.truncate(stored);
    writes
}

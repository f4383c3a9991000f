//! Open sockets, what each hears, and what each must hear.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Actor, AsyncContext, Context, Handler};
use matchmaker::actors::SOCKET_MAILBOX;
use matchmaker::actors::messages::{Deliver, SocketId};
use matchmaker::domain::{
    Ending, MatchId, Notice, SessionId, Side, TicketId, TicketOutcome, Timestamp, UserId, Write,
    WriteOutcome,
};

use super::world::{State, World};
use crate::simulation::referee::{MatchState, Status};
use crate::simulation::witness::Witness;

/// A notice that follows from what is stored comes in the same moment; this is for whoever leaves,
/// because the shared session comes first.
const LEFT_WITHIN_MS: u64 = 2_000;

/// All sockets that are open.
#[derive(Debug, Default)]
pub struct Ears {
    open: BTreeMap<u64, Ear>,
    opened: u64,
    expected: Vec<Expected>,
}

#[derive(Debug)]
struct Ear {
    user: UserId,
    person: usize,
    /// The server knows of it.
    connected: bool,
    too_slow: Arc<AtomicBool>,
    /// Of this socket alone: the same is told once on each.
    witness: Witness,
    heard: Vec<What>,
}

#[derive(Debug)]
struct Expected {
    by: Timestamp,
    socket: u64,
    what: What,
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Found(MatchId),
    Ended(MatchId),
    Expired(TicketId),
    Left(SessionId, UserId),
}

impl What {
    fn of(notice: &Notice) -> Self {
        match notice {
            Notice::MatchFound { match_id, .. } => Self::Found(*match_id),
            Notice::MatchReady { match_id, .. } | Notice::MatchExpired { match_id, .. } => {
                Self::Ended(*match_id)
            }
            Notice::TicketExpired { ticket } => Self::Expired(*ticket),
            Notice::PartnerLeft { session, user } => Self::Left(*session, user.clone()),
        }
    }
}

impl Ears {
    pub fn close_all(&mut self) {
        self.open.clear();
        self.expected.clear();
    }

    pub fn close(&mut self, socket: SocketId) {
        self.open.remove(&socket.0);
        self.expected.retain(|expected| expected.socket != socket.0);
    }

    fn expect(&mut self, user: &UserId, what: &What, by: Timestamp) {
        let of_user = self.open.iter();
        let of_user = of_user.filter(|(_, ear)| ear.connected && ear.user == *user);
        for (socket, _) in of_user {
            self.expected.push(Expected {
                by,
                socket: *socket,
                what: what.clone(),
            });
        }
    }

    /// Everything that was due has been heard.
    pub fn check(&self, at: Timestamp) {
        let missing = self.expected.iter().find(|expected| expected.by < at);
        assert!(missing.is_none(), "G4: never told: {missing:?}");
        let slow = |ear: &Ear| ear.too_slow.load(Ordering::Relaxed);
        assert!(!self.open.values().any(slow), "a socket had no room");
    }
}

impl State {
    /// A new socket, whose notices are looked at from here on.
    pub fn open_socket(&mut self, person: usize) -> (SocketId, Arc<AtomicBool>) {
        let too_slow = Arc::new(AtomicBool::new(false));
        let ear = Ear {
            user: self.people[person].id.clone(),
            person,
            connected: false,
            too_slow: Arc::clone(&too_slow),
            witness: Witness::default(),
            heard: Vec::new(),
        };
        self.ears.opened += 1;
        self.ears.open.insert(self.ears.opened, ear);
        (SocketId(self.ears.opened), too_slow)
    }

    /// The server has taken the socket in: its user is told at once of a match that waits.
    pub fn socket_connected(&mut self, socket: SocketId) {
        let at = self.now();
        let Some(ear) = self.ears.open.get_mut(&socket.0) else {
            return;
        };
        ear.connected = true;
        let user = ear.user.clone();
        let row = self.rows.db.live().find(|row| row.ticket.user == user);
        let Some((ticket, Status::Matched(id))) = row.map(|row| (row.ticket.id, row.status)) else {
            return;
        };
        let what = What::Found(id);
        if !ear.heard.contains(&what) && !self.rows.busy().contains(&ticket) {
            self.ears.expected.push(Expected {
                by: at,
                socket: socket.0,
                what,
            });
        }
    }

    fn hear(&mut self, socket: u64, to: &UserId, notice: &Notice) {
        self.note(&format!("socket {socket} of {to} hears {notice:?}"));
        let late = self.ends_unsaid(notice);
        let Some(ear) = self.ears.open.get_mut(&socket) else {
            return;
        };
        assert_eq!(*to, ear.user, "G9: a notice went astray");
        let (user, person) = (ear.user.clone(), ear.person);
        if !late {
            ear.witness
                .told(user, notice.clone(), &self.rows.db, &self.rows.shared);
        }
        let what = What::of(notice);
        ear.heard.push(what.clone());
        let met = |expected: &Expected| expected.socket == socket && expected.what == what;
        self.ears.expected.retain(|expected| !met(expected));
        self.people[person].told(notice);
        self.count("notices");
    }

    /// Whether somebody who has just connected is told of a proposal whose end is stored already,
    /// while the answer to that write is still on its way: the end is told next.
    fn ends_unsaid(&self, notice: &Notice) -> bool {
        let Notice::MatchFound { match_id, .. } = notice else {
            return false;
        };
        let row = &self.rows.db.matches[match_id];
        row.state != MatchState::Open && self.rows.busy().contains(&row.proposal.tickets[0])
    }

    /// Whoever is connected is told of what is stored.
    pub fn expect_notices(&mut self, write: &Write, outcome: &WriteOutcome) {
        if *outcome != WriteOutcome::Stored {
            return;
        }
        let at = self.now();
        let mut told: Vec<(UserId, What, Timestamp)> = Vec::new();
        match write {
            Write::ProposeMatch(proposal) => {
                for user in &proposal.users {
                    told.push((user.clone(), What::Found(proposal.id), at));
                }
            }
            Write::EndMatch {
                match_id, ending, ..
            } => {
                let users = &self.rows.db.matches[match_id].proposal.users;
                for side in Side::BOTH {
                    if *ending != Ending::Declined(side) {
                        told.push((users[side.index()].clone(), What::Ended(*match_id), at));
                    }
                }
            }
            Write::CloseTicket {
                ticket,
                outcome: TicketOutcome::Expired,
                ..
            } => {
                let user = self.rows.db.tickets[ticket].ticket.user.clone();
                told.push((user, What::Expired(*ticket), at));
            }
            Write::OpenSession { session, .. } => {
                for user in &session.users {
                    told.push((user.clone(), What::Ended(session.match_id), at));
                }
            }
            Write::LeaveSession { session, side, .. } => {
                let record = &self.rows.db.sessions[session].record;
                if !record.left[side.other().index()] {
                    let leaver = record.users[side.index()].clone();
                    let partner = record.users[side.other().index()].clone();
                    let by = at.plus_ms(LEFT_WITHIN_MS);
                    told.push((partner, What::Left(*session, leaver), by));
                }
            }
            _ => {}
        }
        for (user, what, by) in told {
            self.ears.expect(&user, &what, by);
        }
    }
}

/// One user's socket, as the edge has it.
pub struct Socket {
    pub world: Arc<World>,
    pub id: SocketId,
}

impl Actor for Socket {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(SOCKET_MAILBOX);
        let _ = ctx.address();
    }
}

impl Handler<Deliver> for Socket {
    type Result = ();

    fn handle(&mut self, command: Deliver, _: &mut Self::Context) {
        match command {
            Deliver::Notice { to, notice } => self.world.state().hear(self.id.0, &to, &notice),
            Deliver::GoingAway => panic!("nobody stops this server"),
        }
    }
}

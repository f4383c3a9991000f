//! Random writes about few things, so that they are often in each other's way.

use matchmaker::domain::limits::Timeouts;
use matchmaker::domain::{
    Ending, EventId, Fate, MatchId, Proposal, Question, SessionId, SessionRecord, Side, Ticket,
    TicketId, TicketOutcome, Timestamp, UserId, Write, WriteOutcome,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::setup::wish;
use crate::simulation::referee::{Conditions, Database, MatchState, Status};

const USERS: u128 = 3;
const TICKETS_OF_USER: u128 = 3;
const MATCHES: u128 = 3;

/// Draws writes about a few tickets and matches of one life, which has its own ids.
pub struct Dice {
    random: StdRng,
    life: u128,
    /// The time of the last write: no two are of the same, and what ended together tells by that.
    now_ms: i64,
    /// What was granted, and may come again as after a lost answer.
    granted: Vec<Write>,
}

impl Dice {
    pub fn of(life: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(life),
            life: life.into(),
            now_ms: 1_000,
            granted: Vec::new(),
        }
    }

    fn id(&self, kind: u128, number: u128) -> Uuid {
        Uuid::from_u128((self.life + 1) * 1_000_000 + kind * 1_000 + number)
    }

    fn user(&self, number: u128) -> UserId {
        UserId::parse(&format!("life-{}-user-{number}", self.life)).expect("a user id")
    }

    fn ticket(&self, number: u128) -> Ticket {
        let (id, user) = (
            TicketId(self.id(0, number)),
            self.user(number / TICKETS_OF_USER),
        );
        let now = Timestamp::from_ms(i64::try_from(number).expect("a small number"));
        Ticket::new(id, user, wish(0), now, Timeouts::default())
    }

    fn any_ticket(&mut self) -> Ticket {
        let number = self.random.random_range(0..USERS * TICKETS_OF_USER);
        self.ticket(number)
    }

    /// Tickets of two users.
    fn two_tickets(&mut self) -> [Ticket; 2] {
        loop {
            let both = [self.any_ticket(), self.any_ticket()];
            if both[0].user != both[1].user {
                return both;
            }
        }
    }

    fn any_match(&mut self) -> MatchId {
        let number = self.random.random_range(0..MATCHES);
        MatchId(self.id(1, number))
    }

    fn session_of(&self, id: MatchId) -> SessionId {
        SessionId(Uuid::from_u128(id.0.as_u128() + 1_000))
    }

    fn any_side(&mut self) -> Side {
        *Side::BOTH.choose(&mut self.random).expect("two sides")
    }

    fn often(&mut self) -> bool {
        self.random.random_bool(0.9)
    }

    fn next_time(&mut self) -> Timestamp {
        self.now_ms += 1;
        Timestamp::from_ms(self.now_ms)
    }

    /// Draws the next write and notes what the referee says of it.
    pub fn next(&mut self, db: &mut Database) -> (Write, WriteOutcome) {
        let again = self.random.random_bool(0.2);
        let again = again.then(|| self.again(db)).flatten();
        let write = again.unwrap_or_else(|| self.write(db));
        let outcome = db.apply_on(Conditions::OF_THE_STORES, &write);
        if outcome == WriteOutcome::Stored {
            self.granted.push(write.clone());
        }
        (write, outcome)
    }

    /// A write that was granted before; an end perhaps as a server writes it that knows otherwise.
    fn again(&mut self, db: &Database) -> Option<Write> {
        // Ends have the most to be told apart by.
        let ends = self.granted.iter();
        let ends = ends.filter(|write| matches!(write, Write::EndMatch { .. }));
        let ends: Vec<&Write> = ends.collect();
        let end = self.random.random_bool(0.3);
        let end = end.then(|| ends.choose(&mut self.random)).flatten();
        let mut write = match end {
            Some(end) => (*end).clone(),
            None => self.granted.choose(&mut self.random)?.clone(),
        };
        match &mut write {
            Write::DiscardTicket { ticket, .. } => {
                let matched = matches!(db.status(*ticket), Some(Status::Matched(_)));
                return (!matched).then_some(write);
            }
            Write::EndMatch {
                match_id,
                ending,
                confirmed,
                fates,
                opens,
                ..
            } => {
                let side = self.any_side();
                match (self.random.random_range(0..5), ending) {
                    (0 | 1, Ending::Declined(side)) => {
                        let decliner = &db.matches[match_id].proposal.users[side.index()];
                        *opens = self.unused(db, decliner);
                    }
                    (2, _) => confirmed[side.index()] ^= true,
                    (3, _) => {
                        let ticket = db.matches[match_id].proposal.tickets[side.index()];
                        fates[side.index()] = match fates[side.index()].is_closed() {
                            true => Fate::PutBack(db.tickets[&ticket].ticket.clone()),
                            false => Fate::Closed(TicketOutcome::Expired),
                        };
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        Some(write)
    }

    fn unused(&self, db: &Database, user: &UserId) -> Option<Box<Ticket>> {
        let tickets = (0..USERS * TICKETS_OF_USER).map(|number| self.ticket(number));
        let mut unused = tickets.filter(|new| !db.tickets.contains_key(&new.id));
        unused.find(|new| new.user == *user).map(Box::new)
    }

    fn write(&mut self, db: &Database) -> Write {
        let at = self.next_time();
        let open = db.matches.keys().filter(|id| db.open_match(**id).is_some());
        let open = open.copied().max().filter(|_| self.random.random_bool(0.7));
        let match_id = open.unwrap_or_else(|| self.any_match());
        match self.random.random_range(0..25) {
            0..4 => Write::OpenTicket(self.any_ticket()),
            4 => {
                let ends = [
                    TicketOutcome::Withdrawn,
                    TicketOutcome::Expired,
                    TicketOutcome::Declined,
                ];
                Write::CloseTicket {
                    ticket: self.any_ticket().id,
                    outcome: *ends.choose(&mut self.random).expect("some ends"),
                    at,
                }
            }
            5 => Write::ReplaceTicket {
                old: self.any_ticket().id,
                new: self.any_ticket(),
            },
            6 => Write::CountAsk {
                ticket: self.any_ticket().id,
                asks: self.random.random_range(0..5),
            },
            7 => self.discard(db, at),
            8..12 => self.propose(db, match_id),
            12..18 => Write::ConfirmMatch {
                match_id,
                side: self.any_side(),
            },
            18..20 => self.end(db, match_id, at),
            20..23 => self.open_session(db, match_id),
            23 => Write::LeaveSession {
                session: self.session_of(match_id),
                side: self.any_side(),
                at,
            },
            _ => Write::ExtendMatch {
                match_id,
                expires_at: at.plus_ms(self.random.random_range(0..20)),
            },
        }
    }

    /// Start-up discards tickets that no match holds; others are left alone here as well.
    fn discard(&mut self, db: &Database, at: Timestamp) -> Write {
        loop {
            let ticket = self.any_ticket().id;
            if !matches!(db.status(ticket), Some(Status::Matched(_))) {
                return Write::DiscardTicket { ticket, at };
            }
        }
    }

    fn propose(&mut self, db: &Database, id: MatchId) -> Write {
        let mut both = self.two_tickets();
        let waiting: Vec<&Ticket> = db
            .tickets
            .values()
            .filter(|row| row.status == Status::Waiting)
            .map(|row| &row.ticket)
            .collect();
        if let ([first, second, ..], true) = (&waiting[..], self.often()) {
            both = [(*first).clone(), (*second).clone()];
        }
        let session = match self.random.random_bool(0.7) {
            true => self.session_of(id),
            false => {
                let other = self.any_match();
                self.session_of(other)
            }
        };
        let mut users = both.each_ref().map(|ticket| ticket.user.clone());
        if !self.often() {
            users.reverse();
        }
        Write::ProposeMatch(Proposal {
            id,
            session,
            bucket: wish(0).bucket(),
            tickets: both.map(|ticket| ticket.id),
            users,
            proposed_at: Timestamp::from_ms(500),
            expires_at: Timestamp::from_ms(1_000),
        })
    }

    /// The tickets and users that the match has; sometimes others.
    fn members(&mut self, db: &Database, id: MatchId) -> [Ticket; 2] {
        let row = db.matches.get(&id);
        match row.map(|row| row.proposal.tickets) {
            Some(tickets) if self.often() => tickets.map(|id| db.tickets[&id].ticket.clone()),
            _ => self.two_tickets(),
        }
    }

    fn end(&mut self, db: &Database, match_id: MatchId, at: Timestamp) -> Write {
        let members = self.members(db, match_id);
        let decliner = self.any_side();
        let endings = [
            Ending::Declined(decliner),
            Ending::Expired,
            Ending::QuestionUnavailable,
        ];
        let ending = *endings.choose(&mut self.random).expect("some endings");
        let mut fates = members.each_ref().map(|ticket| match self.often() {
            true => Fate::PutBack(ticket.clone()),
            false => Fate::Closed(TicketOutcome::Expired),
        });
        let mut opens = None;
        if ending == Ending::Declined(decliner) {
            fates[decliner.index()] = Fate::Closed(TicketOutcome::Declined);
            opens = self.unused(db, &members[decliner.index()].user);
        }
        let row = db.matches.get(&match_id);
        let mut confirmed = row.map_or([false; 2], |row| row.confirmed);
        if !self.often() {
            let side = self.any_side();
            confirmed[side.index()] ^= true;
        }
        Write::EndMatch {
            match_id,
            ending,
            tickets: members.map(|ticket| ticket.id),
            confirmed,
            fates: Box::new(fates),
            opens,
            at,
        }
    }

    fn open_session(&mut self, db: &Database, match_id: MatchId) -> Write {
        // Sometimes too late, for one that both confirmed and that was given up.
        let given_up = db.matches.iter().find(|(_, row)| {
            row.confirmed == [true, true] && matches!(row.state, MatchState::Ended(_))
        });
        let given_up = given_up.filter(|_| self.random.random_bool(0.3));
        let match_id = given_up.map_or(match_id, |(id, _)| *id);
        let members = self.members(db, match_id);
        let id = match db.matches.get(&match_id) {
            Some(row) if self.often() => row.proposal.session,
            _ => self.session_of(match_id),
        };
        let session = SessionRecord {
            id,
            match_id,
            users: members.each_ref().map(|ticket| ticket.user.clone()),
            question: Question {
                id: 7,
                title: "Two Sum".into(),
                difficulty: "easy".into(),
                topics: Vec::new(),
            },
            opened_at: Timestamp::from_ms(900),
            ends_at: Timestamp::from_ms(9_000),
            left: [false, false],
        };
        let confirms = match self.random.random_range(0..3) {
            0 => Some(Side::First),
            1 => Some(Side::Second),
            _ => None,
        };
        Write::OpenSession {
            session,
            tickets: members.map(|ticket| ticket.id),
            event: EventId(Uuid::from_u128(match_id.0.as_u128() + 2_000)),
            confirms,
        }
    }
}

//! Couples who meet, open a session and leave it, again and again, whatever happens meanwhile.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use crate::harness::*;

use super::super::AT_ONCE;

/// Longest time that a confirmation may take which looks for a question, and any request at all.
pub const LONGEST: Duration = Duration::from_secs(5);
/// Time between two tries, and between two looks at a ticket.
const PAUSE: Duration = Duration::from_millis(20);

/// What somebody was told of a session from its beginning to its end: all of it was answered 2xx.
pub struct Meeting {
    /// Who asked, with their tickets.
    pub tickets: [(User, String); 2],
    /// Their match.
    pub match_id: String,
    /// Their session, which both have left.
    pub session: String,
}

/// What all couples of one test share.
#[derive(Default)]
pub struct Conditions {
    /// Nobody begins a request.
    pub quiet: Cell<bool>,
    /// Nobody begins another meeting.
    pub over: Cell<bool>,
    under_way: Cell<usize>,
    slowest: RefCell<(Duration, String)>,
}

impl Conditions {
    /// Sends it, not before that is allowed, and in time.
    async fn send(&self, limit: Duration, request: impl Fn() -> Request) -> Reply {
        while self.quiet.get() {
            tokio::time::sleep(PAUSE / 4).await;
        }
        self.under_way.set(self.under_way.get() + 1);
        let begun = Instant::now();
        let reply = request().send().await;
        let took = begun.elapsed();
        self.under_way.set(self.under_way.get() - 1);
        assert!(is_in_time(took, limit), "{} took {took:?}", reply.what);
        if took > self.slowest.borrow().0 {
            let said = format!("{} {}", reply.what, reply.status);
            self.slowest.replace((took, said));
        }
        reply
    }

    /// Lets requests begin no more, and awaits the end of those that have.
    pub async fn hush(&self) {
        self.quiet.set(true);
        within(LONGEST, "what has begun is answered", async || {
            (self.under_way.get() == 0).then_some(())
        })
        .await;
    }

    /// The longest time that anybody waited for an answer, and which.
    pub fn slowest(&self) -> (Duration, String) {
        self.slowest.borrow().clone()
    }
}

/// Two who meet again and again.
pub struct Couple<'a> {
    conditions: &'a Conditions,
    users: [User; 2],
    number: usize,
    /// Whether they want another topic each time.
    wanders: bool,
    /// Their meetings so far.
    pub meetings: RefCell<Vec<Meeting>>,
    /// How often they were told to come again.
    pub refused: Cell<usize>,
}

impl<'a> Couple<'a> {
    /// Couple `number` of a server; those that wander ask for a topic that nobody has asked for.
    pub fn new(server: &Server, conditions: &'a Conditions, number: usize, wanders: bool) -> Self {
        Self {
            conditions,
            users: ["ada", "bob"].map(|name| server.user(&format!("{name} {number}"))),
            number,
            wanders,
            meetings: RefCell::default(),
            refused: Cell::default(),
        }
    }

    /// Meets until all is over.
    pub async fn meet_again_and_again(&self) {
        while !self.conditions.over.get() {
            let meeting = self.meet().await;
            self.meetings.borrow_mut().push(meeting);
        }
    }

    /// How often they have met.
    pub fn met(&self) -> usize {
        self.meetings.borrow().len()
    }

    async fn meet(&self) -> Meeting {
        let [ada, bob] = &self.users;
        let topic = match self.wanders {
            true => format!("Topic {} {}", self.number, self.met()),
            false => format!("Topic {}", self.number),
        };
        let mut tickets = Vec::new();
        for user in [ada, bob] {
            let asked = self.insist(AT_ONCE, || user.asking("Easy", &topic)).await;
            tickets.push((user.clone(), text(&asked, "id").to_owned()));
        }
        let match_id = self.matched(ada, &tickets[0].1).await;
        self.insist(AT_ONCE, || ada.answering(&match_id, true))
            .await;
        let confirm = || bob.answering(&match_id, true);
        let confirmed = self.insist(LONGEST, confirm).await;
        let session = text(&confirmed, "session_id").to_owned();
        for user in &self.users {
            let left = self.insist(AT_ONCE, || user.leaving(&session)).await;
            assert_eq!(left["status"], "left");
        }
        let tickets = tickets.try_into();
        Meeting {
            tickets: tickets.unwrap_or_else(|_| unreachable!("two have asked")),
            match_id,
            session,
        }
    }

    async fn matched(&self, user: &User, ticket: &str) -> String {
        let path = format!("/requests/{ticket}/status");
        loop {
            let look = || user.request(Method::GET, &path);
            let seen = self.insist(AT_ONCE, look).await;
            if let Some(match_id) = seen["match_id"].as_str() {
                return match_id.to_owned();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Asks until it is granted. Nothing but 503 is said meanwhile, and that in time.
    async fn insist(&self, limit: Duration, request: impl Fn() -> Request) -> Value {
        loop {
            let reply = self.conditions.send(limit, &request).await;
            if reply.status != 503 {
                return reply.expect(200).clone();
            }
            reply.expect(503);
            self.refused.set(self.refused.get() + 1);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

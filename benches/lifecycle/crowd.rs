//! People with tokens and open sockets, who ask by the timetable and react to what they are told.

use std::cell::{Ref, RefCell};
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::client::{Answer, Fault, Message, Pool, Socket, Target, closed, request};
use crate::events::Sessions;
use crate::ledger::{Ask, Event, Figures, Ledger, Outcome, Step, User, Violations, Wish};
use crate::options::{Common, People};
use crate::timetable::Timetable;
use crate::tokens::Signer;

/// Where everything about matching is.
pub const PREFIX: &str = "/api/v1/matching";
/// Wait before something that was refused for the moment is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// Time between two looks at whether everything has come to its end.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Sockets that are opened at the same time.
const HANDSHAKES: usize = 32;
/// Files that this tool opens besides sockets and connections.
const FILES_BESIDE_SOCKETS: u64 = 64;
/// Topics that question services have, for the first buckets; later ones are numbered.
const TOPICS: [&str; 8] = [
    "Array",
    "Hash Table",
    "String",
    "Dynamic Programming",
    "Graph",
    "Tree",
    "Sorting",
    "Two Pointers",
];
const DIFFICULTIES: [&str; 3] = ["Easy", "Medium", "Hard"];

/// Everybody. Their sockets end when this is dropped.
pub struct Crowd {
    shared: Rc<Shared>,
    sockets: Vec<AbortHandle>,
}

struct Shared {
    pool: Pool,
    /// Each person's header lines.
    headers: Vec<String>,
    /// What is sent to ask, for each bucket.
    asks: Vec<String>,
    ledger: RefCell<Ledger>,
}

/// What an ask's answer has that is needed.
#[derive(Deserialize)]
struct Ticket {
    id: Uuid,
}

/// What a confirmation's answer has that is needed.
#[derive(Deserialize)]
struct Confirmed {
    session_id: Option<Uuid>,
}

impl Crowd {
    /// Everybody with an open socket.
    pub async fn gather(common: &Common, target: &Target, people: &People) -> anyhow::Result<Self> {
        let (users, buckets) = (people.users, people.buckets);
        raise_open_file_limit(common, users)?;
        let signer = Signer::new(common);
        let ids = names(users);
        let tokens = ids.iter().map(|id| signer.token(id));
        let tokens = tokens.collect::<anyhow::Result<Vec<_>>>()?;
        let wishes: Vec<_> = (0..buckets).map(wish).collect();
        let pool = Pool::open(target, common.connections).await;
        let shared = Rc::new(Shared {
            pool: pool.context("the server cannot be reached")?,
            headers: tokens.iter().map(|token| headers(target, token)).collect(),
            asks: wishes.iter().map(ask_body).collect(),
            ledger: RefCell::new(Ledger::new(ids, wishes, people.leave)),
        });
        let sockets = open_sockets(target, &tokens).await?;
        let listen = |(user, socket)| {
            let listening = Rc::clone(&shared).listen(user, socket);
            spawn_local(listening).abort_handle()
        };
        let sockets = sockets.into_iter().enumerate().map(listen).collect();
        Ok(Self { shared, sockets })
    }

    /// Asks by the timetable, `turn` times in a row for one bucket before it is the next one's turn;
    /// answers when everything has come to its end, or `drain` after the last ask.
    pub async fn drive(&self, timetable: Timetable, turn: usize, drain: Duration) -> Figures {
        self.ask_by(timetable, turn).await;
        self.finish(drain).await
    }

    /// Asks by the timetable; answers with the last ask, whatever is still under way.
    pub async fn ask_by(&self, timetable: Timetable, turn: usize) {
        let buckets = self.shared.asks.len();
        let mut due = timetable.keep();
        while let Some((number, intended)) = due.recv().await {
            let bucket = number / turn % buckets;
            let step = self
                .shared
                .ledger
                .borrow_mut()
                .due(Ask { intended, bucket });
            self.shared.take(step);
        }
    }

    /// Waits until everything has come to its end, at most so long; answers with the figures since
    /// they were last taken.
    pub async fn finish(&self, drain: Duration) -> Figures {
        self.until_quiet(drain).await;
        // A server that is only slow must not be charged with losing what was sent to it last.
        self.shared.ledger.borrow_mut().drop_unsent();
        self.until_quiet(drain).await;
        let figures = self.take_figures();
        let alone = self.shared.ledger.borrow_mut().close();
        for (user, ticket) in alone {
            self.shared.withdraw(user, ticket).await;
        }
        let after = self.shared.ledger.borrow_mut().take_figures();
        figures.with_errors_of(after)
    }

    async fn until_quiet(&self, limit: Duration) {
        let began = Instant::now();
        while !self.shared.ledger.borrow().is_quiet() && began.elapsed() < limit {
            sleep(LOOK_EVERY).await;
        }
    }

    /// The figures since they were last taken.
    pub fn take_figures(&self) -> Figures {
        self.shared.ledger.borrow_mut().take_figures()
    }

    /// The sessions that anybody was told of, with their members, but for those that were taken.
    pub fn sessions(&self) -> Ref<'_, Sessions> {
        Ref::map(self.shared.ledger.borrow(), Ledger::sessions)
    }

    /// Takes the sessions whose lifecycle is over.
    pub fn take_ended_sessions(&self) -> Sessions {
        self.shared.ledger.borrow_mut().take_ended_sessions()
    }

    /// Gives back what was taken and is needed still.
    pub fn keep_sessions(&self, sessions: Sessions) {
        self.shared.ledger.borrow_mut().keep_sessions(sessions);
    }

    /// The violations since they were last taken.
    pub fn take_violations(&self) -> Violations {
        self.shared.ledger.borrow_mut().take_violations()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.sockets.iter().for_each(AbortHandle::abort);
    }
}

/// Names for this many people, which no other run has.
pub fn names(users: usize) -> Vec<String> {
    let run = Uuid::new_v4().simple().to_string();
    let name = |number| format!("load-{}-{number:06}", &run[..8]);
    (0..users).map(name).collect()
}

/// One open socket for each token, in order.
pub async fn open_sockets(target: &Target, tokens: &[String]) -> anyhow::Result<Vec<Socket>> {
    let opening = tokens.iter().map(|token| Socket::open(target, token));
    let sockets = stream::iter(opening).buffered(HANDSHAKES).try_collect();
    sockets.await.context("a socket cannot be opened")
}

/// Makes room for this many sockets.
pub fn raise_open_file_limit(common: &Common, sockets: usize) -> anyhow::Result<()> {
    let needed = (sockets + common.connections) as u64 + FILES_BESIDE_SOCKETS;
    let limit = rlimit::increase_nofile_limit(needed)?;
    anyhow::ensure!(
        limit >= needed,
        "this shell allows {limit} open files and {needed} are needed: ulimit -n {needed}"
    );
    Ok(())
}

/// What is asked for in this bucket.
pub fn wish(bucket: usize) -> Wish {
    let number = bucket / DIFFICULTIES.len();
    let topic = TOPICS.get(number).map(|topic| (*topic).to_owned());
    Wish {
        difficulty: DIFFICULTIES[bucket % DIFFICULTIES.len()],
        topic: topic.unwrap_or_else(|| format!("Topic {number}")),
    }
}

/// What is sent to ask for it.
pub fn ask_body(wish: &Wish) -> String {
    json!({"difficulty": wish.difficulty, "topic": wish.topic}).to_string()
}

/// The header lines of whoever has this token.
pub fn headers(target: &Target, token: &str) -> String {
    let host = target.authority();
    format!("Host: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n")
}

impl Shared {
    /// Takes in everything that comes on one person's socket.
    async fn listen(self: Rc<Self>, user: User, mut socket: Socket) {
        let why = loop {
            match socket.next().await {
                Ok(Message::Text(text)) => self.told(user, &text),
                Ok(Message::Closed(code)) => break closed(code),
                Err(fault) => break fault.to_string(),
            }
        };
        self.ledger.borrow_mut().deafened(user, &why);
    }

    fn told(self: &Rc<Self>, user: User, text: &str) {
        let at = Instant::now();
        let mut ledger = self.ledger.borrow_mut();
        let step = match serde_json::from_str::<Event>(text) {
            Ok(event) => ledger.event(user, event, at),
            Err(error) => {
                ledger.violate(format!(
                    "an event does not keep the contract ({error}): {text}"
                ));
                None
            }
        };
        drop(ledger);
        self.take(step);
    }

    /// Takes a step, and those that follow from its answers.
    fn take(self: &Rc<Self>, step: Option<Step>) {
        if step.is_some() {
            let shared = Rc::clone(self);
            spawn_local(async move {
                let mut next = step;
                while let Some(step) = next {
                    next = shared.perform(step).await;
                }
            });
        }
    }

    async fn perform(&self, step: Step) -> Option<Step> {
        match step {
            Step::Ask { user, ask } => self.ask(user, ask).await,
            Step::Confirm {
                user,
                match_id,
                again,
            } => {
                pause_if(again).await;
                let body = format!(r#"{{"match_id":"{match_id}","confirmed":true}}"#);
                let confirmed = self.post::<Confirmed>(user, "/confirm", &body).await;
                let outcome = confirmed.map(|confirmed| confirmed.session_id);
                let mut ledger = self.ledger.borrow_mut();
                ledger.confirm_answered(user, match_id, outcome, Instant::now())
            }
            Step::Leave {
                user,
                session_id,
                again,
            } => {
                pause_if(again).await;
                let body = format!(r#"{{"session_id":"{session_id}"}}"#);
                let left = self
                    .post::<IgnoredAny>(user, "/sessions/leave", &body)
                    .await;
                let outcome = left.map(|_| ());
                let mut ledger = self.ledger.borrow_mut();
                ledger.leave_answered(user, session_id, outcome, Instant::now())
            }
        }
    }

    async fn ask(&self, user: User, ask: Ask) -> Option<Step> {
        self.ledger.borrow_mut().sent(ask, Instant::now());
        let body = &self.asks[ask.bucket];
        let ticket = self.post::<Ticket>(user, "/request", body).await;
        let outcome = ticket.map(|ticket| ticket.id);
        let mut ledger = self.ledger.borrow_mut();
        ledger.ask_answered(user, ask, outcome, Instant::now())
    }

    async fn withdraw(&self, user: User, ticket: Uuid) {
        let path = format!("{PREFIX}/request/{ticket}");
        let answer = self.send("DELETE", &path, user, "").await;
        let done = answer.is_ok_and(|answer| answer.status == 200);
        self.ledger.borrow_mut().withdrawn(user, done);
    }

    async fn post<T: DeserializeOwned>(&self, user: User, path: &str, body: &str) -> Outcome<T> {
        let path = format!("{PREFIX}{path}");
        match self.send("POST", &path, user, body).await {
            Ok(answer) if answer.status == 200 => match serde_json::from_slice(&answer.body) {
                Ok(value) => Outcome::Done(value),
                Err(error) => Outcome::Unknown(format!("an unreadable answer ({error})")),
            },
            Ok(answer) => Outcome::Refused(answer.status),
            Err(fault) => Outcome::Unknown(fault.to_string()),
        }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        user: User,
        body: &str,
    ) -> Result<Answer, Fault> {
        let request = request(method, path, &self.headers[user], body);
        self.pool.call(&request).await
    }
}

async fn pause_if(again: bool) {
    if again {
        sleep(AGAIN_AFTER).await;
    }
}

//! PostgreSQL away in the middle of traffic: some answers are on their way when it goes.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::*;
use crate::servers::{Own, Postgres};

use super::{AT_ONCE, BACK_WITHIN, counter, nothing_broken};

/// Couples that meet at the same time.
const COUPLES: usize = 8;
/// Sessions that all of them have before the database goes, and after its return.
const SESSIONS: usize = 40;
/// Longest time that a confirmation may take which looks for a question.
const CONFIRMED: Duration = Duration::from_secs(5);

/// Two who meet, open a session and leave it, again and again.
struct Couple {
    users: [User; 2],
    topic: String,
    sessions: Cell<usize>,
    refused: Cell<usize>,
}

impl Couple {
    fn new(server: &Server, number: usize) -> Self {
        Self {
            users: ["ada", "bob"].map(|name| server.user(&format!("{name} {number}"))),
            topic: format!("Topic {number}"),
            sessions: Cell::default(),
            refused: Cell::default(),
        }
    }

    async fn meet(&self) {
        let [ada, bob] = &self.users;
        let asked = self
            .insist(AT_ONCE, || ada.asking("Easy", &self.topic))
            .await;
        let ticket = text(&asked, "id").to_owned();
        self.insist(AT_ONCE, || bob.asking("Easy", &self.topic))
            .await;
        let match_id = ada.matched(&ticket).await;
        self.insist(AT_ONCE, || ada.answering(&match_id, true))
            .await;
        let confirm = || bob.answering(&match_id, true);
        let confirmed = self.insist(CONFIRMED, confirm).await;
        let session = text(&confirmed, "session_id").to_owned();
        for user in &self.users {
            let left = self.insist(AT_ONCE, || user.leaving(&session)).await;
            assert_eq!(left["status"], "left");
        }
        self.sessions.set(self.sessions.get() + 1);
    }

    /// Asks until it is granted. Nothing but 503 is said meanwhile, and that in time.
    async fn insist(&self, limit: Duration, request: impl Fn() -> Request) -> Value {
        loop {
            let begun = Instant::now();
            let reply = request().send().await;
            let took = begun.elapsed();
            assert!(is_in_time(took, limit), "{} took {took:?}", reply.what);
            if reply.status != 503 {
                return reply.expect(200).clone();
            }
            reply.expect(503);
            self.refused.set(self.refused.get() + 1);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Awaits that all couples together have had so many sessions, or have been refused so often.
async fn counted(what: &str, couples: &[Couple], count: impl Fn(&Couple) -> usize, number: usize) {
    let limit = BACK_WITHIN + PATIENCE;
    within(limit, what, async || {
        let counted: usize = couples.iter().map(&count).sum();
        (counted >= number).then_some(())
    })
    .await;
}

async fn goes_in_the_middle_of_traffic(
    goes: fn(&Own<Postgres>),
    comes: impl AsyncFnOnce(&Own<Postgres>),
) {
    let postgres = Arc::new(Postgres::own());
    let options = Options::on(Backends::on_postgres(&postgres));
    let options = options
        .with("ASK_BURST", 100_000)
        .with("ASKS_PER_SECOND", 100_000);
    let server = options.start().await;
    let couples: Vec<Couple> = (0..COUPLES).map(|it| Couple::new(&server, it)).collect();
    let over = Cell::new(false);
    let traffic = join_all(couples.iter().map(|couple| async {
        while !over.get() {
            couple.meet().await;
        }
    }));

    let script = async {
        let sessions = |couple: &Couple| couple.sessions.get();
        counted("sessions before", &couples, sessions, SESSIONS).await;
        let own = Arc::clone(&postgres);
        let gone = tokio::task::spawn_blocking(move || goes(&own)).await;
        gone.expect("it goes");
        // Some only wait for their match meanwhile; the others hear that they cannot have anything.
        let refused = |couple: &Couple| couple.refused.get();
        counted("refusals", &couples, refused, COUPLES).await;
        comes(&postgres).await;
        let back = Instant::now();
        let before: Vec<usize> = couples.iter().map(sessions).collect();
        let everybody = async || {
            let mut both = couples.iter().zip(&before);
            both.all(|(couple, before)| couple.sessions.get() > *before)
                .then_some(())
        };
        within(BACK_WITHIN, "everybody goes on", everybody).await;
        let took = back.elapsed();
        over.set(true);
        took
    };
    let (_, took) = futures_util::future::join(traffic, script).await;

    assert!(is_in_time(took, BACK_WITHIN), "it took {took:?}");
    let opened = counter(&server, "matchmaker_sessions_opened_total", "").await;
    let sessions: usize = couples.iter().map(|couple| couple.sessions.get()).sum();
    assert_eq!(opened, sessions as f64);
    nothing_broken(&server).await;
    let state = server.get("/debug/actors").await;
    let state = state.expect(200);
    assert_eq!(state["tickets"]["known"], 0, "{state}");
    assert_eq!(state["sessions"]["open"], 0, "{state}");
}

#[actix_rt::test]
async fn a_database_that_is_killed_in_the_middle_of_traffic_costs_nobody_anything_but_time() {
    goes_in_the_middle_of_traffic(Own::kill, async |own| own.restart().await).await;
}

#[actix_rt::test]
async fn a_database_that_freezes_in_the_middle_of_traffic_costs_nobody_anything_but_time() {
    goes_in_the_middle_of_traffic(Own::pause, async |own| own.resume()).await;
}

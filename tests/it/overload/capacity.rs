//! Five times as many lifecycles as the settings have room for: as many come to their end as at a load
//! that fits, the rest is refused at once, and all is as before afterwards.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::probe::percentiles;
use crate::harness::*;

/// Unconfirmed matches at a time.
const MATCHES: u32 = 6;
/// What people take to look at their match before they confirm.
const LOOK: Duration = Duration::from_millis(500);
/// How often people ask how their ticket stands.
const POLL: Duration = Duration::from_millis(100);
/// Live tickets at a time: for what is in a match, and a second's worth that waits.
const TICKETS: u32 = 40;
/// Lifecycles a second that there is room for: a match is open for [`LOOK`], half a [`POLL`], and what
/// the writes take.
const CAPACITY: u32 = 10;
/// Lifecycles a second that fit, also on a machine that is busy with other things.
const FITTING: u32 = 8;
/// An ask is answered within this time, whatever the answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(1);
/// What memory may grow by, in bytes, while asks are refused.
const GROWTH_MAX: u64 = 48 * 1024 * 1024;

/// What came of the asks of one phase.
#[derive(Debug, Default)]
struct Outcome {
    /// From the moment at which each ask was to be sent to its answer.
    answers: Vec<Duration>,
    refused: usize,
    /// Asks that were taken and led to a session.
    in_session: usize,
    /// Asks that were taken and found no partner in time.
    alone: usize,
}

impl Outcome {
    /// Lifecycles per second of `lasting`.
    fn goodput(&self, lasting: Duration) -> f64 {
        self.in_session as f64 / 2.0 / lasting.as_secs_f64()
    }
}

/// `rate` pairs a second for `lasting`, sent by a timetable that is fixed in advance.
async fn phase(server: &Server, name: &str, rate: u32, lasting: Duration) -> Outcome {
    let outcome = RefCell::new(Outcome::default());
    let count = 2 * rate * lasting.as_secs() as u32;
    let start = Instant::now();
    join_all((0..count).map(async |number| {
        // Both of a pair at the same moment.
        let due = Duration::from_secs_f64(f64::from(number / 2) / f64::from(rate));
        let_pass(due.saturating_sub(start.elapsed())).await;
        let user = server.user(&format!("{name}-{number}"));
        person(&user, start + due, &outcome).await;
    }))
    .await;
    let outcome = outcome.into_inner();
    let [p50, p99, longest] = percentiles(outcome.answers.clone(), [50, 99, 100]);
    println!(
        "{name}: {rate} pairs/s for {lasting:?}: {:.1} sessions/s, {} of {count} asks refused, {} \
         alone; an ask took {p50:?} (median), {p99:?} (99 of 100), {longest:?} (longest)",
        outcome.goodput(lasting),
        outcome.refused,
        outcome.alone,
    );
    outcome
}

/// Asks once; who is taken waits for a match, looks at it, and confirms.
async fn person(user: &User, due: Instant, outcome: &RefCell<Outcome>) {
    let asked = user.ask("Easy", "Array").await;
    outcome.borrow_mut().answers.push(due.elapsed());
    if asked.status != 200 {
        assert!([429, 503].contains(&asked.status), "{}", asked.text);
        asked.expect(asked.status);
        assert!(asked.header("retry-after").is_some());
        outcome.borrow_mut().refused += 1;
        return;
    }
    let ticket = text(&asked.json, "id").to_owned();
    let patience = Instant::now() + PATIENCE;
    let match_id = loop {
        let status = user.status(&ticket).await;
        if let Some(id) = status.expect(200)["match_id"].as_str() {
            break id.to_owned();
        }
        // One that is in a match by now goes on: left open, the match would keep a place from others.
        if Instant::now() > patience && user.cancel(&ticket).await.status == 200 {
            outcome.borrow_mut().alone += 1;
            return;
        }
        let_pass(POLL).await;
    };
    let_pass(LOOK).await;
    user.confirm(&match_id, true).await.expect(200);
    outcome.borrow_mut().in_session += 1;
}

/// The time that one pair takes from the first ask to the session.
async fn one_lifecycle(server: &Server, name: &str) -> Duration {
    let begun = Instant::now();
    let pair = scenes::pair(server, &format!("{name}-a"), &format!("{name}-b"), name).await;
    pair.open_session().await;
    begun.elapsed()
}

async fn five_times(lasting: Duration) {
    let server = Server::with("MAX_CONCURRENT_MATCHES", MATCHES)
        .with("MAX_TICKETS", TICKETS)
        .start()
        .await;
    one_lifecycle(&server, "warm").await;
    let before = one_lifecycle(&server, "before").await;
    let fits = phase(&server, "fits", FITTING, lasting).await;
    let memory = server.memory();

    let over = phase(&server, "over", 5 * CAPACITY, lasting).await;

    let ended = Instant::now();
    let after = within(Duration::from_secs(5), "it serves as before", async || {
        let name = format!("after{}", ended.elapsed().as_millis());
        let took = one_lifecycle(&server, &name).await;
        (took < before * 2 + Duration::from_millis(100)).then_some(took)
    })
    .await;
    let grown = server.memory().peak.saturating_sub(memory.now);
    println!(
        "a lifecycle alone took {before:?} before and {after:?} after; memory {} KiB before, {} KiB \
         more at most, {} KiB after",
        memory.now / 1_024,
        grown / 1_024,
        server.memory().now / 1_024
    );
    let (fitting, goodput) = (fits.goodput(lasting), over.goodput(lasting));
    assert!(fitting >= 0.9 * f64::from(FITTING), "{fitting} sessions/s");
    assert!(
        goodput >= 0.8 * f64::from(CAPACITY),
        "{goodput} of {CAPACITY} sessions/s"
    );
    assert!(over.refused > 0, "that was no overload");
    for answer in &over.answers {
        assert!(is_in_time(*answer, ANSWERED_WITHIN), "{answer:?}");
    }
    assert!(grown < GROWTH_MAX, "{grown} bytes");
    assert!(server.reached("matches").await > 0.0);
    assert_eq!(server.reached("tickets").await, over.refused as f64);
}

#[actix_rt::test]
async fn five_times_the_capacity_leaves_the_capacity() {
    five_times(Duration::from_secs(3)).await;
}

#[actix_rt::test]
#[ignore = "takes two minutes: tests/campaign"]
async fn five_times_the_capacity_for_a_minute_leaves_the_capacity() {
    five_times(Duration::from_secs(60)).await;
}

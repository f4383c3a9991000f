//! The removal against a history in memory, in virtual time.

use std::sync::Mutex;

use async_trait::async_trait;
use tokio::time::advance;
use uuid::Uuid;

use super::*;
use crate::SystemClock;

const KEEP_MS: u64 = 60_000;
const OPTIONS: HistoryOptions = HistoryOptions {
    keep_ms: KEEP_MS,
    announced_ms: 3 * KEEP_MS,
};

/// Answers each step with as many full steps as it has, and notes it.
#[derive(Default)]
struct FakeHistory {
    full_steps: Mutex<Vec<Past>>,
    asked: Mutex<Vec<(Past, Timestamp, Mark, Instant)>>,
    is_away: Mutex<bool>,
}

#[async_trait]
impl History for FakeHistory {
    async fn remove(
        &self,
        past: Past,
        before: Timestamp,
        after: Mark,
        limit: usize,
    ) -> Result<Removed, Away> {
        let mut asked = self.asked.lock().unwrap();
        asked.push((past, before, after, Instant::now()));
        if *self.is_away.lock().unwrap() {
            let reason = "away".to_owned();
            return Err(Away {
                backend: "test",
                reason,
            });
        }
        let mut full = self.full_steps.lock().unwrap();
        let mut removed = Removed::default();
        if let Some(at) = full.iter().position(|other| *other == past) {
            full.remove(at);
            removed.matches = limit;
            removed.next = Some(mark(asked.len()));
        }
        Ok(removed)
    }
}

fn mark(number: usize) -> Mark {
    Mark {
        ended_at: Timestamp::from_ms(7),
        id: Uuid::from_u128(number as u128),
    }
}

impl FakeHistory {
    fn asked(&self) -> Vec<(Past, Mark)> {
        let asked = self.asked.lock().unwrap();
        asked
            .iter()
            .map(|(past, _, after, _)| (*past, *after))
            .collect()
    }

    fn pasts(&self) -> Vec<Past> {
        self.asked().into_iter().map(|(past, _)| past).collect()
    }
}

fn started(history: &Arc<FakeHistory>) -> tokio::task::JoinHandle<()> {
    let clock = Arc::new(SystemClock::new());
    let history = Arc::clone(history) as Arc<dyn History>;
    tokio::spawn(HistoryRetention::new(history, clock, OPTIONS).run())
}

/// Lets the removal do what it does within this time.
async fn pass(time: Duration) {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    advance(time).await;
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_is_walked_through_to_its_end_before_the_next_begins() {
    let history = Arc::<FakeHistory>::default();
    let steps = vec![Past::OverSessions, Past::Matches, Past::Matches];
    *history.full_steps.lock().unwrap() = steps;

    let running = started(&history);
    for _ in 0..3 {
        pass(STEP_WAIT).await;
    }

    let expected = [
        (Past::Matches, Mark::START),
        (Past::Matches, mark(1)),
        (Past::Matches, mark(2)),
        (Past::LeftSessions, Mark::START),
        (Past::OverSessions, Mark::START),
        (Past::OverSessions, mark(5)),
        (Past::Tickets, Mark::START),
    ];
    assert_eq!(history.asked(), expected);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn others_have_the_store_between_two_steps() {
    let history = Arc::<FakeHistory>::default();
    *history.full_steps.lock().unwrap() = vec![Past::Matches];

    let running = started(&history);
    pass(STEP_WAIT - Duration::from_millis(1)).await;
    let early = history.pasts();
    pass(Duration::from_millis(1)).await;

    assert_eq!(early, [Past::Matches]);
    assert_eq!(history.pasts().len(), 5);
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn sessions_are_looked_at_once_their_announcements_can_be_gone() {
    let history = Arc::<FakeHistory>::default();

    let running = started(&history);
    pass(Duration::ZERO).await;

    let asked = history.asked.lock().unwrap().clone();
    let before = |past| asked.iter().find(|(other, ..)| *other == past).unwrap().1;
    let kept = i64::try_from(2 * KEEP_MS).unwrap();
    for sessions in [Past::LeftSessions, Past::OverSessions] {
        let apart = before(Past::Matches).as_ms() - before(sessions).as_ms();
        assert_eq!(apart, kept);
    }
    assert_eq!(before(Past::Tickets), before(Past::Matches));
    running.abort();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_asked_again_the_next_time() {
    let history = Arc::<FakeHistory>::default();
    *history.is_away.lock().unwrap() = true;

    let running = started(&history);
    pass(EVERY_MAX - Duration::from_millis(1)).await;
    let once = history.pasts();
    *history.is_away.lock().unwrap() = false;
    pass(Duration::from_millis(1)).await;

    assert_eq!(once, [Past::Matches]);
    assert_eq!(history.pasts()[1..], ORDER);
    running.abort();
}

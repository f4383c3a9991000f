//! The server is killed while many people write, again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::aftermath;
use super::announced::Announced;
use super::people::{Person, is_late};
use crate::harness::*;

/// People who act at the same time.
const PEOPLE: usize = 32;
/// Every kind of write, each acknowledged at least this often before the kill.
const KINDS: [&str; 6] = ["ask", "cancel", "confirm", "decline", "leave", "replace"];
const EACH_AT_LEAST: usize = 5;

#[actix_rt::test]
async fn what_was_acknowledged_survives_a_kill_at_a_random_moment() {
    let rounds: u64 = variable("KILL_ROUNDS").unwrap_or(3);
    let seed: u64 = variable("KILL_SEED").unwrap_or_else(|| rand::rng().random());
    println!("KILL_SEED={seed} KILL_ROUNDS={rounds}");
    let backends = Backends::under_test();
    let options = Options::on(backends.clone()).with("ASK_BURST", 100_000);
    let server = options.with("ASKS_PER_SECOND", 100_000).start().await;
    let mut announced = Announced::listen(&server, &backends).await;

    for round in 0..rounds {
        let people: Vec<Person> = (0..PEOPLE)
            .map(|index| {
                let user = server.user(&format!("round {round} person {index}"));
                Person::new(user, round, seed ^ (round * 1_000 + index as u64))
            })
            .collect();

        kill_while_busy(&server, &people, seed ^ round).await;
        let killed_at = unix_now();
        server.restart().await;

        aftermath::check(&server, &people, killed_at).await;
    }
    announced.check(&server).await;
}

/// What this variable of the environment says, if anything.
pub fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text} is not a number")),
    )
}

/// Everybody acts; once every kind of write was acknowledged, the kill comes at a random moment.
async fn kill_while_busy(server: &Server, people: &[Person], seed: u64) {
    let extra = StdRng::seed_from_u64(seed).random_range(0..500);
    let acting = join_all(people.iter().map(Person::act));
    let killing = async {
        every_kind_was_acknowledged(people).await;
        tokio::time::sleep(Duration::from_millis(extra)).await;
        server.kill();
    };
    futures_util::future::join(acting, killing).await;

    let mut in_flight: BTreeMap<&str, usize> = BTreeMap::new();
    for person in people {
        if let Some(write) = person.in_flight.borrow().as_ref() {
            *in_flight.entry(write.kind).or_default() += 1;
        }
    }
    let is_late = |person: &&Person| person.unanswered.borrow().as_deref().is_some_and(is_late);
    println!(
        "acknowledged {:?}, in flight {in_flight:?}, of which {} for too long",
        acknowledged(people),
        people.iter().filter(is_late).count()
    );
}

async fn every_kind_was_acknowledged(people: &[Person]) {
    let begun = Instant::now();
    loop {
        let counts = acknowledged(people);
        let count = |kind| counts.get(kind).copied().unwrap_or(0);
        if KINDS.into_iter().all(|kind| count(kind) >= EACH_AT_LEAST) {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "too few acknowledged: {counts:?}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn acknowledged(people: &[Person]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for person in people {
        person.count_into(&mut counts);
    }
    counts
}

//! The protocol, checked in every order in which things can happen.
//!
//! The state machines are the domain's own; only what is around them is modelled: the rows with the
//! conditions of the stores (the simulation's referee), writes under way with answers that come late
//! or are lost, servers that die and begin again from the rows, and time in a few steps. A second
//! server has a memory of its own and believes, like the first, that every bucket is its own: then
//! the conditions alone keep the guarantees.
//!
//! [`searches`] explores bounded worlds to the end; [`refutations`] leaves out one condition after
//! the other and expects that to be found; [`drift`] compares the referee with the stores. With
//! `MODEL_DEPTH=full` much larger worlds are explored, which takes minutes with `--release`.
//!
//! Not modelled: places and fairness, tickets that start-up discards, permits, callers that hang up,
//! full queues, mirrors, tokens, and writes of a dead server that reach the rows later than a new
//! life has read them, which a second server that is slow stands for.

mod dice;
mod drift;
mod life;
mod opening;
mod properties;
mod protocol;
mod refutations;
mod sealed;
mod searches;
mod setup;
mod state;
mod turn;
mod witness;

use std::collections::BTreeSet;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use setup::Setup;

#[derive(Debug, Clone, Copy)]
enum Order {
    ShortestFirst,
    DeepestFirst,
}

/// What an exhaustive search found.
struct Found {
    states: usize,
    /// Each broken property, with a way there.
    failures: Vec<String>,
    /// What happened at least once.
    seen: BTreeSet<&'static str>,
}

/// Explores everything that can happen, or until something is broken; shortest ways first, or, where
/// the states on the way would not fit into memory, one way to its end after the other.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a search takes is real time"
)]
fn search(setup: Setup, order: Order) -> Found {
    let began = Instant::now();
    let checker = setup.checker().threads(2);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures);
    match order {
        Order::ShortestFirst => report(setup, began, &checker.spawn_bfs().join()),
        Order::DeepestFirst => report(setup, began, &checker.spawn_dfs().join()),
    }
}

fn report(setup: Setup, began: Instant, checker: &impl Checker<Setup>) -> Found {
    let (mut failures, mut seen) = (Vec::new(), BTreeSet::new());
    for (name, path) in checker.discoveries() {
        let property = checker.model().property(name);
        if property.expectation.discovery_is_failure() {
            let broken = path.last_state().db.broken.map(|breach| breach.seen);
            let actions = path.into_actions().into_iter();
            let actions: Vec<String> = actions.map(|action| format!("  {action:?}")).collect();
            failures.push(format!("{name}: {broken:?}\n{}", actions.join("\n")));
        } else {
            seen.insert(name);
        }
    }
    let states = checker.unique_state_count();
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("model: {setup}: {states} states in {seconds:.1} s");
    Found {
        states,
        failures,
        seen,
    }
}

//! The protocol, checked in every order in which things can happen.

mod life;
mod protocol;
mod setup;
mod state;
mod turn;
mod witness;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use setup::{Begin, Deed, Setup};

#[test]
fn probe() {
    for setup in probes() {
        let began = Instant::now();
        let checker = setup
            .checker()
            .threads(2)
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        eprintln!(
            "{setup}: {} states, depth {}, {:.1} s",
            checker.unique_state_count(),
            checker.max_depth(),
            began.elapsed().as_secs_f64()
        );
        for (name, path) in checker.discoveries() {
            eprintln!("  {name}: {:?}", path.last_state().db.broken);
            for action in path.into_actions() {
                eprintln!("    {action:?}");
            }
        }
    }
}

fn probes() -> Vec<Setup> {
    let all = &[Deed::Withdraw, Deed::Confirm, Deed::Decline, Deed::Leave];
    vec![
        Setup { asks: 1, acts: 1, deeds: all, ..Setup::new("plain", Begin::Empty) },
        Setup { asks: 1, acts: 1, deeds: all, crashes: 1, ..Setup::new("crash", Begin::Empty) },
        Setup { asks: 1, acts: 1, deeds: all, lost: 1, steps: 1, ..Setup::new("lost", Begin::Empty) },
        Setup { servers: 2, acts: 1, deeds: &[Deed::Withdraw], ..Setup::new("two", Begin::Waiting) },
        Setup { servers: 2, acts: 1, deeds: &[Deed::Confirm], ..Setup::new("two", Begin::Matched) },
    ]
}

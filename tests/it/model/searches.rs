//! Bounded worlds, each explored to the end.

use std::collections::BTreeSet;
use std::env;

use super::properties::SIGHTS;
use super::setup::{Begin, Deed, Setup};
use super::{Order, search};

const ALL: &[Deed] = &[Deed::Withdraw, Deed::Confirm, Deed::Decline, Deed::Leave];
const ANSWERS: &[Deed] = &[Deed::Confirm, Deed::Decline];

/// One server on the conditions of the stores as they are.
const ALONE: [Setup; 9] = [
    Setup {
        crashes: 1,
        asks: 1,
        acts: 2,
        deeds: ALL,
        ..alone("from nothing to the end of a session", Begin::Empty)
    },
    Setup {
        crashes: 1,
        lost: 1,
        steps: 1,
        asks: 1,
        acts: 1,
        deeds: ALL,
        ..alone("answers are lost", Begin::Empty)
    },
    Setup {
        away: 1,
        steps: 2,
        asks: 1,
        acts: 1,
        deeds: ALL,
        ..alone("store and questions are away", Begin::Empty)
    },
    Setup {
        buckets: 2,
        steps: 1,
        asks: 1,
        acts: 1,
        deeds: ANSWERS,
        ..alone("asking elsewhere from a match", Begin::Matched)
    },
    Setup {
        buckets: 2,
        lost: 1,
        steps: 1,
        asks: 1,
        acts: 1,
        deeds: &[Deed::Withdraw],
        ..alone("asking elsewhere while waiting", Begin::Alone(0))
    },
    Setup {
        users: 3,
        lost: 1,
        asks: 1,
        acts: 1,
        deeds: &[Deed::Withdraw, Deed::Confirm, Deed::Decline],
        ..alone("three want two places", Begin::Empty)
    },
    Setup {
        users: 1,
        buckets: 2,
        lost: 1,
        steps: 1,
        asks: 2,
        acts: 1,
        deeds: &[Deed::Withdraw],
        ..alone("asking twice at once", Begin::Empty)
    },
    Setup {
        buckets: 2,
        asks: 2,
        ..alone("asking twice from a match", Begin::Matched)
    },
    Setup {
        steps: 1,
        acts: 1,
        deeds: ANSWERS,
        ..alone("silent for the second time", Begin::SilentBefore)
    },
];

/// Two servers that believe the same: what the stores check keeps every guarantee.
const TWO: [Setup; 10] = [
    Setup {
        lost: 1,
        acts: 1,
        deeds: &[Deed::Withdraw],
        ..two("withdrawing", Begin::Alone(0))
    },
    Setup {
        crashes: 1,
        lost: 1,
        asks: 1,
        acts: 1,
        deeds: ANSWERS,
        ..two("from nothing", Begin::Empty)
    },
    Setup {
        users: 3,
        acts: 1,
        deeds: ANSWERS,
        ..two("three wait", Begin::Waiting)
    },
    Setup {
        asks: 1,
        acts: 1,
        deeds: ANSWERS,
        ..two("asking again", Begin::Matched)
    },
    Setup {
        lost: 1,
        acts: 1,
        deeds: ALL,
        ..two("leaving", Begin::InSession)
    },
    Setup {
        crashes: 2,
        steps: 2,
        ..two("beginning again", Begin::Matched)
    },
    Setup {
        crashes: 1,
        steps: 1,
        acts: 1,
        deeds: &[Deed::Confirm],
        ..two("a window runs out", Begin::Matched)
    },
    Setup {
        buckets: 2,
        asks: 1,
        acts: 1,
        deeds: &[Deed::Decline],
        ..two("asking elsewhere", Begin::Matched)
    },
    Setup {
        steps: 1,
        acts: 1,
        deeds: ANSWERS,
        ..two("silent for the second time", Begin::SilentBefore)
    },
    Setup {
        away: 1,
        steps: 2,
        ..two("an opening is given up", Begin::Confirmed)
    },
];

/// For the long campaign.
const FULL: [Setup; 10] = [
    Setup {
        buckets: 2,
        lost: 1,
        asks: 1,
        acts: 1,
        deeds: &[Deed::Decline],
        ..two("asking elsewhere, and a lost answer", Begin::Matched)
    },
    Setup {
        crashes: 1,
        steps: 1,
        acts: 1,
        deeds: ALL,
        ..two("a window runs out, whatever they do", Begin::Matched)
    },
    Setup {
        crashes: 1,
        lost: 1,
        steps: 1,
        asks: 1,
        acts: 2,
        deeds: ALL,
        ..alone("a long life", Begin::Empty)
    },
    Setup {
        users: 3,
        buckets: 2,
        steps: 1,
        asks: 1,
        acts: 1,
        deeds: ALL,
        ..alone("three in two buckets", Begin::Matched)
    },
    Setup {
        buckets: 2,
        crashes: 1,
        lost: 1,
        steps: 1,
        asks: 1,
        acts: 1,
        deeds: ALL,
        ..alone("asking elsewhere, and a crash", Begin::Matched)
    },
    Setup {
        crashes: 1,
        asks: 1,
        acts: 1,
        deeds: &[Deed::Withdraw, Deed::Confirm, Deed::Decline],
        ..two("waiting, and a crash", Begin::Waiting)
    },
    Setup {
        buckets: 2,
        asks: 1,
        acts: 1,
        deeds: ALL,
        ..two("asking elsewhere, and more", Begin::Matched)
    },
    Setup {
        away: 1,
        steps: 2,
        acts: 1,
        deeds: ALL,
        ..two("an opening is given up, and more", Begin::Confirmed)
    },
    Setup {
        crashes: 1,
        lost: 1,
        steps: 2,
        acts: 1,
        deeds: ALL,
        ..two("a window runs out, and more", Begin::HalfConfirmed)
    },
    Setup {
        users: 3,
        crashes: 1,
        asks: 1,
        acts: 1,
        deeds: ALL,
        ..two("three, one of whom waits", Begin::Alone(1))
    },
];

const fn alone(name: &'static str, begin: Begin) -> Setup {
    Setup::new(name, begin)
}

const fn two(name: &'static str, begin: Begin) -> Setup {
    Setup {
        servers: 2,
        ..Setup::new(name, begin)
    }
}

/// Explores every one; answers how many states there were, and what happened in them.
fn explore(setups: &[Setup], order: Order) -> (usize, BTreeSet<&'static str>) {
    let (mut states, mut seen) = (0, BTreeSet::new());
    for setup in setups {
        let found = search(*setup, order);
        let failures = found.failures.join("\n");
        assert!(failures.is_empty(), "{setup}\n{failures}");
        states += found.states;
        seen.extend(found.seen);
    }
    (states, seen)
}

/// What has to happen and has not.
fn unseen(seen: &BTreeSet<&'static str>) -> Vec<&'static str> {
    let all = SIGHTS.into_iter().map(|(name, _)| name);
    all.filter(|name| !seen.contains(name)).collect()
}

#[test]
fn one_server_keeps_the_guarantees_in_whatever_order_things_happen() {
    let (states, seen) = explore(&ALONE, Order::ShortestFirst);

    assert!(states > 50_000, "only {states} states");
    assert_eq!(unseen(&seen), [""; 0]);
}

#[test]
fn two_servers_that_own_the_same_bucket_keep_the_guarantees() {
    let (states, seen) = explore(&TWO, Order::ShortestFirst);

    assert!(states > 30_000, "only {states} states");
    assert_eq!(unseen(&seen), [""; 0]);
}

#[test]
fn larger_worlds_keep_the_guarantees() {
    if env::var("MODEL_DEPTH").is_ok_and(|depth| depth == "full") {
        explore(&FULL, Order::DeepestFirst);
    } else {
        eprintln!("model: MODEL_DEPTH=full explores larger worlds");
    }
}

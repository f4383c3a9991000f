//! Every condition is needed, or it is said why not: leaving out any one of them is found.

use std::collections::BTreeSet;

use super::setup::{Begin, Deed, Setup};
use super::{Order, search};
use crate::simulation::referee::Condition;
use Expected::{DefendedTwice, NotModelled, Refuted};

/// What leaving out a condition leads to.
enum Expected {
    /// A guarantee is broken in this world.
    Refuted(Setup),
    /// No guarantee is broken, for this reason, in these worlds, in which such writes are judged.
    DefendedTwice(&'static str, &'static [Setup]),
    /// No world leads there, for this reason.
    NotModelled(&'static str),
}

const ANSWERS: &[Deed] = &[Deed::Confirm, Deed::Decline];

const fn one(begin: Begin) -> Setup {
    Setup {
        asks: 1,
        acts: 1,
        lost: 1,
        deeds: ANSWERS,
        ..Setup::new("a lost answer", begin)
    }
}

const fn two(begin: Begin) -> Setup {
    Setup {
        servers: 2,
        acts: 1,
        ..Setup::new("two servers", begin)
    }
}

/// One server; one user withdraws, and an answer is lost.
const LOST_WITHDRAWAL: Setup = Setup {
    users: 1,
    deeds: &[Deed::Withdraw],
    ..one(Begin::Empty)
};
/// One server; a lost answer on the way from two asks to a session or an end.
const LOST_ANSWER: Setup = one(Begin::Empty);
/// One server; a ticket is replaced, and an answer is lost.
const LOST_REPLACEMENT: Setup = Setup {
    buckets: 2,
    ..one(Begin::Alone(0))
};
/// The same user asks both servers.
const TWO_ASKS: Setup = Setup {
    users: 1,
    asks: 2,
    ..two(Begin::Empty)
};
/// Somebody waits on both servers, and either asks or withdraws on each.
const ONE_WAITS: Setup = Setup {
    buckets: 2,
    asks: 1,
    deeds: &[Deed::Withdraw],
    ..two(Begin::Alone(0))
};
/// The same, but who asks later has the smaller id.
const YOUNGER_WAITS: Setup = Setup {
    asks: 1,
    deeds: &[Deed::Withdraw],
    ..two(Begin::Alone(1))
};
/// Both servers hold the same match.
const MATCH: Setup = Setup {
    deeds: ANSWERS,
    ..two(Begin::Matched)
};
/// The same, and its window runs out.
const MATCH_IN_TIME: Setup = Setup { steps: 1, ..MATCH };
/// Both servers pair the same two, the slower one after a proposal ran out of which only the faster
/// one knows; that one dies and reads the second match with the silences of the first.
const SILENCES: Setup = Setup {
    acts: 0,
    crashes: 1,
    steps: 2,
    ..two(Begin::Waiting)
};
/// Both servers hold the same match, and either of the two asks elsewhere.
const MATCH_AND_ASK: Setup = Setup {
    buckets: 2,
    asks: 1,
    deeds: &[Deed::Decline],
    ..MATCH
};
/// Both servers open the same session, and one gives up.
const OPENING: Setup = Setup {
    away: 1,
    steps: 2,
    ..two(Begin::Confirmed)
};
/// Servers die and come back after the window ran out.
const RESTARTS: Setup = Setup {
    acts: 0,
    crashes: 2,
    steps: 2,
    ..two(Begin::Matched)
};

/// One server; somebody leaves, and an answer is lost.
const LEAVING: Setup = Setup {
    deeds: &[Deed::Leave],
    ..one(Begin::InSession)
};
/// Both servers send the same announcement, and what was sent is removed some day.
const ANNOUNCING: Setup = Setup {
    acts: 0,
    crashes: 1,
    steps: 1,
    removals: 1,
    ..two(Begin::InSession)
};

const WORLDS: [Setup; 14] = [
    LOST_WITHDRAWAL,
    LOST_ANSWER,
    LOST_REPLACEMENT,
    TWO_ASKS,
    ONE_WAITS,
    YOUNGER_WAITS,
    MATCH,
    MATCH_IN_TIME,
    SILENCES,
    MATCH_AND_ASK,
    OPENING,
    RESTARTS,
    LEAVING,
    ANNOUNCING,
];

/// What each condition is for.
fn expected(condition: Condition) -> Expected {
    match condition {
        Condition::OpenNoOtherLive => Refuted(TWO_ASKS),
        Condition::OpenKnown | Condition::CloseKnown => Refuted(LOST_WITHDRAWAL),
        Condition::CloseWaits
        | Condition::ReplaceWaits
        | Condition::CountLive
        | Condition::ProposeFirstWaits => Refuted(ONE_WAITS),
        Condition::ReplaceKnown => Refuted(LOST_REPLACEMENT),
        Condition::ProposeSecondWaits => Refuted(YOUNGER_WAITS),
        Condition::ProposeKnown | Condition::EndKnown | Condition::SessionKnown => {
            Refuted(LOST_ANSWER)
        }
        Condition::ConfirmOpen | Condition::EndOpen => Refuted(MATCH),
        Condition::EndConfirmed => Refuted(MATCH_IN_TIME),
        Condition::EndKnownWithTicket => Refuted(MATCH_AND_ASK),
        // That the same have confirmed is not enough: fates follow from earlier silences as well.
        Condition::EndKnownSameFates => Refuted(SILENCES),
        Condition::SessionOpen => Refuted(OPENING),
        Condition::ExtendOpen | Condition::ExtendOnce | Condition::EndInTime => Refuted(RESTARTS),
        Condition::RemoveSent => Refuted(ANNOUNCING),
        Condition::DiscardLive | Condition::DiscardKnown => NotModelled(
            "only rows that contradict each other are discarded, and no write makes any",
        ),
        other => defended_twice(other),
    }
}

/// Why a condition is not needed.
fn defended_twice(condition: Condition) -> Expected {
    match condition {
        Condition::ReplaceSameUser => DefendedTwice(
            "a roster hands an ask to the ticket that the same user claims",
            &[LOST_REPLACEMENT, ONE_WAITS],
        ),
        Condition::ReplaceNoOtherLive => DefendedTwice(
            "the old ticket waits, so it is the only live one, and the same write ends it",
            &[LOST_REPLACEMENT, ONE_WAITS],
        ),
        Condition::ProposeDistinct => DefendedTwice(
            "a bucket pairs two tickets of two users",
            &[LOST_ANSWER, YOUNGER_WAITS],
        ),
        Condition::ProposeOwners => DefendedTwice(
            "a ticket's user never changes",
            &[LOST_ANSWER, YOUNGER_WAITS],
        ),
        Condition::ProposeSessionUnique => {
            DefendedTwice("ids are made once", &[LOST_ANSWER, YOUNGER_WAITS])
        }
        Condition::EndTickets => DefendedTwice(
            "the tickets of a match never change",
            &[MATCH_IN_TIME, RESTARTS],
        ),
        Condition::EndNoOtherLive => DefendedTwice(
            "the match is open, so the only live ticket is the one that the write ends",
            &[MATCH_AND_ASK],
        ),
        Condition::EndKnownConfirmed => DefendedTwice(
            "what users are told follows from the fates, which are compared; without it, memory \
             would count as silent who was not",
            &[LOST_ANSWER, MATCH_IN_TIME, RESTARTS],
        ),
        Condition::SessionBothConfirmed => DefendedTwice(
            "memory counts stored confirmations only, and none is ever taken back",
            &[LOST_ANSWER, MATCH_IN_TIME, OPENING],
        ),
        Condition::SessionOfMatch => DefendedTwice(
            "the ids of a match never change",
            &[LOST_ANSWER, MATCH_IN_TIME],
        ),
        Condition::SessionUnique => DefendedTwice(
            "a match that is open has no session, and that it is open is checked",
            &[LOST_ANSWER, MATCH_IN_TIME],
        ),
        Condition::LeaveKnown => {
            DefendedTwice("a session is in memory after it is stored", &[LEAVING])
        }
        Condition::MarkUnsent => DefendedTwice(
            "what is marked again is only kept a little longer",
            &[ANNOUNCING],
        ),
        other => unreachable!("{other:?} is needed"),
    }
}

fn without(setup: Setup, condition: Condition) -> Setup {
    Setup {
        conditions: setup.conditions.without(condition),
        ..setup
    }
}

#[test]
fn leaving_out_any_one_condition_is_found() {
    let mut needed = BTreeSet::new();
    for condition in Condition::ALL {
        if let Refuted(setup) = expected(condition) {
            let found = search(without(setup, condition), Order::ShortestFirst);
            let shortest = found.failures.first();
            let shortest = shortest.unwrap_or_else(|| panic!("{condition:?} is not refuted"));
            eprintln!("model: without {condition:?}: {shortest}");
            needed.insert(condition);
        }
    }
    assert_eq!(needed.len(), 22);
}

#[test]
fn the_same_worlds_keep_the_guarantees_with_all_conditions() {
    for setup in WORLDS {
        let failures = search(setup, Order::ShortestFirst).failures;
        assert_eq!(failures, [""; 0], "{setup}");
    }
}

/// What is said not to be needed is not: each of these is defended elsewhere as well.
#[test]
fn leaving_out_a_condition_that_is_defended_twice_changes_nothing() {
    for condition in Condition::ALL {
        let DefendedTwice(reason, worlds) = expected(condition) else {
            continue;
        };
        let (name, mut judged) = (format!("{condition:?}"), false);
        for setup in worlds {
            let found = search(without(*setup, condition), Order::ShortestFirst);
            assert_eq!(found.failures, [""; 0], "{name}: {reason}");
            judged |= found.seen.iter().any(|kind| name.starts_with(kind));
        }
        assert!(judged, "{name} is asked for in none of its worlds");
    }
}

#[test]
fn no_condition_but_those_of_discarded_tickets_is_left_to_other_tests() {
    let unmodelled: Vec<Condition> = Condition::ALL
        .into_iter()
        .filter(
            |condition| matches!(expected(*condition), NotModelled(reason) if !reason.is_empty()),
        )
        .collect();
    assert_eq!(
        unmodelled,
        [Condition::DiscardLive, Condition::DiscardKnown]
    );
}

//! What must hold whatever happens, and what has to happen at least once.

use matchmaker::domain::{Ending, Guarantee, TicketOutcome};
use stateright::Property;

use super::setup::{Setup, user};
use super::state::State;
use crate::simulation::referee::{MatchRow, MatchState, Status};

type Sight = fn(&Setup, &State) -> bool;

/// What has to happen in some order, or nothing is said about it.
pub const SIGHTS: [(&str, Sight); 7] = [
    ("a session is open and announced at rest", |_, state| {
        !state.db.outbox.is_empty() && state.is_quiet()
    }),
    ("somebody leaves", |_, state| {
        let mut sessions = state.db.sessions.values();
        sessions.any(|row| row.record.left != [false, false])
    }),
    ("a match is declined", |_, state| {
        has_match(state, |row| {
            matches!(row.state, MatchState::Ended(Ending::Declined(_)))
        })
    }),
    ("a window runs out", |_, state| {
        has_match(state, |row| row.state == MatchState::Ended(Ending::Expired))
    }),
    ("an opening is given up", |_, state| {
        has_match(state, |row| {
            row.state == MatchState::Ended(Ending::QuestionUnavailable)
        })
    }),
    ("a ticket is withdrawn", |_, state| {
        has_closed(state, TicketOutcome::Withdrawn)
    }),
    ("a ticket is replaced", |_, state| {
        has_closed(state, TicketOutcome::Replaced)
    }),
];

fn has_match(state: &State, sight: impl Fn(&MatchRow) -> bool) -> bool {
    state.db.matches.values().any(sight)
}

fn has_closed(state: &State, outcome: TicketOutcome) -> bool {
    let mut tickets = state.db.tickets.values();
    tickets.any(|row| row.status == Status::Closed(outcome))
}

pub fn all() -> Vec<Property<Setup>> {
    let mut properties = vec![
        Property::always("G1: a user has one live claim", |_, state| {
            keeps(state, Guarantee::OneLiveClaim)
        }),
        Property::always("G2: what was acknowledged is stored", |_, state| {
            keeps(state, Guarantee::Durable)
        }),
        Property::always("G3: a match is of two, and both know it", |_, state| {
            keeps(state, Guarantee::SymmetricPairs)
        }),
        Property::always("G4: there is one outcome", |_, state| {
            keeps(state, Guarantee::OneOutcome)
        }),
        Property::always("G5: both confirmed, one session, announced", |_, state| {
            keeps(state, Guarantee::OneSession)
        }),
        Property::always("G7: a window gets more time once", |_, state| {
            keeps(state, Guarantee::TimeKept)
        }),
        Property::always(
            "G5: what both confirmed ends in no other way",
            |_, state| confirmed_matches_open(state),
        ),
        Property::always("G5: in the end every session is announced", announced),
        Property::always("in the end one server knows what is stored", settled),
    ];
    properties.extend(SIGHTS.map(|(name, sight)| Property::sometimes(name, sight)));
    properties
}

fn keeps(state: &State, guarantee: Guarantee) -> bool {
    let broken = state.db.broken;
    broken.is_none_or(|breach| breach.guarantee != guarantee)
}

fn confirmed_matches_open(state: &State) -> bool {
    state.db.matches.values().all(|row| {
        let lost = matches!(
            row.state,
            MatchState::Ended(Ending::Declined(_) | Ending::Expired)
        );
        row.confirmed != [true, true] || !lost
    })
}

/// At rest every announcement has reached the broker; none has that is not of a session.
fn announced(_: &Setup, state: &State) -> bool {
    let events = || state.db.outbox.keys();
    let all = events().all(|event| state.published.contains(event));
    let no_others = state
        .published
        .iter()
        .all(|event| state.db.outbox.contains_key(event));
    no_others && (all || !state.is_quiet())
}

/// At rest a server that is alone holds exactly the live tickets and the open matches, and what
/// both have confirmed is a session.
fn settled(setup: &Setup, state: &State) -> bool {
    let Some(memory) = state
        .memory(0)
        .filter(|_| setup.servers == 1 && state.is_quiet())
    else {
        return true;
    };
    let claimed = (0..setup.users).filter(|number| memory.roster.claim(&user(*number)).is_some());
    let held = state.db.live().all(|row| {
        let claim = memory.roster.claim(&row.ticket.user);
        claim.is_some_and(|claim| claim.place.ticket == row.ticket.id)
    });
    let open = state
        .db
        .matches
        .iter()
        .filter(|(_, row)| row.state == MatchState::Open);
    let waits = setup.away > 0;
    let open = open.into_iter().all(|(id, row)| {
        memory.matches.contains_key(id) && (row.confirmed != [true, true] || waits)
    });
    held && open && claimed.count() == state.db.live().count() && memory.calls.is_empty()
}

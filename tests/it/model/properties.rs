//! What must hold whatever happens, and what has to happen at least once.

use matchmaker::domain::bucket::Bucket;
use matchmaker::domain::{Ending, EventId, Guarantee, Holder, TicketOutcome, Write};
use stateright::Property;

use super::setup::Setup;
use super::state::State;
use crate::simulation::referee::{MatchRow, MatchState, Status, TicketRow};

type Sight = fn(&Setup, &State) -> bool;

/// What has to happen in some order, or nothing is said about it.
pub const SIGHTS: [(&str, Sight); 11] = [
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
    ("a waiting ticket expires", |_, state| {
        let expired = Status::Closed(TicketOutcome::Expired);
        let mut tickets = state.db.tickets.values();
        tickets.any(|row| {
            let silent = |of: &MatchRow| of.proposal.tickets.contains(&row.ticket.id);
            row.status == expired && !has_match(state, |of| ends_silent(of) && silent(of))
        })
    }),
    ("a second silence ends a ticket", |_, state| {
        has_match(state, ends_silent)
    }),
    ("a ticket is asked for again", |_, state| {
        let mut tickets = state.db.tickets.values();
        tickets.any(|row| row.ticket.asks > 0)
    }),
    ("the broker gets an announcement twice", |_, state| {
        // Whoever sends it next does not know that it was sent.
        let known = |event: &EventId| {
            let mut memories = state.servers.iter().filter_map(|server| server.memory());
            memories.any(|memory| memory.to_mark.contains(event))
        };
        let mut unsent = state.db.unsent();
        unsent.any(|event| state.published.contains(&event) && !known(&event))
    }),
];

/// Kinds of writes that are under way somewhere, by the word with which their conditions begin.
pub const JUDGED: [(&str, Sight); 6] = [
    ("Replace", |_, state| {
        is_writing(state, |write| matches!(write, Write::ReplaceTicket { .. }))
    }),
    ("Propose", |_, state| {
        is_writing(state, |write| matches!(write, Write::ProposeMatch(_)))
    }),
    ("End", |_, state| {
        is_writing(state, |write| matches!(write, Write::EndMatch { .. }))
    }),
    ("Session", |_, state| {
        is_writing(state, |write| matches!(write, Write::OpenSession { .. }))
    }),
    ("Leave", |_, state| {
        is_writing(state, |write| matches!(write, Write::LeaveSession { .. }))
    }),
    ("Mark", |_, state| {
        let mut memories = state.servers.iter().filter_map(|server| server.memory());
        memories.any(|memory| !memory.to_mark.is_empty())
    }),
];

fn is_writing(state: &State, sight: fn(&Write) -> bool) -> bool {
    let memories = state.servers.iter().filter_map(|server| server.memory());
    let mut errands = memories.flat_map(|memory| memory.errands.values());
    errands.any(|errand| sight(&errand.write))
}

/// Whether the window ran out and somebody was silent for the second time.
fn ends_silent(row: &MatchRow) -> bool {
    row.state == MatchState::Ended(Ending::Expired) && row.put_back != [true, true]
}

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
        Property::always("in the end somebody holds what is live", held),
    ];
    let sights = SIGHTS.into_iter().chain(JUDGED);
    properties.extend(sights.map(|(name, sight)| Property::sometimes(name, sight)));
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
    let mut events = state.db.outbox.keys();
    let all = events.all(|event| state.published.contains(event));
    let no_others = state
        .published
        .iter()
        .all(|event| state.db.outbox.contains_key(event));
    no_others && (all || !state.is_quiet())
}

/// At rest every live ticket and every open match is held by a server that is up, and what both have
/// confirmed is opened at the end of its window at the latest: servers hear of each other by then.
fn held(_: &Setup, state: &State) -> bool {
    if !state.is_quiet() {
        return true;
    }
    let memories = || state.servers.iter().filter_map(|server| server.memory());
    let tickets = state.db.live().all(|row| {
        memories().any(|memory| match row.status {
            Status::Matched(id) => memory.matches.contains_key(&id),
            Status::Waiting | Status::Closed(_) => {
                let claim = memory.roster.claim(&row.ticket.user);
                let held = claim.map(|claim| (claim.place.ticket, claim.holder));
                held == Some((row.ticket.id, Holder::Bucket))
            }
        })
    });
    let in_time = state.db.matches.values().all(|row| {
        let open = row.state == MatchState::Open && row.proposal.expires_at <= state.now();
        !(open && row.confirmed == [true, true])
    });
    tickets && in_time
}

/// At rest a server that is alone holds exactly the live tickets, each where its row says, and what
/// both have confirmed is a session.
fn settled(setup: &Setup, state: &State) -> bool {
    let alone = setup.servers == 1 && state.is_quiet();
    let Some(memory) = state.memory(0).filter(|_| alone) else {
        return true;
    };
    let held = state.db.live().all(|row| {
        let claim = memory.roster.claim(&row.ticket.user);
        let holder = match row.status {
            Status::Matched(id) => Holder::Match(id),
            Status::Waiting | Status::Closed(_) => Holder::Bucket,
        };
        claim.is_some_and(|claim| (claim.place.ticket, claim.holder) == (row.ticket.id, holder))
    });
    let in_match = |row: &&TicketRow| matches!(row.status, Status::Matched(_));
    let in_match = state.db.live().filter(in_match).count();
    let waiting: usize = memory.buckets.values().map(Bucket::waiting).sum();
    let exact = memory.roster.len() == waiting + in_match && in_match == 2 * memory.matches.len();
    let open = memory.matches.keys().all(|id| {
        let row = state.db.open_match(*id);
        row.is_some_and(|row| row.confirmed != [true, true])
    });
    held && exact && open && memory.calls.is_empty()
}

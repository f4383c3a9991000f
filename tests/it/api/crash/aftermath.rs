//! Compares the restarted server with everything that it had acknowledged.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::people::{Fact, Person};
use crate::harness::*;

/// What the server says now about one person.
struct Account {
    /// Every known ticket with its state, and its match when it has one.
    tickets: BTreeMap<String, (String, Option<String>)>,
}

/// The confirmation window that nobody has changed, in seconds.
const WINDOW: f64 = 120.0;

/// Checks G1 to G4 and G7 from outside, on a server that was killed at `killed_at`.
pub async fn check(server: &Server, people: &[Person], killed_at: f64) {
    let ends = Ends::of(people);

    let accounts = join_all(people.iter().map(read_account)).await;
    let facts = people
        .iter()
        .map(|person| facts_hold(server, person, &ends));
    let unexplained: usize = join_all(facts).await.into_iter().sum();
    let nameless = ends.nameless();
    assert!(
        unexplained <= nameless,
        "{unexplained} matches with a yes are gone, {nameless} may be"
    );
    for (person, account) in people.iter().zip(&accounts) {
        one_live_claim(server, person, account).await;
    }
    symmetric_pairs(server, people, &accounts).await;
    join_all(
        people
            .iter()
            .map(|person| confirmations_count(server, person, killed_at)),
    )
    .await;
    join_all(people.iter().map(unanswered_ask_settles)).await;
    life_goes_on(server).await;
}

/// What may be over by now, because somebody's write, acknowledged or perhaps, ended it.
#[derive(Default)]
struct Ends {
    /// Matches that were declined or left for another bucket; twice where both members did so.
    matches: Vec<String>,
    /// Sessions that were left, once for each who left.
    left_sessions: Vec<String>,
}

impl Ends {
    fn of(people: &[Person]) -> Self {
        let mut ends = Self::default();
        for person in people {
            let in_flight = person.in_flight.borrow().clone();
            match in_flight.map(|write| (write.kind, write.subject)) {
                Some(("leave", session)) => ends.left_sessions.extend(session),
                Some((_, match_id)) => ends.matches.extend(match_id),
                None => {}
            }
            for fact in person.facts.borrow().iter().cloned() {
                match fact {
                    Fact::Declined { match_id, .. } | Fact::Replaced { match_id, .. } => {
                        ends.matches.push(match_id);
                    }
                    Fact::Left { session } => ends.left_sessions.push(session),
                    _ => {}
                }
            }
        }
        ends
    }

    /// Ends whose match is not known: who left for another bucket just after the partner had ended
    /// that match may have left the next match with it, whose name nobody learnt.
    fn nameless(&self) -> usize {
        let named: HashSet<&String> = self.matches.iter().collect();
        self.matches.len() - named.len()
    }

    fn may_be_over(&self, session: &String) -> bool {
        let leaves = self.left_sessions.iter().filter(|left| *left == session);
        leaves.count() >= 2
    }
}

/// Reads the state of every ticket that this person was given: each one must be known (G2).
async fn read_account(person: &Person) -> Account {
    let mut tickets = BTreeMap::new();
    let facts = person.facts.borrow().clone();
    for fact in facts {
        if let Fact::Asked { ticket } = fact {
            let status = person.user.status(&ticket).await;
            let state = text(status.expect(200), "status").to_owned();
            let match_id = status.json["match_id"].as_str().map(str::to_owned);
            assert_eq!(state == "matched", match_id.is_some(), "{}", status.text);
            tickets.insert(ticket, (state, match_id));
        }
    }
    Account { tickets }
}

/// G2 and G4: each acknowledged fact, one by one. Gives how many matches with this person's yes
/// are gone without anybody known to have ended them.
async fn facts_hold(server: &Server, person: &Person, ends: &Ends) -> usize {
    let mut unexplained = 0;
    let facts = person.facts.borrow().clone();
    for fact in &facts {
        let told = format!("{} was told {fact:?}; all of it: {facts:?}", person.user.id);
        match fact {
            Fact::Asked { .. } => {}
            Fact::Cancelled { ticket } => {
                assert_eq!(person.user.state(ticket).await, "cancelled", "{told}");
            }
            Fact::Replaced { ticket, match_id } | Fact::Declined { ticket, match_id } => {
                assert_eq!(person.user.state(ticket).await, "cancelled", "{told}");
                assert_eq!(server.match_status(match_id).await.status, 404, "{told}");
            }
            Fact::Confirmed { match_id } => {
                let status = server.match_status(match_id).await;
                if status.status != 200 {
                    status.expect_error(404, "Match not found");
                    unexplained += usize::from(!ends.matches.contains(match_id));
                }
            }
            Fact::Opened { match_id, session } => {
                let status = server.match_status(match_id).await;
                assert_eq!(status.json["session_id"], session.as_str(), "{told}");
                assert_eq!(status.json["confirm_status"], true, "{told}");
                let read = server.session(session).await;
                if read.status != 200 {
                    read.expect_error(404, "Session not found");
                    assert!(ends.may_be_over(session), "{told}");
                }
                assert!(
                    !ends.matches.contains(match_id),
                    "both confirmed and declined: {told}"
                );
            }
            Fact::Left { session } => {
                let active = person.user.active_session().await;
                assert_ne!(active.json["session_id"], session.as_str(), "{told}");
                let again = person.user.leave(session).await;
                assert_eq!(*again.expect(200), json!({"status": "left"}), "{told}");
            }
        }
    }
    unexplained
}

/// G1: at most one ticket waits or is in an unconfirmed match.
async fn one_live_claim(server: &Server, person: &Person, account: &Account) {
    let mut live = Vec::new();
    for (ticket, (state, match_id)) in &account.tickets {
        let is_live = match match_id {
            None => state == "pending",
            Some(match_id) => {
                // A ticket reads `matched` only while its match exists (G4).
                let status = server.match_status(match_id).await;
                status.expect(200)["confirm_status"] == false
            }
        };
        if is_live {
            live.push(ticket);
        }
    }
    assert!(live.len() <= 1, "{} holds {live:?}", person.user.id);
}

/// G3: a match has two members who name each other, in proposals and in sessions.
async fn symmetric_pairs(server: &Server, people: &[Person], accounts: &[Account]) {
    let mut members: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (person, account) in people.iter().zip(accounts) {
        for (_, match_id) in account.tickets.values() {
            let Some(match_id) = match_id else { continue };
            let is_new = members.entry(match_id).or_default().insert(&person.user.id);
            assert!(is_new, "{} has two tickets in {match_id}", person.user.id);
        }
    }
    for (match_id, users) in &members {
        assert!(users.len() <= 2, "{match_id} has {users:?}");
    }

    for (person, account) in people.iter().zip(accounts) {
        for (_, match_id) in account.tickets.values() {
            let Some(match_id) = match_id else { continue };
            let status = server.match_status(match_id).await;
            if status.expect(200)["confirm_status"] == true {
                continue;
            }
            let found = person.user.connect().await.next_event("match_found").await;
            assert_eq!(text(&found, "match_id"), match_id);
            let partner = text(&found, "partner_id");
            let others = &members[match_id.as_str()];
            assert_ne!(partner, person.user.id);
            // The partner's ask may have been stored without its answer having come.
            assert!(
                others.len() == 1 || others.contains(partner),
                "{partner} of {others:?}"
            );
        }
        let active = person.user.active_session().await;
        if active.status == 200 {
            let users = server.session(text(&active.json, "session_id")).await;
            let users = users.expect(200)["users"].clone();
            let users = users.as_array().expect("users are a list");
            assert_eq!(users.len(), 2);
            assert!(users.contains(&json!(person.user.id)));
            assert!(users.contains(&active.json["partner_id"]));
        }
    }
}

/// G2: an acknowledged yes in a match that is still open makes any ask a duplicate. G7: such a match
/// has the deadline that it had before the kill.
async fn confirmations_count(server: &Server, person: &Person, killed_at: f64) {
    let facts = person.facts.borrow().clone();
    for fact in &facts {
        let Fact::Confirmed { match_id } = fact else {
            continue;
        };
        let before = server.match_status(match_id).await;
        if before.status != 200 || before.json["confirm_status"] == true {
            continue;
        }
        let screen = person.user.connect().await;
        let ask = person.user.ask("Hard", "Elsewhere").await;
        // The partner's yes, stored but not answered, may have opened the session just now.
        let after = server.match_status(match_id).await;
        let in_session = after.json["confirm_status"] == true;
        assert!(
            ask.status == 400 || in_session,
            "{}: a yes was lost: {}",
            person.user.id,
            ask.text
        );
        if !in_session {
            let found = screen.next_event("match_found").await;
            let expires_at = unix_seconds(text(&found, "expires_at"));
            assert!(expires_at <= killed_at + WINDOW, "{found}");
        }
    }
}

/// An ask without an answer was stored or was not; either way the next one has a clear answer, and
/// the ticket that it names is one that the server holds.
async fn unanswered_ask_settles(person: &Person) {
    let kind = person.in_flight.borrow().as_ref().map(|write| write.kind);
    if let Some("ask" | "replace") = kind {
        let bucket_of_ones_own = format!("Elsewhere of {}", person.user.id);
        let reply = person.user.ask("Hard", &bucket_of_ones_own).await;
        let ticket = match reply.status {
            200 => text(&reply.json, "id"),
            _ => text(reply.expect(400), "request_id"),
        };
        eventually("the ticket is withdrawn, or in a match", async || {
            let withdrawn = person.user.cancel(ticket).await;
            if withdrawn.status == 200 {
                assert_eq!(person.user.state(ticket).await, "cancelled");
                return Some(());
            }
            // Somebody who was put back just now may have been given this one as a partner, and may
            // ask for something else and so put this one back right now.
            withdrawn.expect_error(400, "Can only cancel pending requests");
            let state = person.user.state(ticket).await;
            assert!(["matched", "pending"].contains(&state.as_str()), "{state}");
            (state == "matched").then_some(())
        })
        .await;
    }
}

/// The restarted server still does everything.
async fn life_goes_on(server: &Server) {
    let id = uuid::Uuid::new_v4();
    let (first, second) = (format!("first {id}"), format!("second {id}"));
    let pair = scenes::pair(server, &first, &second, &id.to_string()).await;
    let session = pair.open_session().await;
    server.session(&session).await.expect(200);
    pair.first.leave(&session).await.expect(200);
    pair.second.leave(&session).await.expect(200);
}

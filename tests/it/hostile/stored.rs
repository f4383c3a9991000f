//! Requests that may well be good, of people who do anything with any id: what is stored is what their
//! callers were told, and nobody moves what is somebody else's.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use rand::Rng as _;

use super::bodies;
use super::dice::Dice;
use crate::harness::*;

const PEOPLE: usize = 24;
const DEEDS_EACH: usize = 60;
const TOPICS: [&str; 3] = ["Array", "ARRAY ", "'; -- %00 漢 💩"];

/// What the people have heard of, by id: whose it is.
#[derive(Default)]
struct Known {
    tickets: BTreeMap<String, String>,
    matches: BTreeMap<String, BTreeSet<String>>,
    sessions: BTreeMap<String, BTreeSet<String>>,
}

#[actix_rt::test]
async fn whatever_people_send_only_what_is_theirs_is_stored_and_moved() {
    for backends in [Backends::Embedded, Backends::real()] {
        let seed: u64 = super::variable("HOSTILE_SEED").unwrap_or_else(|| rand::rng().random());
        println!("HOSTILE_SEED={seed}");
        let options = Options::on(backends.clone()).with("ASK_BURST", 10_000);
        let server = options.with("ASKS_PER_SECOND", 10_000).start().await;
        let known = RefCell::new(Known::default());

        let people = (0..PEOPLE).map(async |number| {
            let mut dice = Dice::new(seed, number as u64);
            let user = server.user(&format!("person {number}"));
            for _ in 0..DEEDS_EACH {
                deed(&user, &known, &mut dice).await;
            }
        });
        join_all(people).await;

        let Known {
            tickets,
            matches,
            sessions,
        } = known.into_inner();
        let counts = [tickets.len(), matches.len(), sessions.len()];
        println!("tickets, matches, sessions: {counts:?}");
        assert!(!counts.contains(&0), "nothing of a kind");
        let database = Database::of(&server, &backends);
        let id = database.id("id");
        let rows = format!("SELECT {id} || ' ' || user_id AS text FROM tickets");
        let stored: BTreeSet<String> = database.texts(&rows).await.into_iter().collect();
        let told = tickets.iter();
        let told: BTreeSet<String> = told.map(|(id, user)| format!("{id} {user}")).collect();
        assert_eq!(stored, told, "rows and what their callers were told");
    }
}

/// One thing that somebody does: with a body that may be good, about an id that may be theirs.
async fn deed(user: &User, known: &RefCell<Known>, dice: &mut Dice) {
    match dice.below(10) {
        0..3 => ask(user, known, dice).await,
        3 => withdraw(user, known, dice).await,
        4..6 => look(user, known, dice).await,
        6..9 => answer(user, known, dice).await,
        _ => leave(user, known, dice).await,
    }
}

async fn ask(user: &User, known: &RefCell<Known>, dice: &mut Dice) {
    let difficulty = dice.one(&["Easy", "easy"]);
    let good = json!({"difficulty": difficulty, "topic": dice.one(&TOPICS)});
    let request = user.asking("", "").body(written(&good, dice));
    let reply = no_fault(request.send().await);
    if reply.status == 200 {
        let id = text(&reply.json, "id").to_owned();
        let owner = known.borrow_mut().tickets.insert(id, user.id.clone());
        assert!(owner.is_none_or(|it| it == user.id), "{reply:?}");
    }
}

async fn withdraw(user: &User, known: &RefCell<Known>, dice: &mut Dice) {
    let Some((ticket, owner)) = any(&known.borrow().tickets, |it| *it == user.id, dice) else {
        return;
    };
    let reply = no_fault(user.cancel(&ticket).await);
    assert!(reply.status != 200 || owner == user.id, "{reply:?}");
}

/// Whoever sees a match of theirs tells everybody of it, and answers.
async fn look(user: &User, known: &RefCell<Known>, dice: &mut Dice) {
    let Some((ticket, owner)) = any(&known.borrow().tickets, |it| *it == user.id, dice) else {
        return;
    };
    let reply = no_fault(user.status(&ticket).await);
    assert!(reply.status != 200 || owner == user.id, "{reply:?}");
    if let Some(id) = reply.json["match_id"].as_str() {
        know_member(user, known, id);
        answer_to(user, known, dice, id).await;
    }
}

async fn answer(user: &User, known: &RefCell<Known>, dice: &mut Dice) {
    let of = any(&known.borrow().matches, |it| it.contains(&user.id), dice);
    if let Some((id, _)) = of {
        answer_to(user, known, dice, &id).await;
    }
}

async fn answer_to(user: &User, known: &RefCell<Known>, dice: &mut Dice, id: &str) {
    let good = json!({"match_id": id, "confirmed": dice.chance(90)});
    let body = written(&good, dice);
    let reply = no_fault(user.answering(id, true).body(body).send().await);
    if reply.status != 200 {
        return;
    }
    know_member(user, known, id);
    let mut known = known.borrow_mut();
    if let Some(session) = reply.json["session_id"].as_str() {
        let partner = text(&reply.json, "partner_id").to_owned();
        let of = BTreeSet::from([user.id.clone(), partner]);
        let before = known.sessions.insert(session.to_owned(), of.clone());
        assert!(before.is_none_or(|it| it == of), "{reply:?}");
    }
}

/// A match has two members: nobody else is ever shown it or has a say in it.
#[track_caller]
fn know_member(user: &User, known: &RefCell<Known>, id: &str) {
    let mut known = known.borrow_mut();
    let members = known.matches.entry(id.to_owned()).or_default();
    members.insert(user.id.clone());
    assert!(members.len() <= 2, "{id}: {members:?}");
}

async fn leave(user: &User, known: &RefCell<Known>, dice: &mut Dice) {
    let Some((session, members)) = any(&known.borrow().sessions, |it| it.contains(&user.id), dice)
    else {
        return;
    };
    let reply = no_fault(user.leave(&session).await);
    assert!(
        reply.status != 200 || members.contains(&user.id),
        "{reply:?}"
    );
}

/// An id and whose it is: mostly one of this user's own, else anybody's.
fn any<V: Clone>(
    of: &BTreeMap<String, V>,
    is_own: impl Fn(&V) -> bool,
    dice: &mut Dice,
) -> Option<(String, V)> {
    let only_own = dice.chance(60);
    let some = of.iter().filter(|(_, whose)| !only_own || is_own(whose));
    let some: Vec<_> = some.collect();
    let (id, whose) = some.get(dice.below(some.len().max(1)))?;
    Some(((*id).clone(), (*whose).clone()))
}

fn written(good: &Value, dice: &mut Dice) -> Vec<u8> {
    if dice.chance(50) {
        return bodies::mutated(good, dice);
    }
    good.to_string().into()
}

#[track_caller]
fn no_fault(reply: Reply) -> Reply {
    assert!(reply.status < 500, "{reply:?}");
    reply
}

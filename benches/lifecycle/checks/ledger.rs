use uuid::Uuid;

use super::scene::{FIRST, SECOND, Scene};
use crate::ledger::{Ask, Event, Outcome, Step};

#[test]
fn a_lifecycle_is_measured_from_the_later_intended_ask() {
    let mut scene = Scene::new();
    scene.ask(0);
    scene.ask(10);

    let [first, second] = scene.meet(30, 42);
    assert_eq!(first, scene.confirm(FIRST));
    assert_eq!(second, scene.confirm(SECOND));
    assert_eq!(scene.confirmed(FIRST), None);
    assert_eq!(scene.confirmed(SECOND), None);
    assert_eq!(scene.ready(FIRST, 50), scene.leave(FIRST));
    assert_eq!(scene.ready(SECOND, 47), scene.leave(SECOND));
    let sessions: Vec<_> = scene.ledger.sessions().values().cloned().collect();
    assert_eq!(sessions, [["a".to_owned(), "b".to_owned()]]);
    scene.left(FIRST, 60);
    scene.left(SECOND, 61);

    assert!(scene.ledger.is_quiet());
    let figures = scene.ledger.take_figures();
    assert_eq!(figures.done, 1);
    assert_eq!(figures.last_done, Some(scene.at(61)));
    assert_eq!(figures.first_due, Some(scene.at(0)));
    assert_eq!(figures.matched.summary().unwrap().max, 32.0);
    assert_eq!(figures.confirmed.summary().unwrap().max, 5.0);
    scene.assert_no_violations();
}

#[test]
fn where_nobody_leaves_a_lifecycle_ends_when_both_know_the_session() {
    let mut scene = Scene::of_people_who_leave(false);
    scene.ask(0);
    scene.ask(10);
    scene.meet(30, 42);
    scene.confirmed(FIRST);
    scene.confirmed(SECOND);

    assert_eq!(scene.ready(FIRST, 50), None);
    assert_eq!(scene.ready(SECOND, 52), None);

    assert!(scene.ledger.is_quiet());
    let figures = scene.ledger.take_figures();
    assert_eq!((figures.done, figures.last_done), (1, Some(scene.at(52))));
    scene.assert_no_violations();
}

#[test]
fn nobody_leaves_before_the_confirmation_is_answered() {
    let mut scene = Scene::matched();

    let early = scene.ready(FIRST, 50);
    let answered = scene.confirmed(FIRST);

    assert_eq!((early, answered), (None, scene.leave(FIRST)));
}

#[test]
fn a_refused_confirmation_is_repeated_while_that_may_help() {
    let mut scene = Scene::matched();
    let answer = |scene: &mut Scene, status| {
        let refused = Outcome::Refused(status);
        scene
            .ledger
            .confirm_answered(FIRST, scene.match_id, refused, scene.began)
    };

    let overload = answer(&mut scene, 503);
    let for_good = answer(&mut scene, 404);

    let again = Step::Confirm {
        user: FIRST,
        match_id: scene.match_id,
        again: true,
    };
    assert_eq!((overload, for_good), (Some(again), None));
    let errors = scene.ledger.take_figures().errors;
    assert_eq!(
        errors.into_iter().collect::<Vec<_>>(),
        [("confirm 404".to_owned(), 1), ("confirm 503".to_owned(), 1),]
    );
}

#[test]
fn an_ask_waits_for_a_free_user_and_keeps_its_intended_moment() {
    let mut scene = Scene::new();
    let [first, _, third] = [0, 1, 2].map(|ms| scene.due(ms));

    let freed = scene.answer_ask(FIRST, 0, Outcome::Refused(503));

    let [intended, late] = [0, 2].map(|ms| scene.at(ms));
    let ask = |intended| Step::Ask {
        user: FIRST,
        ask: Ask {
            intended,
            bucket: 0,
        },
    };
    assert_eq!(
        (first, third, freed),
        (Some(ask(intended)), None, Some(ask(late)))
    );
}

#[test]
fn a_pair_that_is_not_symmetric_is_a_violation() {
    let mut scene = Scene::new();
    scene.ask(0);
    scene.ask(0);

    scene.found(FIRST, scene.match_id, "b", 5);
    scene.found(SECOND, scene.match_id, "c", 6);

    scene.assert_violations(&["is none of ours", "is not symmetric"]);
}

#[test]
fn somebody_matched_with_themselves_is_a_violation() {
    let mut scene = Scene::new();
    scene.ask(0);

    scene.found(FIRST, scene.match_id, "a", 5);

    scene.assert_violations(&["matched with themselves"]);
}

#[test]
fn a_second_match_at_once_is_a_violation() {
    let mut scene = Scene::matched();

    scene.found(FIRST, Uuid::new_v4(), "b", 50);

    scene.assert_violations(&["two matches at once"]);
}

#[test]
fn a_match_for_something_else_or_for_nobody_s_ask_is_a_violation() {
    let mut scene = Scene::new();
    scene.ask(0);
    scene.topic = "Graph";

    scene.found(FIRST, scene.match_id, "b", 5);
    scene.found(SECOND, scene.match_id, "a", 5);

    scene.assert_violations(&["was matched for", "without asking"]);
}

#[test]
fn two_sessions_of_a_match_are_a_violation_wherever_they_are_told() {
    let mut scene = Scene::matched();
    scene.ready(FIRST, 50);
    scene.session_id = Uuid::new_v4();

    scene.ready(SECOND, 50);
    let other = Outcome::Done(Some(scene.session_id));
    scene
        .ledger
        .confirm_answered(FIRST, scene.match_id, other, scene.began);

    scene.assert_violations(&["has two sessions", "has two sessions"]);
}

#[test]
fn a_session_of_two_matches_is_a_violation() {
    let mut scene = Scene::matched();
    for user in [FIRST, SECOND] {
        scene.confirmed(user);
        scene.ready(user, 50);
        scene.left(user, 60);
    }
    scene.match_id = Uuid::new_v4();
    scene.ask(70);
    scene.ask(70);
    scene.meet(75, 75);

    scene.ready(FIRST, 80);

    scene.assert_violations(&["was another match's before"]);
}

#[test]
fn whoever_is_left_in_the_middle_is_lost() {
    let mut scene = Scene::new();
    scene.ask(0);
    scene.ask(0);
    scene.found(FIRST, scene.match_id, "b", 5);
    assert!(!scene.ledger.is_quiet());

    let alone = scene.ledger.close();

    assert_eq!(alone, [(SECOND, Uuid::nil())]);
    scene.assert_violations(&["b was not"]);
}

#[test]
fn one_who_waits_alone_is_not_lost_but_two_in_a_bucket_are() {
    let mut scene = Scene::new();
    scene.ask(0);
    assert!(scene.ledger.is_quiet());
    assert_eq!(scene.ledger.close(), [(FIRST, Uuid::nil())]);
    scene.assert_no_violations();

    scene.ask(1);

    assert!(!scene.ledger.is_quiet());
    scene.ledger.close();
    scene.assert_violations(&["2 people still wait"]);
}

#[test]
fn an_answer_after_everything_else_frees_its_user_too() {
    let mut scene = Scene::new();
    scene.due(0);
    scene.due(0);
    scene.meet(5, 5);
    for user in [FIRST, SECOND] {
        scene.confirmed(user);
        scene.ready(user, 10);
        scene.left(user, 15);
    }
    assert!(!scene.ledger.is_quiet());

    for user in [FIRST, SECOND] {
        scene.answer_ask(user, 0, Outcome::Done(Uuid::nil()));
    }

    assert!(scene.ledger.is_quiet());
    scene.assert_no_violations();
}

#[test]
fn an_expired_match_puts_back_whoever_is_told_so() {
    let mut scene = Scene::matched();
    let expired = |requeued| Event::MatchExpired {
        match_id: scene.match_id,
        reason: "confirmation_timeout".to_owned(),
        requeued,
    };
    let events = [expired(true), expired(false)];

    for (user, event) in [FIRST, SECOND].into_iter().zip(events) {
        let at = scene.at(50);
        scene.ledger.event(user, event, at);
    }

    assert_eq!(scene.ledger.close(), [(FIRST, Uuid::nil())]);
    scene.assert_no_violations();
}

#[test]
fn a_time_out_next_to_others_who_wait_is_a_violation() {
    let mut scene = Scene::new();
    scene.ask(0);
    scene.ask(0);
    let over = Event::RequestTimeout {
        request_id: Uuid::nil(),
    };

    for user in [FIRST, SECOND] {
        let at = scene.at(60_000);
        scene.ledger.event(user, over.clone(), at);
    }

    scene.assert_violations(&["although 1 others waited"]);
}

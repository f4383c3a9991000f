use super::scene::{FIRST, SECOND, Scene};
use crate::steady::{Measured, Ratios, parts, slices};

#[test]
fn an_hour_begins_and_ends_with_a_minute_and_has_ten_equal_parts_between() {
    let parts = parts(3_600.0);

    assert_eq!(parts.len(), 12);
    assert_eq!([parts[0], parts[11]], [60.0, 60.0]);
    assert_eq!(parts[1..11], [348.0; 10]);
}

#[test]
fn a_short_load_begins_and_ends_with_a_quarter_of_it() {
    let parts = parts(80.0);

    assert_eq!([parts[0], parts[1], parts[11]], [20.0, 4.0, 20.0]);
    assert_eq!(parts.iter().sum::<f64>(), 80.0);
}

#[test]
fn asks_are_planned_for_half_a_minute_at_most_however_long_a_part_is() {
    assert_eq!(slices(4.0), [4.0]);
    assert_eq!(slices(60.0), [30.0, 30.0]);
    assert_eq!(slices(100.0), [25.0; 4]);
}

#[test]
fn ratios_are_of_the_last_part_to_the_first_and_of_rest_after_to_before() {
    let [first, last] = [2.0, 3.0].map(|cpu| Measured {
        server_cpu: Some(cpu),
        all_cpu: Some(2.0 * cpu),
        match_p99: (cpu > 2.0).then_some(1.0),
    });

    let ratios = Ratios::of(first, last, [Some(10), Some(11)]);

    let expected = Ratios {
        server_cpu: Some(1.5),
        all_cpu: Some(1.5),
        match_p99: None,
        memory: Some(1.1),
    };
    assert_eq!(ratios, expected);
}

#[test]
fn a_session_is_taken_when_its_lifecycle_is_over_and_not_before() {
    let mut scene = Scene::matched();
    scene.confirmed(FIRST);
    scene.confirmed(SECOND);
    scene.ready(FIRST, 50);
    scene.ready(SECOND, 50);
    scene.left(FIRST, 60);

    let early = scene.ledger.take_ended_sessions();
    scene.left(SECOND, 61);
    let taken = scene.ledger.take_ended_sessions();

    assert_eq!(early.len(), 0);
    assert_eq!(taken.into_keys().collect::<Vec<_>>(), [scene.session_id]);
    assert!(scene.ledger.sessions().is_empty());
}

#[test]
fn asks_that_nobody_was_free_to_send_are_dropped_and_counted() {
    let mut scene = Scene::matched();
    scene.due(10);
    assert!(!scene.ledger.is_quiet());

    scene.ledger.drop_unsent();
    for user in [FIRST, SECOND] {
        scene.confirmed(user);
        scene.ready(user, 50);
        scene.left(user, 60);
    }

    assert!(scene.ledger.is_quiet());
    let errors = scene.ledger.take_figures().errors;
    assert_eq!(errors["asks never sent because nobody was free"], 1);
}

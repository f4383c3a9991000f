//! What a relay still sends when the server stops.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_stored_while_the_server_stops_is_still_sent() {
    let scene = start(|outbox, _| {
        outbox.add(1, 1);
    });
    sleep(Duration::from_millis(1)).await;
    (2..602).for_each(|number| {
        scene.outbox.add(number, number);
    });
    scene.woken.notify_one();
    sleep(Duration::from_millis(1)).await;
    assert_eq!(scene.taken().len(), 1);

    let (outbox, broker) = (scene.outbox.clone(), scene.broker.clone());
    scene.stop().await;

    assert_eq!(broker.taken.lock().unwrap().len(), 601);
    assert_eq!(outbox.unsent(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_in_a_large_backlog_ends_after_the_round_that_lasts_beyond_a_second() {
    let scene = start(|outbox, broker| {
        (0..20 * BATCH as u64).for_each(|number| {
            outbox.add(number, number);
        });
        *broker.takes.lock().unwrap() = Duration::from_millis(400);
    });
    let (outbox, began) = (scene.outbox.clone(), Instant::now());

    scene.stop().await;

    let took = began.elapsed();
    let expected = Duration::from_millis(1_200)..Duration::from_millis(1_250);
    assert!(expected.contains(&took), "{took:?}");
    assert_eq!(outbox.unsent(), 17 * BATCH);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_does_not_wait_for_a_broker_that_is_away() {
    let scene = start(|outbox, broker| {
        *broker.is_away.lock().unwrap() = true;
        outbox.add(1, 1);
    });
    sleep(Duration::from_secs(60)).await;

    let begun = Instant::now();
    let outbox = scene.outbox.clone();
    scene.stop().await;

    assert!(begun.elapsed() < Duration::from_millis(10));
    assert_eq!(outbox.unsent(), 1);
}

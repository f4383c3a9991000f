//! What operations cost as the queue grows: the logarithm, not a scan.

use std::time::{Duration, Instant};

use matchmaker::domain::limits::Timeouts;
use matchmaker::domain::{Difficulty, Queue, Ticket, TicketId, Timestamp, Topic, UserId, Wish};
use uuid::Uuid;

fn ticket(number: u64) -> Ticket {
    let id = TicketId(Uuid::from_u128(number.into()));
    let user = UserId::parse(&format!("user-{number}")).expect("a user id");
    let topic = Topic::parse("Array").expect("a topic");
    let wish = Wish {
        difficulty: Difficulty::Easy,
        topic,
    };
    let now = Timestamp::from_ms(number.try_into().expect("a small number"));
    Ticket::new(id, user, wish, now, Timeouts::default())
}

/// The fastest of five rounds of a thousand removals, from all over a queue of `tickets`.
fn removals(tickets: u64) -> Duration {
    let mut queue = Queue::default();
    (1..=tickets).for_each(|number| queue.insert(ticket(number)));
    let scattered: Vec<u64> = (0..1_000).map(|step| step * 7_919 % tickets + 1).collect();
    let round = |_| {
        let begun = Instant::now();
        let removed: Vec<Ticket> = scattered
            .iter()
            .filter_map(|number| queue.remove(TicketId(Uuid::from_u128(u128::from(*number)))))
            .collect();
        let took = begun.elapsed();
        removed.into_iter().for_each(|ticket| queue.insert(ticket));
        took
    };
    (0..5).map(round).min().unwrap_or_default()
}

#[test]
fn removing_from_a_hundred_thousand_tickets_is_no_scan() {
    let (few, many) = (removals(1_000), removals(100_000));

    // A scan would take a hundred times as long; caches make up for the rest.
    assert!(
        many < few * 20,
        "{few:?} of a thousand tickets, {many:?} of a hundred thousand"
    );
}

//! How fast PostgreSQL takes writes; run by hand: `cargo test --release -- --ignored postgres_speed`.

use std::time::Instant;

use futures_util::future::join_all;
use matchmaker::domain::{Side, Write, WriteOutcome};

use super::subject::{Subject, admin, confirm, open_session, proposal, ticket};

const PAIRS: u64 = 10_000;
/// Writes that wait at the same moment; fewer than the writer takes.
const AT_ONCE: usize = 4_000;

async fn timed(store: &Subject, what: &str, writes: Vec<Write>) {
    let (count, began) = (writes.len(), Instant::now());
    for some in writes.chunks(AT_ONCE) {
        let asked = some.iter().map(|write| store.submit(write.clone(), None));
        for outcome in join_all(asked).await {
            assert_eq!(outcome, Ok(WriteOutcome::Stored));
        }
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    println!("{what}: {count} writes, {rate:.0} a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn postgres_speed() {
    let store = Subject::on_postgres().await;
    let pairs = || 1..=PAIRS;
    let tickets = |pair: u64| [2 * pair, 2 * pair + 1];

    let open = pairs()
        .flat_map(tickets)
        .map(|number| Write::OpenTicket(ticket(number)));
    timed(&store, "OpenTicket", open.collect()).await;
    let propose = pairs().map(|pair| Write::ProposeMatch(proposal(pair, tickets(pair))));
    timed(&store, "ProposeMatch", propose.collect()).await;
    let confirms = pairs().flat_map(|pair| Side::BOTH.map(|side| confirm(pair, side)));
    timed(&store, "ConfirmMatch", confirms.collect()).await;
    let open = pairs().map(|pair| open_session(pair, tickets(pair)));
    timed(&store, "OpenSession", open.collect()).await;
    let mixed = (PAIRS + 1..=PAIRS + 4_000).flat_map(|pair| {
        let mut writes: Vec<Write> = tickets(pair).map(|n| Write::OpenTicket(ticket(n))).into();
        writes.push(Write::OpenTicket(ticket(10_000_000 + pair)));
        writes
    });
    timed(&store, "OpenTicket again", mixed.collect()).await;

    let client = admin(store.database()).await;
    let insert =
        "INSERT INTO matchmaker.tickets SELECT gen_random_uuid(), 'crowd-' || n, 'easy', 'x',
        'x', 'waiting', NULL, n, n, false, 0, 0, '[]' FROM generate_series(1, 100000) n";
    client.batch_execute(insert).await.expect("a crowd");
    let began = Instant::now();
    let live = store
        .records()
        .live(store.clock_now())
        .await
        .expect("the store answers");
    println!(
        "live: {} tickets in {:?}",
        live.tickets.len(),
        began.elapsed()
    );

    let began = Instant::now();
    for number in 20_000_000..20_000_500_u64 {
        store.stores([Write::OpenTicket(ticket(number))]).await;
    }
    println!("one at a time: {:?} each", began.elapsed() / 500);
}

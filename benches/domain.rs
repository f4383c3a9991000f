//! What the rules cost by themselves: asking, pairing, withdrawing and running out in a bucket in which
//! 100, 10,000 and 1,000,000 others wait. The cost of one must not depend on how many wait.
//!
//! ```text
//! cargo bench --bench domain
//! ```

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use matchmaker::domain::bucket::{Bucket, MatchIds};
use matchmaker::domain::limits::Timeouts;
use matchmaker::domain::{
    CallId, Difficulty, EventId, MatchId, SessionId, Ticket, TicketId, Timestamp, Topic, UserId,
    Wish, WriteOutcome,
};
use uuid::Uuid;

/// How many wait.
const WAITING: [u64; 3] = [100, 10_000, 1_000_000];
/// Operations between two moments at which the bucket gets its size back, which does not count.
const TURN: u64 = 50;
const CALL: CallId = CallId(1);

/// A bucket of constant size: each ticket one millisecond younger than the one before it.
struct Scene {
    bucket: Bucket,
    wish: Wish,
    next: u64,
    /// The time at which nothing has run out yet.
    now: Timestamp,
}

impl Scene {
    fn with_waiting(waiting: u64) -> Self {
        let wish = Wish {
            difficulty: Difficulty::Easy,
            topic: Topic::parse("Array").expect("it is one"),
        };
        let mut scene = Self {
            bucket: Bucket::new(wish.bucket(), Timeouts::default()),
            wish,
            next: 1,
            now: Timestamp::from_ms(1),
        };
        scene.refill(waiting);
        scene
    }

    fn ticket(&mut self) -> Ticket {
        let number = self.next;
        self.next += 1;
        let id = TicketId(Uuid::from_u128(u128::from(number)));
        let user = UserId::parse(&format!("user-{number}")).expect("it is one");
        let at = Timestamp::from_ms(number as i64);
        Ticket::new(id, user, self.wish.clone(), at, Timeouts::default())
    }

    fn tickets(&mut self, count: u64) -> Vec<Ticket> {
        (0..count).map(|_| self.ticket()).collect()
    }

    fn refill(&mut self, count: u64) {
        for ticket in self.tickets(count) {
            self.bucket.admit(ticket, self.now);
        }
    }

    fn ask(&mut self, ticket: Ticket) {
        let id = ticket.id;
        self.bucket.join(ticket, CALL, self.now);
        self.stored(id);
    }

    fn withdraw(&mut self, ticket: TicketId) {
        self.bucket.withdraw(ticket, CALL, self.now);
        self.stored(ticket);
    }

    fn pair(&mut self, number: u64) {
        let id = Uuid::from_u128(u128::from(number));
        let ids = MatchIds {
            id: MatchId(id),
            session: SessionId(id),
            event: EventId(id),
        };
        self.bucket.propose_next(ids, self.now);
        let stored = WriteOutcome::Stored;
        self.bucket.on_proposal_written(ids.id, &stored, self.now);
    }

    /// Lets the oldest run out.
    fn expire(&mut self) {
        self.now = self.bucket.next_wake().expect("somebody waits");
        let oldest = TicketId(Uuid::from_u128(u128::from(self.next - self.size())));
        self.bucket.on_time(self.now);
        self.stored(oldest);
    }

    fn stored(&mut self, ticket: TicketId) {
        let stored = WriteOutcome::Stored;
        self.bucket.on_ticket_written(ticket, stored, self.now);
    }

    fn size(&self) -> u64 {
        (self.bucket.waiting() + self.bucket.set_aside()) as u64
    }

    /// Runs `operation` so many times; what restores the size in between is not counted.
    #[expect(
        clippy::disallowed_methods,
        reason = "time is what is measured, and nothing of the server's own is told it"
    )]
    fn timed(
        &mut self,
        times: u64,
        mut prepare: impl FnMut(&mut Self, u64) -> Vec<Ticket>,
        mut operation: impl FnMut(&mut Self, u64, Option<Ticket>),
        mut restore: impl FnMut(&mut Self, u64),
    ) -> Duration {
        let size = self.size();
        let mut took = Duration::ZERO;
        let mut done = 0;
        while done < times {
            let turn = TURN.min(times - done);
            let mut tickets = prepare(self, turn).into_iter();
            let begun = Instant::now();
            for number in done..done + turn {
                operation(self, number, tickets.next());
            }
            took += begun.elapsed();
            restore(self, turn);
            assert_eq!(self.size(), size, "the bucket keeps its size");
            done += turn;
        }
        took
    }
}

fn bucket(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bucket");
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    for waiting in WAITING {
        let mut scene = Scene::with_waiting(waiting);
        group.bench_function(BenchmarkId::new("ask", waiting), |bencher| {
            bencher.iter_custom(|times| {
                let prepare = |scene: &mut Scene, turn| scene.tickets(turn);
                let ask = |scene: &mut Scene, _, ticket: Option<Ticket>| {
                    ticket.into_iter().for_each(|ticket| scene.ask(ticket));
                };
                scene.timed(times, prepare, ask, |scene, turn| {
                    for number in scene.next - turn..scene.next {
                        scene.withdraw(TicketId(Uuid::from_u128(u128::from(number))));
                    }
                })
            });
        });
        let mut scene = Scene::with_waiting(waiting);
        group.bench_function(BenchmarkId::new("withdraw", waiting), |bencher| {
            bencher.iter_custom(|times| {
                let prepare = |scene: &mut Scene, turn| {
                    let tickets = scene.tickets(turn);
                    for ticket in &tickets {
                        scene.bucket.admit(ticket.clone(), scene.now);
                    }
                    tickets
                };
                let withdraw = |scene: &mut Scene, _, ticket: Option<Ticket>| {
                    let ids = ticket.into_iter().map(|ticket| ticket.id);
                    ids.for_each(|id| scene.withdraw(id));
                };
                scene.timed(times, prepare, withdraw, |_, _| {})
            });
        });
        let mut scene = Scene::with_waiting(waiting);
        group.bench_function(BenchmarkId::new("pair", waiting), |bencher| {
            bencher.iter_custom(|times| {
                let pair = |scene: &mut Scene, number, _| scene.pair(number);
                scene.timed(
                    times,
                    |_, _| Vec::new(),
                    pair,
                    |scene, turn| {
                        scene.refill(2 * turn);
                    },
                )
            });
        });
        let mut scene = Scene::with_waiting(waiting);
        group.bench_function(BenchmarkId::new("expire", waiting), |bencher| {
            bencher.iter_custom(|times| {
                let expire = |scene: &mut Scene, _, _| scene.expire();
                scene.timed(
                    times,
                    |_, _| Vec::new(),
                    expire,
                    |scene, turn| {
                        scene.refill(turn);
                    },
                )
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bucket);
criterion_main!(benches);

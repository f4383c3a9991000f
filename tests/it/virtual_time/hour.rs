//! One hour: processes one after the other, each on a runtime of its own that is dropped as a whole
//! when it is killed.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use actix::Actor;
use actix_rt::System;
use matchmaker::actors::board::Board;
use matchmaker::actors::messages::CountTickets;
use matchmaker::actors::roster::RosterActor;
use matchmaker::adapters::OutboxRelay;
use matchmaker::app;
use matchmaker::domain::Timestamp;
use matchmaker::ports::{Away, Clock, Ports, Store};
use matchmaker::store::Writer;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::announcing::{IllBroker, IllOutbox};
use super::backends::{Connection, Watched};
use super::calls::Server;
use super::chance::Chance;
use super::failures::{self, Breaches};
use super::neighbours::{Mirror, Neighbour, Reader};
use super::people::Life;
use super::plan::{Kill, PEOPLE, Plan};
use super::probes;
use super::world::{CALM_AFTER_MS, World};

/// Turns in which everything that is ready has been run.
const TURNS: usize = 60;
/// Longest time between two looks at everything, in milliseconds.
const LOOK_EVERY_MAX_MS: u64 = 20_000;
/// How long a kill is put off until it meets a write, in milliseconds.
const KILL_WITHIN_MS: u64 = 20_000;
/// When somebody starts a server again that could not start, in milliseconds.
const START_AGAIN_MS: u64 = 1_000;

/// What came of an hour.
pub struct Outcome {
    pub hash: u64,
    pub lines: u64,
    pub seen: BTreeMap<&'static str, u64>,
}

/// Why a process ended.
enum Ended {
    Killed,
    /// The store was away while it started.
    NotStarted,
}

/// Runs the hour of `seed`.
///
/// # Panics
///
/// Where anything is not as promised.
pub fn run(seed: u64) -> Outcome {
    failures::watch_panics();
    let world = World::new(Plan::new(seed));
    let breaches = Breaches::default();
    let hour = || metrics::with_local_recorder(&breaches, || processes(&world, &breaches));
    // Whatever it was, it is told with all that came before.
    let _ = panic::catch_unwind(AssertUnwindSafe(hour));
    fail_if_broken(&world, &breaches);
    let mut state = world.state();
    state.count_rows();
    Outcome {
        hash: state.trace.hash(),
        lines: state.trace.lines(),
        seen: state.seen.clone(),
    }
}

fn processes(world: &Arc<World>, breaches: &Breaches) {
    let mut kills = world.plan.kills.clone();
    kills.reverse();
    let mut set_back_ms = 0;
    loop {
        let due = kills.last().copied();
        let due = due.filter(|kill| kill.at < world.plan.end());
        match process(world, breaches, due, set_back_ms) {
            Some(Ended::Killed) => {
                let kill = kills.pop().expect("one was due");
                world.restart(kill.down_ms);
                set_back_ms = kill.set_back_ms;
            }
            Some(Ended::NotStarted) => world.restart(START_AGAIN_MS),
            None => break,
        }
    }
}

/// The life of one process; `None` where it saw the end of the hour.
fn process(
    world: &Arc<World>,
    breaches: &Breaches,
    kill: Option<Kill>,
    set_back_ms: u64,
) -> Option<Ended> {
    let paused = || {
        let mut builder = Builder::new_current_thread();
        builder.enable_time().start_paused(true);
        builder.build().expect("a runtime needs nothing")
    };
    let system = System::with_tokio_rt(paused);
    let ended = system.block_on(async {
        let Ok(server) = start(world, set_back_ms).await else {
            world.stop_time();
            return Some(Ended::NotStarted);
        };
        for me in 0..PEOPLE {
            actix_rt::spawn(Life::new(&server, me).live());
        }
        let until = kill.map_or(world.plan.end(), |kill| kill.at);
        look_until(&server, breaches, until).await;
        if kill.is_some() {
            await_a_write(world).await;
            world.stop_time();
            return Some(Ended::Killed);
        }
        world.state().healed = true;
        probes::at_the_end(&server, breaches).await;
        server.relay.send_replace(true);
        world.stop_time();
        None
    });
    drop(system);
    assert!(!is_broken(breaches), "something is broken");
    ended
}

/// A kill is worth most while something is on its way to the store.
async fn await_a_write(world: &World) {
    for _ in 0..KILL_WITHIN_MS {
        if !world.state().rows.nothing_under_way() {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    let mut chance = Chance::new(world.plan.seed, "kill", world.state().processes);
    sleep(Duration::from_millis(chance.within(0..=15))).await;
}

/// As the composition root starts a server, on backends that are not real.
async fn start(world: &Arc<World>, set_back_ms: u64) -> Result<Server, Away> {
    let clock = world.start_time(set_back_ms);
    let as_clock: Arc<dyn Clock> = clock.clone();
    let connections = (0..world.plan.workers as u64).map(|number| Connection::new(world, number));
    let options = world.plan.writer;
    let writer = Writer::start(
        connections.collect(),
        options,
        &as_clock,
        &Handle::current(),
    );
    let woken = Arc::new(Notify::new());
    let store: Arc<dyn Store> = Arc::new(Watched {
        world: Arc::clone(world),
        writer,
        woken: Arc::clone(&woken),
    });
    let reader = Reader(Arc::clone(world));
    let live = app::recover(&reader, &*store, &clock).await?;
    let tickets = live.tickets.len() + 2 * live.matches.len();
    let relay = start_relay(world, &as_clock, woken);
    let board = Arc::new(Board::default());
    let ports = Ports {
        clock: as_clock,
        store,
        shared: Neighbour::shared(world),
        questions: Neighbour::questions(world),
        mirror: Arc::new(Mirror(Arc::clone(world))),
    };
    let (settings, published) = (world.plan.settings, Arc::clone(&board));
    let roster = RosterActor::new(ports, published, settings, Handle::current(), live).start();
    let counted = roster.send(CountTickets).await.expect("the roster starts");
    assert_eq!(counted, tickets, "everything that was stored is back");
    Ok(Server {
        world: Arc::clone(world),
        roster,
        board,
        clock,
        relay,
    })
}

/// Sends what is stored to a broker that is not real, until the answer says so.
fn start_relay(
    world: &Arc<World>,
    clock: &Arc<dyn Clock>,
    woken: Arc<Notify>,
) -> Arc<watch::Sender<bool>> {
    let outbox = Arc::new(IllOutbox(Neighbour::outbox(world)));
    let broker = Arc::new(IllBroker(Neighbour::broker(world)));
    let options = world.plan.relay;
    let relay = OutboxRelay::new(outbox, broker, Arc::clone(clock), woken, options);
    let (stop, stopped) = watch::channel(false);
    actix_rt::spawn(relay.run(stopped));
    Arc::new(stop)
}

/// Looks at everything from time to time.
pub async fn look_until(server: &Server, breaches: &Breaches, until: Timestamp) {
    let world = &server.world;
    let began = world.now();
    let mut chance = Chance::new(world.plan.seed, "looks", world.state().processes);
    while world.now() < until {
        let left_ms = until.ms_since(world.now());
        let wait_ms = (1 + chance.skewed(LOOK_EVERY_MAX_MS)).min(left_ms);
        sleep(Duration::from_millis(wait_ms)).await;
        settle().await;
        assert!(server.roster.connected(), "the roster is gone");
        assert!(!is_broken(breaches), "something is broken");
        look(server, began);
    }
}

/// Lets everything run that is ready, without time passing.
pub async fn settle() {
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
}

/// What must hold at any moment.
fn look(server: &Server, began: Timestamp) {
    let mut state = server.world.state();
    let (now, at) = (state.server_now(), state.now());
    state.ears.check(at);
    state.rows.check();
    probes::board(server, &state);
    let busy = state.rows.busy();
    for id in state.mirror.keys() {
        let waits = state.rows.db.is_waiting(*id) || busy.contains(id);
        assert!(waits, "the mirror holds a ticket that does not wait");
    }
    let calm_since = began.plus_ms(CALM_AFTER_MS);
    state.count("looks");
    if calm_since <= at && state.is_calm_since(at) {
        state.count("calm looks");
        let permits_max = server.world.plan.settings.matches_max;
        state.rows.check_calm(now, at, CALM_AFTER_MS, permits_max);
    }
}

fn is_broken(breaches: &Breaches) -> bool {
    !failures::panics().is_empty() || !breaches.seen().is_empty()
}

/// Says which seed it was, and what came before.
fn fail_if_broken(world: &World, breaches: &Breaches) {
    if !is_broken(breaches) {
        return;
    }
    let (panics, breaches) = (failures::panics(), breaches.seen());
    let state = world.state();
    let (seed, tail) = (world.plan.seed, state.trace.tail());
    let plan = format!("{:?}", world.plan);
    drop(state);
    panic!("VIRTUAL_SEED={seed}\n{plan}\n{tail}\npanics: {panics:#?}\nbreaches: {breaches:?}");
}

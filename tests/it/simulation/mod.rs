//! Random lives of a few users against the domain, checked after every step against a simple model.
//!
//! [`referee`] is the database; [`promises`] says in its own words what the contract promises of
//! every write; [`witness`] compares answers and notices with what is stored; [`checks`] holds what
//! must be true between two steps. `SIMULATION_CASES` sets how many lives are tried, and
//! `SIMULATION_SEED` which.

pub mod checks;
mod effects;
mod outside;
pub mod promises;
pub mod referee;
mod steps;
pub mod witness;
pub mod world;

use std::env;
use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Once;

use matchmaker::domain::UserId;
use proptest::strategy::{BoxedStrategy, Strategy};
use proptest::test_runner::{Config, RngSeed};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use steps::{Setup, Step};
use world::World;

const USERS: usize = 6;

fn users() -> impl Iterator<Item = UserId> {
    (0..USERS).map(|number| UserId::parse(&format!("user-{number}")).expect("a valid user id"))
}

fn config() -> Config {
    let seed = from_env("SIMULATION_SEED", 1);
    let cases = from_env("SIMULATION_CASES", 400);
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        eprintln!("simulation: SIMULATION_SEED={seed} SIMULATION_CASES={cases}");
    });
    Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    }
}

fn from_env<T: FromStr>(name: &str, default: T) -> T
where
    T::Err: Debug,
{
    env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What is random; the model that decides is fed by the writes of the run itself.
struct Script;

impl ReferenceStateMachine for Script {
    type State = Setup;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Setup> {
        steps::setup().boxed()
    }

    fn transitions(setup: &Setup) -> BoxedStrategy<Step> {
        steps::step(setup).boxed()
    }

    fn apply(setup: Setup, _: &Step) -> Setup {
        setup
    }
}

struct Simulation;

impl StateMachineTest for Simulation {
    type SystemUnderTest = World;
    type Reference = Script;

    fn init_test(setup: &Setup) -> World {
        World::new(setup.permits)
    }

    fn apply(mut world: World, _: &Setup, step: Step) -> World {
        world.take(step);
        world
    }

    fn check_invariants(world: &World, _: &Setup) {
        world.check();
    }

    fn teardown(mut world: World, _: Setup) {
        world.run_out();
    }
}

prop_state_machine! {
    #![proptest_config(config())]

    #[test]
    fn every_life_keeps_the_guarantees(sequential 10..200 => Simulation);
}

//! What is decided before an hour begins: the server's settings, how ill its backends are, and when
//! it is killed.

use matchmaker::actors::CoreSettings;
use matchmaker::adapters::RelayOptions;
use matchmaker::domain::Timestamp;
use matchmaker::domain::limits::Timeouts;
use matchmaker::store::WriterOptions;

use super::chance::Chance;

pub const HOUR_MS: u64 = 3_600_000;
pub const PEOPLE: usize = 30;
/// How many buckets people ask for.
pub const TOPICS: usize = 3;
/// When the hour begins.
pub const BEGIN: Timestamp = Timestamp::from_ms(1_700_000_000_000);

#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub settings: CoreSettings,
    pub writer: WriterOptions,
    pub workers: usize,
    /// People act together, at moments so far apart in milliseconds: 1 where each acts by itself.
    pub rush_ms: u64,
    /// Of a hundred calls of a backend, so many go wrong.
    pub faults_percent: u32,
    pub store_away: Vec<Phase>,
    pub questions_away: Vec<Phase>,
    pub shared_away: Vec<Phase>,
    pub kills: Vec<Kill>,
    pub broker_away: Vec<Phase>,
    pub relay: RelayOptions,
}

/// A time during which a backend is away.
#[derive(Debug, Clone, Copy)]
pub struct Phase {
    pub from: Timestamp,
    pub until: Timestamp,
    /// It does not answer at all, rather than saying that it is away.
    pub silent: bool,
}

/// The end of one process.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    pub at: Timestamp,
    /// How long nobody runs.
    pub down_ms: u64,
    /// How far the system's time has been put back meanwhile.
    pub set_back_ms: u64,
}

impl Plan {
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed, "plan", 0);
        let timeouts = Timeouts {
            ticket_wait_ms: chance.within(5_000..=90_000),
            confirm_window_ms: chance.within(10_000..=120_000),
            session_ttl_ms: chance.within(60_000..=1_200_000),
        };
        let settings = CoreSettings {
            timeouts,
            matches_max: *chance.pick(&[1, 2, 3, 5, 15]).expect("not empty"),
            tickets_max: *chance.pick(&[8, 1_000, 1_000, 1_000]).expect("not empty"),
            sessions_max: *chance.pick(&[4, 1_000, 1_000]).expect("not empty"),
            buckets_max: *chance.pick(&[2, 100, 100]).expect("not empty"),
        };
        let writer = WriterOptions {
            queue_max: *chance.pick(&[2, 64, 8_192]).expect("not empty"),
            group_max: *chance.pick(&[1, 2, 4, 256]).expect("not empty"),
            seed: Some(seed),
        };
        Self {
            seed,
            settings,
            writer,
            workers: *chance.pick(&[1, 1, 2, 3]).expect("not empty"),
            rush_ms: *chance.pick(&[1, 1, 500, 5_000]).expect("not empty"),
            faults_percent: *chance.pick(&[0, 1, 5, 20]).expect("not empty"),
            store_away: phases(&mut chance, 4, 120_000),
            questions_away: phases(&mut chance, 3, 300_000),
            shared_away: phases(&mut chance, 3, 300_000),
            kills: kills(&mut chance),
            broker_away: phases(&mut chance, 3, 600_000),
            relay: RelayOptions {
                // Rare looks: most announcements wake the relay.
                poll_ms: *chance.pick(&[2_000, 10_000]).expect("not empty"),
                retention_ms: *chance.pick(&[30_000, 86_400_000]).expect("not empty"),
                seed: Some(seed),
            },
        }
    }

    pub fn end(&self) -> Timestamp {
        BEGIN.plus_ms(HOUR_MS)
    }
}

/// The phase that `at` is in.
pub fn during(phases: &[Phase], at: Timestamp) -> Option<Phase> {
    let is_in = |phase: &&Phase| phase.from <= at && at < phase.until;
    phases.iter().find(is_in).copied()
}

fn phases(chance: &mut Chance, count_max: u64, ms_max: u64) -> Vec<Phase> {
    let count = chance.within(0..=count_max);
    let mut phases = Vec::new();
    for _ in 0..count {
        let from = BEGIN.plus_ms(chance.within(0..=HOUR_MS - ms_max));
        phases.push(Phase {
            from,
            until: from.plus_ms(1_000 + chance.skewed(ms_max)),
            silent: chance.percent(40),
        });
    }
    phases
}

fn kills(chance: &mut Chance) -> Vec<Kill> {
    let count = chance.within(0..=5);
    let mut kills: Vec<Kill> = Vec::new();
    for _ in 0..count {
        kills.push(Kill {
            at: BEGIN.plus_ms(chance.within(10_000..=HOUR_MS)),
            down_ms: chance.skewed(90_000),
            set_back_ms: if chance.percent(20) {
                chance.within(1..=3_000)
            } else {
                0
            },
        });
    }
    kills.sort_by_key(|kill| kill.at);
    kills
}

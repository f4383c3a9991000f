//! The store, ill by seed: a database that is the referee, behind the real writer.

use std::sync::Arc;
use std::time::Duration;

use matchmaker::domain::{Timestamp, Write, WriteOutcome};
use matchmaker::ports::{Store, StoreDepth, WriteDone};
use matchmaker::store::{GroupError, GroupStore, Writer};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::chance::Chance;
use super::plan::{Phase, during};
use super::world::World;

/// One connection to the store.
pub struct Connection {
    world: Arc<World>,
    chance: Chance,
}

/// What becomes of one run.
#[derive(Debug, Clone, Copy)]
struct Course {
    before_ms: u64,
    commits: bool,
    after_ms: u64,
    says: Says,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Done,
    Away,
    Contended,
    Unfit,
    /// Nothing: the answer is lost.
    Unknown,
}

impl Connection {
    pub fn new(world: &Arc<World>, number: u64) -> Self {
        let (processes, seed) = (world.state().processes, world.plan.seed);
        Self {
            world: Arc::clone(world),
            chance: Chance::new(seed, "store", processes * 100 + number),
        }
    }

    fn course(&mut self, writes: usize) -> Course {
        let (plan, chance) = (&self.world.plan, &mut self.chance);
        let (now, healed) = {
            let state = self.world.state();
            (state.now(), state.healed)
        };
        let away = during(&plan.store_away, now).filter(|_| !healed);
        if let Some(phase) = away {
            return course_while_away(phase, now, chance);
        }
        let well = Course {
            before_ms: chance.within(1..=25),
            commits: true,
            after_ms: chance.within(0..=25),
            says: Says::Done,
        };
        if healed || !chance.percent(plan.faults_percent) {
            return well;
        }
        let hangs_ms = chance.skewed(120_000);
        let lost = chance.percent(50);
        match chance.within(0..=5) {
            0 => Course {
                says: Says::Contended,
                commits: false,
                ..well
            },
            1 => Course {
                says: Says::Away,
                commits: false,
                ..well
            },
            2 if writes > 1 => Course {
                says: Says::Unfit,
                commits: false,
                ..well
            },
            2 | 3 => Course {
                says: Says::Unknown,
                commits: lost,
                ..well
            },
            4 => Course {
                before_ms: 1 + hangs_ms,
                says: if lost { Says::Away } else { Says::Done },
                commits: !lost,
                ..well
            },
            _ => Course {
                after_ms: hangs_ms,
                says: if lost { Says::Unknown } else { Says::Done },
                ..well
            },
        }
    }
}

fn course_while_away(phase: Phase, now: Timestamp, chance: &mut Chance) -> Course {
    let silence_ms = if phase.silent {
        phase.until.ms_since(now)
    } else {
        0
    };
    Course {
        before_ms: 1 + silence_ms + chance.within(0..=30),
        commits: false,
        after_ms: 0,
        says: if chance.percent(80) {
            Says::Away
        } else {
            Says::Unknown
        },
    }
}

impl GroupStore for Connection {
    const SYSTEM: &'static str = "virtual";

    async fn run(&mut self, writes: Arc<[Write]>) -> Result<Vec<WriteOutcome>, GroupError> {
        let course = self.course(writes.len());
        {
            let state = self.world.state();
            state.rows.sent(&writes, state.server_now());
        }
        let mut sent = Sent {
            world: Arc::clone(&self.world),
            writes: Arc::clone(&writes),
            arrives: course.commits && self.chance.percent(50),
        };
        let slow = course.before_ms > 25 || course.after_ms > 25;
        if course.says != Says::Done || slow {
            let mut state = self.world.state();
            state.trouble(course.before_ms + course.after_ms);
            state.note(&format!("store: {} writes, {course:?}", writes.len()));
            state.count(if slow { "store hangs" } else { "store fails" });
        }
        sleep(Duration::from_millis(course.before_ms)).await;
        sent.arrives = false;
        let outcomes = course.commits.then(|| commit(&self.world, &writes));
        sleep(Duration::from_millis(course.after_ms)).await;
        let reason = || "by seed".to_owned();
        match course.says {
            Says::Done => Ok(outcomes.unwrap_or_default()),
            Says::Away => Err(GroupError::Away(reason())),
            Says::Contended => Err(GroupError::Contended(reason())),
            Says::Unfit => Err(GroupError::Unfit(reason())),
            Says::Unknown => {
                self.world.state().rows.lost(&writes);
                Err(GroupError::Unknown(reason()))
            }
        }
    }

    async fn reach(&mut self) -> Result<(), GroupError> {
        let course = self.course(1);
        let ms = course.before_ms + course.after_ms;
        self.world.state().trouble(ms);
        sleep(Duration::from_millis(ms)).await;
        match course.says {
            Says::Done => Ok(()),
            _ => Err(GroupError::Away("by seed".to_owned())),
        }
    }
}

fn commit(world: &World, writes: &[Write]) -> Vec<WriteOutcome> {
    let mut state = world.state();
    let outcomes = state.rows.commit(writes);
    state.note(&format!("store: committed {outcomes:?}"));
    outcomes
}

/// A group that has been sent. Where its sender is killed, it may arrive all the same.
struct Sent {
    world: Arc<World>,
    writes: Arc<[Write]>,
    arrives: bool,
}

impl Drop for Sent {
    fn drop(&mut self) {
        if self.arrives && self.world.state().is_down() {
            self.world.state().count("stored after the kill");
            commit(&self.world, &self.writes);
        }
    }
}

/// The real writer, with somebody who looks at each write and each outcome.
pub struct Watched {
    pub world: Arc<World>,
    pub writer: Writer,
    /// Told where a session was stored, as the server tells its relay.
    pub woken: Arc<Notify>,
}

impl Store for Watched {
    fn depth(&self) -> StoreDepth {
        self.writer.depth()
    }

    fn submit(&self, write: Write, deadline: Option<Timestamp>, done: WriteDone) {
        let number = {
            let mut state = self.world.state();
            state.note(&format!("asks {write:?}"));
            let (now, at) = (state.server_now(), state.now());
            let timeouts = self.world.plan.settings.timeouts;
            state.rows.begin(&write, now, at, timeouts, deadline)
        };
        let (world, woken) = (Arc::clone(&self.world), Arc::clone(&self.woken));
        let told = move |outcome: WriteOutcome| {
            {
                let mut state = world.state();
                // Of a process that is killed nobody hears anything.
                if !state.is_down() {
                    state.note(&format!("answered {number} {outcome:?}"));
                    let at = state.now();
                    let write = state.rows.end(number, &outcome, at);
                    state.expect_notices(&write, &outcome);
                    if matches!(write, Write::OpenSession { .. }) {
                        woken.notify_one();
                    }
                }
            }
            done(outcome);
        };
        self.writer.submit(write, deadline, Box::new(told));
    }
}

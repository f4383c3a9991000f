//! All that outlives a process: the rows, the people, and what they were told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use matchmaker::adapters::SystemClock;
use matchmaker::domain::{Ending, MatchId, SessionId, TicketId, TicketOutcome, Timestamp, UserId};
use matchmaker::ports::Clock;

use super::hearing::Ears;
use super::people::Person;
use super::plan::{BEGIN, PEOPLE, Plan};
use super::rows::Rows;
use super::trace::Trace;
use crate::simulation::referee::{MatchState, Status};

/// How long after a fault everything must be as if it had not been, in milliseconds.
pub const CALM_AFTER_MS: u64 = 5_000;

pub struct World {
    pub plan: Plan,
    state: Mutex<State>,
}

pub struct State {
    pub rows: Rows,
    pub trace: Trace,
    pub people: Vec<Person>,
    pub ears: Ears,
    /// Tickets that the mirror holds.
    pub mirror: BTreeMap<TicketId, UserId>,
    /// Backends do nothing wrong any more, and people do nothing any more.
    pub healed: bool,
    /// How many processes there have been.
    pub processes: u64,
    time: Time,
    /// Until when a fault may show.
    troubled_until: Timestamp,
    /// What was seen how often, to know that a run is worth something.
    pub seen: BTreeMap<&'static str, u64>,
}

/// The time, and the time that the server's clock shows.
enum Time {
    Runs(Arc<SystemClock>, Arc<SystemClock>),
    /// Nobody runs.
    Stands(Timestamp),
}

impl World {
    pub fn new(plan: Plan) -> Arc<Self> {
        let people = (0..PEOPLE).map(|number| Person::new(plan.seed, number));
        let state = State {
            rows: Rows::default(),
            trace: Trace::default(),
            people: people.collect(),
            ears: Ears::default(),
            mirror: BTreeMap::new(),
            healed: false,
            processes: 0,
            time: Time::Stands(BEGIN),
            troubled_until: BEGIN,
            seen: BTreeMap::new(),
        };
        Arc::new(Self {
            plan,
            state: Mutex::new(state),
        })
    }

    /// Never held while something is awaited.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Timestamp {
        self.state().now()
    }

    /// From now on the process's own tasks see time pass. Answers its clock.
    pub fn start_time(&self, set_back_ms: u64) -> Arc<SystemClock> {
        let mut state = self.state();
        let now = state.now();
        let set_back = now.as_ms() - i64::try_from(set_back_ms).expect("a few seconds");
        let clock = Arc::new(SystemClock::starting_at(Timestamp::from_ms(set_back)));
        let time = Arc::new(SystemClock::starting_at(now));
        state.time = Time::Runs(time, Arc::clone(&clock));
        state.processes += 1;
        clock
    }

    /// The process is killed; the next one comes after `down_ms`.
    pub fn stop_time(&self) {
        let mut state = self.state();
        state.note("killed");
        state.time = Time::Stands(state.now());
        state.ears.close_all();
        for person in &mut state.people {
            person.cut_off();
        }
    }

    /// What was under way is over, one way or the other.
    pub fn restart(&self, down_ms: u64) {
        let mut state = self.state();
        let now = state.now().plus_ms(down_ms);
        state.time = Time::Stands(now);
        state.mirror.clear();
        state.rows.restart(now);
        state.note("started");
    }
}

impl State {
    pub fn now(&self) -> Timestamp {
        match &self.time {
            Time::Runs(time, _) => time.now(),
            Time::Stands(at) => *at,
        }
    }

    /// What the server's clock shows.
    pub fn server_now(&self) -> Timestamp {
        match &self.time {
            Time::Runs(_, clock) => clock.now(),
            Time::Stands(at) => *at,
        }
    }

    pub fn is_down(&self) -> bool {
        matches!(self.time, Time::Stands(_))
    }

    pub fn note(&mut self, text: &str) {
        let now = self.now();
        self.trace.note(now, text);
    }

    pub fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// What came of the hour, for whoever wants to know what it has tried.
    pub fn count_rows(&mut self) {
        let mut add = |what, times: usize| *self.seen.entry(what).or_default() += times as u64;
        let matches = self.rows.db.matches.values();
        let ended = |ending: fn(&MatchState) -> bool| {
            let all = matches.clone();
            all.filter(|row| ending(&row.state)).count()
        };
        let tickets = self.rows.db.tickets.values();
        let closed = |outcome| {
            let all = tickets.clone();
            all.filter(|row| row.status == Status::Closed(outcome))
                .count()
        };
        add("hours", 1);
        add("processes", usize::try_from(self.processes).expect("few"));
        add("commits", usize::try_from(self.rows.commits).expect("few"));
        add("matches", matches.len());
        add(
            "extended",
            matches.clone().filter(|row| row.extended).count(),
        );
        add("sessions", self.rows.db.sessions.len());
        let [sent, again] = self.rows.announced.sent();
        add("announced", sent);
        add("announced again", again);
        add(
            "declined",
            ended(|state| matches!(state, MatchState::Ended(Ending::Declined(_)))),
        );
        add(
            "silences",
            ended(|state| *state == MatchState::Ended(Ending::Expired)),
        );
        let given_up = MatchState::Ended(Ending::QuestionUnavailable);
        add(
            "given up",
            matches.clone().filter(|row| row.state == given_up).count(),
        );
        add("expired", closed(TicketOutcome::Expired));
        add("replaced", closed(TicketOutcome::Replaced));
        add("withdrawn", closed(TicketOutcome::Withdrawn));
    }

    /// A backend does something wrong, for so long.
    pub fn trouble(&mut self, ms: u64) {
        let until = self.now().plus_ms(ms + CALM_AFTER_MS);
        self.troubled_until = self.troubled_until.max(until);
    }

    /// Whether nothing that went wrong may show any more since `from`.
    pub fn is_calm_since(&self, from: Timestamp) -> bool {
        self.troubled_until <= from
    }

    /// Everybody's newest match and session, for whoever has no business with them.
    pub fn others(&self, me: usize, other: usize) -> (Option<MatchId>, Option<SessionId>) {
        let person = &self.people[if other == me {
            (other + 1) % PEOPLE
        } else {
            other
        }];
        (
            person.matches.last().copied(),
            person.sessions.last().copied(),
        )
    }
}

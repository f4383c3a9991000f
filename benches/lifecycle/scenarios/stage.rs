//! A server with its backends, a crowd that loads it, and a listener to its events.

use std::time::Duration;

use anyhow::Context;

use crate::backends::{Consumer, Counts, Probe};
use crate::crowd::{Crowd, names, raise_open_file_limit};
use crate::events::Sessions;
use crate::ledger::{Figures, Violations};
use crate::meter::{Cost, Meter, memory};
use crate::server::Server;
use crate::timetable::Timetable;
use crate::tokens::Signer;

use super::Bench;
use super::idle::Idle;
use super::operators::Operators;
use super::point::Point;
use super::setting::Setting;

/// What a server does once everybody was told: events are sent, the mirror follows.
const AFTERWARDS: Duration = Duration::from_millis(250);

/// All that stands ready for a load.
pub struct Stage<'a> {
    bench: &'a Bench,
    label: String,
    server: Server,
    crowd: Crowd,
    idle_sockets: Idle,
    operators: Operators,
    neighbours: Option<Neighbours>,
}

/// The backends of the server, and who listens to its events.
struct Neighbours {
    probe: Probe,
    consumer: Consumer,
    processes: Vec<(&'static str, u32)>,
}

impl Neighbours {
    fn messages(&self) -> u64 {
        self.consumer.book().messages()
    }
}

impl<'a> Stage<'a> {
    /// A new server, unless one is given, and everybody with an open socket.
    pub async fn set(bench: &'a Bench, setting: &Setting<'_>) -> anyhow::Result<Self> {
        let common = &bench.common;
        let (place, folder) = setting.place(bench).await?;
        let neighbours = match (place.as_deref(), bench.backends(setting.kind)) {
            (Some(place), Some(backends)) => Some(Neighbours {
                probe: Probe::connect(place).await?,
                // Before the server, whose events would have nowhere to go.
                consumer: Consumer::start(place).await?,
                processes: backends.processes(),
            }),
            _ => None,
        };
        let server = setting.server(bench, place.as_deref(), folder).await?;
        if let Some(Neighbours { probe, .. }) = &neighbours {
            // Before connections are opened, because the server closes those that stay unused for long.
            probe.rest().await;
        }
        let idle = setting.bystanders.idle_sockets;
        raise_open_file_limit(common, setting.people.users + idle)?;
        let signer = Signer::new(common);
        let tokens = names(idle).into_iter().map(|id| signer.token(&id));
        let tokens = tokens.collect::<anyhow::Result<Vec<_>>>()?;
        let mut idle_sockets = Idle::default();
        idle_sockets.open(&server.target, &tokens).await?;
        let operators = Operators::begin(&server.target, setting.bystanders.operators);
        let crowd = Crowd::gather(common, &server.target, setting.people).await?;
        Ok(Self {
            bench,
            label: setting.label(bench),
            server,
            crowd,
            idle_sockets,
            operators,
            neighbours,
        })
    }

    /// Drives a timetable that does not count.
    pub async fn warm_up(&self, timetable: Timetable, turn: usize) {
        self.crowd.drive(timetable, turn, self.drain()).await;
        self.settle().await;
        if let Some(Neighbours { probe, .. }) = &self.neighbours {
            probe.rest().await;
        }
    }

    /// Drives a timetable, which asks for `rate` lifecycles per second.
    pub async fn measure(
        &self,
        rate: f64,
        timetable: Timetable,
        turn: usize,
    ) -> anyhow::Result<Point> {
        let before = match &self.neighbours {
            Some(it) => Some(it.probe.begin(it.messages()).await?),
            None => None,
        };
        let (figures, cost) = self.drive(timetable, turn).await?;
        let counts = match (&self.neighbours, &before) {
            (Some(it), Some(before)) => Some(it.probe.end(before, it.messages()).await?),
            _ => None,
        };
        Ok(self.point(rate, figures, cost, counts))
    }

    /// The same without what the backends count, for which they would have to rest.
    pub async fn probe(
        &self,
        rate: f64,
        timetable: Timetable,
        turn: usize,
    ) -> anyhow::Result<Point> {
        let (figures, cost) = self.drive(timetable, turn).await?;
        Ok(self.point(rate, figures, cost, None))
    }

    /// Drives timetables one straight after the other, without waiting for what is under way, and
    /// keeps nothing of what is over; answers with what happened meanwhile.
    pub async fn go_on(
        &self,
        rate: f64,
        timetables: impl Iterator<Item = Timetable>,
        turn: usize,
    ) -> anyhow::Result<Point> {
        let meter = self.meter()?;
        for timetable in timetables {
            self.crowd.ask_by(timetable, turn).await;
            self.forget_what_is_over();
        }
        let cost = self.cost(&meter)?;
        Ok(self.point(rate, self.crowd.take_figures(), cost, None))
    }

    /// Waits for what is under way; answers with the errors that came of it.
    pub async fn finish(&self) -> Figures {
        let figures = self.crowd.finish(self.drain()).await;
        self.settle().await;
        self.forget_what_is_over();
        figures
    }

    /// Memory that the server has resident, where its process is known.
    pub fn memory(&self) -> anyhow::Result<Option<u64>> {
        let memory = self.server.pid.map(memory).transpose()?;
        Ok(memory.map(|memory| memory.bytes))
    }

    /// Compares what everybody was told and ends the server.
    pub async fn close(mut self, violations: &mut Violations) -> anyhow::Result<()> {
        violations.add(self.crowd.take_violations());
        if let Some(Neighbours { consumer, .. }) = &self.neighbours {
            let sessions = self.crowd.sessions().clone();
            let book = consumer.book();
            violations.add(book.compare(&sessions));
            println!(
                "events of {} sessions: {} came, {} of them again",
                book.sessions(),
                book.messages(),
                book.repeated()
            );
        }
        self.operators.end(violations);
        violations.add(self.server.faults().await?);
        self.idle_sockets.end(violations).await;
        drop(self.crowd);
        self.server.kill();
        Ok(())
    }

    async fn drive(&self, timetable: Timetable, turn: usize) -> anyhow::Result<(Figures, Cost)> {
        let meter = self.meter()?;
        let figures = self.crowd.drive(timetable, turn, self.drain()).await;
        self.settle().await;
        Ok((figures, self.cost(&meter)?))
    }

    fn cost(&self, meter: &Meter<'_>) -> anyhow::Result<Cost> {
        meter.read().with_context(|| {
            let log = self.server.end_of_log();
            format!("a process ended while it was loaded; the server's log ends with\n{log}")
        })
    }

    fn meter(&self) -> anyhow::Result<Meter<'_>> {
        let processes = self.neighbours.as_ref().map(|it| &it.processes[..]);
        Meter::start(self.server.pid, processes.unwrap_or_default())
    }

    fn point(&self, rate: f64, figures: Figures, cost: Cost, counts: Option<Counts>) -> Point {
        Point::new(self.label.clone(), rate, figures, cost, counts)
    }

    /// Sessions that are over are of interest until their events came.
    fn forget_what_is_over(&self) {
        let over = self.crowd.take_ended_sessions();
        if let Some(Neighbours { consumer, .. }) = &self.neighbours {
            let unannounced = consumer.book_mut().settle(over);
            self.crowd.keep_sessions(unannounced);
        }
    }

    /// Waits until the events came and nothing is left to do.
    async fn settle(&self) {
        if let Some(Neighbours { consumer, .. }) = &self.neighbours {
            let sessions: Sessions = self.crowd.sessions().clone();
            consumer.await_all(&sessions, self.drain()).await;
            tokio::time::sleep(AFTERWARDS).await;
        }
    }

    fn drain(&self) -> Duration {
        Duration::from_secs(self.bench.common.drain)
    }
}

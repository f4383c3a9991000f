//! A server with its backends, a crowd that loads it, and a listener to its events.

use std::time::Duration;

use anyhow::Context;

use crate::backends::{Backends, Consumer, Probe};
use crate::crowd::Crowd;
use crate::events::Sessions;
use crate::ledger::Violations;
use crate::meter::Meter;
use crate::options::{Kind, People};
use crate::server::Server;
use crate::timetable::Timetable;

use super::load::room_for;
use super::point::Point;
use super::{Bench, variables};

/// What a server does once everybody was told: events are sent, the mirror follows.
const AFTERWARDS: Duration = Duration::from_millis(250);

/// All that stands ready for a load.
pub struct Stage<'a> {
    bench: &'a Bench,
    kind: Kind,
    server: Server,
    crowd: Crowd,
    neighbours: Option<Neighbours<'a>>,
}

/// The backends of the server, and who listens to its events.
struct Neighbours<'a> {
    backends: &'a Backends,
    probe: Probe,
    consumer: Consumer,
}

impl<'a> Stage<'a> {
    /// A new server, unless one is given, and everybody with an open socket.
    pub async fn set(bench: &'a Bench, kind: Kind, people: &People) -> anyhow::Result<Self> {
        let place = bench.place(kind);
        let neighbours = match (place.as_deref(), bench.backends(kind)) {
            (Some(place), Some(backends)) => Some(Neighbours {
                backends,
                probe: Probe::connect(place).await?,
                // Before the server, whose events would have nowhere to go.
                consumer: Consumer::start(place).await?,
            }),
            _ => None,
        };
        let variables = variables(place.as_deref(), &[room_for(people.users)]);
        let server = Server::of(&bench.common, &variables).await?;
        if let Some(Neighbours { probe, .. }) = &neighbours {
            // Before connections are opened, because the server closes those that stay unused for long.
            probe.rest().await;
        }
        let crowd = Crowd::gather(&bench.common, &server.target, people).await?;
        Ok(Self {
            bench,
            kind,
            server,
            crowd,
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
        let processes = self.neighbours.as_ref().map(|it| it.backends.processes());
        let processes = processes.unwrap_or_default();
        let before = match &self.neighbours {
            Some(Neighbours {
                probe, consumer, ..
            }) => {
                let messages = consumer.book().messages();
                Some(probe.begin(messages).await?)
            }
            None => None,
        };
        let meter = Meter::start(self.server.pid, &processes)?;
        let figures = self.crowd.drive(timetable, turn, self.drain()).await;
        self.settle().await;
        let cost = meter
            .read()
            .context("a process ended while it was loaded")?;
        let counts = match (&self.neighbours, &before) {
            (
                Some(Neighbours {
                    probe, consumer, ..
                }),
                Some(before),
            ) => {
                let messages = consumer.book().messages();
                Some(probe.end(before, messages).await?)
            }
            _ => None,
        };
        let label = self.bench.label(self.kind);
        Ok(Point::new(label, rate, figures, cost, counts))
    }

    /// Compares what everybody was told and ends the server.
    pub async fn close(mut self, violations: &mut Violations) -> anyhow::Result<()> {
        violations.add(self.crowd.take_violations());
        if let Some(Neighbours { consumer, .. }) = &self.neighbours {
            let sessions = self.crowd.sessions().clone();
            violations.add(consumer.book().compare(&sessions));
            let (messages, repeated) = (consumer.book().messages(), consumer.book().repeated());
            println!(
                "events of {} sessions: {messages} came, {repeated} of them again",
                sessions.len()
            );
        }
        violations.add(self.server.faults().await?);
        drop(self.crowd);
        self.server.kill();
        Ok(())
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

//! What a stage is set for: the backends, who loads, and who is there besides.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{Instant, sleep};

use crate::backends::Place;
use crate::faults::figure;
use crate::options::{Bystanders, Kind, People};
use crate::server::{Folder, Server};

use super::prepared::Prepared;
use super::{Bench, variables};

/// Longest wait until a server knows all waiting tickets again.
const BACK_WITHIN: Duration = Duration::from_secs(60);
/// Time between two looks at how many it knows.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The gauge that tells.
const TICKETS_LIVE: &str = "matchmaker_tickets_live";
/// Limits that no load of this tool reaches, and that hold no memory before they do.
const MORE_THAN_ENOUGH: usize = 10_000_000;

/// What does not change from run to run.
pub struct Setting<'a> {
    pub kind: Kind,
    pub people: &'a People,
    pub bystanders: Bystanders,
    waiting: Option<Prepared>,
}

impl<'a> Setting<'a> {
    /// Prepares a database with the waiting tickets, where there are to be some.
    pub async fn new(
        bench: &Bench,
        kind: Kind,
        people: &'a People,
        bystanders: Bystanders,
    ) -> anyhow::Result<Self> {
        let mut setting = Self {
            kind,
            people,
            bystanders,
            waiting: None,
        };
        let tickets = bystanders.waiting;
        if tickets > 0 {
            anyhow::ensure!(
                bench.common.url.is_none(),
                "tickets can only be stored beforehand for a server that is started"
            );
            // One in each bucket: any two in the same one would not wait for long.
            let limits = setting.limits();
            setting.waiting = Some(Prepared::new(bench, kind, &limits, tickets, tickets).await?);
        }
        Ok(setting)
    }

    /// What is printed for it.
    pub fn label(&self, bench: &Bench) -> String {
        let mut label = bench.label(self.kind).to_owned();
        let Bystanders {
            waiting,
            idle_sockets,
            operators,
        } = self.bystanders;
        if waiting > 0 {
            label += &format!(", {waiting} waiting");
        }
        if idle_sockets > 0 {
            label += &format!(", {idle_sockets} idle");
        }
        if operators > 0 {
            label += &format!(", {operators} looking");
        }
        label
    }

    /// An empty place, or one with a copy of what was prepared, which is then also in the folder
    /// where a server is to be started.
    pub async fn place(
        &self,
        bench: &Bench,
    ) -> anyhow::Result<(Option<Rc<Place>>, Option<Folder>)> {
        let Some(prepared) = &self.waiting else {
            return Ok((bench.place(self.kind), None));
        };
        let folder = Folder::new(&bench.common)?;
        let place = prepared.copy_to(&folder, bench.backends(self.kind)).await?;
        Ok((place, Some(folder)))
    }

    /// A server in that place, which knows everybody who waits.
    pub async fn server(
        &self,
        bench: &Bench,
        place: Option<&Place>,
        folder: Option<Folder>,
    ) -> anyhow::Result<Server> {
        let variables = variables(place, &self.limits());
        let Some(folder) = folder else {
            return Server::of(&bench.common, &variables).await;
        };
        let (server, _) = Server::start(&bench.common, folder, &variables).await?;
        let (began, wanted) = (Instant::now(), self.bystanders.waiting as f64);
        loop {
            let live = figure(&server.get("/metrics").await?, TICKETS_LIVE);
            let live = live.with_context(|| format!("there is no {TICKETS_LIVE}"))?;
            if live >= wanted {
                return Ok(server);
            }
            anyhow::ensure!(
                began.elapsed() < BACK_WITHIN,
                "{wanted} tickets were stored, {live} came back"
            );
            sleep(LOOK_EVERY).await;
        }
    }

    /// The variables with which a server of ours has room for everybody.
    fn limits(&self) -> [(&'static str, String); 4] {
        let sockets = self.people.users + self.bystanders.idle_sockets;
        [
            ("MAX_SOCKETS", sockets.max(20_000).to_string()),
            ("MAX_SESSIONS", MORE_THAN_ENOUGH.to_string()),
            ("MAX_TICKETS", MORE_THAN_ENOUGH.to_string()),
            ("MAX_BUCKETS", MORE_THAN_ENOUGH.to_string()),
        ]
    }
}

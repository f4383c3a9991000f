//! G5 from outside: what was announced, beside the sessions that there are.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::away::looks::listening;
use crate::harness::*;
use crate::servers::Collaboration;

/// After a crash, what waits is sent with the next look into the outbox.
const SENT_WITHIN: Duration = Duration::from_secs(30);

/// Hears of sessions as the collaboration service does, where there is a broker.
pub struct Announced {
    database: Database,
    queue: Option<Collaboration>,
}

impl Announced {
    /// From here on nothing is unroutable.
    pub async fn listen(server: &Server, backends: &Backends) -> Self {
        let queue = match backends {
            Backends::Embedded => None,
            Backends::Real(neighbours) => Some(listening(&neighbours.vhost.url()).await),
        };
        let database = Database::of(server, backends);
        Self { database, queue }
    }

    /// Each session has one announcement, which came at least once and always as it was; nothing else
    /// was announced.
    pub async fn check(&mut self, server: &Server) {
        let sessions = self.ids("id", "sessions").await;
        assert_eq!(self.ids("session_id", "outbox").await, sessions);
        let Some(queue) = &mut self.queue else {
            return;
        };
        let waiting = "SELECT event_id::text AS text FROM outbox WHERE sent_at_ms IS NULL";
        let database = &self.database;
        within(SENT_WITHIN, "all are sent", async || {
            database.texts(waiting).await.is_empty().then_some(())
        })
        .await;
        // What was sent before is in the queue before this one.
        let last = scenes::pair(server, "the last", "of all", "The last of all").await;
        let last = last.open_session().await;

        let mut came: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        while !came.contains_key(&last) {
            let (properties, body) = queue.next().await.expect("the connection holds");
            let event: Value = serde_json::from_str(&body).expect("JSON");
            let id = properties.message_id().as_ref().expect("an id").to_string();
            let session = text(&event, "session_id").to_owned();
            came.entry(session).or_default().push((id, body));
        }

        came.remove(&last);
        assert!(came.keys().eq(sessions.iter()), "{came:?} of {sessions:?}");
        for copies in came.values() {
            assert!(copies.iter().all(|copy| *copy == copies[0]), "{copies:?}");
        }
        let copies: usize = came.values().map(Vec::len).sum();
        let sessions = sessions.len();
        println!("{sessions} sessions were announced, in {copies} messages");
    }

    async fn ids(&self, column: &str, table: &str) -> Vec<String> {
        let id = self.database.id(column);
        let query = format!("SELECT {id} AS text FROM {table} ORDER BY {column}");
        self.database.texts(&query).await
    }
}

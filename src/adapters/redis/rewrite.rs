//! Writing the whole mirror, and removing what does not belong there.

use std::collections::{BTreeMap, HashSet};

use deadpool_redis::redis;
use tracing::info;

use super::link::CallError;
use super::mirror::{CHUNK, Writer, queue_key, write_hash};
use super::sessions::{own_command, set_command};
use domain::{BucketKey, TicketId};

/// What was found of us in Redis.
#[derive(Debug, Default)]
struct Found {
    in_queues: HashSet<TicketId>,
    with_hash: HashSet<TicketId>,
    surplus: u64,
}

/// One page of a scan: where to go on (0: it was the last), and what is in it.
type Page<T> = (u64, Vec<T>);

impl Writer {
    /// Makes Redis hold exactly what waits, and the keys of all open sessions.
    ///
    /// Changes that are noted meanwhile are written afterwards.
    pub(super) async fn rewrite(&mut self) -> Result<(), CallError> {
        // Asked first: a restart during the rewrite then shows at the next check.
        self.server = self.find_server().await?;
        let waiting = self.desired().begin_rewrite();
        let mut found = Found::default();
        self.remove_surplus(&mut found).await?;
        let is_whole =
            |id: &&TicketId| found.in_queues.contains(*id) && found.with_hash.contains(*id);
        let missing = (waiting.len() - waiting.iter().filter(is_whole).count()) as u64;
        for ids in waiting.chunks(CHUNK) {
            self.write_all(ids).await?;
        }
        self.write_sessions().await?;
        self.write_marker().await?;
        self.desired().end_rewrite();
        self.differ(missing, found.surplus);
        let (tickets, surplus) = (waiting.len(), found.surplus);
        info!(
            tickets,
            missing, surplus, "the mirror of {tickets} tickets was written: {missing} were missing"
        );
        Ok(())
    }

    async fn remove_surplus(&self, found: &mut Found) -> Result<(), CallError> {
        let queues = self.link.key("matching_queue:");
        let tickets = self.link.key("matching_ticket:");
        let mut cursor = 0;
        loop {
            let pattern = self.link.pattern("matching_*");
            let (next, keys): Page<Vec<u8>> = self.scan(cursor, pattern).await?;
            let mut hashes = Vec::new();
            for key in keys {
                let Ok(text) = std::str::from_utf8(&key) else {
                    continue;
                };
                if let Some(bucket) = text.strip_prefix(&queues) {
                    self.put_queue_right(text, bucket, found).await?;
                } else if let Some(id) = text.strip_prefix(&tickets) {
                    let id = parse(id).filter(|id| self.desired().waiting(*id).is_some());
                    match id {
                        Some(id) => {
                            found.with_hash.insert(id);
                        }
                        None => hashes.push(text.to_owned()),
                    }
                }
            }
            if !hashes.is_empty() {
                found.surplus += hashes.len() as u64;
                self.delete(hashes).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// Removes from one queue what does not wait there.
    async fn put_queue_right(
        &self,
        key: &str,
        bucket: &str,
        found: &mut Found,
    ) -> Result<(), CallError> {
        let mut cursor = 0;
        loop {
            let page = self.scan_queue(cursor, key.to_owned()).await;
            if page.as_ref().is_err_and(CallError::is_wrong_type) {
                found.surplus += 1;
                return self.delete(vec![key.to_owned()]).await;
            }
            let (next, members) = page?;
            let mut wrong = Vec::new();
            for (member, score) in members {
                match self.waiting_at(&member, score, bucket) {
                    Some(id) => {
                        found.in_queues.insert(id);
                    }
                    None => wrong.push(member),
                }
            }
            if !wrong.is_empty() {
                found.surplus += wrong.len() as u64;
                self.remove_members(key.to_owned(), wrong).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    fn waiting_at(&self, member: &[u8], score: f64, bucket: &str) -> Option<TicketId> {
        let id = parse(std::str::from_utf8(member).ok()?)?;
        let desired = self.desired();
        let line = desired.waiting(id)?;
        // Milliseconds since 1970 are whole in an f64 for another 280,000 years.
        let is_place = line.enqueued_at.as_ms() as f64 == score;
        (is_place && line.wish.bucket().to_string() == bucket).then_some(id)
    }

    async fn write_all(&self, ids: &[TicketId]) -> Result<(), CallError> {
        let mut pipe = redis::pipe();
        pipe.atomic();
        let mut places: BTreeMap<BucketKey, Vec<(i64, String)>> = BTreeMap::new();
        {
            let desired = self.desired();
            for id in ids {
                if let Some(line) = desired.waiting(*id) {
                    let place = (line.enqueued_at.as_ms(), id.to_string());
                    places.entry(line.wish.bucket()).or_default().push(place);
                    // Whatever else it was goes.
                    pipe.cmd("DEL").arg(self.link.ticket_key(*id)).ignore();
                    write_hash(&mut pipe, &self.link, *id, line);
                }
            }
        }
        for (bucket, places) in places {
            let zadd = pipe.cmd("ZADD").arg(queue_key(&self.link, &bucket));
            for (score, member) in places {
                zadd.arg(score).arg(member);
            }
            zadd.ignore();
        }
        if pipe.is_empty() {
            return Ok(());
        }
        self.link.query(pipe).await
    }

    /// Writes the keys of the open sessions that are not there, and what we know of each. Those that are there may not say who
    /// has left.
    async fn write_sessions(&self) -> Result<(), CallError> {
        let sessions = (self.open)();
        for session in sessions.iter().filter(|session| session.left != [false; 2]) {
            self.link.debts.owe(session);
            self.link.debts.fail(session.id);
        }
        for sessions in sessions.chunks(CHUNK / 2) {
            let mut pipe = redis::pipe();
            for session in sessions {
                if let Ok(mut set) = set_command(&self.link, session)
                    && let Ok(own) = own_command(&self.link, session)
                {
                    set.arg("NX");
                    pipe.add_command(own).ignore();
                    pipe.add_command(set).ignore();
                }
            }
            let () = self.link.query(pipe).await?;
        }
        Ok(())
    }

    async fn write_marker(&mut self) -> Result<(), CallError> {
        let (key, value) = (self.marker_key(), self.marker.next());
        let set = redis::cmd("SET").arg(key).arg(value).to_owned();
        let () = self.link.query(set).await?;
        self.marker.confirm();
        Ok(())
    }

    async fn scan(&self, cursor: u64, pattern: String) -> Result<Page<Vec<u8>>, CallError> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(pattern);
        scan.arg("COUNT").arg(CHUNK);
        self.link.query(scan).await
    }

    async fn scan_queue(
        &self,
        cursor: u64,
        key: String,
    ) -> Result<Page<(Vec<u8>, f64)>, CallError> {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(key).arg(cursor).arg("COUNT").arg(CHUNK);
        self.link.query(scan).await
    }

    async fn delete(&self, keys: Vec<String>) -> Result<(), CallError> {
        self.link.query(redis::cmd("UNLINK").arg(keys)).await
    }

    async fn remove_members(&self, key: String, members: Vec<Vec<u8>>) -> Result<(), CallError> {
        let zrem = redis::cmd("ZREM").arg(key).arg(members).to_owned();
        self.link.query(zrem).await
    }
}

/// An id as we write it; other spellings of it are not ours.
fn parse(text: &str) -> Option<TicketId> {
    let id = TicketId(text.parse().ok()?);
    (id.to_string() == text).then_some(id)
}

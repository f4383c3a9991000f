//! What an earlier run did not come to tell Redis about sessions that are over.

use std::time::Duration;

use deadpool_redis::redis;
use futures_util::future::BoxFuture;
use tokio::time::sleep;
use tracing::{info, warn};

use super::sessions::RedisSessions;
use domain::{SessionId, SessionRecord, Timestamp};
use ports::{Away, Records};

/// Sessions that are looked at, the newest first.
const SESSIONS_MAX: usize = 10_000;
/// Sessions that Redis is asked about together.
const CHUNK: usize = 64;
/// Time until the database is asked again.
const AGAIN: Duration = Duration::from_secs(1);

impl RedisSessions {
    /// Owes Redis what it may not have heard before the server ended: that both have left a session
    /// whose key is still there, and that a session was given up before it began.
    pub fn owe_what_ended<'a>(&'a self, records: &'a dyn Records) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let mut was_away = false;
            while let Err(away) = self.try_owe_what_ended(records).await {
                if !std::mem::replace(&mut was_away, true) {
                    warn!("Redis is told later which sessions ended, because {away}");
                }
                sleep(AGAIN).await;
            }
        })
    }

    async fn try_owe_what_ended(&self, records: &dyn Records) -> Result<(), Away> {
        let now = self.clock().now();
        let life_ms = i64::try_from(self.session_ms()).unwrap_or(i64::MAX);
        let since = Timestamp::from_ms(now.as_ms().saturating_sub(life_ms));
        let left = records.recently_left(now, SESSIONS_MAX).await?;
        let given_up = records.given_up(since, SESSIONS_MAX).await?;
        let mut owed = 0;
        for sessions in left.chunks(CHUNK) {
            owed += self.owe_left(sessions).await;
        }
        for ids in given_up.chunks(CHUNK) {
            owed += self.remove_or_owe(ids).await;
        }
        if owed > 0 {
            info!(owed, "Redis is told how {owed} sessions ended");
        }
        Ok(())
    }

    /// Owes those of which Redis does not say already that both have left.
    async fn owe_left(&self, sessions: &[SessionRecord]) -> usize {
        let ids: Vec<SessionId> = sessions.iter().map(|session| session.id).collect();
        let told = self.own_records(&ids).await.unwrap_or_default();
        let mut told = told.into_iter();
        let mut owed = 0;
        for session in sessions {
            let told = told.next().flatten();
            if told.is_none_or(|told| told.left != session.left) {
                self.link().debts.owe(session);
                self.link().debts.fail(session.id);
                owed += 1;
            }
        }
        owed
    }

    async fn remove_or_owe(&self, ids: &[SessionId]) -> usize {
        let link = self.link();
        let mut unlink = redis::cmd("UNLINK");
        for id in ids {
            unlink.arg(link.session_key(*id)).arg(link.own_key(*id));
        }
        let removed: Result<(), _> = link.query_aside(unlink).await;
        if removed.is_ok() {
            return 0;
        }
        let until = self.clock().now().plus_ms(self.session_ms());
        for id in ids {
            link.debts.owe_removal(*id, until);
            link.debts.fail(*id);
        }
        ids.len()
    }
}

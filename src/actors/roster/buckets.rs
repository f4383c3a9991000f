//! Buckets come with their first ticket and go when they have long been empty.

use std::sync::Arc;

use super::RosterActor;
use super::routing::{BucketHandle, retire};
use crate::matchmaker::{MatchmakerActor, Restored};
use crate::{BUCKET_MAILBOX, start};
use domain::BucketKey;
use observability::Limit;

impl RosterActor {
    /// The bucket's actor, started if there is none.
    pub(super) fn bucket(&mut self, key: &BucketKey, restored: Restored) -> &mut BucketHandle {
        let core = &self.core;
        self.buckets.entry(key.clone()).or_insert_with(|| {
            let actor = MatchmakerActor::new(Arc::clone(core), key.clone(), restored);
            let (inbox, view) = (actor.inbox(), actor.view());
            BucketHandle {
                actor: start(actor, BUCKET_MAILBOX),
                inbox,
                view,
                empty_since: None,
            }
        })
    }

    /// Forgets buckets that have been empty for `idle_ms`; only then do their actors stop.
    pub(super) fn retire_buckets(&mut self, idle_ms: u64) {
        let now = self.core.now();
        while let Some((since, key)) = self.emptied.front() {
            if now.ms_since(*since) < idle_ms {
                break;
            }
            let handle = self.buckets.get(key);
            if self.roster.claims_in(key) == 0
                && handle.is_some_and(|handle| handle.empty_since == Some(*since))
                && let Some(handle) = self.buckets.remove(key)
            {
                retire(&handle.actor);
                self.core.board.remove_bucket(key);
            }
            self.emptied.pop_front();
        }
    }

    /// Whether one more ticket may be opened in `key`.
    pub(super) fn has_room_for(&mut self, key: &BucketKey) -> bool {
        let settings = &self.core.settings;
        let full = if self.roster.len() >= settings.tickets_max {
            Limit::Tickets
        } else if self.sessions.len() >= settings.sessions_max {
            Limit::Sessions
        } else {
            return self.has_bucket_for(key);
        };
        full.reached();
        false
    }

    /// Whether `key` has an actor or may get one.
    pub(super) fn has_bucket_for(&mut self, key: &BucketKey) -> bool {
        let buckets_max = self.core.settings.buckets_max;
        if self.buckets.len() >= buckets_max && !self.buckets.contains_key(key) {
            self.retire_buckets(0);
        }
        let has = self.buckets.len() < buckets_max || self.buckets.contains_key(key);
        if !has {
            Limit::Buckets.reached();
        }
        has
    }
}

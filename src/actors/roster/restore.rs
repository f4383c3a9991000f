//! Start-up: an actor for everything that was stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::{MatchHandle, RosterActor};
use crate::Core;
use crate::board::MatchView;
use crate::matchmaker::Restored;
use crate::session::SessionActor;
use crate::{SESSION_MAILBOX, start};
use domain::matches::Match;
use domain::{BucketKey, Holder, Session, Side, Ticket};
use ports::{OpenMatch, OpenSession};

impl RosterActor {
    /// Starts an actor for everything that was stored; nobody is told anything that they know.
    pub(super) fn restore(&mut self) {
        let live = std::mem::take(&mut self.restored);
        for open in live.sessions {
            self.restore_session(open);
        }
        for open in live.matches {
            self.restore_match(open);
        }
        let mut waiting: BTreeMap<BucketKey, Vec<Ticket>> = BTreeMap::new();
        for ticket in live.tickets {
            self.claim(&ticket, Holder::Bucket);
            waiting
                .entry(ticket.wish.bucket())
                .or_default()
                .push(ticket);
        }
        let (done, all_done) = mpsc::channel(1);
        for (key, tickets) in waiting {
            let done = Some(done.clone());
            self.bucket(&key, Restored { tickets, done });
        }
        self.restoring = Some(all_done);
    }

    fn restore_session(&mut self, open: OpenSession) {
        let (session, match_id) = (open.record.id, open.record.match_id);
        self.core.board.put_session(open.record.clone());
        self.core
            .board
            .put_match(match_id, MatchView::InSession(session));
        for (user, ticket) in open.record.users.iter().zip(open.tickets) {
            self.core.board.put_ticket(ticket, user, Some(match_id));
        }
        let of = Session::new(open.record, open.tickets);
        let actor = start(
            SessionActor::of_session(Arc::clone(&self.core), of),
            SESSION_MAILBOX,
        );
        self.sessions.insert(session, match_id);
        self.matches
            .insert(match_id, MatchHandle { actor, found: None });
    }

    fn restore_match(&mut self, open: OpenMatch) {
        let mut ids = Core::match_ids();
        (ids.id, ids.session) = (open.id, open.session);
        let timeouts = self.core.settings.timeouts;
        let restored = Match::new(ids, open.tickets.clone(), open.expires_at, timeouts)
            .with_confirmations(open.confirmed);
        for ticket in &open.tickets {
            self.claim(ticket, Holder::Match(open.id));
            self.core
                .board
                .put_ticket(ticket.id, &ticket.user, Some(open.id));
        }
        let view = match restored.is_opening() {
            true => MatchView::Opening,
            false => MatchView::Proposed {
                expires_at: open.expires_at,
            },
        };
        self.core.board.put_match(open.id, view);
        let found = Side::BOTH.map(|side| restored.found(side));
        // More matches than permits: the limit was lowered, and new ones wait until it is kept.
        let permit = Arc::clone(&self.core.permits).try_acquire_owned().ok();
        let actor = SessionActor::of_match(Arc::clone(&self.core), restored, permit);
        let actor = start(actor, SESSION_MAILBOX);
        self.matched(open.id, open.tickets, found, actor, false);
    }
}

//! Asks: who sends them, and how they are answered.

use tokio::time::Instant;
use uuid::Uuid;

use super::{Ask, Ledger, NOBODY_FREE, Outcome, Reply, Standing, Step, User, Waiting};

impl Ledger {
    /// An ask is due: whoever has been free longest sends it.
    pub fn due(&mut self, ask: Ask) -> Option<Step> {
        self.figures.first_due.get_or_insert(ask.intended);
        if self.free.is_empty() {
            // Its latency counts from the intended moment all the same.
            self.count(NOBODY_FREE);
            self.backlog.push_back(ask);
            return None;
        }
        self.assign(ask)
    }

    pub(super) fn assign(&mut self, ask: Ask) -> Option<Step> {
        let user = self.free.pop_front()?;
        self.standings[user] = Standing::Waiting(Waiting {
            ask,
            reply: Reply::Awaited,
        });
        Some(Step::Ask { user, ask })
    }

    /// The answer to an ask; 200 comes with the ticket's id.
    pub fn ask_answered(
        &mut self,
        user: User,
        ask: Ask,
        outcome: Outcome<Uuid>,
        at: Instant,
    ) -> Option<Step> {
        let reply = match &outcome {
            Outcome::Done(ticket) => {
                let latency = at.saturating_duration_since(ask.intended);
                self.figures.asked.record(latency);
                Reply::Accepted(*ticket)
            }
            Outcome::Refused(status) => {
                self.count(format!("ask {status}"));
                return self.ask_refused(user, *status);
            }
            Outcome::Unknown(why) => {
                self.count(format!("ask: {why}"));
                Reply::Unknown
            }
        };
        match &mut self.standings[user] {
            Standing::Waiting(waiting) => waiting.reply = reply,
            Standing::Matched(member) => {
                member.reply = reply;
                if member.done {
                    return self.release(user);
                }
            }
            Standing::Free | Standing::Abandoned => {}
        }
        None
    }

    fn ask_refused(&mut self, user: User, status: u16) -> Option<Step> {
        match &mut self.standings[user] {
            Standing::Waiting(_) => return self.release(user),
            Standing::Matched(member) => {
                member.reply = Reply::Unknown;
                let match_id = member.match_id;
                let done = member.done;
                let id = &self.ids[user];
                self.violate(format!(
                    "{id} was told of match {match_id}, but the ask was answered {status}"
                ));
                if done {
                    return self.release(user);
                }
            }
            Standing::Free | Standing::Abandoned => {}
        }
        None
    }

    /// A ticket's time was over. That is right only where nobody else waits in its bucket.
    pub(super) fn timed_out(&mut self, user: User, request_id: Uuid) -> Option<Step> {
        self.count("event request_timeout");
        let Standing::Waiting(waiting) = &self.standings[user] else {
            let id = &self.ids[user];
            self.violate(format!(
                "{id} was told that ticket {request_id} timed out, but was not waiting"
            ));
            return None;
        };
        let bucket = waiting.ask.bucket;
        let others = self.waiting_in(bucket).filter(|other| *other != user);
        let others = others.count();
        if others > 0 {
            let id = &self.ids[user];
            self.violate(format!(
                "{id} timed out in bucket {bucket} although {others} others waited there"
            ));
        }
        self.release(user)
    }

    /// Those whose ask was accepted for this bucket and who were told of no match yet.
    fn waiting_in(&self, bucket: usize) -> impl Iterator<Item = User> {
        let standings = self.standings.iter().enumerate();
        standings.filter_map(move |(user, standing)| match standing {
            Standing::Waiting(waiting) => {
                let accepted = matches!(waiting.reply, Reply::Accepted(_));
                (accepted && waiting.ask.bucket == bucket).then_some(user)
            }
            Standing::Free | Standing::Matched(_) | Standing::Abandoned => None,
        })
    }
}

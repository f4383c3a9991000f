//! Matches: found, confirmed, ready, left.

use tokio::time::Instant;
use uuid::Uuid;

use super::{Ask, Ledger, Member, Outcome, Pair, Reply, Standing, Step, Told, User, Waiting};

impl Ledger {
    pub(super) fn found(
        &mut self,
        user: User,
        match_id: Uuid,
        partner_id: String,
        wish: (&str, &str),
        at: Instant,
    ) -> Option<Step> {
        let id = &self.ids[user];
        let (ask, reply) = match &self.standings[user] {
            Standing::Waiting(waiting) => (waiting.ask, waiting.reply),
            Standing::Matched(member) if member.match_id == match_id => {
                self.count("match_found repeated");
                return None;
            }
            Standing::Matched(member) => {
                let other = member.match_id;
                self.violate(format!(
                    "{id} is in two matches at once: {other}, {match_id}"
                ));
                return None;
            }
            Standing::Free => {
                self.violate(format!("{id} was told of match {match_id} without asking"));
                return None;
            }
            Standing::Abandoned => return None,
        };
        let wished = &self.wishes[ask.bucket];
        if wish != (wished.difficulty, wished.topic.as_str()) {
            let id = id.clone();
            self.violate(format!(
                "{id} wished for {wished:?} and was matched for {wish:?}"
            ));
        }
        self.standings[user] = Standing::Matched(Member {
            match_id,
            bucket: ask.bucket,
            reply,
            confirming: true,
            session_id: None,
            done: false,
        });
        let told = Told {
            user,
            partner_id,
            intended: ask.intended,
            at,
        };
        self.pair_up(match_id, told);
        Some(Step::Confirm {
            user,
            match_id,
            again: false,
        })
    }

    /// Compares what the two members were told.
    fn pair_up(&mut self, match_id: Uuid, told: Told) {
        self.check_partner(match_id, &told);
        let Some(pair) = self.matches.get_mut(&match_id) else {
            let pair = Pair {
                first: told,
                second: None,
                session_id: None,
                ready: 0,
                done: 0,
            };
            self.matches.insert(match_id, pair);
            return;
        };
        let first = &pair.first;
        let [first_id, own_id] = [first.user, told.user].map(|user| &self.ids[user]);
        if pair.second.is_some() {
            self.violations
                .note(format!("match {match_id} has a third member: {own_id}"));
            return;
        }
        if first.partner_id != *own_id || told.partner_id != *first_id {
            let (of_first, of_second) = (&first.partner_id, &told.partner_id);
            self.violations.note(format!(
                "match {match_id} is not symmetric: {first_id} was told {of_first}, \
                 {own_id} was told {of_second}"
            ));
        }
        let both_told = first.at.max(told.at);
        let later_ask = first.intended.max(told.intended);
        let latency = both_told.saturating_duration_since(later_ask);
        self.figures.matched.record(latency);
        pair.second = Some(told);
    }

    fn check_partner(&mut self, match_id: Uuid, told: &Told) {
        let id = &self.ids[told.user];
        let partner = &told.partner_id;
        if partner == id {
            self.violate(format!("{id} was matched with themselves in {match_id}"));
        } else if !self.by_id.contains_key(partner) {
            self.violate(format!(
                "{id} was matched in {match_id} with {partner}, who is none of ours"
            ));
        }
    }

    /// The answer to a confirmation; 200 comes with the session's id where there is one already.
    pub fn confirm_answered(
        &mut self,
        user: User,
        match_id: Uuid,
        outcome: Outcome<Option<Uuid>>,
        at: Instant,
    ) -> Option<Step> {
        let session_id = match outcome {
            Outcome::Done(session_id) => session_id,
            Outcome::Refused(status) => {
                self.count(format!("confirm {status}"));
                // Overload and missing backends pass; anything else is an answer for good.
                let again = matches!(status, 429 | 503);
                return self.confirm_again(user, match_id, again, at);
            }
            Outcome::Unknown(why) => {
                self.count(format!("confirm: {why}"));
                return self.confirm_again(user, match_id, true, at);
            }
        };
        let member = self.member(user, match_id)?;
        member.confirming = false;
        let ready = member.session_id;
        if let Some(session_id) = session_id {
            self.note_session(match_id, session_id);
        }
        ready.and_then(|session_id| self.in_session(user, session_id, at))
    }

    /// Confirming may be repeated without harm, and is, unless the session came by itself.
    fn confirm_again(
        &mut self,
        user: User,
        match_id: Uuid,
        again: bool,
        at: Instant,
    ) -> Option<Step> {
        let member = self.member(user, match_id)?;
        match (again, member.session_id) {
            (_, Some(session_id)) => {
                member.confirming = false;
                self.in_session(user, session_id, at)
            }
            (true, None) => Some(Step::Confirm {
                user,
                match_id,
                again,
            }),
            (false, None) => {
                member.confirming = false;
                None
            }
        }
    }

    pub(super) fn ready(
        &mut self,
        user: User,
        match_id: Uuid,
        session_id: Uuid,
        partner_id: &str,
        at: Instant,
    ) -> Option<Step> {
        let Some(member) = self.member(user, match_id) else {
            if !matches!(self.standings[user], Standing::Abandoned) {
                let id = &self.ids[user];
                self.violate(format!(
                    "{id} was told that match {match_id} is ready, but is not in it"
                ));
            }
            return None;
        };
        if let Some(known) = member.session_id {
            match known == session_id {
                true => self.count("match_ready repeated"),
                false => self.violate(two_sessions(match_id, known, session_id)),
            }
            return None;
        }
        member.session_id = Some(session_id);
        let confirming = member.confirming;
        self.note_session(match_id, session_id);
        self.note_ready(user, match_id, partner_id, at);
        (!confirming)
            .then(|| self.in_session(user, session_id, at))
            .flatten()
    }

    /// A person knows the session and has got every answer.
    fn in_session(&mut self, user: User, session_id: Uuid, at: Instant) -> Option<Step> {
        if !self.leaves {
            return self.end(user, at);
        }
        Some(Step::Leave {
            user,
            session_id,
            again: false,
        })
    }

    /// A person's lifecycle is over, and the pair's with the second of the two.
    fn end(&mut self, user: User, at: Instant) -> Option<Step> {
        let Standing::Matched(member) = &mut self.standings[user] else {
            return None;
        };
        member.done = true;
        let (match_id, answered) = (member.match_id, member.reply != Reply::Awaited);
        if let Some(pair) = self.matches.get_mut(&match_id) {
            pair.done += 1;
            if pair.done == 2 {
                self.matches.remove(&match_id);
                self.figures.done += 1;
                self.figures.last_done = Some(at);
            }
        }
        answered.then(|| self.release(user)).flatten()
    }

    /// A match has one session, and a session one match.
    fn note_session(&mut self, match_id: Uuid, session_id: Uuid) {
        let Some(pair) = self.matches.get_mut(&match_id) else {
            return;
        };
        match pair.session_id {
            Some(known) if known == session_id => {}
            Some(known) => self.violate(two_sessions(match_id, known, session_id)),
            None => {
                pair.session_id = Some(session_id);
                let first = &pair.first;
                let members = [self.ids[first.user].clone(), first.partner_id.clone()];
                if self.sessions.insert(session_id, members).is_some() {
                    self.violate(format!(
                        "session {session_id} of match {match_id} was another match's before"
                    ));
                }
            }
        }
    }

    fn note_ready(&mut self, user: User, match_id: Uuid, partner_id: &str, at: Instant) {
        let Some(pair) = self.matches.get_mut(&match_id) else {
            return;
        };
        let both = [Some(&pair.first), pair.second.as_ref()];
        let own = both.into_iter().flatten().find(|told| told.user == user);
        let told_before = own.map(|told| told.partner_id.as_str());
        if told_before.is_some_and(|before| before != partner_id) {
            let id = &self.ids[user];
            self.violations.note(format!(
                "{id} was told of another partner when match {match_id} was ready: {partner_id}"
            ));
        }
        pair.ready += 1;
        if let (2, Some(second)) = (pair.ready, &pair.second) {
            let later_confirm = pair.first.at.max(second.at);
            let latency = at.saturating_duration_since(later_confirm);
            self.figures.confirmed.record(latency);
        }
    }

    pub(super) fn expired(
        &mut self,
        user: User,
        match_id: Uuid,
        reason: &str,
        requeued: bool,
        at: Instant,
    ) -> Option<Step> {
        self.count(format!("event match_expired {reason}"));
        let member = self.member(user, match_id)?;
        let (bucket, reply) = (member.bucket, member.reply);
        self.matches.remove(&match_id);
        if !requeued {
            return self.release(user);
        }
        // It waits anew, and what it waited before is not the next match's fault.
        let intended = at;
        let ask = Ask { intended, bucket };
        self.standings[user] = Standing::Waiting(Waiting { ask, reply });
        None
    }

    /// The partner may have left first; only that partner, and only this session.
    pub(super) fn partner_left(&mut self, user: User, session_id: Uuid, user_id: &str) {
        let Standing::Matched(member) = &self.standings[user] else {
            return;
        };
        let Some(pair) = self.matches.get(&member.match_id) else {
            return;
        };
        let both = [Some(&pair.first), pair.second.as_ref()];
        let own = both.into_iter().flatten().find(|told| told.user == user);
        let partner = own.map(|told| told.partner_id.as_str());
        if pair.session_id == Some(session_id) && partner != Some(user_id) {
            let id = &self.ids[user];
            self.violate(format!(
                "{id} was told that {user_id} left session {session_id}, who is not the partner"
            ));
        }
    }

    /// The answer to a leave.
    pub fn leave_answered(
        &mut self,
        user: User,
        session_id: Uuid,
        outcome: Outcome<()>,
        at: Instant,
    ) -> Option<Step> {
        let again = match outcome {
            Outcome::Done(()) => false,
            Outcome::Refused(status) => {
                self.count(format!("leave {status}"));
                let passes = matches!(status, 429 | 503);
                if !passes {
                    let id = &self.ids[user];
                    self.violate(format!(
                        "{id} is in session {session_id}, but the leave was answered {status}"
                    ));
                }
                passes
            }
            Outcome::Unknown(why) => {
                self.count(format!("leave: {why}"));
                true
            }
        };
        if !matches!(self.standings[user], Standing::Matched(_)) {
            return None;
        }
        if again {
            return Some(Step::Leave {
                user,
                session_id,
                again,
            });
        }
        self.end(user, at)
    }

    fn member(&mut self, user: User, match_id: Uuid) -> Option<&mut Member> {
        match &mut self.standings[user] {
            Standing::Matched(member) if member.match_id == match_id => Some(member),
            Standing::Free | Standing::Waiting(_) | Standing::Matched(_) | Standing::Abandoned => {
                None
            }
        }
    }
}

fn two_sessions(match_id: Uuid, one: Uuid, other: Uuid) -> String {
    format!("match {match_id} has two sessions: {one}, {other}")
}

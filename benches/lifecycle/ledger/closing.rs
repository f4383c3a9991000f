//! The end of a load: everything must have come to its own.

use uuid::Uuid;

use super::{Ledger, Reply, Standing, User};

impl Ledger {
    /// Whether nothing more is to be expected: everybody is free, or alone in a bucket.
    pub fn is_quiet(&self) -> bool {
        let mut waiting = vec![0; self.wishes.len()];
        let still = self.standings.iter().all(|standing| match standing {
            Standing::Free | Standing::Abandoned => true,
            Standing::Matched(_) => false,
            Standing::Waiting(person) => {
                waiting[person.ask.bucket] += u32::from(person.reply != Reply::Unknown);
                person.reply != Reply::Awaited && waiting[person.ask.bucket] < 2
            }
        });
        still && self.backlog.is_empty()
    }

    /// Asks that nobody was free to send are not sent any more.
    pub fn drop_unsent(&mut self) {
        if !self.backlog.is_empty() {
            let unsent = self.backlog.len() as u64;
            let what = "asks never sent because nobody was free";
            *self.figures.errors.entry(what.to_owned()).or_default() += unsent;
            self.backlog.clear();
        }
    }

    /// Nothing more is waited for. Whoever is left in the middle of something is lost; whoever
    /// waits alone is not, and gets back the ticket to withdraw.
    pub fn close(&mut self) -> Vec<(User, Uuid)> {
        let mut waiting: Vec<Vec<(User, Uuid)>> = vec![Vec::new(); self.wishes.len()];
        for user in 0..self.standings.len() {
            if let Some(lost) = self.loss(user) {
                self.violate(lost);
                self.standings[user] = Standing::Abandoned;
            }
            if let Standing::Waiting(person) = &self.standings[user] {
                match person.reply {
                    Reply::Accepted(ticket) => waiting[person.ask.bucket].push((user, ticket)),
                    Reply::Awaited | Reply::Unknown => self.standings[user] = Standing::Abandoned,
                }
            }
        }
        for (bucket, people) in waiting.iter().enumerate() {
            if let [first, second, ..] = &people[..] {
                let (count, wish) = (people.len(), &self.wishes[bucket]);
                let (a, b) = (&self.ids[first.0], &self.ids[second.0]);
                self.violate(format!(
                    "lost: {count} people still wait for {wish:?}, {a} and {b} among them"
                ));
            }
        }
        self.drop_unsent();
        self.matches.clear();
        waiting.concat()
    }

    /// The answer to a withdrawal: whether the person may be used again.
    pub fn withdrawn(&mut self, user: User, done: bool) {
        match done {
            true => {
                self.release(user);
            }
            false => {
                self.count("tickets that could not be withdrawn");
                self.standings[user] = Standing::Abandoned;
            }
        }
    }

    /// What this person was lost in; nothing where all is well.
    fn loss(&self, user: User) -> Option<String> {
        let id = &self.ids[user];
        let member = match &self.standings[user] {
            Standing::Free | Standing::Abandoned => return None,
            Standing::Waiting(waiting) => {
                let awaited = waiting.reply == Reply::Awaited;
                return awaited.then(|| format!("lost: the ask of {id} was never answered"));
            }
            Standing::Matched(member) => member,
        };
        let match_id = member.match_id;
        let pair = self.matches.get(&match_id);
        let alone = pair.filter(|pair| pair.second.is_none());
        Some(match (alone, member.session_id) {
            (Some(pair), _) => {
                let partner = &pair.first.partner_id;
                format!("lost: {id} was told of match {match_id}, {partner} was not")
            }
            (None, None) => format!("lost: {id} was never told that match {match_id} is ready"),
            (None, Some(_)) => format!("lost: {id} got no last answer in {match_id}"),
        })
    }
}

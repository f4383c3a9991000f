//! The way from the second confirmation to the session: questions and shared sessions, which may be
//! away.

use matchmaker::domain::{MatchId, SessionRecord};

use super::setup::question;
use super::turn::Turn;

/// How a call to the shared sessions goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reached {
    /// It is done, and that is heard.
    Heard,
    /// It is done, but the answer is lost.
    Unheard,
    /// They are away.
    Away,
}

impl Turn<'_> {
    /// A question is looked for; in worlds in which nothing is away it is found at once.
    pub fn find_question(&mut self, id: MatchId) {
        if self.setup.away == 0 {
            self.found(id, true);
        } else {
            self.memory.questions.insert(id);
        }
    }

    /// A question was found, or could not be.
    pub fn found(&mut self, id: MatchId, found: bool) {
        self.memory.questions.remove(&id);
        let (now, found) = (self.now, found.then(|| question(self.server)));
        self.in_match(id, |known| known.on_question(found, now));
    }

    /// A session is written for others to read, if none is there; likewise at once or not.
    pub fn share(&mut self, id: MatchId, record: SessionRecord) {
        self.memory.sharing.insert(id, record);
        if self.setup.away == 0 {
            self.shared(id, Reached::Heard);
        }
    }

    /// That was done, or could not be, or nobody knows.
    pub fn shared(&mut self, id: MatchId, reached: Reached) {
        let record = self.memory.sharing.remove(&id);
        let mut record = record.expect("it is being shared");
        let shared = (reached != Reached::Away).then(|| {
            let held = self.state.shared.entry(record.id);
            record.question.id = *held.or_insert(record.question.id);
            record.question
        });
        let (now, heard) = (self.now, shared.filter(|_| reached == Reached::Heard));
        self.in_match(id, |known| known.on_shared(heard, now));
    }
}

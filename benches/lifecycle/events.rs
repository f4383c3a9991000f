//! What the collaboration service is told through RabbitMQ, and whether it fits together.
//!
//! Pure: messages come in, violations come out.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Deserialize;
use uuid::Uuid;

use crate::ledger::Violations;

/// The members of each session that somebody was told of.
pub type Sessions = HashMap<Uuid, [String; 2]>;

/// All events that came.
#[derive(Debug, Default)]
pub struct EventBook {
    announced: HashMap<Uuid, Announced>,
    /// What fitted to its session: lately, and before that. Kept for deliveries that are repeated.
    settled: HashMap<Uuid, Announced>,
    settled_before: HashMap<Uuid, Announced>,
    messages: u64,
    sessions: u64,
    violations: Violations,
}

/// What was told of one session.
#[derive(Debug)]
struct Announced {
    members: BTreeSet<String>,
    /// The ids of its messages. The same one twice is a delivery that was repeated, which is allowed.
    ids: HashSet<String>,
}

/// What is needed of an event's body.
#[derive(Deserialize)]
struct Body {
    event_type: String,
    version: u32,
    session_id: Uuid,
    users: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    user_id: String,
}

impl EventBook {
    /// Takes in one message.
    pub fn take(&mut self, message_id: Option<&str>, body: &[u8]) {
        self.messages += 1;
        let text = String::from_utf8_lossy(body);
        let event = match serde_json::from_slice::<Body>(body) {
            Ok(event) if event.event_type == "match.found" && event.version == 1 => event,
            Ok(_) => return self.violate(format!("an event of another type: {text}")),
            Err(error) => {
                return self.violate(format!(
                    "an event does not keep the contract ({error}): {text}"
                ));
            }
        };
        let Some(message_id) = message_id else {
            return self.violate(format!("an event has no message id: {text}"));
        };
        let session_id = event.session_id;
        let members: BTreeSet<_> = event.users.into_iter().map(|user| user.user_id).collect();
        let settled = self.settled.get_mut(&session_id);
        let settled = settled.or_else(|| self.settled_before.get_mut(&session_id));
        let is_settled = settled.is_some();
        let announced = settled.unwrap_or_else(|| {
            self.announced.entry(session_id).or_insert_with(|| {
                self.sessions += 1;
                Announced {
                    members: members.clone(),
                    ids: HashSet::new(),
                }
            })
        });
        let is_another = announced.ids.insert(message_id.to_owned());
        if announced.members != members {
            self.violate(format!(
                "session {session_id} was announced with other members: {text}"
            ));
        } else if is_settled && is_another {
            self.violate(format!("session {session_id} has another event: {text}"));
        }
    }

    /// Compares sessions that are over and forgets those that were announced; answers with the
    /// others. A delivery that is repeated is known as one until this was called twice more.
    pub fn settle(&mut self, over: Sessions) -> Sessions {
        self.settled_before = std::mem::take(&mut self.settled);
        let mut waiting = Sessions::new();
        for (session_id, members) in over {
            match self.announced.remove(&session_id) {
                None => {
                    waiting.insert(session_id, members);
                }
                Some(announced) => {
                    if let Some(fault) = announced.fault(session_id, &members) {
                        self.violate(fault);
                    }
                    self.settled.insert(session_id, announced);
                }
            }
        }
        waiting
    }

    /// How many messages came.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// How many sessions were announced.
    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    /// How many messages came although their session had been announced already.
    pub fn repeated(&self) -> u64 {
        self.messages.saturating_sub(self.sessions)
    }

    /// Whether each of these sessions was announced.
    pub fn has_all(&self, sessions: &Sessions) -> bool {
        self.announced.len() >= sessions.len()
            && sessions
                .keys()
                .all(|session| self.announced.contains_key(session))
    }

    /// What does not fit to the sessions that people were told of.
    pub fn compare(&self, sessions: &Sessions) -> Violations {
        let mut violations = self.violations.clone();
        for (session_id, members) in sessions {
            let fault = match self.announced.get(session_id) {
                None => Some(format!("session {session_id} was never announced")),
                Some(announced) => announced.fault(*session_id, members),
            };
            fault.into_iter().for_each(|fault| violations.note(fault));
        }
        let untold = self
            .announced
            .keys()
            .filter(|id| !sessions.contains_key(id));
        untold.for_each(|session_id| {
            violations.note(format!(
                "session {session_id} was announced, but nobody was told of it"
            ));
        });
        violations
    }

    fn violate(&mut self, what: String) {
        self.violations.note(what);
    }
}

impl Announced {
    /// What does not fit to the session as its members were told of it.
    fn fault(&self, session_id: Uuid, members: &[String; 2]) -> Option<String> {
        let (announced, count) = (&self.members, self.ids.len());
        if !announced.iter().eq(members.iter().collect::<BTreeSet<_>>()) {
            return Some(format!(
                "session {session_id} of {members:?} was announced with {announced:?}"
            ));
        }
        (count > 1).then(|| format!("session {session_id} has {count} different events"))
    }
}

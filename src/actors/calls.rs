//! Callers that wait for an answer.

use std::collections::HashMap;

use domain::CallId;

/// What is needed to answer each waiting caller, by the id under which the domain knows it.
#[derive(Debug)]
pub struct Calls<C> {
    waiting: HashMap<CallId, C>,
    next: u64,
}

impl<C> Default for Calls<C> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            next: 0,
        }
    }
}

impl<C> Calls<C> {
    /// Keeps a caller until it is answered.
    pub fn add(&mut self, caller: C) -> CallId {
        self.next += 1;
        let call = CallId(self.next);
        self.waiting.insert(call, caller);
        call
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The caller, who is to be answered now.
    pub fn take(&mut self, call: CallId) -> Option<C> {
        self.waiting.remove(&call)
    }
}

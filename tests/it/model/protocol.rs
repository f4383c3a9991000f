//! What may happen next, in whatever order.

use matchmaker::domain::{EventId, Guarantee, MatchId, UserId, WriteOutcome};
use stateright::{Model, Property};

use super::opening::Reached;
use super::properties;
use super::sealed::Sealed;
use super::setup::{Setup, at_step, user};
use super::state::{Memory, Owner, Server, State, Want};
use super::turn::Turn;

/// One thing that happens; the first number names the server.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A user asks for a partner, or does something about what that led to.
    Want(usize, usize, Wanted),
    /// The store applies a write or refuses it; the answer is on its way.
    Commit(usize, Owner),
    /// The answer arrives.
    Deliver(usize, Owner),
    /// The store applies a write, but the answer is lost: it is run again until that is known. That
    /// a commit did not happen leaves everything as it was, and needs no step of its own.
    Lose(usize, Owner),
    /// The store is away; nothing was stored.
    Away(usize, Owner),
    /// A question is found, or cannot be had now.
    Question(usize, MatchId, bool),
    /// A session is shared, or cannot be now, or nobody hears of it.
    Share(usize, MatchId, Reached),
    /// A server dies with all that it has in memory and under way.
    Crash(usize),
    Start(usize),
    /// One who starts gives a window more time.
    Extend(usize, MatchId),
    /// What waited or was proposed before becomes due.
    Time,
    /// Timers that are due go off; they may be late.
    Timers(usize),
    /// An announcement reaches the broker, and the confirmation reaches the server. If the
    /// confirmation is lost, the same is done again.
    Publish(usize, EventId),
    /// An announcement reaches the broker, but the confirmation is lost.
    PublishUnheard(usize, EventId),
    Mark(usize, EventId),
    /// An announcement that was sent long ago is removed.
    Remove(EventId),
}

/// `Want` as an action: comparable and readable.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wanted {
    Ask(usize),
    Withdraw,
    Confirm(MatchId),
    Decline(MatchId),
    Leave(MatchId),
}

impl Model for Setup {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::first(self)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.db.broken.is_some() {
            return;
        }
        for (server, its) in state.servers.iter().enumerate() {
            match &**its {
                Server::Down => actions.push(Action::Start(server)),
                Server::Starting { extending, .. } => {
                    actions.extend(extending.keys().map(|id| Action::Extend(server, *id)));
                }
                Server::Up(memory) => {
                    self.wants(state, server, memory, actions);
                    self.outside(state, server, memory, actions);
                }
            }
            if state.crashes > 0 && !matches!(**its, Server::Down) {
                actions.push(Action::Crash(server));
            }
        }
        if state.removals > 0 {
            actions.extend(state.db.outbox.keys().map(|event| Action::Remove(*event)));
        }
        let waits = state.db.live().next().is_some()
            || state.servers.iter().any(|server| {
                let memory = server.memory();
                memory.is_some_and(|memory| !memory.errands.is_empty())
            });
        let is_kept = self.removals > 0 && state.db.outbox.values().any(|row| !row.removed);
        if state.step < self.steps && (waits || is_kept) {
            actions.push(Action::Time);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Want(server, number, wanted) => {
                let want = find_want(&state, server, number, wanted)?;
                let person = &mut state.people[number];
                match wanted {
                    Wanted::Ask(_) => person.asks -= 1,
                    _ => person.acts -= 1,
                }
                self.turn(&mut state, server, |turn| turn.call(number, want));
            }
            Action::Commit(server, owner) => {
                let outcome = self.apply(&mut state, server, &owner);
                in_memory(&mut state, server, |memory| {
                    let errand = memory.errands.get_mut(&owner);
                    errand.expect("it is under way").answer = Some(outcome);
                });
            }
            Action::Lose(server, owner) => {
                self.apply(&mut state, server, &owner);
                state.lost -= 1;
            }
            Action::Deliver(server, owner) => {
                let outcome = state.memory(server)?.errands[&owner].answer.clone()?;
                self.written(&mut state, server, owner, outcome);
            }
            Action::Away(server, owner) => {
                state.away -= 1;
                self.written(&mut state, server, owner, WriteOutcome::Unavailable);
            }
            Action::Question(server, id, found) => {
                state.away -= u8::from(!found);
                self.turn(&mut state, server, |turn| turn.found(id, found));
            }
            Action::Share(server, id, reached) => {
                state.away -= u8::from(reached != Reached::Heard);
                self.turn(&mut state, server, |turn| turn.shared(id, reached));
            }
            Action::Crash(server) => {
                state.crashes -= 1;
                state.servers[server] = Sealed::new(Server::Down);
            }
            Action::Start(server) => state.start(self, server),
            Action::Extend(server, id) => state.extend(self, server, id),
            Action::Time => state.step += 1,
            Action::Timers(server) => self.turn(&mut state, server, |turn| turn.on_time()),
            Action::Publish(server, event) => {
                publish(&mut state, event);
                in_memory(&mut state, server, |memory| memory.to_mark.insert(event));
            }
            Action::PublishUnheard(_, event) => publish(&mut state, event),
            Action::Mark(server, event) => {
                in_memory(&mut state, server, |memory| memory.to_mark.remove(&event));
                // When it was matters only where it is removed some day.
                let at = at_step(if self.removals > 0 { state.step } else { 0 });
                state
                    .db
                    .change(|db| db.mark_sent(self.conditions, event, at));
            }
            Action::Remove(event) => {
                let now = state.now();
                let removed = state
                    .db
                    .change(|db| db.remove_sent(self.conditions, event, now));
                if !removed {
                    return None;
                }
                state.removals -= 1;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

impl Setup {
    fn wants(&self, state: &State, server: usize, memory: &Memory, actions: &mut Vec<Action>) {
        for (number, person) in state.people.iter().enumerate() {
            let mut add = |wanted, budget: u8| {
                let want = find_want(state, server, number, wanted);
                let allowed = want.is_some_and(|want| {
                    let deed = want.deed();
                    let free = !memory.calls.contains_key(&want.call(number));
                    free && deed.is_none_or(|deed| self.deeds.contains(&deed))
                });
                if budget > 0 && allowed {
                    actions.push(Action::Want(server, number, wanted));
                }
            };
            (0..self.buckets).for_each(|bucket| add(Wanted::Ask(bucket), person.asks));
            add(Wanted::Withdraw, person.acts);
            for id in memory.matches.keys() {
                add(Wanted::Confirm(*id), person.acts);
                add(Wanted::Decline(*id), person.acts);
            }
            for session in memory.sessions.values() {
                let id = session.record().match_id;
                add(Wanted::Confirm(id), person.acts);
                add(Wanted::Leave(id), person.acts);
            }
        }
    }

    fn outside(&self, state: &State, server: usize, memory: &Memory, actions: &mut Vec<Action>) {
        for (owner, errand) in &memory.errands {
            if errand.answer.is_some() {
                actions.push(Action::Deliver(server, owner.clone()));
                continue;
            }
            actions.push(Action::Commit(server, owner.clone()));
            if state.lost > 0 {
                actions.push(Action::Lose(server, owner.clone()));
            }
            if state.away > 0 {
                actions.push(Action::Away(server, owner.clone()));
            }
        }
        for id in &memory.questions {
            actions.push(Action::Question(server, *id, true));
            if state.away > 0 {
                actions.push(Action::Question(server, *id, false));
            }
        }
        for id in memory.sharing.keys() {
            actions.push(Action::Share(server, *id, Reached::Heard));
            if state.away > 0 {
                actions.push(Action::Share(server, *id, Reached::Unheard));
                actions.push(Action::Share(server, *id, Reached::Away));
            }
        }
        if memory.is_due(state.now()) {
            actions.push(Action::Timers(server));
        }
        for (event, row) in &state.db.outbox {
            if memory.to_mark.contains(event) {
                actions.push(Action::Mark(server, *event));
            } else if row.is_unsent() {
                actions.push(Action::Publish(server, *event));
                if !state.published.contains(event) {
                    actions.push(Action::PublishUnheard(server, *event));
                }
            }
        }
    }

    fn turn(&self, state: &mut State, server: usize, act: impl FnOnce(&mut Turn<'_>)) {
        if let Some(mut turn) = Turn::begin(self, state, server) {
            act(&mut turn);
            turn.end();
        }
    }

    fn apply(&self, state: &mut State, server: usize, owner: &Owner) -> WriteOutcome {
        let memory = state.memory(server).expect("the server is up");
        let write = memory.errands[owner].write.clone();
        state.db.change(|db| db.apply_on(self.conditions, &write))
    }

    fn written(&self, state: &mut State, server: usize, owner: Owner, outcome: WriteOutcome) {
        self.turn(state, server, |turn| {
            turn.memory.errands.remove(&owner);
            turn.written(owner, outcome);
        });
    }
}

/// What a user can want of a server that holds it; what none holds is answered from the rows.
fn find_want(state: &State, server: usize, number: usize, wanted: Wanted) -> Option<Want> {
    let memory = state.memory(server)?;
    let caller = user(number);
    let is_member = |users: [&UserId; 2]| users.contains(&&caller);
    match wanted {
        Wanted::Ask(bucket) => {
            let first = Want::Ask {
                bucket,
                again: false,
            };
            let again = memory.calls.contains_key(&first.call(number));
            Some(Want::Ask { bucket, again })
        }
        Wanted::Withdraw => {
            let claim = memory.roster.claim(&caller)?;
            Some(Want::Withdraw(claim.place.ticket))
        }
        Wanted::Confirm(id) | Wanted::Decline(id) | Wanted::Leave(id) => {
            let sessions = memory.sessions.values().map(|session| session.record());
            let record = sessions.into_iter().find(|record| record.match_id == id);
            let held = memory.matches.get(&id).map(|of| of.users());
            let users = held.or_else(|| Some(record?.users.each_ref()))?;
            let want = match wanted {
                Wanted::Confirm(_) => Want::Confirm(id),
                Wanted::Decline(_) => Want::Decline(id),
                _ => Want::Leave(record?.id),
            };
            is_member(users).then_some(want)
        }
    }
}

fn in_memory<R>(state: &mut State, server: usize, act: impl FnOnce(&mut Memory) -> R) -> R {
    state.servers[server].change(|server| match server {
        Server::Up(memory) => act(memory),
        Server::Down | Server::Starting { .. } => unreachable!("the server is up"),
    })
}

fn publish(state: &mut State, event: EventId) {
    let session = state.db.outbox.get(&event).map(|row| row.session);
    let row = session.and_then(|session| state.db.sessions.get(&session));
    let readable = row.is_some_and(|row| {
        row.event == event && state.shared.get(&row.record.id) == Some(&row.record.question.id)
    });
    let seen = "something was announced that is no session";
    state.broken(!readable, Guarantee::OneSession, seen);
    state.published.insert(event);
}

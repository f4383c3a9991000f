//! Looks from outside at what the actors hold in memory.

use std::collections::BTreeSet;
use std::time::Duration;

use matchmaker::actors::board::{Board, MatchView};
use matchmaker::actors::messages::{AnswerProposal, CountTickets, LeaveSession};
use matchmaker::domain::limits::OPENING_GIVE_UP_MS;
use matchmaker::domain::{Difficulty, MatchId, SessionId, TicketId, Topic, Wish};
use matchmaker::observability::Cause;
use matchmaker::ports::{BearerToken, Clock};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::calls::{Caller, Server};
use super::failures::Breaches;
use super::hour::{look_until, settle};
use super::plan::PEOPLE;
use super::world::State;
use crate::simulation::referee::{MatchState, Status};

/// Longest time in which everything ends by itself once nobody does anything any more: each of two
/// silences in a row, the waits between them, and the longest session.
const SETTLED_WITHIN_MS: u64 = 2_400_000;

/// The board shows what is stored, and nothing else.
pub fn board(server: &Server, state: &State) {
    let (board, db) = (&server.board, &state.rows.db);
    let (busy, now) = (state.rows.busy(), state.server_now());
    let mut shown = 0;
    for row in db.live().filter(|row| !busy.contains(&row.ticket.id)) {
        let id = row.ticket.id;
        let expected = match row.status {
            Status::Matched(id) => Some(id),
            _ => None,
        };
        let view = board.ticket(id);
        let seen = view.map(|view| (view.user, view.match_id));
        assert_eq!(
            seen,
            Some((row.ticket.user.clone(), expected)),
            "the board, {row:?}"
        );
        if let Some(id) = expected {
            board_match(board, state, id);
        }
        shown += 1;
    }
    let mut sure = state.rows.nothing_under_way();
    for row in db.sessions.values() {
        let is_over = row.record.ends_at <= now;
        // Whoever left is told so first, which may take longer than the session had left.
        if row.record.left == [true, true] || is_over && row.record.left != [false, false] {
            sure &= board.session(row.record.id).is_none();
            continue;
        }
        if is_over {
            continue;
        }
        let changes =
            row.record.left != [false, false] || row.tickets.iter().any(|id| busy.contains(id));
        if changes {
            sure = false;
            continue;
        }
        let seen = board.session(row.record.id);
        assert_eq!(seen.as_deref(), Some(&row.record), "the board's session");
        let view = board.find_match(row.record.match_id);
        assert_eq!(view, Some(MatchView::InSession(row.record.id)));
        shown += 2;
    }
    if sure {
        assert_eq!(
            board.tickets_len(),
            shown,
            "the board shows a ticket that is not there"
        );
    }
}

fn board_match(board: &Board, state: &State, id: MatchId) {
    let row = &state.rows.db.matches[&id];
    let both = row.confirmed == [true, true];
    match board.find_match(id) {
        Some(MatchView::Proposed { expires_at }) => {
            // Where the second confirmation took so long that there is no time left to open it.
            let too_late =
                row.proposal.expires_at.plus_ms(OPENING_GIVE_UP_MS) <= state.server_now();
            assert!(!both || too_late, "the board's match is not opening");
            assert_eq!(expires_at, row.proposal.expires_at, "the board's match");
        }
        Some(MatchView::Opening) => assert!(both, "the board's match is opening"),
        other => panic!("the board has {other:?} for {row:?}"),
    }
}

/// Nobody does anything any more, and every backend is well: everything comes to its end, and
/// nothing is left of it.
pub async fn at_the_end(server: &Server, breaches: &Breaches) {
    let latest = server.world.now().plus_ms(SETTLED_WITHIN_MS);
    while !is_over(server) && server.world.now() < latest {
        let soon = server.world.now().plus_ms(20_000);
        look_until(server, breaches, soon).await;
    }
    nothing_is_left(server).await;
    fill(server, breaches).await;
    let a_while = server.world.now().plus_ms(600_000);
    look_until(server, breaches, a_while).await;
    nothing_is_left(server).await;
}

fn is_over(server: &Server) -> bool {
    server.board.is_empty() && server.world.state().rows.all_announced()
}

async fn nothing_is_left(server: &Server) {
    settle().await;
    {
        let state = server.world.state();
        state.rows.check_all();
        let db = &state.rows.db;
        let live: Vec<_> = db.live().collect();
        assert!(live.is_empty(), "tickets are stuck: {live:?}");
        let open = db
            .matches
            .values()
            .find(|row| row.state == MatchState::Open);
        assert!(open.is_none(), "a match is stuck: {open:?}");
        assert!(state.rows.nothing_under_way(), "a write is stuck");
        assert!(state.mirror.is_empty(), "the mirror: {:?}", state.mirror);
        assert!(state.rows.all_announced(), "G5: a session is not announced");
        assert!(server.board.is_empty(), "{:?}", server.board);
    }
    let claims = server.roster.send(CountTickets).await;
    assert_eq!(claims.ok(), Some(0), "the roster holds claims");
    let (matches, sessions) = {
        let state = server.world.state();
        let matches: Vec<MatchId> = state.rows.db.matches.keys().copied().collect();
        let sessions: Vec<SessionId> = state.rows.db.sessions.keys().copied().collect();
        (matches, sessions)
    };
    for match_id in matches {
        let (reply, answer) = oneshot::channel();
        let command = AnswerProposal {
            user: server.world.state().people[0].id.clone(),
            match_id,
            confirmed: true,
            token: BearerToken::new("lent"),
            cause: Cause::NONE,
            deadline: server.clock.now().plus_ms(1),
            reply,
        };
        assert!(server.roster.send(command).await.is_ok());
        assert_eq!(
            answer.await,
            Ok(None),
            "the roster knows a match that is over"
        );
    }
    for session in sessions {
        let (reply, answer) = oneshot::channel();
        let command = LeaveSession {
            user: server.world.state().people[0].id.clone(),
            session,
            cause: Cause::NONE,
            deadline: server.clock.now().plus_ms(1),
            reply,
        };
        assert!(server.roster.send(command).await.is_ok());
        assert_eq!(
            answer.await,
            Ok(None),
            "the roster knows a session that is over"
        );
    }
}

/// As many matches at once as there may be: every permit is free. Then all of them are declined.
async fn fill(server: &Server, breaches: &Breaches) {
    let settings = server.world.plan.settings;
    let pairs = settings
        .matches_max
        .min(settings.tickets_max / 2)
        .min(PEOPLE / 2);
    let topic = Topic::parse("the last").expect("a valid topic");
    let wish = Wish {
        difficulty: Difficulty::Hard,
        topic,
    };
    let before = server.world.state().rows.db.matches.len();
    for person in 0..2 * pairs {
        let caller = caller(server, person);
        let (server, wish) = (server.clone(), wish.clone());
        actix_rt::spawn(async move { server.ask(caller, wish).await });
        // The store's queue may be short.
        sleep(Duration::from_millis(200)).await;
    }
    let soon = server.world.now().plus_ms(2_000);
    look_until(server, breaches, soon).await;
    let open: Vec<(MatchId, [TicketId; 2])> = {
        let state = server.world.state();
        let open = state.rows.db.matches.values();
        let open = open.filter(|row| row.state == MatchState::Open);
        open.map(|row| (row.proposal.id, row.proposal.tickets))
            .collect()
    };
    let made = server.world.state().rows.db.matches.len() - before;
    assert_eq!((open.len(), made), (pairs, pairs), "a permit is lost");
    let declined: BTreeSet<MatchId> = open.iter().map(|(id, _)| *id).collect();
    for person in 0..2 * pairs {
        let caller = caller(server, person);
        let side = declined
            .iter()
            .find(|id| server.side(**id, &caller.user).is_some());
        server
            .answer(caller, *side.expect("everybody is matched"), false)
            .await;
    }
}

fn caller(server: &Server, person: usize) -> Caller {
    Caller {
        person,
        user: server.world.state().people[person].id.clone(),
        patience_ms: None,
    }
}

//! Hears every answer and every notice, and compares each with what is stored at that moment.

use std::collections::{BTreeMap, BTreeSet};

use matchmaker::domain::{
    AskAnswer, Ending, ExpiryReason, LeaveAnswer, MatchId, Notice, ProposalAnswer, Question,
    SessionId, SessionRecord, Side, TicketId, TicketOutcome, UserId, WithdrawAnswer,
};

use super::referee::{Database, MatchState, Status};
use super::world::{Call, Want};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Ask(AskAnswer),
    Withdraw(WithdrawAnswer),
    Proposal(ProposalAnswer),
    Leave(LeaveAnswer),
}

/// What was told so far.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    found: BTreeMap<(MatchId, UserId), UserId>,
    ended: BTreeSet<(MatchId, UserId)>,
    expired: BTreeSet<TicketId>,
    left: BTreeSet<(SessionId, UserId)>,
}

impl Witness {
    pub fn told(
        &mut self,
        user: UserId,
        notice: Notice,
        db: &Database,
        shared: &BTreeMap<SessionId, Question>,
    ) {
        let once = match notice.clone() {
            Notice::MatchFound {
                match_id,
                partner,
                wish,
                expires_at,
            } => {
                let row = db
                    .open_match(match_id)
                    .expect("G4: told of a match that is not open");
                let side = db
                    .side(match_id, &user)
                    .expect("G3: told of another's match");
                let ticket = &db.tickets[&row.proposal.tickets[side.index()]].ticket;
                assert_eq!(partner, row.proposal.users[side.other().index()], "G3");
                assert_eq!(
                    (wish, expires_at),
                    (ticket.wish.clone(), row.proposal.expires_at)
                );
                self.found
                    .insert((match_id, user.clone()), partner)
                    .is_none()
            }
            Notice::MatchReady { match_id, .. } | Notice::MatchExpired { match_id, .. } => {
                check_end(&user, &notice, db, shared);
                self.ended.insert((match_id, user.clone()))
            }
            Notice::TicketExpired { ticket } => {
                let status = db.status(ticket);
                assert_eq!(status, Some(Status::Closed(TicketOutcome::Expired)), "G4");
                assert_eq!(db.tickets[&ticket].ticket.user, user);
                self.expired.insert(ticket)
            }
            Notice::PartnerLeft {
                session,
                user: leaver,
            } => {
                let record = &db.sessions[&session].record;
                assert!(has_left(record, &leaver) && !has_left(record, &user), "G4");
                self.left.insert((session, leaver))
            }
        };
        assert!(once, "told twice: {user} {notice:?}");
    }

    /// A match ended without a session: everybody who is to be told of that was told.
    pub fn check_over(&self, id: MatchId, db: &Database, tampered: &BTreeSet<TicketId>) {
        let row = &db.matches[&id];
        if row
            .proposal
            .tickets
            .iter()
            .any(|ticket| tampered.contains(ticket))
        {
            return;
        }
        for side in Side::BOTH {
            let told = self
                .ended
                .contains(&(id, row.proposal.users[side.index()].clone()));
            let declined = row.state == MatchState::Ended(Ending::Declined(side));
            assert_eq!(told, !declined, "G4: who was told of {row:?}");
        }
    }

    pub fn answered(
        &self,
        call: &Call,
        answer: &Answer,
        db: &Database,
        tampered: &BTreeSet<TicketId>,
    ) {
        if tampered
            .iter()
            .any(|ticket| db.tickets[ticket].ticket.user == call.user)
        {
            return;
        }
        match (&call.want, answer) {
            (Want::Ask { .. }, Answer::Ask(answer)) => check_ask(call, answer, db),
            (Want::Withdraw(ticket), Answer::Withdraw(answer)) => {
                let status = db.status(*ticket);
                match answer {
                    WithdrawAnswer::Withdrawn => {
                        let expected = Some(Status::Closed(TicketOutcome::Withdrawn));
                        assert_eq!(status, expected, "G4: answered as withdrawn");
                    }
                    WithdrawAnswer::NotPending => {
                        assert_ne!(status, Some(Status::Waiting), "G4: answered as not pending");
                    }
                    WithdrawAnswer::Busy | WithdrawAnswer::Unavailable => {}
                }
            }
            (Want::Confirm(id) | Want::Decline(id), Answer::Proposal(answer)) => {
                check_proposal(call, *id, answer, db);
            }
            (Want::Leave(id), Answer::Leave(answer)) => {
                let record = &db.sessions[id].record;
                match answer {
                    LeaveAnswer::Left => assert!(has_left(record, &call.user), "G4: not left"),
                    LeaveAnswer::NotMember => assert!(!record.users.contains(&call.user)),
                    LeaveAnswer::Busy | LeaveAnswer::Unavailable => {}
                }
            }
            _ => panic!("{call:?} was answered {answer:?}"),
        }
    }
}

/// What a user is told of the end of a match is what is stored of it.
fn check_end(
    user: &UserId,
    notice: &Notice,
    db: &Database,
    shared: &BTreeMap<SessionId, Question>,
) {
    match notice {
        Notice::MatchReady {
            match_id,
            session,
            question_id,
            partner,
        } => {
            let side = db
                .side(*match_id, user)
                .expect("G3: told of another's match");
            let row = &db.matches[match_id];
            assert_eq!(
                row.state,
                MatchState::InSession,
                "G4: ready, but no session"
            );
            assert_eq!(*partner, row.proposal.users[side.other().index()], "G3");
            assert_eq!(db.sessions[session].record.question.id, *question_id);
            assert_eq!(
                shared[session].id, *question_id,
                "G5: told before it can be read"
            );
        }
        Notice::MatchExpired {
            match_id,
            reason,
            requeued,
        } => {
            let side = db
                .side(*match_id, user)
                .expect("G3: told of another's match");
            let row = &db.matches[match_id];
            let expected = match row.state {
                MatchState::Ended(Ending::Declined(by)) => {
                    assert_ne!(by, side, "the decliner is not told");
                    ExpiryReason::PartnerDeclined
                }
                MatchState::Ended(Ending::Expired) => ExpiryReason::ConfirmationTimeout,
                MatchState::Ended(Ending::QuestionUnavailable) => ExpiryReason::QuestionUnavailable,
                other => panic!("G4: told of an end, but stored is {other:?}"),
            };
            let waits = db.is_waiting(row.proposal.tickets[side.index()]);
            assert_eq!((*reason, *requeued), (expected, waits), "G4");
        }
        other => unreachable!("{other:?} does not end a match"),
    }
}

fn check_ask(call: &Call, answer: &AskAnswer, db: &Database) {
    let Want::Ask {
        wish, ticket: made, ..
    } = &call.want
    else {
        unreachable!("the caller looked");
    };
    match answer {
        AskAnswer::Ticket { ticket, matched } => {
            let row = db
                .tickets
                .get(&ticket.id)
                .expect("G2: answered before it was stored");
            assert_eq!(row.ticket, **ticket, "G4: the answer and the row");
            assert_eq!(
                (&ticket.user, ticket.wish.bucket()),
                (&call.user, wish.bucket())
            );
            match row.status {
                Status::Matched(id) => {
                    let side = db.side(id, &call.user).expect("its own match");
                    let open = db.open_match(id).expect("G4: answered as matched");
                    assert!(*matched && !open.confirmed[side.index()], "a duplicate");
                }
                Status::Waiting => {
                    assert!(!matched, "G4: answered as matched");
                    assert!(ticket.id == *made || ticket.put_back, "a duplicate");
                }
                Status::Closed(outcome) => panic!("G4: answered, but {outcome:?}"),
            }
        }
        AskAnswer::Duplicate { ticket, matched } => {
            let row = &db.tickets[ticket];
            assert_eq!(row.ticket.user, call.user);
            match row.status {
                Status::Matched(id) => {
                    let side = db.side(id, &call.user).expect("its own match");
                    let open = db.open_match(id).expect("the match is open");
                    assert!(*matched && open.confirmed[side.index()], "not a duplicate");
                }
                Status::Waiting => assert!(!matched && !row.ticket.put_back, "not a duplicate"),
                Status::Closed(outcome) => panic!("a duplicate of a ticket that is {outcome:?}"),
            }
        }
        AskAnswer::Busy | AskAnswer::Unavailable => {
            assert_eq!(db.status(*made), None, "G4: answered 503, but stored");
        }
    }
}

fn check_proposal(call: &Call, id: MatchId, answer: &ProposalAnswer, db: &Database) {
    let row = &db.matches[&id];
    let side = db.side(id, &call.user);
    let confirmed = side.is_some_and(|side| row.confirmed[side.index()]);
    let open = row.state == MatchState::Open;
    match answer {
        ProposalAnswer::WaitingForPartner => {
            assert!(
                open && confirmed && row.confirmed != [true, true],
                "G4: {row:?}"
            );
        }
        ProposalAnswer::Session(record) => {
            let stored = &db.sessions[&record.id].record;
            assert!(
                row.state == MatchState::InSession && confirmed,
                "G4: {row:?}"
            );
            assert_eq!(
                (&stored.question, &stored.users),
                (&record.question, &record.users)
            );
        }
        ProposalAnswer::Declined => {
            let expected = side.map(|side| MatchState::Ended(Ending::Declined(side)));
            assert_eq!(Some(row.state), expected, "G4: answered as declined");
        }
        ProposalAnswer::AlreadyConfirmed | ProposalAnswer::QuestionUnavailable => {
            assert_eq!(row.confirmed, [true, true], "G4: answered as confirmed");
        }
        ProposalAnswer::NotFound => assert!(!open || side.is_none(), "G4: {call:?} {row:?}"),
        ProposalAnswer::Busy | ProposalAnswer::Unavailable => {}
    }
}

fn has_left(record: &SessionRecord, user: &UserId) -> bool {
    record
        .side_of(user)
        .is_some_and(|side| record.left[side.index()])
}

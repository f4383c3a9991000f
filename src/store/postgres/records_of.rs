//! Writes as the rows that their statements take.

use uuid::Uuid;

use super::super::rows::{self, MatchRow, NewOutboxRow, SessionRow, TicketRow, WAITING};
use super::cells::{Cell, Row};
use domain::{
    Ending, EventId, Fate, Proposal, SessionRecord, Side, Ticket, TicketId, Timestamp, Write,
    confirmed_with,
};

/// The row of a write, and the id that its statement answers where it grants it.
pub(super) fn row(write: &Write) -> serde_json::Result<(Uuid, Row<'_>)> {
    Ok(match write {
        Write::OpenTicket(ticket) => {
            // Of two who claim for the same users, none waits for the other.
            let sort_by = Cell::from(ticket.user.as_str());
            let cells = ticket_cells(ticket)?;
            (ticket.id.0, Row { sort_by, cells })
        }
        Write::CloseTicket {
            ticket,
            outcome,
            at,
        } => by_id(
            ticket.0,
            vec![rows::ended_status(*outcome).into(), at.as_ms().into()],
        ),
        Write::ReplaceTicket { old, new } => {
            let mut cells = ticket_cells(new)?;
            cells.push(old.0.into());
            let sort_by = Cell::from(old.0);
            (new.id.0, Row { sort_by, cells })
        }
        Write::DiscardTicket { ticket, at } => by_id(ticket.0, vec![at.as_ms().into()]),
        Write::CountAsk { ticket, asks } => by_id(ticket.0, vec![i64::from(*asks).into()]),
        Write::ProposeMatch(proposal) => proposed(proposal),
        Write::ConfirmMatch { match_id, side } => {
            let confirmed = Side::BOTH.map(|each| Cell::from(each == *side));
            by_id(match_id.0, confirmed.into())
        }
        Write::EndMatch {
            match_id,
            ending,
            tickets,
            confirmed,
            fates,
            opens,
            at,
        } => {
            let rest = ended(*ending, *tickets, *confirmed, fates, opens.as_deref(), *at)?;
            by_id(match_id.0, rest)
        }
        Write::OpenSession {
            session,
            tickets,
            event,
            confirms,
        } => opened(session, *tickets, *event, *confirms)?,
        Write::LeaveSession { session, side, at } => {
            let left = Side::BOTH.map(|each| Cell::from((each == *side).then_some(at.as_ms())));
            by_id(session.0, left.into())
        }
        Write::ExtendMatch {
            match_id,
            expires_at,
        } => by_id(match_id.0, vec![expires_at.as_ms().into()]),
    })
}

/// A row that begins with its id and is sorted by it.
fn by_id<'a>(id: Uuid, rest: Vec<Cell<'a>>) -> (Uuid, Row<'a>) {
    let mut cells = vec![Cell::from(id)];
    cells.extend(rest);
    let sort_by = Cell::from(id);
    (id, Row { sort_by, cells })
}

/// How many cells [`ticket_cells`] gives.
const TICKET_CELLS: usize = 11;

fn ticket_cells(ticket: &Ticket) -> serde_json::Result<Vec<Cell<'static>>> {
    let row = TicketRow::waiting(ticket)?;
    let cells: [Cell<'static>; TICKET_CELLS] = [
        row.id.0.into(),
        row.user_id.into(),
        row.difficulty.into(),
        row.topic.into(),
        row.topic_key.into(),
        row.enqueued_at_ms.into(),
        row.waits_until_ms.into(),
        row.put_back.into(),
        i64::from(row.silences).into(),
        row.asks.into(),
        row.avoided.into(),
    ];
    Ok(cells.into())
}

fn proposed(proposal: &Proposal) -> (Uuid, Row<'static>) {
    let row = MatchRow::proposed(proposal);
    let cells = vec![
        row.id.0.into(),
        row.session_id.0.into(),
        row.first_ticket.0.into(),
        row.second_ticket.0.into(),
        row.first_user.into(),
        row.second_user.into(),
        row.difficulty.into(),
        row.topic_key.into(),
        row.proposed_at_ms.into(),
        row.expires_at_ms.into(),
    ];
    let sort_by = Cell::from(row.first_ticket.0);
    (row.id.0, Row { sort_by, cells })
}

/// What follows the id in the row of a match's end.
fn ended<'a>(
    ending: Ending,
    tickets: [TicketId; 2],
    confirmed: [bool; 2],
    fates: &'a [Fate; 2],
    opens: Option<&'a Ticket>,
    at: Timestamp,
) -> serde_json::Result<Vec<Cell<'a>>> {
    let mut cells = vec![rows::ended_state(ending).into(), at.as_ms().into()];
    cells.extend(tickets.map(|ticket| Cell::from(ticket.0)));
    cells.extend(confirmed.map(Cell::from));
    for fate in fates {
        match fate {
            Fate::PutBack(ticket) => cells.extend([
                WAITING.into(),
                ticket.waits_until.as_ms().into(),
                ticket.put_back.into(),
                i64::from(ticket.silences).into(),
                i64::from(ticket.asks).into(),
                rows::avoided_text(&ticket.avoided)?.into(),
            ]),
            Fate::Closed(outcome) => {
                cells.push(rows::ended_status(*outcome).into());
                cells.extend([const { Cell::Null }; 5]);
            }
        }
    }
    match opens {
        Some(ticket) => cells.extend(ticket_cells(ticket)?),
        None => cells.extend([const { Cell::Null }; TICKET_CELLS]),
    }
    Ok(cells)
}

fn opened(
    session: &SessionRecord,
    tickets: [TicketId; 2],
    event: EventId,
    confirms: Option<Side>,
) -> serde_json::Result<(Uuid, Row<'static>)> {
    let row = SessionRow::opened(session)?;
    let announcement = NewOutboxRow::announcing(session, event)?;
    let [first, second] = tickets.map(|ticket| Cell::from(ticket.0));
    let [confirms_first, confirms_second] = confirmed_with([false; 2], confirms).map(Cell::from);
    let cells = vec![
        row.id.0.into(),
        first,
        second,
        row.first_user.into(),
        row.second_user.into(),
        row.question_id.into(),
        row.question_title.into(),
        row.question_difficulty.into(),
        row.question_topics.into(),
        row.opened_at_ms.into(),
        row.ends_at_ms.into(),
        announcement.event_id.0.into(),
        announcement.routing_key.into(),
        announcement.body.into(),
        confirms_first,
        confirms_second,
    ];
    Ok(by_id(row.match_id.0, cells))
}

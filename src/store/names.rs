//! What writes are called in traces.

use domain::{Ending, TicketOutcome, Write, WriteOutcome};

/// The name of the span that shows the way of a write.
pub(super) fn span_of(write: &Write) -> &'static str {
    match write {
        Write::OpenTicket(_) => "store ticket",
        Write::CloseTicket {
            outcome: TicketOutcome::Expired,
            ..
        } => "store expired ticket",
        Write::CloseTicket { .. } => "store closed ticket",
        Write::ReplaceTicket { .. } => "store replaced ticket",
        Write::CountAsk { .. } => "store count of asks",
        Write::DiscardTicket { .. } => "store discarded ticket",
        Write::ProposeMatch(_) => "store match",
        Write::ConfirmMatch { .. } => "store confirmation",
        Write::EndMatch {
            ending: Ending::Declined(_),
            ..
        } => "store declined match",
        Write::EndMatch {
            ending: Ending::Expired | Ending::QuestionUnavailable,
            ..
        } => "store expired match",
        Write::OpenSession { .. } => "store session",
        Write::LeaveSession { .. } => "store leave",
        Write::ExtendMatch { .. } => "store extended match",
    }
}

/// The name of an outcome.
pub(super) fn name_of(outcome: &WriteOutcome) -> &'static str {
    match outcome {
        WriteOutcome::Stored => "stored",
        WriteOutcome::Refused(_) => "refused",
        WriteOutcome::Unavailable => "unavailable",
    }
}

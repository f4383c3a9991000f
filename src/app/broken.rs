//! Notices when a thread panics whose work cannot go on without what it knew.

use std::cell::Cell;
use std::panic;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::error;

thread_local! {
    static MUST_NOT_PANIC: Cell<bool> = const { Cell::new(false) };
}

/// Declares that a panic on this thread ends the process. An actor that has panicked is gone for
/// good: no supervision revives it, and its mailbox swallows what it is sent.
pub fn mark_thread() {
    MUST_NOT_PANIC.set(true);
}

/// Logs every panic, and notifies of one on a marked thread.
pub fn watch() -> Arc<Notify> {
    let notify = Arc::new(Notify::new());
    let notifier = Arc::clone(&notify);
    panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("a panic without a text");
        error!(place, "panicked at {place}: {text}");
        if MUST_NOT_PANIC.get() {
            notifier.notify_one();
        }
    }));
    notify
}

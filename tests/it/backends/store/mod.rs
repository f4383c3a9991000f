//! What every store does with each write, written against the ports alone.
//!
//! This module is there once per backend; the name of its parent's declaration tells which.

/// An empty store on the backend under test.
macro_rules! fresh {
    () => {
        crate::backends::subject::Subject::fresh(module_path!()).await
    };
}

mod ended;
mod ends;
mod groups;
mod history;
mod matches;
mod opening;
mod outbox;
mod races;
mod sessions;
mod tickets;

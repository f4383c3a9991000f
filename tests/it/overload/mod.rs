//! More than there is room for: clients that do not read, crowds, slow senders, and many times the
//! load that a server is set up for. Everybody else is served meanwhile, and all is as before
//! afterwards.

mod capacity;
mod crowds;
mod probe;
mod processors;
mod unread;

//! From the proposal to the session, or back to waiting: contract §3 to §5.

mod confirming;
mod declining;
mod expiring;
mod pairing;
mod races;
mod retry;

//! The one integration-test binary.

#[expect(
    clippy::disallowed_methods,
    reason = "black-box tests measure real time"
)]
mod api;
mod backends;
#[expect(
    clippy::disallowed_methods,
    reason = "black-box tests measure real time"
)]
mod harness;
#[expect(clippy::disallowed_methods, reason = "servers take real time to start")]
mod servers;
mod simulation;
mod tidy;

//! The one integration-test binary.

#[expect(
    clippy::disallowed_methods,
    reason = "black-box tests measure real time"
)]
mod api;
#[expect(
    clippy::disallowed_methods,
    reason = "black-box tests measure real time"
)]
mod harness;
mod simulation;
mod tidy;

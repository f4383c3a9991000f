//! The one integration-test binary.

#[expect(
    clippy::disallowed_methods,
    reason = "black-box tests measure real time"
)]
mod api;
#[expect(
    clippy::disallowed_methods,
    reason = "how long somebody who is away keeps one waiting is real time"
)]
mod away;
mod backends;
mod browser;
mod clients;
mod contract;
#[expect(clippy::disallowed_methods, reason = "costs are measured in real time")]
mod costs;
#[expect(
    clippy::disallowed_methods,
    reason = "black-box tests measure real time"
)]
mod harness;
#[expect(
    clippy::disallowed_methods,
    reason = "black-box tests measure real time"
)]
mod hostile;
mod model;
#[expect(
    clippy::disallowed_methods,
    reason = "how soon somebody is served under load is real time"
)]
mod overload;
#[expect(clippy::disallowed_methods, reason = "servers take real time to start")]
mod servers;
mod simulation;
mod tidy;
#[expect(
    clippy::disallowed_methods,
    reason = "how long a collector keeps one waiting is real time"
)]
mod traces;
mod virtual_time;

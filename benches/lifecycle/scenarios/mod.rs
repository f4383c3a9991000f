//! What is measured, one file each.

mod burst;
mod load;
mod point;
mod prepared;
mod sockets;
mod start;

use crate::options::{Common, Scenario};
use crate::report::Results;

/// Runs one scenario and prints its table.
pub async fn run(common: &Common, scenario: Scenario) -> anyhow::Result<Results> {
    match scenario {
        Scenario::Load(options) => load::run(common, &options).await,
        Scenario::Burst(options) => burst::run(common, &options).await,
        Scenario::Sockets(options) => sockets::run(common, &options).await,
        Scenario::Start(options) => start::run(common, &options).await,
    }
}

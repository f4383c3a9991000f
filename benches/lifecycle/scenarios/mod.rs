//! What is measured, one file each.

mod bare;
mod burst;
mod idle;
mod load;
mod operators;
mod peak;
mod point;
mod prepared;
mod requests;
mod setting;
mod soak;
mod sockets;
mod stage;
mod start;
mod table;

use std::rc::Rc;

use serde_json::json;

use crate::backends::{Backends, Place};
use crate::options::{Common, Kind, Scenario};
use crate::report::Results;

/// What all scenarios share.
pub struct Bench {
    pub common: Common,
    backends: Option<Backends>,
}

impl Bench {
    /// Starts the backends where the command line wants some.
    pub fn new(common: Common) -> anyhow::Result<Self> {
        let wanted = common.kinds().contains(&Kind::Real);
        let backends = wanted
            .then(|| Backends::start(&common.folder, common.postgres_socket))
            .transpose()?;
        Ok(Self { common, backends })
    }

    /// What servers keep their state in, in the order in which that is printed.
    pub fn kinds(&self) -> Vec<Kind> {
        self.common.kinds()
    }

    /// What is printed for it.
    pub fn label(&self, kind: Kind) -> &'static str {
        match self.common.url {
            Some(_) => "given",
            None => kind.name(),
        }
    }

    /// The backends of this kind.
    pub fn backends(&self, kind: Kind) -> Option<&Backends> {
        self.backends.as_ref().filter(|_| kind == Kind::Real)
    }

    /// An empty place for one server on the backends of this kind.
    pub fn place(&self, kind: Kind) -> Option<Rc<Place>> {
        self.backends(kind).map(Backends::place)
    }
}

/// Runs one scenario and prints its table.
pub async fn run(bench: &Bench, scenario: Scenario) -> anyhow::Result<Results> {
    let results = match scenario {
        // These two measure the bare endpoint in each of their runs.
        Scenario::Load(options) => return load::run(bench, &options).await,
        Scenario::Requests(options) => return requests::run(bench, &options).await,
        Scenario::Peak(options) => peak::run(bench, &options).await,
        Scenario::Soak(options) => soak::run(bench, &options).await,
        Scenario::Burst(options) => burst::run(bench, &options).await,
        Scenario::Sockets(options) => sockets::run(bench, &options).await,
        Scenario::Start(options) => start::run(bench, &options).await,
        Scenario::Bare => anyhow::bail!("the bare endpoint is no scenario"),
    };
    beside_bare(bench, results?).await
}

/// Adds what a request to the bare endpoint costs at this time.
async fn beside_bare(bench: &Bench, mut results: Results) -> anyhow::Result<Results> {
    if let Some(bare) = bare::compared(&bench.common).await? {
        bare.print();
        results.json["bare"] = json!([bare]);
    }
    Ok(results)
}

/// The variables of a server in this place, and these.
fn variables(
    place: Option<&Place>,
    others: &[(&'static str, String)],
) -> Vec<(&'static str, String)> {
    let mut variables = place.map(Place::variables).unwrap_or_default();
    variables.extend_from_slice(others);
    variables
}

//! The composition root: builds the adapters, starts the actors, serves, and shuts down in order.

mod backends;
mod crash_points;
mod links;
mod listener;
mod orders;
mod recovery;
mod serving;

pub use recovery::recover;
pub use serving::{Running, start};

use std::io;
use std::time::Duration;

use opentelemetry_otlp::ExporterBuildError;
use tokio::runtime;
use tokio::time::Instant;
use tracing::{error, info, warn};

use self::orders::Orders;
use crate::startup::{FILES_BESIDE_SOCKETS, OpenFileLimitTooLow, raise_open_file_limit};
use adapters::QuestionsError;
use adapters::http::{HttpCalls, HttpCollector};
use edge::panics;
use observability::Traces;
use ports::Away;
use settings::Settings;
use store::{PostgresOpenError, StoreOpenError};

/// The last spans are on their way this long after the server was told to stop, or lost.
const TRACED_WITHIN: Duration = Duration::from_millis(9_750);
/// Longest time for that where everything else took less.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// Why the server could not start, or had to stop; one clear sentence each.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// Too few open files.
    #[error(transparent)]
    OpenFiles(#[from] OpenFileLimitTooLow),
    /// The port cannot be had.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// Why not, and what helps.
        reason: String,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreOpenError),
    /// What was stored cannot be read.
    #[error("cannot read what was stored: {0}")]
    Recovery(#[from] Away),
    /// The built-in questions cannot be read.
    #[error(transparent)]
    Questions(#[from] QuestionsError),
    /// PostgreSQL cannot be used.
    #[error(transparent)]
    Postgres(#[from] PostgresOpenError),
    /// A neighbour cannot be used as it is configured.
    #[error("{0}")]
    Neighbour(String),
    /// The operating system refused something else.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// An actor panicked: what it knew is gone, and everything is rebuilt from what was stored.
    #[error("an invariant is broken, see the log: the server stops so that it can start afresh")]
    Broken,
}

/// Serves until the process is told to stop.
///
/// # Errors
///
/// [`AppError`]; nothing is served then, or not any more.
pub fn run(settings: Settings) -> Result<(), AppError> {
    observability::start_log(&settings.log);
    let needed = settings.sockets.max as u64 + FILES_BESIDE_SOCKETS;
    let limit = raise_open_file_limit(needed)?;
    if limit < needed {
        warn!(
            limit,
            needed, "only {limit} files may be open, which is not enough for MAX_SOCKETS"
        );
    }
    let traces = settings.traces.as_ref().map(start_traces).transpose()?;
    let io = io_runtime()?;
    let broken = panics::watch();
    let mut told = None;
    let served = actix_rt::System::new().block_on(async {
        let mut orders = Orders::listen()?;
        // A start may last: whatever is waited for, an order to stop is followed.
        let running = tokio::select! {
            running = start(settings, io.handle().clone(), panics::mark_thread) => running?,
            () = orders.stop() => {
                info!("stopped before everything was back");
                return Ok(());
            }
            () = broken.notified() => return Err(panicked()),
        };
        tokio::select! {
            () = orders.stop() => {}
            () = broken.notified() => return Err(panicked()),
        }
        told = Some(Instant::now());
        running.stop().await;
        info!("stopped");
        Ok(())
    });
    if let Some(traces) = traces {
        let took = told.map_or(Duration::ZERO, |told| told.elapsed());
        traces.stop(TRACED_WITHIN.saturating_sub(took).min(LAST_SPANS));
    }
    // Whatever still runs there belongs to callers who are gone; every write has been answered.
    io.shutdown_background();
    served
}

/// Sends traces from threads of their own.
fn start_traces(settings: &settings::Traces) -> Result<Traces, AppError> {
    let collector = HttpCollector::new(HttpCalls::start()?);
    let endpoint = &settings.endpoint;
    let unusable = |fault| {
        let reason = match fault {
            // It has the address in it, with a password perhaps.
            ExporterBuildError::InvalidUri(..) => "that is no address".to_owned(),
            fault => fault.to_string(),
        };
        AppError::Neighbour(format!("traces cannot be sent to {endpoint}: {reason}"))
    };
    let traces = Traces::start(settings, collector).map_err(unusable)?;
    info!("traces are sent to {endpoint}");
    Ok(traces)
}

fn panicked() -> AppError {
    error!("a thread that must not panic has panicked");
    AppError::Broken
}

/// Where stores are opened and read, which may block: away from the threads of actors and of HTTP.
fn io_runtime() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("io")
        .on_thread_start(panics::mark_thread)
        .enable_all()
        .build()
}

//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Starts the matchmaking server, loads it, checks what it tells, and prints figures.
///
/// Without a scenario: all of them but `soak`, with their defaults but shorter probes of `peak`;
/// about two minutes on the embedded default.
#[derive(Debug, Parser)]
#[command(name = "lifecycle", after_help = WHAT_TAKES_LONG)]
pub struct CommandLine {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    scenario: Option<Scenario>,
    /// Given by `cargo bench`
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

const WHAT_TAKES_LONG: &str = "What takes long: `soak` an hour and more for each kind of backends, \
    `peak` two to three minutes for each. `--backends real` takes about 40 s to start them and to \
    count what they did at each load point. `--waiting 100000` some seconds more for each server.";

/// What every scenario takes.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Load this running server instead of starting one, such as http://127.0.0.1:8002
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// What the server keeps its state in; several are measured one beside the other
    #[arg(
        long,
        global = true,
        value_enum,
        value_delimiter = ',',
        default_values_t = [Kind::Embedded],
        conflicts_with = "url"
    )]
    pub backends: Vec<Kind>,
    /// Servers reach the PostgreSQL of this run over its Unix socket instead of TCP
    #[arg(long, global = true)]
    pub postgres_socket: bool,
    /// Process id of the server at --url, where it runs on this machine: for its CPU and memory
    #[arg(long, global = true, requires = "url")]
    pub pid: Option<u32>,
    /// Secret that signs the tokens
    #[arg(long, global = true, default_value = "dev-only-change-me")]
    pub secret: String,
    /// Issuer that the tokens name
    #[arg(long, global = true, default_value = "user-service")]
    pub issuer: String,
    /// Audience that the tokens name, where the server asks for one
    #[arg(long, global = true)]
    pub audience: Option<String>,
    /// The program that is started; `cargo bench` builds this one with the features that tests need
    #[arg(long, global = true, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_matchmaker"))]
    pub binary: PathBuf,
    /// One more variable for the server that is started; may be repeated
    #[arg(long = "env", global = true, value_name = "NAME=VALUE", value_parser = variable)]
    pub variables: Vec<(String, String)>,
    /// Where the temporary folders of the server and of the backends that are started are made; a real
    /// disk, since every commit is synced
    #[arg(long, global = true, default_value = env!("CARGO_TARGET_TMPDIR"))]
    pub folder: PathBuf,
    /// Connections for HTTP requests, kept alive
    #[arg(long, global = true, default_value_t = 64, value_parser = at_least_one)]
    pub connections: usize,
    /// Longest wait, after the last ask, for everything to come to its end
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 15)]
    pub drain: u64,
    /// Write the results to this file as well
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What a server keeps its state in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Its own folder: SQLite, and the rest in process
    Embedded,
    /// PostgreSQL, Redis and RabbitMQ of this run, set up as in production
    Real,
}

/// What to measure.
#[derive(Debug, Clone, Subcommand)]
pub enum Scenario {
    /// Whole lifecycles at fixed rates
    Load(Load),
    /// The highest rate at which everything stays quick and nothing is refused or lost
    Peak(Peak),
    /// One rate for an hour, of people who leave: whether CPU, latency and memory end as they began
    Soak(Soak),
    /// Everybody asks at once, one lifecycle each
    Burst(Burst),
    /// Memory of open sockets on which nothing happens
    Sockets(Sockets),
    /// Time from the start of the process to ready
    Start(Start),
    /// CPU time of single requests beside that of a bare endpoint
    Requests(Requests),
    /// The bare endpoint
    #[command(hide = true)]
    Bare,
}

/// How asks are spread over the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arrivals {
    /// All gaps alike
    Even,
    /// Independent of each other, as people are; the same moments in every run
    Poisson,
}

/// Who loads the server.
#[derive(Debug, Clone, Args)]
pub struct People {
    /// People, each with one open socket; reused only when free
    #[arg(long, default_value_t = 1_000, value_parser = at_least_two)]
    pub users: usize,
    /// Pairs of difficulty and topic, taken in turn
    #[arg(long, default_value_t = 20, value_parser = at_least_one)]
    pub buckets: usize,
    /// Both leave their session before they ask again: two more requests, stored and told
    #[arg(long)]
    pub leave: bool,
}

/// Who is there while others load.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Bystanders {
    /// Tickets of other people that wait meanwhile, each in a bucket of its own; stored before the
    /// server starts
    #[arg(long, value_name = "TICKETS", default_value_t = 0)]
    pub waiting: usize,
    /// More people with open sockets on which nothing happens
    #[arg(long, value_name = "SOCKETS", default_value_t = 0)]
    pub idle_sockets: usize,
    /// Operators who each read the metrics and the state of the actors once a second
    #[arg(long, value_name = "OPERATORS", default_value_t = 0)]
    pub operators: usize,
}

/// Whole lifecycles, among whom, and how they come.
#[derive(Debug, Clone, Args)]
pub struct Traffic {
    #[command(flatten)]
    pub people: People,
    #[command(flatten)]
    pub bystanders: Bystanders,
    /// How asks are spread
    #[arg(long, value_enum, default_value_t = Arrivals::Even)]
    pub arrivals: Arrivals,
}

#[derive(Debug, Clone, Args)]
pub struct Load {
    /// Lifecycles per second; one load point each, one after the other on one server
    #[arg(long, value_delimiter = ',', default_values_t = [50.0, 200.0, 500.0], value_parser = rate)]
    pub rates: Vec<f64>,
    /// How long each load point lasts
    #[arg(long, default_value_t = 10.0, value_parser = rate)]
    pub seconds: f64,
    /// How long the first rate is driven before anything counts
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub warm_up: f64,
    #[command(flatten)]
    pub traffic: Traffic,
    /// In each run measure a server without --operators as well, for the ratio; where there are none,
    /// without --waiting and --idle-sockets
    #[arg(long)]
    pub and_without: bool,
    /// Repeat everything, each time on a new server, and print medians
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub runs: usize,
    /// Draw latency.svg and cpu.svg into this folder
    #[arg(long, value_name = "FOLDER")]
    pub plots: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub struct Peak {
    /// Lifecycles per second of the first probe; the next one has twice as many
    #[arg(long, default_value_t = 200.0, value_parser = rate)]
    pub from: f64,
    /// Highest p99 of matches and of confirmations
    #[arg(long, value_name = "MS", default_value_t = 50.0, value_parser = rate)]
    pub bound_ms: f64,
    /// How long each probe lasts
    #[arg(long, default_value_t = 10.0, value_parser = rate)]
    pub seconds: f64,
    #[command(flatten)]
    pub traffic: Traffic,
    /// Search again, each time on a new server, and print the median
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub runs: usize,
}

#[derive(Debug, Clone, Args)]
pub struct Soak {
    /// How long the load lasts
    #[arg(long, default_value_t = 60.0, value_parser = rate)]
    pub minutes: f64,
    /// Lifecycles per second
    #[arg(long, default_value_t = 50.0, value_parser = rate)]
    pub rate: f64,
    /// How long the rate is driven before anything counts: until what the server keeps of the past is
    /// full, all of which is bounded
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub warm_up: f64,
    /// How long memory is given to settle before it is read, before the load and after it
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    pub settle: f64,
    #[command(flatten)]
    pub traffic: Traffic,
}

#[derive(Debug, Clone, Args)]
pub struct Burst {
    #[command(flatten)]
    pub people: People,
    /// All ask within this time, at independent moments; 0: at the same moment
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    pub within_ms: u64,
    /// Repeat it, each time on a new server, and print medians
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    pub runs: usize,
}

#[derive(Debug, Clone, Args)]
pub struct Sockets {
    /// How many are open, in rising order
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 5_000], value_parser = at_least_one)]
    pub count: Vec<usize>,
    /// How long memory is given to settle before it is read
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0)]
    pub settle: f64,
    /// Repeat it, each time on a new server, and print medians
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub runs: usize,
}

#[derive(Debug, Clone, Args)]
pub struct Start {
    /// Waiting tickets that the database holds already
    #[arg(long, value_delimiter = ',', default_values_t = [0, 100_000])]
    pub tickets: Vec<usize>,
    /// Topics over which they are spread
    #[arg(long, default_value_t = 1_000, value_parser = at_least_one)]
    pub topics: usize,
    /// Starts for each number of tickets; the median is printed
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    pub runs: usize,
}

#[derive(Debug, Clone, Args)]
pub struct Requests {
    /// Asks that are stored, each of another person, after as many fifths for warming up
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    pub asks: usize,
    /// Status polls, and requests to the bare endpoint
    #[arg(long, default_value_t = 50_000, value_parser = at_least_one)]
    pub polls: usize,
    /// Pairs of difficulty and topic, taken in turn
    #[arg(long, default_value_t = 20, value_parser = at_least_one)]
    pub buckets: usize,
    /// Repeat it, each time on a new server, and print medians
    #[arg(long, default_value_t = 3, value_parser = at_least_one)]
    pub runs: usize,
}

/// A scenario's own defaults.
#[derive(Debug, Parser)]
struct Defaults {
    #[command(subcommand)]
    scenario: Scenario,
}

impl CommandLine {
    /// What is to be run, in this order; nothing where nobody asked for a benchmark.
    pub fn scenarios(&self) -> Option<Vec<Scenario>> {
        match &self.scenario {
            Some(scenario) => Some(vec![scenario.clone()]),
            None if self.bench => {
                let all: [&[&str]; 6] = [
                    &["load"],
                    &["sockets"],
                    &["peak", "--seconds", "4"],
                    &["requests"],
                    &["burst"],
                    &["start"],
                ];
                let fit = all.iter().filter(|words| self.common.fits(words[0]));
                Some(fit.map(|words| scenario_of(words)).collect())
            }
            None => None,
        }
    }
}

impl Bystanders {
    /// Whether nobody is.
    pub fn are_none(&self) -> bool {
        self.waiting == 0 && self.idle_sockets == 0 && self.operators == 0
    }

    /// Those without whom a load is to be measured as well: the operators, where there are some.
    pub fn fewer(&self) -> Self {
        match self.operators {
            0 => Self::default(),
            _ => Self {
                operators: 0,
                ..*self
            },
        }
    }
}

impl Arrivals {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Even => "even",
            Self::Poisson => "poisson",
        }
    }
}

impl Kind {
    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Real => "real",
        }
    }
}

impl Common {
    /// What servers keep their state in, each once, in the order of the command line.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        for kind in &self.backends {
            if !kinds.contains(kind) {
                kinds.push(*kind);
            }
        }
        kinds
    }

    fn fits(&self, scenario: &str) -> bool {
        match scenario {
            // A running server is not restarted, and nobody asked to drive it to its limit.
            "start" | "requests" | "peak" => self.url.is_none(),
            "sockets" => self.url.is_none() || self.pid.is_some(),
            _ => true,
        }
    }
}

fn scenario_of(words: &[&str]) -> Scenario {
    let words = ["lifecycle"].iter().chain(words);
    Defaults::parse_from(words).scenario
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.1..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number from 0.1 to 1000000".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    whole(text, 1)
}

fn at_least_two(text: &str) -> Result<usize, String> {
    whole(text, 2)
}

fn whole(text: &str, least: usize) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if (least..=10_000_000).contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {least} to 10000000")),
    }
}

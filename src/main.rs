//! The command line: serve, mint a development token, or check the configuration.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use matchmaker::app;
use matchmaker::domain::UserId;
use matchmaker::edge::dev_token;
use matchmaker::settings::{Environment, Faults, Row, Settings, Sources};

/// The exit code where the command line or the configuration is at fault; clap uses it as well.
const EXIT_USAGE: u8 = 2;

/// A matchmaking server: pairs two people who want to practise together.
///
/// Without a command it serves. It is configured by the environment, `.env` and the files in
/// `config/`.
#[derive(Parser)]
#[command(name = "matchmaker", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print a token that lets its bearer act as a user; in dev only
    Token {
        /// Whom the token stands for
        user_id: String,
        /// Seconds until it expires; a negative number makes one that has expired
        #[arg(
            long,
            value_name = "SECONDS",
            default_value_t = dev_token::LIFETIME_S,
            allow_negative_numbers = true
        )]
        expires_in: i64,
    },
    /// Print the effective configuration with secrets masked, or everything that is wrong with it
    CheckConfig,
}

/// Why there is nothing to print, and the exit code that goes with it.
struct Failure {
    code: u8,
    message: String,
}

fn main() -> ExitCode {
    let sources = Sources::of_process();
    let outcome = match CommandLine::parse().command {
        None => serve(&sources),
        Some(Command::Token {
            user_id,
            expires_in,
        }) => token(&sources, &user_id, expires_in),
        Some(Command::CheckConfig) => check_config(&sources),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print(std::io::stderr(), &failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn serve(sources: &Sources) -> Result<(), Failure> {
    let settings = Settings::load(sources).map_err(|faults| Failure::config(&faults))?;
    app::run(settings).map_err(|error| Failure::other(error.to_string()))
}

fn check_config(sources: &Sources) -> Result<(), Failure> {
    let settings = Settings::load(sources).map_err(|faults| Failure::config(&faults))?;
    let lines: Vec<_> = settings.table().iter().map(line).collect();
    print(std::io::stdout(), &lines.join("\n"));
    Ok(())
}

fn token(sources: &Sources, user_id: &str, lifetime_s: i64) -> Result<(), Failure> {
    // `ENV` comes first: outside dev the answer is no, whatever else is configured there.
    let environment = Environment::find(sources).map_err(|faults| Failure::config(&faults))?;
    if !environment.is_dev() {
        let name = environment.as_str();
        let message = format!("development tokens exist in dev only, and ENV is {name:?}");
        return Err(Failure::other(message));
    }
    let user = UserId::parse(user_id).map_err(|error| Failure {
        code: EXIT_USAGE,
        message: error.to_string(),
    })?;
    let settings = Settings::load(sources).map_err(|faults| Failure::config(&faults))?;
    let token = dev_token::mint(&settings.auth, &user, dev_token::now_unix_s(), lifetime_s)
        .map_err(|error| Failure::other(format!("the token could not be signed: {error}")))?;
    print(std::io::stdout(), &token);
    Ok(())
}

impl Failure {
    fn config(faults: &Faults) -> Self {
        let message = format!("the configuration cannot be used:\n{faults}");
        Self {
            code: EXIT_USAGE,
            message,
        }
    }

    fn other(message: String) -> Self {
        Self { code: 1, message }
    }
}

fn line(row: &Row) -> String {
    match (&row.value, &row.origin) {
        (None, _) => format!("{:<31}(not set)", row.name),
        (Some(value), None) => format!("{:<31}{value}  (default in dev)", row.name),
        (Some(value), Some(origin)) => format!("{:<31}{value}  ({origin})", row.name),
    }
}

/// Prints a line; a reader that has gone away, such as `head`, is no failure.
fn print(mut stream: impl Write, text: &str) {
    let _ = writeln!(stream, "{text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_described_without_contradictions() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn no_command_serves() {
        assert!(CommandLine::parse_from(["matchmaker"]).command.is_none());
    }
}

//! Where PostgreSQL is, and how to connect to it.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;
use url::form_urlencoded;

use super::open::PostgresOpenError;
use super::tls::{self, Trust};

/// Longest time that making a connection may take.
pub(super) const CONNECT_MAX: Duration = Duration::from_millis(800);
/// Silence after which the kernel asks whether the server is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// Longest time that the server may leave data unacknowledged.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// An address, with the settings that its connections begin with.
#[derive(Clone)]
pub(in super::super) struct Target {
    config: Config,
    tls: Option<MakeRustlsConnect>,
}

impl Target {
    /// Takes every form of the address.
    pub(super) fn parse(url: &str) -> Result<Self, PostgresOpenError> {
        let address = Address::parse(url)?;
        let unusable = |error: tokio_postgres::Error| PostgresOpenError::Url {
            problem: sentence(&error),
        };
        let mut config: Config = address.rest.parse().map_err(unusable)?;
        config
            .application_name("matchmaker")
            .connect_timeout(CONNECT_MAX)
            .keepalives_idle(KEEPALIVE_IDLE)
            .tcp_user_timeout(UNACKNOWLEDGED_MAX);
        let by_socket = |host: &Host| matches!(host, Host::Unix(_));
        let (mode, trust) = address.mode()?;
        // Nobody listens to a Unix socket, and the server offers no TLS there.
        let tls = if mode == SslMode::Disable || config.get_hosts().iter().all(by_socket) {
            config.ssl_mode(SslMode::Disable);
            None
        } else {
            config.ssl_mode(mode);
            let made = tls::client_config(trust, address.roots.as_deref());
            let client_config = made.map_err(|reason| PostgresOpenError::RootCertificate {
                path: address.roots.unwrap_or_default(),
                reason,
            })?;
            Some(MakeRustlsConnect::new(client_config))
        };
        Ok(Self { config, tls })
    }

    /// The same with settings that each connection begins with; the later ones of one name win.
    pub(super) fn with_settings(&self, settings: &[(&str, &str)]) -> Self {
        let mut target = self.clone();
        let mut options = self.config.get_options().unwrap_or_default().to_owned();
        for (name, value) in settings {
            options.push_str(&format!(" -c {name}={}", value.replace(' ', "\\ ")));
        }
        target.config.options(options.trim_start());
        target
    }

    /// The same, where nobody but a server that takes writes will do: of several hosts the first such
    /// one. Every connection asks for that when it is made.
    pub(super) fn for_writes(&self) -> Self {
        let mut target = self.clone();
        let takes_writes = TargetSessionAttrs::ReadWrite;
        target.config.target_session_attrs(takes_writes);
        target
    }

    /// Host, port and database, for messages.
    pub(super) fn server(&self) -> String {
        let hosts = self.config.get_hosts().iter().enumerate();
        let hosts = hosts.map(|(at, host)| {
            let port = self.config.get_ports();
            let port = port.get(at).or(port.first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(host) => format!("{host}:{port}"),
                Host::Unix(folder) => format!("{}:{port}", folder.display()),
            }
        });
        let hosts: Vec<String> = hosts.collect();
        let database = self.config.get_dbname().or(self.config.get_user());
        format!("{}/{}", hosts.join(","), database.unwrap_or_default())
    }

    /// A connection for statements of our own.
    pub(super) async fn connect(&self) -> Result<Session, ConnectError> {
        let connect = async {
            Ok(match &self.tls {
                None => {
                    let (client, connection) = self.config.connect(NoTls).await?;
                    Session::new(client, tokio::spawn(connection).abort_handle())
                }
                Some(tls) => {
                    let (client, connection) = self.config.connect(tls.clone()).await?;
                    Session::new(client, tokio::spawn(connection).abort_handle())
                }
            })
        };
        timeout(CONNECT_MAX, connect)
            .await
            .map_err(|_| ConnectError::Late)?
    }

    /// A connection for diesel.
    pub(in super::super) async fn connect_diesel(&self) -> ConnectionResult<AsyncPgConnection> {
        let bad = |error: ConnectError| ConnectionError::BadConnection(error.to_string());
        let connect = async {
            match &self.tls {
                None => {
                    let connected = self.config.connect(NoTls).await;
                    let (client, connection) = connected.map_err(|error| bad(error.into()))?;
                    AsyncPgConnection::try_from_client_and_connection(client, connection).await
                }
                Some(tls) => {
                    let connected = self.config.connect(tls.clone()).await;
                    let (client, connection) = connected.map_err(|error| bad(error.into()))?;
                    AsyncPgConnection::try_from_client_and_connection(client, connection).await
                }
            }
        };
        timeout(CONNECT_MAX, connect)
            .await
            .map_err(|_| bad(ConnectError::Late))?
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("no answer within {} ms", CONNECT_MAX.as_millis())]
    Late,
    #[error("{}", sentence(.0))]
    Failed(#[from] tokio_postgres::Error),
}

/// What the server said, or what the client says, with the cause.
pub(super) fn sentence(error: &tokio_postgres::Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => said.message().to_owned(),
        (None, Some(cause)) => format!("{error}: {cause}"),
        (None, None) => error.to_string(),
    }
}

/// A client with its connection, which ends with it.
pub(super) struct Session {
    pub(super) client: Client,
    connection: AbortHandle,
}

impl Session {
    fn new(client: Client, connection: AbortHandle) -> Self {
        Self { client, connection }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Also where the server does not answer: it must not go on with what nobody waits for.
        self.connection.abort();
    }
}

/// An address without what `tokio_postgres` does not know.
struct Address {
    rest: String,
    mode: Option<String>,
    roots: Option<PathBuf>,
}

impl Address {
    fn parse(url: &str) -> Result<Self, PostgresOpenError> {
        let problem = |problem: &str| PostgresOpenError::Url {
            problem: problem.to_owned(),
        };
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| problem("it is no address with ://"))?;
        let known = ["postgresql", "postgres", "postgresql+psycopg"];
        if !known.iter().any(|name| scheme.eq_ignore_ascii_case(name)) {
            return Err(problem("it does not begin with postgresql://"));
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut mode, mut roots, mut kept) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let decoded = form_urlencoded::parse(pair.as_bytes()).next();
            match decoded {
                Some((name, value)) if name == "sslmode" => mode = Some(value.into_owned()),
                Some((name, value)) if name == "sslrootcert" => {
                    roots = Some(PathBuf::from(value.into_owned()));
                }
                _ => kept.push(pair),
            }
        }
        let mark = if kept.is_empty() { "" } else { "?" };
        let rest = format!("postgresql://{place}{mark}{}", kept.join("&"));
        Ok(Self { rest, mode, roots })
    }

    /// With libpq's meanings: `require` with roots checks them.
    fn mode(&self) -> Result<(SslMode, Trust), PostgresOpenError> {
        let unchecked = if self.roots.is_some() {
            Trust::Signed
        } else {
            Trust::Anybody
        };
        Ok(match self.mode.as_deref() {
            Some("disable") => (SslMode::Disable, Trust::Anybody),
            None | Some("prefer") => (SslMode::Prefer, Trust::Anybody),
            Some("require") => (SslMode::Require, unchecked),
            Some("verify-ca") => (SslMode::Require, Trust::Signed),
            Some("verify-full") => (SslMode::Require, Trust::SignedForHost),
            Some(other) => {
                return Err(PostgresOpenError::Url {
                    problem: format!(
                        "sslmode={other} is not known; known: disable, prefer, require, \
                         verify-ca, verify-full"
                    ),
                });
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> (SslMode, Trust) {
        Address::parse(url).unwrap().mode().unwrap()
    }

    #[test]
    fn every_form_of_the_address_names_the_same_server() {
        for url in [
            "postgresql+psycopg://u:p%40w@db:6000/m",
            "postgresql://u:p%40w@db:6000/m?sslmode=disable",
            "postgres://u:p%40w@db:6000/m?sslmode=require&connect_timeout=3",
            "PostgreSQL://u:p%40w@db:6000/m?sslrootcert=%2Fnowhere",
        ] {
            let target = Target::parse(url).unwrap();

            assert_eq!(target.server(), "db:6000/m", "{url}");
            assert_eq!(target.config.get_password(), Some("p@w".as_bytes()));
        }
        let socket = Target::parse("postgres:///m?host=/run/pg&user=u").unwrap();
        assert_eq!(socket.server(), "/run/pg:5432/m");
        assert!(socket.tls.is_none());
    }

    #[test]
    fn modes_ask_what_libpq_asks() {
        let with = |mode: &str| format!("postgres://db/m?sslmode={mode}");

        assert_eq!(mode("postgres://db/m"), (SslMode::Prefer, Trust::Anybody));
        assert_eq!(mode(&with("require")), (SslMode::Require, Trust::Anybody));
        assert_eq!(
            mode(&with("require&sslrootcert=ca.pem")),
            (SslMode::Require, Trust::Signed)
        );
        assert_eq!(mode(&with("verify-ca")), (SslMode::Require, Trust::Signed));
        assert_eq!(
            mode(&with("verify-full")),
            (SslMode::Require, Trust::SignedForHost)
        );
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_password() {
        for (url, said) in [
            (
                "mysql://u:secret@db/m",
                "it does not begin with postgresql://",
            ),
            (
                "postgres://u:secret@db/m?sslmode=often",
                "sslmode=often is not known",
            ),
            ("postgres://u:secret@db:port/m", "invalid"),
            ("postgres://u:secret@db/m?colour=red", "colour"),
            (
                "postgres://u:secret@db/m?sslmode=verify-full&sslrootcert=/nowhere.pem",
                "/nowhere.pem",
            ),
        ] {
            let error = Target::parse(url).err().unwrap().to_string();

            assert!(error.contains(said), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn settings_come_after_those_of_the_address() {
        let target = Target::parse("postgres://db/m?options=-c%20search_path%3Dpublic").unwrap();

        let target = target.with_settings(&[("search_path", "matchmaker"), ("a.b", "c d")]);

        let expected = "-c search_path=public -c search_path=matchmaker -c a.b=c\\ d";
        assert_eq!(target.config.get_options(), Some(expected));
    }
}

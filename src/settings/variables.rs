//! Every variable, once: its name, its default, and what it means.

/// One variable of the configuration.
///
/// In the environment and in `.env` it has this name, in the files of `config/` the same name in
/// lower case.
#[derive(Debug)]
pub struct Variable {
    /// The name in the environment.
    pub name: &'static str,
    /// Names that it had in earlier services; `name` wins over them where both are set.
    pub older_names: &'static [&'static str],
    /// The default as `config/default.toml` spells it; empty where there is none.
    pub default: &'static str,
    /// What it means, in one or two sentences.
    pub meaning: &'static str,
    pub(super) kind: Kind,
}

/// How much of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Everything.
    Plain,
    /// Everything but a password in it.
    Url,
    /// Nothing.
    Secret,
}

impl Variable {
    /// The variable that has, or once had, this name in the environment.
    pub fn find(name: &str) -> Option<&'static Self> {
        VARIABLES
            .iter()
            .find(|known| known.names().any(|candidate| candidate == name))
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.older_names.iter().copied())
    }
}

/// The secret that works in dev without any configuration; refused everywhere else.
pub(super) const DEV_SECRET: &str = "dev-only-change-me";

/// All variables, in the order in which they are documented.
pub const VARIABLES: &[Variable] = &[
    plain(
        "APP_NAME",
        "peerprep-matching-service",
        "Name of this service in `GET /health` and in the log.",
    ),
    plain(
        "ENV",
        "dev",
        "Where this server runs. `dev` has conveniences, every other name has strict rules; \
         chooses `config/{ENV}.toml`.",
    ),
    plain("HOST", "0.0.0.0", "Address or host name to listen on."),
    plain("PORT", "8002", "Port to listen on; 0 takes any free one."),
    plain(
        "HTTP_WORKERS",
        "1",
        "Threads that serve HTTP and sockets, the first of which has the actors as well; 0 is one \
         per core.",
    ),
    plain(
        "CORS_ALLOWED_ORIGINS",
        "",
        "Origins of browser pages that may call, separated by commas, or `*`. Not set: any origin \
         in dev, none elsewhere.",
    ),
    plain(
        "LOG_LEVEL",
        "INFO",
        "Least severe level that is logged: `TRACE`, `DEBUG`, `INFO`, `WARNING`, `ERROR` or \
         `CRITICAL`.",
    ),
    plain(
        "LOG_FORMAT",
        "auto",
        "`human` for lines to read, `json` for one object a line, `auto` for human in dev and JSON \
         elsewhere.",
    ),
    url(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "Collector that traces are sent to over HTTP (`http` or `https`, usually port 4318). Not set: \
         none are made.",
    ),
    plain(
        "OTEL_SERVICE_NAME",
        "",
        "Name of this service in traces. Not set: `APP_NAME`.",
    ),
    plain(
        "OTEL_TRACES_SAMPLER",
        "parentbased_always_on",
        "Which traces are sent: `always_on`, `always_off` or `traceidratio`, or the same after \
         `parentbased_`, where a caller's `traceparent` decides if there is one.",
    ),
    plain(
        "OTEL_TRACES_SAMPLER_ARG",
        "1",
        "Share of the traces that a sampler with `traceidratio` sends, from 0 to 1.",
    ),
    url(
        "DATABASE_URL",
        "",
        "Database: `sqlite://PATH`, or `postgresql://…`. Not set: in dev the SQLite file \
         `data/matchmaker.db`, elsewhere an error.",
    ),
    url(
        "REDIS_URL",
        "",
        "Redis for sessions and the mirror of the queues. Not set: in dev both live in this \
         process, elsewhere an error.",
    ),
    url(
        "RABBITMQ_URL",
        "",
        "RabbitMQ for `match.found` events. Not set: in dev they stay in the outbox and are \
         logged, elsewhere an error.",
    ),
    plain(
        "ROOT_CERTIFICATES",
        "",
        "File with certificates in PEM that Redis and RabbitMQ are checked against, where theirs \
         are not signed by a public authority. PostgreSQL has `sslrootcert` in `DATABASE_URL`.",
    ),
    url(
        "QUESTION_SERVICE_URL",
        "",
        "Question service, `http` or `https`. Not set: in dev the built-in questions, elsewhere an \
         error.",
    ),
    plain(
        "QUESTION_SERVICE_BASE_PATH",
        "/api/v1",
        "Path in front of the question service's paths.",
    ),
    url("USER_SERVICE_URL", "", "User service, `http` or `https`."),
    plain(
        "USER_SERVICE_VERIFY_PATH",
        "/users/me",
        "Path of the user service that knows whether a token is still good.",
    ),
    plain(
        "AUTH_VERIFY_WITH_USER_SERVICE",
        "false",
        "Ask the user service about each token as well; needs `USER_SERVICE_URL`.",
    ),
    plain(
        "AUTH_ALGORITHM",
        "HS256",
        "Signature of tokens; there is no other than `HS256`.",
    ),
    Variable {
        name: "AUTH_ACCESS_SECRET",
        older_names: &["JWT_SECRET_KEY"],
        default: DEV_SECRET,
        meaning: "Secret that signs tokens; outside dev 32 bytes or more and not the default. \
                  `JWT_SECRET_KEY` is its older name.",
        kind: Kind::Secret,
    },
    secret(
        "AUTH_ACCESS_SECRET_PREVIOUS",
        "",
        "Secret before the last change; tokens that it signed are accepted too.",
    ),
    plain(
        "AUTH_ISSUER",
        "user-service",
        "Issuer that every token must name.",
    ),
    plain(
        "AUTH_AUDIENCE",
        "",
        "Audience that every token must name. Not set: none is asked for.",
    ),
    secret(
        "ADMIN_TOKEN",
        "",
        "Bearer token for `/metrics`, `/debug/*` and the admin data; must be set outside dev.",
    ),
    plain(
        "DEV_TOKENS",
        "loopback",
        "Who gets tokens from `POST /dev/token`, which exists in dev only: callers on this machine \
         (`loopback`) or everybody (`any`).",
    ),
    plain(
        "MATCHING_TIMEOUT_SECONDS",
        "60",
        "How long a ticket waits for a partner.",
    ),
    plain(
        "CONFIRM_MATCH_TIMEOUT_SECONDS",
        "120",
        "How long both people have to confirm a match.",
    ),
    plain(
        "SESSION_TTL_SECONDS",
        "21600",
        "How long a session lasts at most.",
    ),
    plain(
        "MAX_CONCURRENT_MATCHES",
        "5000",
        "Unconfirmed matches at a time; more tickets wait.",
    ),
    plain(
        "MAX_TICKETS",
        "200000",
        "Live tickets at a time, waiting or in an unconfirmed match; one more is refused with 503.",
    ),
    plain(
        "MAX_SESSIONS",
        "200000",
        "Open sessions at a time; while there are more, asks are refused with 503.",
    ),
    plain(
        "MAX_BUCKETS",
        "100000",
        "Pairs of difficulty and topic in use at a time.",
    ),
    plain(
        "ASK_BURST",
        "60",
        "Asks and confirmations that one user may send at once.",
    ),
    plain(
        "ASKS_PER_SECOND",
        "20",
        "Asks and confirmations per second of one user after that.",
    ),
    plain("MAX_SOCKETS", "20000", "Open sockets at a time."),
    plain(
        "MAX_SOCKETS_PER_USER",
        "20",
        "Open sockets of one user at a time.",
    ),
    plain(
        "SOCKET_PING_SECONDS",
        "20",
        "Time between two pings to a socket.",
    ),
    plain(
        "SOCKET_SILENCE_SECONDS",
        "60",
        "Silence after which a socket is dropped; at least twice `SOCKET_PING_SECONDS`.",
    ),
    plain(
        "UNREAD_SECONDS",
        "18",
        "How long a client may take nothing of what it was sent; then its connection is dropped.",
    ),
    plain(
        "RETENTION_SECONDS",
        "2592000",
        "How long tickets, matches and sessions stay in the database after they have ended; at \
         least `SESSION_TTL_SECONDS`, or 0 to keep them for ever. A session stays for as long as \
         its event does.",
    ),
    plain(
        "OUTBOX_RETENTION_SECONDS",
        "86400",
        "How long a `match.found` event stays in the database after RabbitMQ has taken it, or after \
         it was logged where there is no `RABBITMQ_URL`.",
    ),
    plain(
        "METRICS_BUCKETS_MAX",
        "100",
        "Buckets with a label of their own in `/metrics`; all others together are `other`.",
    ),
    plain(
        "SHUTDOWN_SECONDS",
        "8",
        "Time to finish what is in flight when stopping; less than 10.",
    ),
];

const fn plain(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        older_names: &[],
        default,
        meaning,
        kind: Kind::Plain,
    }
}

const fn url(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        older_names: &[],
        default,
        meaning,
        kind: Kind::Url,
    }
}

const fn secret(name: &'static str, default: &'static str, meaning: &'static str) -> Variable {
    Variable {
        name,
        older_names: &[],
        default,
        meaning,
        kind: Kind::Secret,
    }
}

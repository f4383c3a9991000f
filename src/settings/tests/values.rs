//! What each variable takes and refuses.

use super::*;

/// Variable, faulty value, what is said about it.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "PORT",
        "http",
        "\"http\" is no whole number; expected a whole number from 0 to 65535",
    ),
    (
        "PORT",
        "65536",
        "\"65536\" is out of range; expected a whole number from 0 to 65535",
    ),
    (
        "PORT",
        "-1",
        "\"-1\" is no whole number; expected a whole number from 0 to 65535",
    ),
    (
        "HOST",
        "http://x:1",
        "\"http://x:1\" is neither; expected an IP address or a host name, without scheme and port",
    ),
    (
        "ENV",
        "../etc",
        "\"../etc\" is no name; expected dev or another name of 1 to 64 letters, digits, - and _",
    ),
    (
        "HTTP_WORKERS",
        "1.5",
        "\"1.5\" is no whole number; expected a whole number from 0 to 1024",
    ),
    (
        "MAX_SOCKETS",
        "0",
        "\"0\" is out of range; expected a whole number from 1 to 10000000",
    ),
    (
        "MATCHING_TIMEOUT_SECONDS",
        "0",
        "\"0\" is out of range; expected seconds from 0.001 to 86400, such as 30 or 0.25",
    ),
    (
        "SESSION_TTL_SECONDS",
        "6h",
        "\"6h\" is no decimal number; expected seconds from 0.001 to 2592000, such as 30 or 0.25",
    ),
    (
        "SHUTDOWN_SECONDS",
        "10",
        "\"10\" is out of range; expected seconds from 0.001 to 9.999, such as 30 or 0.25",
    ),
    (
        "LOG_LEVEL",
        "loud",
        "\"loud\" is none of these; expected TRACE or DEBUG or INFO or WARNING or WARN or ERROR \
             or CRITICAL",
    ),
    (
        "LOG_FORMAT",
        "xml",
        "\"xml\" is none of these; expected auto or human or json",
    ),
    (
        "DEV_TOKENS",
        "all",
        "\"all\" is none of these; expected loopback or any",
    ),
    (
        "AUTH_ALGORITHM",
        "RS256",
        "\"RS256\" is none of these; expected HS256",
    ),
    (
        "AUTH_ALGORITHM",
        "none",
        "\"none\" is none of these; expected HS256",
    ),
    (
        "AUTH_VERIFY_WITH_USER_SERVICE",
        "maybe",
        "\"maybe\" is none of these; expected true or false",
    ),
    (
        "APP_NAME",
        "a\nb",
        "\"a\\nb\" has control characters; expected 1 to 255 bytes without control characters",
    ),
    (
        "QUESTION_SERVICE_BASE_PATH",
        "api",
        "\"api\" is no such path; expected a path that begins with /, without ? and #",
    ),
    (
        "CORS_ALLOWED_ORIGINS",
        "app",
        "\"app\" has \"app\", which is no origin; expected origins such as \
             https://app.example.org, separated by commas, or *",
    ),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "grpc://u:pw@x:4317",
        "the value has another scheme; expected http://host or https://host",
    ),
    (
        "OTEL_TRACES_SAMPLER",
        "xray",
        "\"xray\" is none of these; expected parentbased_always_on or parentbased_always_off or \
             parentbased_traceidratio or always_on or always_off or traceidratio",
    ),
    (
        "OTEL_TRACES_SAMPLER_ARG",
        "NaN",
        "\"NaN\" is no share; expected a number from 0 to 1, such as 0.05",
    ),
    (
        "REDIS_URL",
        "http://:pw@x",
        "the value has another scheme; expected redis://host or rediss://host",
    ),
    (
        "RABBITMQ_URL",
        "amqp://",
        "the value names no host; expected amqp://host or amqps://host",
    ),
    (
        "QUESTION_SERVICE_URL",
        "file:///etc/passwd",
        "the value has another scheme; expected http://host or https://host",
    ),
    (
        "USER_SERVICE_URL",
        "http://u?x=1",
        "the value has a ? or # part; expected http://host or https://host",
    ),
    (
        "DATABASE_URL",
        "mysql://u:pw@x/y",
        "the value has another scheme; expected sqlite://PATH or \
             postgresql://user:password@host/database (also postgres:// and postgresql+psycopg://)",
    ),
    (
        "ADMIN_TOKEN",
        "two words",
        "the value has white space or other characters that a header cannot carry; expected \
             visible ASCII characters",
    ),
];

#[test]
fn every_kind_of_value_is_refused_with_its_name_its_fault_and_what_is_expected() {
    for (name, value, message) in REFUSED {
        let expected = format!("{name} (environment): {message}");
        assert_eq!(faults_with(&[(*name, *value)]), [expected]);
    }
}

#[test]
fn log_levels_are_read_in_any_case_and_in_python_s_words() {
    for (text, level) in [
        ("info", tracing::Level::INFO),
        ("Warning", tracing::Level::WARN),
        ("warn", tracing::Level::WARN),
        ("CRITICAL", tracing::Level::ERROR),
        ("trace", tracing::Level::TRACE),
    ] {
        assert_eq!(
            load_with(&[("LOG_LEVEL", text)]).unwrap().log.level,
            level,
            "{text}"
        );
    }
}

#[test]
fn a_socket_survives_one_lost_ping() {
    let pings = |ping, silence| {
        faults_with(&[
            ("SOCKET_PING_SECONDS", ping),
            ("SOCKET_SILENCE_SECONDS", silence),
        ])
    };

    assert_eq!(pings("0.25", "0.5").len(), 0);
    let expected = "SOCKET_SILENCE_SECONDS (environment): is so short that one lost ping ends a \
                    socket; expected at least twice SOCKET_PING_SECONDS";
    assert_eq!(pings("0.25", "0.499"), [expected]);
}

#[test]
fn what_has_ended_is_kept_for_as_long_as_a_session_may_last_or_for_ever() {
    let kept = |session, retention| {
        let pairs = [
            ("SESSION_TTL_SECONDS", session),
            ("RETENTION_SECONDS", retention),
        ];
        load_with(&pairs).map(|settings| settings.retention_ms)
    };

    assert_eq!(kept("0.5", "0.5").unwrap(), Some(500));
    assert_eq!(kept("2592000", "2592000").unwrap(), Some(2_592_000_000));
    assert_eq!(kept("0.5", "0").unwrap(), None);
    let expected = "RETENTION_SECONDS (environment): is so short that sessions in Redis outlive \
                    what is known of them; expected 0, or at least SESSION_TTL_SECONDS";
    let faults = kept("0.5", "0.499").unwrap_err();
    assert_eq!(faults.0[0].to_string(), expected);
}

#[test]
fn the_user_service_is_needed_exactly_when_it_is_asked() {
    let address = ("USER_SERVICE_URL", "https://users/");
    let asked = ("AUTH_VERIFY_WITH_USER_SERVICE", "true");

    assert!(load_with(&[address]).unwrap().auth.user_service.is_none());
    let service = load_with(&[address, asked])
        .unwrap()
        .auth
        .user_service
        .unwrap();
    assert_eq!(
        (service.url.expose(), service.verify_path.as_str()),
        ("https://users", "/users/me")
    );
    let expected = "USER_SERVICE_URL: is not set; expected http://host or https://host where \
                    AUTH_VERIFY_WITH_USER_SERVICE is true";
    assert_eq!(faults_with(&[asked]), [expected]);
}

#[test]
fn paths_and_addresses_join_without_doubled_slashes() {
    let pairs = [
        ("QUESTION_SERVICE_URL", "http://questions:8000/base/"),
        ("QUESTION_SERVICE_BASE_PATH", "/"),
        ("HOST", "[::1]"),
    ];

    let settings = load_with(&pairs).unwrap();

    let service = settings.question_service.unwrap();
    assert_eq!(service.url.expose(), "http://questions:8000/base");
    assert_eq!(service.base_path, "");
    assert_eq!(settings.http.host, "::1");
}

#[test]
fn traces_are_sent_where_a_collector_is_named_and_as_many_as_the_sampler_says() {
    let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:pw@collector:4318/");
    let traces = |pairs: &[(&str, &str)]| {
        let pairs = [&[collector], pairs].concat();
        load_with(&pairs).unwrap().traces.unwrap()
    };
    let sampling = |sampler, ratio| {
        let pairs = [
            ("OTEL_TRACES_SAMPLER", sampler),
            ("OTEL_TRACES_SAMPLER_ARG", ratio),
        ];
        let Sampling {
            caller_decides,
            share,
        } = traces(&pairs).sampling;
        (caller_decides, share)
    };

    let usual = traces(&[]);
    assert_eq!(usual.endpoint.expose(), "http://u:pw@collector:4318");
    assert_eq!(usual.service_name, "peerprep-matching-service");
    assert_eq!(traces(&[("OTEL_SERVICE_NAME", "m")]).service_name, "m");
    assert_eq!(sampling("parentbased_always_on", "0.5"), (true, 1.0));
    assert_eq!(sampling("parentbased_always_off", "0.5"), (true, 0.0));
    assert_eq!(sampling("parentbased_traceidratio", "0.5"), (true, 0.5));
    assert_eq!(sampling("Always_On", "0.5"), (false, 1.0));
    assert_eq!(sampling("always_off", "0.5"), (false, 0.0));
    assert_eq!(sampling("traceidratio", "0.25"), (false, 0.25));
    let others = ["OTEL_SERVICE_NAME", "OTEL_TRACES_SAMPLER_ARG"];
    assert!(
        load_with(&others.map(|name| (name, "1")))
            .unwrap()
            .traces
            .is_none()
    );
}

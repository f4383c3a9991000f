//! Where values come from, and which one wins.

use std::fs;
use std::os::unix::ffi::OsStringExt;

use super::*;

#[test]
fn a_stronger_place_wins_over_a_weaker_one() {
    let (folder, sources) = nothing();
    let port = |sources: &Sources| Settings::load(sources).unwrap().http.port;

    write(&folder, "config/default.toml", "port = 1");
    assert_eq!(port(&sources), 1);
    write(&folder, "config/dev.toml", "port = 2");
    assert_eq!(port(&sources), 2);
    write(&folder, "config/other.toml", "port = 99");
    assert_eq!(port(&sources), 2);
    write(&folder, "config/local.toml", "port = 3");
    assert_eq!(port(&sources), 3);
    write(&folder, ".env", "PORT=4");
    assert_eq!(port(&sources), 4);
    assert_eq!(port(&sources.with("PORT", "5")), 5);
}

#[test]
fn a_blank_value_counts_as_not_set_in_every_place() {
    let (folder, sources) = nothing();
    write(
        &folder,
        "config/default.toml",
        "port = 1\napp_name = \"files\"",
    );
    write(&folder, "config/local.toml", "port = \"\"");
    write(&folder, ".env", "PORT=\nAPP_NAME=' '");

    let settings = Settings::load(&sources.with("PORT", "  ").with("ENV", "")).unwrap();

    assert_eq!(
        (settings.http.port, settings.app_name.as_str()),
        (1, "files")
    );
}

#[test]
fn the_environment_s_name_chooses_the_file_wherever_it_is_set() {
    for (path, text) in [
        (".env", "ENV=staging"),
        ("config/default.toml", "env = 'staging'"),
    ] {
        let (folder, sources) = nothing();
        write(&folder, path, text);
        write(&folder, "config/staging.toml", "port = 7");
        let sources = production()
            .iter()
            .skip(1)
            .fold(sources, |all, (n, v)| all.with(n, v));

        let settings = Settings::load(&sources).unwrap();

        assert_eq!(
            (settings.environment.as_str(), settings.http.port),
            ("staging", 7),
            "{path}"
        );
    }
}

#[test]
fn a_chosen_file_cannot_choose_again() {
    let (folder, sources) = nothing();
    write(&folder, "config/local.toml", "env = 'production'");
    write(&folder, "config/dev.toml", "env = 'dev'");

    let faults = Settings::load(&sources).unwrap_err();

    let expected = "env (config/local.toml): \"production\" comes too late to choose which files \
                    are read; expected ENV in the environment, in .env or in config/default.toml";
    assert_eq!(faults.to_string(), expected);
}

#[test]
fn the_older_name_of_the_secret_is_taken_where_the_newer_is_not_stronger() {
    let secret = |pairs: &[_]| load_with(pairs).unwrap().auth.secret.expose().to_owned();
    let (older, newer) = (("JWT_SECRET_KEY", "older"), ("AUTH_ACCESS_SECRET", "newer"));

    assert_eq!(secret(&[older]), "older");
    assert_eq!(secret(&[older, newer]), "newer");
    assert_eq!(secret(&[older, ("AUTH_ACCESS_SECRET", "")]), "older");
    let (folder, sources) = nothing();
    write(&folder, ".env", "AUTH_ACCESS_SECRET=weaker");
    let settings = Settings::load(&sources.with(older.0, older.1)).unwrap();
    assert_eq!(settings.auth.secret.expose(), "older");
}

#[test]
fn all_faults_of_all_places_are_told_at_once() {
    let (folder, sources) = nothing();
    write(
        &folder,
        "config/default.toml",
        "prot = 8002\nPORT = 1\nhost = { v4 = 'x' }",
    );
    write(&folder, "config/dev.toml", "port = = 1");
    write(&folder, "config/local.toml", "max_tickets = true");
    write(&folder, ".env", "ADMIN_TOKEN=pa ss\nASK_BURST=none");

    let faults = Settings::load(&sources.with("LOG_LEVEL", "loud"))
        .unwrap_err()
        .to_string();

    let lines: Vec<_> = faults.lines().collect();
    let expected = [
        "PORT (config/default.toml): keys of files are in lower case; expected \"port\"",
        "host (config/default.toml): its value has parts of its own; expected one text, number, \
         true or false, or a list of texts",
        "prot (config/default.toml): there is no such variable; expected a variable of the \
         README's table, in lower case",
        ".env: line 1 cannot be understood; expected NAME=value, the value in single quotes where \
         it has spaces or any of $ \\ \" #",
    ];
    assert_eq!(lines[..4], expected);
    assert!(
        lines[4].starts_with("config/dev.toml: TOML parse error at line 1"),
        "{}",
        lines[4]
    );
    assert!(lines[5].starts_with("LOG_LEVEL (environment): \"loud\" is none of these"));
    assert!(lines[6].starts_with("MAX_TICKETS (config/local.toml): \"true\" is no whole number"));
    assert!(
        lines[7].starts_with("ASK_BURST (.env): \"none\" is no whole number"),
        "{}",
        lines[7]
    );
    assert_eq!(lines.len(), 8);
}

#[test]
fn unreadable_files_and_bytes_that_are_no_text_are_faults() {
    let (folder, sources) = nothing();
    fs::create_dir_all(folder.path().join(".env")).unwrap();
    write(&folder, "config/local.toml", "");
    fs::write(folder.path().join("config/local.toml"), [0xff, 0xfe]).unwrap();
    let no_text = std::ffi::OsString::from_vec(vec![b'x', 0xff]);

    let faults = Settings::load(&sources.with("AUTH_ACCESS_SECRET", no_text)).unwrap_err();

    let subjects: Vec<_> = faults
        .0
        .iter()
        .map(|fault| fault.subject.as_str())
        .collect();
    assert_eq!(
        subjects,
        [".env", "AUTH_ACCESS_SECRET", "config/local.toml"]
    );
}

#[test]
fn files_take_numbers_truth_values_and_lists() {
    let (folder, sources) = nothing();
    let text = "matching_timeout_seconds = 0.25\nport = 0\nauth_verify_with_user_service = false\n\
                cors_allowed_origins = ['http://a', 'http://b']";
    write(&folder, "config/local.toml", text);

    let settings = Settings::load(&sources).unwrap();

    assert_eq!(settings.timeouts.ticket_wait_ms, 250);
    assert_eq!(settings.http.port, 0);
    let listed = Origins::Listed(vec!["http://a".to_owned(), "http://b".to_owned()]);
    assert_eq!(settings.http.allowed_origins, listed);
}

#[test]
fn names_of_other_services_in_a_shared_dot_env_are_left_alone() {
    let (folder, sources) = nothing();
    write(
        &folder,
        ".env",
        "\u{feff}export PORT=9\nDEBUG=1\n# no\nQUOTED='a $b #c'\r\n",
    );

    assert_eq!(Settings::load(&sources).unwrap().http.port, 9);
}

#[test]
fn the_environment_is_found_whatever_else_is_wrong() {
    let (folder, sources) = nothing();
    write(&folder, "config/local.toml", "nonsense");

    let found = Environment::find(&sources.with("ENV", "production").with("PORT", "x")).unwrap();

    assert_eq!(found.as_str(), "production");
    assert!(!found.is_dev());
}

//! How the program is started, and what it says when it cannot: contract §9.

use std::net::TcpListener;

use crate::harness::*;

/// Options for what concerns the program alone and no backend.
fn alone() -> Options {
    Options::on(Backends::Embedded)
}

/// Asserts that the program ended with a failure and one clear text, which mentions `words`.
#[track_caller]
fn failed_clearly(exit: &Exit, words: &[&str]) {
    assert!(!exit.status.success(), "{exit:?}");
    assert!(exit.status.code().is_some(), "killed by a signal: {exit:?}");
    for word in words {
        assert!(
            exit.output.contains(word),
            "no word of `{word}`:\n{}",
            exit.output
        );
    }
    for noise in ["panicked", "stack backtrace", "RUST_BACKTRACE"] {
        assert!(!exit.output.contains(noise), "{}", exit.output);
    }
}

#[actix_rt::test]
async fn check_config_prints_what_is_effective_with_secrets_masked() {
    let folder = new_folder();
    let options = alone()
        .with("MATCHING_TIMEOUT_SECONDS", "7.5")
        .with("AUTH_ACCESS_SECRET", "a-secret-that-nobody-may-read")
        .with(
            "AUTH_ACCESS_SECRET_PREVIOUS",
            "one-that-nobody-may-read-either",
        )
        .with("ADMIN_TOKEN", "the-token-of-the-operators");

    let exit = options.run_to_exit(folder.path(), &["check-config"]).await;

    assert!(exit.status.success(), "{exit:?}");
    let line = exit
        .output
        .lines()
        .find(|line| line.contains("MATCHING_TIMEOUT_SECONDS"));
    assert!(
        line.is_some_and(|line| line.contains("7.5")),
        "{}",
        exit.output
    );
    for name in [
        "ENV",
        "PORT",
        "DATABASE_URL",
        "AUTH_ACCESS_SECRET",
        "MAX_CONCURRENT_MATCHES",
    ] {
        assert!(exit.output.contains(name), "no {name}:\n{}", exit.output);
    }
    assert!(
        exit.output.contains("sqlite://data/matchmaker.db"),
        "{}",
        exit.output
    );
    for secret in ["nobody-may-read", "token-of-the-operators"] {
        assert!(!exit.output.contains(secret), "{}", exit.output);
    }
    assert!(
        !folder.path().join("data").exists(),
        "checking changes nothing"
    );
}

#[actix_rt::test]
async fn every_fault_of_the_configuration_is_named_at_once() {
    let folder = new_folder();
    let faulty = [
        ("PORT", "eighty"),
        ("LOG_LEVEL", "LOUD"),
        ("AUTH_ALGORITHM", "RS256"),
        ("MATCHING_TIMEOUT_SECONDS", "-1"),
        ("CONFIRM_MATCH_TIMEOUT_SECONDS", "soon"),
        ("MAX_CONCURRENT_MATCHES", "0"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("QUESTION_SERVICE_URL", "ftp://questions"),
        ("CORS_ALLOWED_ORIGINS", "not an origin"),
    ];
    let options = faulty
        .iter()
        .fold(alone(), |options, (name, value)| options.with(name, value));
    let names = faulty.map(|(name, _)| name);

    for arguments in [&["check-config"][..], &[]] {
        let exit = options.run_to_exit(folder.path(), arguments).await;
        failed_clearly(&exit, &names);
    }
}

#[actix_rt::test]
async fn outside_dev_everything_that_is_missing_is_named() {
    let folder = new_folder();
    let options = alone().with("ENV", "production");
    let names = [
        "DATABASE_URL",
        "REDIS_URL",
        "RABBITMQ_URL",
        "QUESTION_SERVICE_URL",
        "AUTH_ACCESS_SECRET",
        "ADMIN_TOKEN",
    ];

    for arguments in [&[][..], &["check-config"]] {
        let exit = options.run_to_exit(folder.path(), arguments).await;
        failed_clearly(&exit, &names);
    }
    let short = options.clone().with("AUTH_ACCESS_SECRET", "x".repeat(31));
    failed_clearly(
        &short.run_to_exit(folder.path(), &[]).await,
        &["AUTH_ACCESS_SECRET", "32"],
    );
    let long = options.with("AUTH_ACCESS_SECRET", "x".repeat(32));
    let exit = long.run_to_exit(folder.path(), &[]).await;
    failed_clearly(&exit, &["ADMIN_TOKEN"]);
    assert!(
        !exit.output.contains("AUTH_ACCESS_SECRET"),
        "{}",
        exit.output
    );
    assert!(
        !folder.path().join("data").exists(),
        "a refused start changes nothing"
    );
}

#[actix_rt::test]
async fn the_token_command_prints_a_token_that_works() {
    let server = Server::start().await;
    let folder = new_folder();

    let exit = alone()
        .run_to_exit(folder.path(), &["token", "ada lovelace"])
        .await;

    assert!(exit.status.success(), "{exit:?}");
    let token = exit.output.trim().to_owned();
    assert!(
        !token.contains(char::is_whitespace),
        "the token alone: {token}"
    );
    let ada = User::new(server.api(), "ada lovelace", token);
    assert_eq!(
        ada.ask("Easy", "Array").await.expect(200)["user_id"],
        "ada lovelace"
    );
}

#[actix_rt::test]
async fn the_token_command_is_refused_outside_dev_and_for_impossible_users() {
    let folder = new_folder();

    let production = alone().with("ENV", "production");
    failed_clearly(
        &production
            .run_to_exit(folder.path(), &["token", "ada"])
            .await,
        &["dev"],
    );
    for user in ["", "a\nb", &"a".repeat(256)] {
        let exit = alone().run_to_exit(folder.path(), &["token", user]).await;
        failed_clearly(&exit, &[]);
        assert!(!exit.output.contains("eyJ"), "{}", exit.output);
    }
    failed_clearly(
        &alone()
            .run_to_exit(folder.path(), &["no-such-command"])
            .await,
        &[],
    );
}

#[actix_rt::test]
async fn an_empty_variable_counts_as_not_set() {
    let options = Server::with("MATCHING_TIMEOUT_SECONDS", "").with("ADMIN_TOKEN", "");
    let server = options
        .with("APP_NAME", "")
        .with("AUTH_ACCESS_SECRET", "")
        .start()
        .await;

    let health = server.get("/health").await;
    assert_eq!(health.expect(200)["service"], "peerprep-matching-service");
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;
    assert_eq!(ada.state(&ticket).await, "pending");
}

#[actix_rt::test]
async fn files_override_defaults_and_the_environment_overrides_files() {
    let folder = new_folder();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a test may write its folder");
    };
    std::fs::create_dir(folder.path().join("config")).expect("a test may write its folder");
    write("config/dev.toml", "app_name = \"from the file\"\n");
    let name_of =
        async |server: &Server| server.get("/health").await.expect(200)["service"].clone();

    let server = Server::with("LOG_LEVEL", "INFO").start_in(folder).await;
    assert_eq!(name_of(&server).await, "from the file");
    std::fs::write(server.folder().join(".env"), "APP_NAME='from .env'\n")
        .expect("a test may write its folder");
    server.restart().await;
    assert_eq!(name_of(&server).await, "from .env");
    server.set("APP_NAME", "from the environment");
    server.restart().await;
    assert_eq!(name_of(&server).await, "from the environment");
}

#[actix_rt::test]
async fn a_busy_port_is_one_clear_sentence() {
    let folder = new_folder();
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let port = listener.local_addr().expect("it is bound").port();

    let exit = alone()
        .with("PORT", port)
        .run_to_exit(folder.path(), &[])
        .await;

    failed_clearly(&exit, &[&port.to_string()]);
}

#[test]
fn too_low_a_limit_of_open_files_is_one_clear_sentence() {
    let folder = new_folder();
    // Root may raise any limit, unless it is without the capability for that.
    let limited = "ulimit -n 100; [ \"$(id -u)\" = 0 ] || exec \"$0\"; \
                   exec setpriv --bounding-set=-sys_resource \"$0\"";

    let child = std::process::Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_matchmaker")])
        .env("PORT", "0")
        .current_dir(folder.path())
        .output();

    let output = child.expect("a shell is there");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(told.contains("the limit of open files is 100"), "{told}");
}

#[actix_rt::test]
async fn a_folder_that_cannot_be_written_is_one_clear_sentence() {
    let folder = new_folder();
    // Works for root as well, who may write whatever is read-only.
    std::fs::write(folder.path().join("data"), "a file").expect("a test may write its folder");

    let exit = alone().run_to_exit(folder.path(), &[]).await;
    failed_clearly(&exit, &["data"]);

    let nowhere = alone().with(
        "DATABASE_URL",
        "sqlite:///proc/no/such/folder/matchmaker.db",
    );
    let exit = nowhere.run_to_exit(folder.path(), &[]).await;
    failed_clearly(&exit, &["/proc/no/such/folder"]);
}

#[actix_rt::test]
async fn certificates_that_cannot_be_read_are_one_clear_sentence() {
    let options = alone().with("ROOT_CERTIFICATES", "no/such/file.pem");

    let exit = options.run_to_exit(new_folder().path(), &[]).await;

    failed_clearly(&exit, &["ROOT_CERTIFICATES", "no/such/file.pem"]);
}

#[actix_rt::test]
async fn a_file_that_is_no_database_is_one_clear_sentence_and_stays_as_it_is() {
    let folder = new_folder();
    let file = folder.path().join("letter.txt");
    let letter = "Dear Ada, this is not a database.\n".repeat(100);
    std::fs::write(&file, &letter).expect("a test may write its folder");

    let options = alone().with("DATABASE_URL", "sqlite://letter.txt");
    let exit = options.run_to_exit(folder.path(), &[]).await;

    failed_clearly(&exit, &["letter.txt"]);
    assert_eq!(
        std::fs::read_to_string(&file).expect("it is still there"),
        letter
    );
}

#[actix_rt::test]
async fn the_binary_alone_in_an_empty_folder_is_the_whole_product() {
    let server = alone().start().await;

    let session = scenes::pair(&server, "ada", "bob", "Array")
        .await
        .open_session()
        .await;

    server.session(&session).await.expect(200);
    assert!(server.database_file().is_file());
    let entries = std::fs::read_dir(server.folder()).expect("the folder is there");
    let names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    assert_eq!(names, ["data"], "nothing else is left lying about");
}

#[actix_rt::test]
async fn a_database_elsewhere_is_used_where_it_is_asked_for() {
    let options = alone().with("DATABASE_URL", "sqlite://another/place.db");
    let server = options.start().await;
    let ada = server.user("ada");
    let ticket = ada.open_ticket("Easy", "Array").await;

    server.restart().await;

    assert_eq!(ada.state(&ticket).await, "pending");
    assert!(server.folder().join("another/place.db").is_file());
    assert!(!server.database_file().exists());
}

#[actix_rt::test]
async fn the_playground_gets_tokens_in_dev() {
    let server = Server::start().await;

    let request = server
        .request(Method::POST, "/dev/token")
        .json(&json!({"user_id": "ada"}));
    let reply = request.send().await;

    let token = text(reply.expect(200), "token").to_owned();
    let ada = User::new(server.api(), "ada", token);
    assert_eq!(ada.ask("Easy", "Array").await.expect(200)["user_id"], "ada");
    for body in [
        json!({}),
        json!({"user_id": ""}),
        json!({"user_id": 7}),
        json!("ada"),
    ] {
        let request = server.request(Method::POST, "/dev/token").json(&body);
        request.send().await.expect(400);
    }
}

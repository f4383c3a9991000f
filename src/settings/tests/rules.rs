//! What is different outside dev, and what is never shown.

use super::*;

#[test]
fn a_secret_is_never_part_of_a_fault_or_of_what_is_shown() {
    let secret = "s3cr3t-value";
    let pairs = [
        ("ENV", "production".to_owned()),
        ("AUTH_ACCESS_SECRET", secret.to_owned()),
        ("AUTH_ACCESS_SECRET_PREVIOUS", secret.to_owned()),
        ("ADMIN_TOKEN", format!("{secret} x")),
        ("DATABASE_URL", format!("mysql://u:{secret}@db/m")),
        ("REDIS_URL", format!("redis//:{secret}@redis")),
        ("RABBITMQ_URL", format!("amqp://u:{secret}@mq:port")),
        ("QUESTION_SERVICE_URL", format!("http://u:{secret}@")),
    ];
    let (folder, sources) = nothing();
    write(
        &folder,
        "config/local.toml",
        &format!("admin_token = {secret}"),
    );
    write(&folder, ".env", &format!("ADMIN_TOKEN='{secret}"));
    let sources = pairs
        .iter()
        .fold(sources, |all, (name, value)| all.with(name, value));

    let faults = Settings::load(&sources).unwrap_err();

    assert_eq!(faults.0.len(), 9, "{faults}");
    assert!(!format!("{faults}{faults:?}").contains(secret), "{faults}");
    let settings = load_with(&production()).unwrap();
    let shown = format!("{settings:?}{:?}", settings.table());
    for hidden in ["db-pw", "redis-pw", "mq-pw", STRONG, "operators-only"] {
        assert!(!shown.contains(hidden), "{hidden} is shown");
    }
}

#[test]
fn outside_dev_everything_that_has_a_stand_in_must_be_set() {
    for name in [
        "DATABASE_URL",
        "REDIS_URL",
        "RABBITMQ_URL",
        "QUESTION_SERVICE_URL",
        "ADMIN_TOKEN",
    ] {
        let what = if name == "ADMIN_TOKEN" {
            "a token"
        } else {
            "an address"
        };
        let expected = format!(
            "{name}: is not set; expected {what}, because ENV is \"production\" and not \"dev\""
        );
        assert_eq!(faults_with(&without(name)), [expected]);
    }
    assert_eq!(faults_with(&[("ENV", "production")]).len(), 6);
    assert_eq!(
        faults_with(&[("ENV", "Dev")]).len(),
        6,
        "only dev in lower case is dev"
    );
}

#[test]
fn outside_dev_a_secret_is_long_and_not_the_one_that_everybody_knows() {
    let expected = "expected 32 random bytes or more where ENV is not dev";
    let short = "0123456789abcdef0123456789abcde";
    let mut not_set = without("AUTH_ACCESS_SECRET");
    assert_eq!(
        faults_with(&not_set),
        [format!(
            "AUTH_ACCESS_SECRET (default): is the default, which everybody knows; {expected}"
        )]
    );

    not_set.push(("JWT_SECRET_KEY", short));
    assert_eq!(
        faults_with(&not_set),
        [format!(
            "AUTH_ACCESS_SECRET (environment): has only 31 bytes; {expected}"
        )]
    );

    let mut rotating = production();
    rotating.push(("AUTH_ACCESS_SECRET_PREVIOUS", "dev-only-change-me"));
    assert_eq!(faults_with(&rotating).len(), 1);
    rotating.push(("AUTH_ACCESS_SECRET_PREVIOUS", STRONG));
    let settings = load_with(&rotating).unwrap();
    assert_eq!(settings.auth.previous_secret.unwrap().expose(), STRONG);
}

#[test]
fn outside_dev_logs_are_json_and_development_tokens_are_off() {
    let mut pairs = production();
    pairs.push(("DEV_TOKENS", "any"));

    let settings = load_with(&pairs).unwrap();

    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.auth.dev_tokens, DevTokens::Off);
    pairs.push(("LOG_FORMAT", "human"));
    assert_eq!(load_with(&pairs).unwrap().log.format, LogFormat::Human);
}

//! PostgreSQL over TLS, with a certificate that only who is given it trusts.

use std::sync::Arc;
use std::time::Duration;

use matchmaker::ports::{Clock, Records};
use matchmaker::store::{OpenedStore, PostgresOpenError};
use tokio_postgres::Client;

use super::postgres::{open_error, texts};
use super::subject::{StoppedClock, admin, open_on_postgres};
use crate::harness::eventually;
use crate::servers::Postgres;

/// Makes the server show a certificate of its own for 127.0.0.1, which this gives. The server writes
/// it itself, where it looks for it.
async fn turn_on_tls(client: &Client) -> String {
    let make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=pg \
        -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE \
        -out server.crt -keyout server.key";
    for statement in [
        &format!("COPY (SELECT 1) TO PROGRAM '{make}'"),
        "ALTER SYSTEM SET ssl = on",
        "SELECT pg_reload_conf()",
    ] {
        client.batch_execute(statement).await.expect(statement);
    }
    let certificate = texts(client, "SELECT pg_read_file('server.crt')").await;
    certificate.concat()
}

#[tokio::test]
async fn tls_is_spoken_as_the_address_asks() {
    let server = Postgres::own();
    let database = server.database();
    let client = admin(&database).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let roots = folder.path().join("root.pem");
    std::fs::write(&roots, turn_on_tls(&client).await).expect("a temporary file");
    let address = |mode: &str| format!("{}?sslmode={mode}", database.url());
    let with_roots = |mode: &str| format!("{}&sslrootcert={}", address(mode), roots.display());
    let encrypted = "SELECT DISTINCT ssl::text FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE application_name = 'matchmaker'";
    let clock: Arc<dyn Clock> = StoppedClock::at(0);

    for (url, is_encrypted) in [
        (address("disable"), "false"),
        (address("prefer"), "true"),
        (address("require"), "true"),
        (with_roots("require"), "true"),
        (with_roots("verify-ca"), "true"),
        (with_roots("verify-full"), "true"),
        (
            with_roots("verify-ca").replace("127.0.0.1", "localhost"),
            "true",
        ),
    ] {
        let OpenedStore { writer, records } = open_on_postgres(&url, &clock).await;
        let answers = async || records.ping().await.ok();
        eventually(&format!("an answer from {url}"), answers).await;
        assert_eq!(texts(&client, encrypted).await, [is_encrypted], "{url}");
        drop(records);
        writer.close().await;
        let gone = "SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity
            WHERE application_name = 'matchmaker'";
        texts(&client, gone).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let unknown = open_error(&address("verify-full")).await;
    let other_host = open_error(&with_roots("verify-full").replace("127.0.0.1", "localhost")).await;
    for refused in [unknown, other_host] {
        assert!(
            matches!(refused, PostgresOpenError::Refused { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains("certificate"), "{refused}");
    }
}

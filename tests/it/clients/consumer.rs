//! docs/clients/match_found.py, on a real broker.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};

use crate::harness::output::Output;
use crate::harness::*;
use crate::servers;

/// The consumer as a process; ended when dropped.
struct Consumer {
    process: Child,
    output: Output,
}

impl Consumer {
    /// Starts it, and awaits that it listens.
    async fn start(broker: &str, folder: &Path) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python = Command::new(root.join("tests/python/environment")).output();
        let python = python.expect("the script runs");
        let said = String::from_utf8_lossy(&python.stderr);
        assert!(python.status.success(), "there is no environment: {said}");
        let python = String::from_utf8(python.stdout).expect("a path");
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(Path::new(python.trim()).join("bin/python"))
            .arg(root.join("docs/clients/match_found.py"))
            .env("RABBITMQ_URL", broker)
            .current_dir(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python runs");
        let output = Output::default();
        output.read(process.stdout.take().expect("stdout is piped"));
        output.read(process.stderr.take().expect("stderr is piped"));
        let consumer = Self { process, output };
        consumer.says("listening on", 1).await;
        consumer
    }

    /// Awaits that a line with this in it has come so often.
    async fn says(&self, what: &str, times: usize) {
        eventually(what, async || {
            let said = self.output.text_from(0);
            let lines = said.lines().filter(|line| line.contains(what));
            (lines.count() >= times).then_some(())
        })
        .await;
    }

    /// Awaits that this session's event was handled; the sessions of all events that were.
    async fn handled(&self, session: &str) -> Vec<String> {
        self.says(session, 1).await;
        let said = self.output.text_from(0);
        let events = said
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .map(|event| text(&event, "session_id").to_owned())
            .collect()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends the event once more, as after a crash between the broker's word and ours.
async fn repeat(broker: &str, properties: BasicProperties, body: &str) {
    let connected = Connection::connect(broker, ConnectionProperties::default()).await;
    let connection = connected.expect("the broker answers");
    let channel = connection.create_channel().await.expect("a channel");
    let confirmed = channel
        .confirm_select(ConfirmSelectOptions::default())
        .await;
    confirmed.expect("it confirms");
    let (exchange, key) = ("matching.events".into(), "match.found".into());
    let options = BasicPublishOptions::default();
    let sent = channel.basic_publish(exchange, key, options, body.as_bytes(), properties);
    let confirmed = sent.await.expect("it is sent").await;
    confirmed.expect("the broker has it");
}

/// Ends every connection to this virtual host.
fn cut_connections(broker: &str) {
    let name = broker.rsplit('/').next().unwrap_or_default();
    servers::rabbitmq().evaluate(&format!(
        "[rabbit_networking:close_connection(Pid, \"cut\") \
         || [{{pid, Pid}}, {{vhost, <<\"{name}\">>}}] \
         <- rabbit_networking:connection_info_all([pid, vhost])]."
    ));
}

#[actix_rt::test]
async fn the_consumer_handles_each_session_once() {
    let backends = Backends::real();
    let Backends::Real(neighbours) = &backends else {
        panic!("these are the real ones");
    };
    let broker = neighbours.vhost.url();
    let server = Options::on(backends.clone()).start().await;
    let folder = new_folder();
    let consumer = Consumer::start(&broker, folder.path()).await;
    let mut other = hear(&broker).await.expect("the exchange is there");

    let pair = scenes::pair(&server, "ada", "bob", "Array").await;
    let first = pair.open_session().await;
    assert_eq!(consumer.handled(&first).await, [first.as_str()]);

    let (properties, body) = other.next().await.expect("it is announced");
    repeat(&broker, properties, &body).await;
    cut_connections(&broker);
    consumer.says("listening on", 2).await;
    let pair = scenes::pair(&server, "cleo", "dan", "Graph").await;
    let second = pair.open_session().await;

    assert_eq!(consumer.handled(&second).await, [first, second]);
}

//! A page in a browser without a window, which reports to the test.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::harness::{Value, new_folder};

/// A browser starts in a second or two, on a busy machine in many.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser that shows a page of this test's own origin; ended when dropped.
pub struct Page {
    browser: Child,
    reports: mpsc::UnboundedReceiver<Value>,
    _profile: TempDir,
}

impl Page {
    /// Opens a page that runs `script`, which may load `module` and is told `query`.
    pub async fn open(script: &'static str, module: &Path, query: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let module = std::fs::read_to_string(module).expect("the client is there");
        let (reporter, reports) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script, module.clone(), reporter.clone()));
            }
        });
        let profile = new_folder();
        let browser = browser(profile.path(), &format!("http://127.0.0.1:{port}/{query}"));
        Self {
            browser,
            reports,
            _profile: profile,
        }
    }

    /// The next report.
    pub async fn report(&mut self) -> Value {
        let report = timeout(PATIENCE, self.reports.recv()).await;
        report
            .expect("the page reports in time")
            .expect("its server runs")
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}

/// Ended with the thread that started it, whatever becomes of that.
fn browser(profile: &Path, url: &str) -> Child {
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "chromium", "--headless=new"])
        // Tests run as root on machines of continuous integration, where its sandbox cannot be had; all
        // that it loads is ours.
        .args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .env("HOME", profile)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromium is installed")
}

async fn serve(
    mut stream: TcpStream,
    script: &'static str,
    module: String,
    reporter: mpsc::UnboundedSender<Value>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|it| it == b"\r\n\r\n") {
        let mut some = [0; 4_096];
        match stream.read(&mut some).await? {
            0 => return Ok(()),
            read => head.extend_from_slice(&some[..read]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let target = head.split(' ').nth(1).unwrap_or_default();
    let url = url::Url::parse(&format!("http://test{target}")).expect("a target is one");
    let (kind, body) = match url.path() {
        "/" => (
            "text/html",
            "<!DOCTYPE html><script type=module src=/page.js></script>",
        ),
        "/page.js" => ("text/javascript", script),
        "/matchmaker.js" => ("text/javascript", module.as_str()),
        "/report" => {
            let query = url
                .query_pairs()
                .next()
                .map(|(report, _)| report.into_owned());
            let report = serde_json::from_str(&query.unwrap_or_default());
            let _ = reporter.send(report.expect("reports are JSON"));
            ("text/plain", "")
        }
        _ => ("text/plain", ""),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await
}

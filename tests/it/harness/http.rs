//! Requests to the server, and what it answered.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use awc::http::Method;
use awc::http::header::{self, HeaderMap};
use awc::{Client, Connector};
use serde_json::Value;

use crate::contract;

/// One client and the server's present address; clones share both.
#[derive(Clone)]
pub struct Api {
    client: Client,
    port: Rc<Cell<u16>>,
    tokens: Rc<RefCell<Vec<String>>>,
}

impl Api {
    /// A client without a limit of connections.
    pub fn new() -> Self {
        let connector = Connector::new().limit(0).timeout(Duration::from_secs(10));
        let client = Client::builder()
            .connector(connector)
            .timeout(Duration::from_secs(30))
            .disable_redirects()
            .finish();
        Self {
            client,
            port: Rc::default(),
            tokens: Rc::default(),
        }
    }

    /// Follows the server to the port that it listens on now.
    pub fn moved_to(&self, port: u16) {
        self.port.set(port);
    }

    /// Where the server listens.
    pub fn port(&self) -> u16 {
        self.port.get()
    }

    /// The full address of `path`.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port.get())
    }

    /// The client itself, for sockets.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Remembers a token that must never stand in the server's output.
    pub fn keep_secret(&self, token: &str) {
        let signature = token.rsplit('.').next().unwrap_or(token);
        if signature.len() >= 16 {
            self.tokens.borrow_mut().push(signature.to_owned());
        }
    }

    /// Signatures of the tokens in use.
    pub fn secrets(&self) -> Vec<String> {
        self.tokens.borrow().clone()
    }

    /// A request to be bent and sent.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request {
            api: self.clone(),
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// A request that has not been sent.
#[must_use]
#[derive(Clone)]
pub struct Request {
    api: Api,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Request {
    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds `Authorization: Bearer`.
    pub fn bearer(self, token: &str) -> Self {
        self.api.keep_secret(token);
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets the body, without a word about its type.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets the body and its type.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .body(body.to_string())
    }

    /// Sends it and fails when there is no answer.
    pub async fn send(self) -> Reply {
        let what = format!("{} {}", self.method, self.path);
        self.try_send()
            .await
            .unwrap_or_else(|problem| panic!("no answer to {what}: {problem}"))
    }

    /// Sends it; the text says why there is no answer.
    pub async fn try_send(self) -> Result<Reply, String> {
        let what = format!("{} {}", self.method, self.path);
        let is_preflight = self.method == Method::OPTIONS
            && self
                .headers
                .iter()
                .any(|(name, _)| *name == "access-control-request-method");
        let url = self.api.url(&self.path);
        let method = self.method.clone();
        let mut request = self.api.client.request(self.method, url).no_decompress();
        for (name, value) in self.headers {
            request = request.append_header((name, value));
        }
        let mut response = request
            .send_body(self.body)
            .await
            .map_err(|problem| problem.to_string())?;
        let body = response
            .body()
            .limit(64 * 1024 * 1024)
            .await
            .map_err(|problem| problem.to_string())?;
        let status = response.status().as_u16();
        let reply = Reply::new(what, status, response.headers().clone(), &body);
        reply.assert_documented(method.as_str(), &self.path, is_preflight);
        Ok(reply)
    }
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The request that this answers, for failure messages.
    pub what: String,
    /// The status code.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub json: Value,
}

impl Reply {
    /// Puts an answer together.
    pub fn new(what: String, status: u16, headers: HeaderMap, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self {
            what,
            status,
            headers,
            text,
            json,
        }
    }

    /// Asserts that the server's own document says that this may be answered.
    #[track_caller]
    pub fn assert_documented(&self, method: &str, target: &str, is_preflight: bool) {
        contract::assert_documented(contract::Answer {
            method,
            target,
            is_preflight,
            status: self.status,
            headers: &self.headers,
            text: &self.text,
        });
    }

    /// One header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// What its caller sees of it, but for what names it and the time.
    pub fn visible(&self) -> (u16, Vec<(String, String)>, &str) {
        let mut headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), format!("{value:?}")))
            .filter(|(name, _)| name != "date" && name != "x-request-id")
            .collect();
        headers.sort_unstable();
        (self.status, headers, &self.text)
    }

    /// Asserts the status code, and for an error the shape that contract §2 gives it; the JSON.
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Value {
        assert_eq!(
            self.status, status,
            "{} was answered {}: {}",
            self.what, self.status, self.text
        );
        if status >= 400 {
            self.assert_error_shape();
        }
        &self.json
    }

    /// Asserts an error with exactly this sentence.
    #[track_caller]
    pub fn expect_error(&self, status: u16, detail: &str) -> &Value {
        self.expect(status);
        assert_eq!(self.json["detail"], detail, "{}: {}", self.what, self.text);
        &self.json
    }

    #[track_caller]
    fn assert_error_shape(&self) {
        let shown = format!("{} was answered {}: {}", self.what, self.status, self.text);
        let detail = self.json["detail"].as_str().unwrap_or_default();
        assert!(!detail.is_empty(), "no `detail`: {shown}");
        let kind = self
            .header(header::CONTENT_TYPE.as_str())
            .unwrap_or_default();
        assert!(
            kind.starts_with("application/json"),
            "type `{kind}`: {shown}"
        );

        match self.status {
            401 => assert_eq!(self.header("www-authenticate"), Some("Bearer"), "{shown}"),
            404 => {
                assert_eq!(self.json["error"], "Not Found", "{shown}");
                assert_eq!(self.json["status_code"], 404, "{shown}");
            }
            429 | 503 => {
                let wait = self
                    .header("retry-after")
                    .and_then(|text| text.parse::<u64>().ok());
                assert!(wait.is_some(), "no Retry-After in seconds: {shown}");
            }
            500 => {
                assert_eq!(self.json["error"], "Internal Server Error", "{shown}");
                assert_eq!(self.json["status_code"], 500, "{shown}");
            }
            _ => {}
        }
    }
}

//! What a server answered on one connection, as bytes.

use awc::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::contract;

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// All headers, the names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Asserts that the server's own document says that this may be answered to a request of sound form.
    #[track_caller]
    pub fn assert_documented(&self, request: &[u8]) {
        let head = String::from_utf8_lossy(request);
        let head = head.split("\r\n\r\n").next().unwrap_or_default();
        let mut words = head.split(' ');
        let (method, target) = (words.next(), words.next());
        let asks = head
            .to_lowercase()
            .contains("\naccess-control-request-method:");
        let pairs = self.headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::from_str(value).ok()?))
        });
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| headers.append(name, value));
        contract::assert_documented(contract::Answer {
            method: method.unwrap_or_default(),
            target: target.unwrap_or_default(),
            is_preflight: method == Some("OPTIONS") && asks,
            status: self.status,
            headers: &headers,
            text: &self.body,
        });
    }
}

/// Every answer in what came over one connection until its end. Behind an upgrade come frames, and
/// what answers HEAD has no body whatever it says: the rest is not looked at.
///
/// # Errors
///
/// What is not HTTP about it.
pub fn parse(mut bytes: &[u8], to_head: bool) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or_else(|| format!("half an answer: {}", shown(bytes)))?;
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| shown(bytes))?;
        let mut answer = parse_head(head)?;
        bytes = &bytes[end + 4..];
        match answer.status {
            100 => continue,
            101 => bytes = &[],
            _ if to_head => bytes = &[],
            _ => {
                let length = answer.header("content-length").unwrap_or("0");
                let length: usize = length.parse().map_err(|_| head.to_owned())?;
                let body = bytes.get(..length).ok_or("the body is cut off")?;
                answer.body = String::from_utf8_lossy(body).into_owned();
                bytes = &bytes[length..];
            }
        }
        answers.push(answer);
    }
    Ok(answers)
}

fn parse_head(head: &str) -> Result<Answer, String> {
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let code = first
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| first.strip_prefix("HTTP/1.0 "));
    let status = code.and_then(|it| it.get(..3)?.parse().ok());
    let header = |line: &str| {
        let (name, value) = line
            .split_once(':')
            .ok_or_else(|| format!("no header: {line}"))?;
        Ok((name.to_lowercase(), value.trim().to_owned()))
    };
    Ok(Answer {
        status: status.ok_or_else(|| format!("no status line: {first}"))?,
        headers: lines.map(header).collect::<Result<_, String>>()?,
        body: String::new(),
    })
}

/// Bytes for a message, not all of them where there are many.
pub fn shown(bytes: &[u8]) -> String {
    let text = bytes[..bytes.len().min(1_500)].escape_ascii().to_string();
    format!("{text} ({} bytes)", bytes.len())
}

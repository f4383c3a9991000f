//! What happened, in order: a hash of all of it, and the last lines of it for whoever looks for the
//! reason of a failure.
//!
//! Ids are made by the server and differ from run to run; each is named by its first appearance, so
//! that two runs are the same exactly where everything but the ids is the same.

use std::collections::{HashMap, VecDeque};
use std::env;

use matchmaker::domain::Timestamp;
use uuid::Uuid;

const LAST_LINES: usize = 80;
const UUID_CHARS: usize = 36;

#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: u64,
    names: HashMap<Uuid, usize>,
    last: VecDeque<String>,
    prints: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            lines: 0,
            names: HashMap::new(),
            last: VecDeque::new(),
            prints: env::var("VIRTUAL_TRACE").is_ok(),
        }
    }
}

impl Trace {
    pub fn note(&mut self, at: Timestamp, text: &str) {
        let line = format!("{} {}", at.as_ms(), self.named(text));
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self.lines += 1;
        if self.prints {
            eprintln!("{line}");
        }
        self.last.push_back(line);
        if self.last.len() > LAST_LINES {
            self.last.pop_front();
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The newest lines, oldest first.
    pub fn tail(&self) -> String {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        lines.join("\n")
    }

    /// `text` with a name for each id in it.
    pub fn named(&mut self, text: &str) -> String {
        let bytes = text.as_bytes();
        let (mut named, mut copied, mut dash) = (String::with_capacity(text.len()), 0, 8);
        // The first dash of an id stands after eight digits.
        while let Some(found) = bytes.get(dash..).and_then(|rest| {
            let next = rest.iter().position(|byte| *byte == b'-')?;
            Some(dash + next)
        }) {
            let begin = found - 8;
            let id = text.get(begin..begin + UUID_CHARS);
            match id.and_then(|id| Uuid::try_parse(id).ok()) {
                Some(id) if begin >= copied => {
                    let next = self.names.len() + 1;
                    let name = *self.names.entry(id).or_insert(next);
                    named.push_str(&text[copied..begin]);
                    named.push_str(&format!("#{name}"));
                    copied = begin + UUID_CHARS;
                    dash = copied + 8;
                }
                _ => dash = found + 1,
            }
        }
        named.push_str(&text[copied..]);
        named
    }
}

#[test]
fn ids_are_named_by_their_first_appearance() {
    let [one, other] = [Uuid::from_u128(7), Uuid::from_u128(1)];
    let mut trace = Trace::default();

    let named = trace.named(&format!("a-b {one}, {other} and-or {one}"));

    assert_eq!(named, "a-b #1, #2 and-or #1");
}

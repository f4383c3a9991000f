//! What a process writes.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// What a process writes, collected by one thread for each of its streams.
#[derive(Clone, Default)]
pub struct Output {
    lines: Arc<Mutex<Vec<String>>>,
    /// Counted by its clones: one for each stream that is still read.
    reading: Arc<()>,
}

impl Output {
    /// Reads a stream to its end.
    pub fn read(&self, stream: impl Read + Send + 'static) {
        let (lines, reading) = (Arc::clone(&self.lines), Arc::clone(&self.reading));
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
            drop(reading);
        });
    }

    /// Whether every stream has ended.
    pub fn ended(&self) -> bool {
        Arc::strong_count(&self.reading) == 1
    }

    /// How many lines there are.
    pub fn lines(&self) -> usize {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// The text from this line on.
    pub fn text_from(&self, line: usize) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.get(line..).unwrap_or_default().join("\n")
    }
}

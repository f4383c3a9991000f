//! What a PostgreSQL server answers, as far as it tells of commits.

/// Longest message of which more is kept than its length.
const SHORT: usize = 64;

/// Reads a server's side of one connection, chunk by chunk. Bytes of another protocol do no harm: in
/// them nothing is found, or what is found means nothing to anybody.
#[derive(Debug, Default)]
pub(super) struct Answers {
    begun: bool,
    /// The beginning of the message that is not complete: type, length, and what follows.
    message: Vec<u8>,
    /// Bytes of the present message that are still to come, once its length is known.
    left: Option<usize>,
}

impl Answers {
    /// Where in `chunk` the first message begins that says that something written was committed, or
    /// its rest where it began in an earlier chunk.
    pub(super) fn first_commit_in(&mut self, chunk: &[u8]) -> Option<usize> {
        let (mut found, mut begins) = (None, 0);
        for (at, byte) in chunk.iter().enumerate() {
            if self.message.is_empty() {
                begins = at;
                // One byte answers the question for TLS, before any message.
                if !std::mem::replace(&mut self.begun, true) && matches!(byte, b'N' | b'S') {
                    self.begun = false;
                    continue;
                }
            }
            if self.message.len() < SHORT {
                self.message.push(*byte);
            }
            if self.take_one() && says_commit(&std::mem::take(&mut self.message)) {
                found = found.or(Some(begins));
            }
        }
        found
    }

    /// Counts one byte; whether it was the last one of its message.
    fn take_one(&mut self) -> bool {
        match &mut self.left {
            None if self.message.len() == 5 => {
                let length = self.message[1..5].iter();
                let length = length.fold(0, |sum, byte| sum << 8 | usize::from(*byte));
                self.left = Some(length.saturating_sub(4)).filter(|left| *left > 0);
                self.left.is_none()
            }
            None => false,
            Some(1) => {
                self.left = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}

/// Whether it is a CommandComplete of COMMIT, or of a statement that is a transaction by itself and
/// inserts or updates.
fn says_commit(message: &[u8]) -> bool {
    let tag = message.strip_prefix(b"C").and_then(|rest| rest.get(4..));
    tag.is_some_and(|tag| {
        [&b"COMMIT\0"[..], b"INSERT 0 ", b"UPDATE "]
            .iter()
            .any(|says| tag.starts_with(says))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("it is short");
        [&[kind][..], &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn the_answer_to_a_commit_is_found_however_the_bytes_are_cut() {
        let rows = message(b'D', &[7; 300]);
        let ready = message(b'Z', b"I");
        let begun = [
            &b"N"[..],
            &message(b'R', &[0; 4]),
            &message(b'C', b"BEGIN\0"),
        ]
        .concat();
        let before = [&begun[..], &rows, &message(b'2', b""), &ready].concat();
        let stream = [&before[..], &message(b'C', b"COMMIT\0"), &ready].concat();

        assert_eq!(
            Answers::default().first_commit_in(&stream),
            Some(before.len())
        );
        for size in [1, 2, 3, 7, 100] {
            let mut answers = Answers::default();
            let mut found = None;
            for (number, chunk) in stream.chunks(size).enumerate() {
                if let Some(at) = answers.first_commit_in(chunk) {
                    found = found.or(Some(number * size + at));
                }
            }
            let found = found.expect("it is found");
            assert!(
                (before.len()..stream.len() - ready.len()).contains(&found),
                "{found}"
            );
        }
    }

    #[test]
    fn neither_a_read_nor_a_beginning_is_a_commit() {
        let stream = [message(b'C', b"SELECT 1\0"), message(b'C', b"BEGIN\0")].concat();

        assert_eq!(Answers::default().first_commit_in(&stream), None);
    }
}

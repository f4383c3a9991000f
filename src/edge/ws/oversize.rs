//! Stops a frame that is too long when its head arrives.
//!
//! The decoder behind this gathers a whole frame before it looks at its length, so a client could
//! make it hold any number of bytes.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures_util::Stream;

/// Longest head of a frame, in bytes: two, a length of eight, a mask of four.
const HEAD_BYTES_MAX: usize = 14;

/// The bytes of a socket, up to the first frame that is too long.
pub struct Oversize<S> {
    bytes: S,
    frames: Frames,
    found: Rc<Cell<bool>>,
}

impl<S> Oversize<S> {
    /// `found` is set when a frame with more than `frame_bytes_max` comes; then `bytes` end.
    pub fn new(bytes: S, frame_bytes_max: usize, found: Rc<Cell<bool>>) -> Self {
        Self {
            bytes,
            frames: Frames::new(frame_bytes_max),
            found,
        }
    }
}

impl<S> Stream for Oversize<S>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.found.get() {
            return Poll::Ready(None);
        }
        let next = Pin::new(&mut self.bytes).poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &next
            && !self.frames.take(bytes)
        {
            self.found.set(true);
            return Poll::Ready(Some(Err(PayloadError::Overflow)));
        }
        next
    }
}

/// Walks from frame to frame, whatever the pieces in which they come.
struct Frames {
    bytes_max: u64,
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    payload_left: u64,
}

impl Frames {
    fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max: bytes_max as u64,
            head: [0; HEAD_BYTES_MAX],
            head_len: 0,
            payload_left: 0,
        }
    }

    /// False where a frame is too long.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        while let [first, rest @ ..] = bytes {
            if self.payload_left > 0 {
                let skipped = usize::try_from(self.payload_left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.payload_left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head[self.head_len] = *first;
            self.head_len += 1;
            bytes = rest;
            if self.head_len == self.head_size() {
                self.payload_left = self.payload_len();
                self.head_len = 0;
                if self.payload_left > self.bytes_max {
                    return false;
                }
            }
        }
        true
    }

    /// How long this head is, as far as its first two bytes tell (RFC 6455, section 5.2).
    fn head_size(&self) -> usize {
        if self.head_len < 2 {
            return 2;
        }
        let length = match self.head[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.head[1] & 0x80 == 0 { 0 } else { 4 };
        2 + length + mask
    }

    fn payload_len(&self) -> u64 {
        let be = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |all, byte| all << 8 | u64::from(*byte))
        };
        match self.head[1] & 0x7f {
            126 => be(&self.head[2..4]),
            127 => be(&self.head[2..10]),
            length => u64::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked text frame with `len` bytes.
    fn frame(len: usize) -> Vec<u8> {
        let mut bytes = vec![0x81];
        match len {
            0..126 => bytes.push(0x80 | len as u8),
            126..65_536 => {
                bytes.push(0x80 | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((len as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.extend(std::iter::repeat_n(b'x', len));
        bytes
    }

    #[test]
    fn frames_up_to_the_limit_pass_in_any_pieces() {
        let all: Vec<u8> = [0, 125, 126, 4_096, 7]
            .into_iter()
            .flat_map(frame)
            .collect();

        for piece in [1, 2, 3, 1_000, all.len()] {
            let mut frames = Frames::new(4_096);
            assert!(
                all.chunks(piece).all(|bytes| frames.take(bytes)),
                "pieces of {piece}"
            );
            assert_eq!((frames.head_len, frames.payload_left), (0, 0));
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_seen_in_its_head() {
        for len in [4_097, 70_000] {
            let mut frames = Frames::new(4_096);
            assert!(frames.take(&frame(10)));
            assert!(!frames.take(&frame(len)[..14]));
        }
    }

    #[test]
    fn the_longest_length_there_is_does_not_overflow() {
        let mut head = vec![0x82, 0xff];
        head.extend([0xff; 8]);
        head.extend([0; 4]);

        assert!(!Frames::new(4_096).take(&head));
    }
}

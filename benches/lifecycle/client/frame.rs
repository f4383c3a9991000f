//! WebSocket frames: those that the server sends, and the one kind that is sent back.

use std::ops::Range;

/// Longest payload that is taken; events are a few hundred bytes.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

pub const TEXT: u8 = 0x1;
pub const CLOSE: u8 = 0x8;
pub const PING: u8 = 0x9;
pub const PONG: u8 = 0xA;

const LAST: u8 = 0x80;
const MASKED: u8 = 0x80;

/// One whole frame at the beginning of what was received.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    /// Where its payload stands; the frame ends with it.
    pub payload: Range<usize>,
}

/// The frame at the beginning of `bytes`; nothing where more bytes are needed.
///
/// # Errors
///
/// What is wrong with it: no server sends masked frames, and ours sends no fragments.
pub fn decode(bytes: &[u8]) -> Result<Option<Frame>, &'static str> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    if first & 0x70 != 0 {
        return Err("a frame with reserved bits");
    }
    if first & LAST == 0 {
        return Err("a fragmented message");
    }
    if second & MASKED != 0 {
        return Err("a masked frame");
    }
    let (length, begin) = match second & 0x7F {
        126 => match rest.first_chunk() {
            Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
            None => return Ok(None),
        },
        127 => match rest.first_chunk() {
            Some(length) => (u64::from_be_bytes(*length), 10),
            None => return Ok(None),
        },
        length => (u64::from(length), 2),
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|length| *length <= PAYLOAD_BYTES_MAX);
    let length = length.ok_or("a frame that is too long")?;
    let payload = begin..begin + length;
    let whole = payload.end <= bytes.len();
    Ok(whole.then_some(Frame {
        opcode: first & 0x0F,
        payload,
    }))
}

/// The answer to a ping with this payload, which is at most 125 bytes long.
pub fn pong(payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(125)];
    let length = payload.len() as u8;
    // Masked with the key 0, which leaves the payload as it is.
    let mut frame = vec![LAST | PONG, MASKED | length, 0, 0, 0, 0];
    frame.extend(payload);
    frame
}

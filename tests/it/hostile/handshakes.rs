//! Handshakes of sockets that are none, and frames that are none.

use super::dice::Dice;
use super::requests::{LINES, ODD_PARTS};
use super::scene::Cast;
use crate::harness::*;

/// A handshake with something wrong in it, or with nonsense behind it.
pub fn next(cast: &Cast, dice: &mut Dice) -> Vec<u8> {
    let tokens = [&cast.worthless, &cast.strangers, &cast.members][dice.below(3)];
    let token = &tokens[dice.below(tokens.len())];
    let (target, line) = match dice.below(6) {
        0 => ("/ws".to_owned(), String::new()),
        1 => (
            "/ws".to_owned(),
            format!("Authorization: Bearer {token}\r\n"),
        ),
        2 => (format!("/ws?token={token}&token={token}"), String::new()),
        3 => (format!("/ws?token={}", dice.one(ODD_PARTS)), String::new()),
        _ => (format!("/ws?token={token}"), String::new()),
    };
    let mut lines = line;
    for _ in 0..dice.below(3) {
        lines.push_str(dice.one(LINES));
        lines.push_str("\r\n");
    }
    let mut text = upgrade(&target, &lines);
    for (from, to) in [
        ("Version: 13", "Version: 8"),
        ("Version: 13", "Version: 13, 8"),
        ("websocket", "WebSocket, h2c"),
        ("websocket", "webso\u{212a}et"),
        ("Connection: Upgrade", "Connection: close"),
        ("dGhlIHNhbXBsZSBub25jZQ==", ""),
        (
            "dGhlIHNhbXBsZSBub25jZQ==",
            "not base64 at all, and far too long for a key",
        ),
        ("GET", "POST"),
        ("HTTP/1.1", "HTTP/1.0"),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: x\r\nSec-WebSocket-Key",
        ),
    ] {
        if dice.chance(6) {
            text = text.replacen(from, to, 1);
        }
    }
    let mut bytes = text.into_bytes();
    for _ in 0..dice.below(6) {
        let payload: Vec<u8> = (0..dice.below(200)).map(|_| dice.byte()).collect();
        bytes.extend(frame(dice.chance(80), dice.byte() & 0x7f, &payload));
    }
    bytes.extend((0..dice.below(20)).map(|_| dice.byte()));
    bytes
}

//! What a client may send on its socket, and the codes that tell it what it may not: contract §4 and
//! RFC 6455, sections 5 and 7.4.

use std::time::Duration;

use crate::harness::*;

/// Kinds of frames.
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A reserved bit of a frame's first byte.
const RESERVED: u8 = 0x40;

/// The code in the first close frame among the short frames of a server.
fn close_code(bytes: &[u8]) -> Option<u16> {
    let mut rest = bytes;
    while let [first, length, after @ ..] = rest {
        let (payload, next) = after.split_at_checked(usize::from(*length))?;
        if let (0x88, [high, low, ..]) = (*first, payload) {
            return Some(u16::from_be_bytes([*high, *low]));
        }
        rest = next;
    }
    None
}

/// Sends `frames` on a socket of `user`; gives the code with which the server closes it.
async fn closed_with(server: &Server, user: &User, frames: &[Vec<u8>]) -> Option<u16> {
    let mut raw = Raw::connect(server.api()).await;
    raw.open_socket(user).await;
    for frame in frames {
        raw.send(frame).await;
    }
    raw.finds(close_code).await
}

fn closing(payload: &[u8]) -> Vec<Vec<u8>> {
    vec![frame(true, CLOSE, payload)]
}

/// What breaks the protocol.
fn violations() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let mut reserved_bit = frame(true, TEXT, b"x");
    reserved_bit[0] |= RESERVED;
    let mut reserved_bit_of_ping = frame(true, PING, b"");
    reserved_bit_of_ping[0] |= RESERVED;
    let long = [b'x'; 126];
    let part = |last, kind| frame(last, kind, b"part");
    vec![
        ("no mask", vec![vec![0x81, 5, b'h', b'e', b'l', b'l', b'o']]),
        ("a reserved kind of data", vec![frame(true, 3, b"x")]),
        ("a reserved kind of control", vec![frame(true, 0x0b, b"x")]),
        ("a reserved bit", vec![reserved_bit]),
        ("a reserved bit of a ping", vec![reserved_bit_of_ping]),
        (
            "bytes that are no frames",
            vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()],
        ),
        ("a part before the first", vec![part(false, CONTINUATION)]),
        (
            "a last part before the first",
            vec![part(true, CONTINUATION)],
        ),
        (
            "text among parts",
            vec![part(false, TEXT), part(true, TEXT)],
        ),
        (
            "first parts among parts",
            vec![part(false, TEXT), part(false, BINARY)],
        ),
        ("a ping in parts", vec![part(false, PING)]),
        ("a pong in parts", vec![part(false, PONG)]),
        ("a close in parts", vec![part(false, CLOSE)]),
        ("a long ping", vec![frame(true, PING, &long)]),
        ("a long pong", vec![frame(true, PONG, &long)]),
        ("a long close", closing(&long)),
        ("half a code", closing(&[3])),
        ("the code 0", closing(&0u16.to_be_bytes())),
        ("a code below all", closing(&999u16.to_be_bytes())),
        (
            "a code that says there is none",
            closing(&1005u16.to_be_bytes()),
        ),
        ("a code that is never sent", closing(&1006u16.to_be_bytes())),
        (
            "a code of the protocol that is none",
            closing(&1016u16.to_be_bytes()),
        ),
        ("a code above all", closing(&5000u16.to_be_bytes())),
        ("a reason that is no text", closing(&[3, 0xe8, 0xff])),
    ]
}

#[actix_rt::test]
async fn what_breaks_the_protocol_closes_with_1002_and_hurts_nobody_else() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada"), server.user("eve"));
    let screen = ada.connect().await;

    for (what, frames) in violations() {
        assert_eq!(
            closed_with(&server, &eve, &frames).await,
            Some(1002),
            "{what}"
        );
    }

    scenes::pair_up(ada, server.user("bob"), "Array").await;
    screen.match_with("bob").await;
    assert_eq!(screen.close_code(), None);
}

#[actix_rt::test]
async fn text_that_is_no_utf_8_closes_with_1007_in_one_piece_and_in_parts() {
    let server = Server::start().await;
    let eve = server.user("eve");
    let [head, tail] = ["ü".as_bytes()[0], "ü".as_bytes()[1]];

    for frames in [
        vec![frame(true, TEXT, &[0xff, 0xff])],
        vec![frame(false, TEXT, b"a"), frame(true, CONTINUATION, &[0xff])],
        vec![frame(false, TEXT, &[head]), frame(true, CONTINUATION, b"a")],
        vec![frame(false, TEXT, b"a"), frame(true, CONTINUATION, &[head])],
    ] {
        assert_eq!(
            closed_with(&server, &eve, &frames).await,
            Some(1007),
            "{frames:?}"
        );
    }
    let mut raw = Raw::connect(server.api()).await;
    raw.open_socket(&eve).await;
    raw.send(frame(false, TEXT, &[head])).await;
    raw.send(frame(true, PING, b"between parts")).await;
    raw.send(frame(true, CONTINUATION, &[tail])).await;
    raw.send(frame(true, BINARY, &[0xff])).await;
    raw.send(frame(true, CLOSE, &1000u16.to_be_bytes())).await;
    assert_eq!(raw.finds(close_code).await, Some(1000));
}

#[actix_rt::test]
async fn a_message_that_is_too_long_closes_with_1009_as_soon_as_that_shows() {
    let server = Server::start().await;
    let eve = server.user("eve");
    let thousand = [b'x'; 1_000];
    let mut in_parts = vec![frame(false, TEXT, &thousand)];
    in_parts.extend((0..4).map(|_| frame(false, CONTINUATION, &thousand)));
    let head_alone = |length: u64| {
        let mut head = vec![0x82, 0xff];
        head.extend(length.to_be_bytes());
        head.extend([0; 4]);
        vec![head]
    };

    for (what, frames) in [
        ("parts", in_parts),
        ("one byte too many", vec![frame(true, TEXT, &[b'x'; 4_097])]),
        ("a gigabyte that does not come", head_alone(1 << 30)),
        ("more bytes than there are", head_alone(i64::MAX as u64)),
        ("a length that is none", head_alone(u64::MAX)),
    ] {
        assert_eq!(
            closed_with(&server, &eve, &frames).await,
            Some(1009),
            "{what}"
        );
    }
}

#[actix_rt::test]
async fn a_flood_of_any_kind_of_frame_closes_with_1008_and_hurts_nobody_else() {
    let server = Server::start().await;
    let (ada, eve) = (server.user("ada"), server.user("eve"));
    let screen = ada.connect().await;
    let begun = std::time::Instant::now();

    for kind in [TEXT, BINARY, PING, PONG] {
        let flood = vec![frame(true, kind, b"x").repeat(5_000)];
        assert_eq!(
            closed_with(&server, &eve, &flood).await,
            Some(1008),
            "{kind}"
        );
    }
    let mut parts = frame(false, BINARY, b"");
    parts.extend(frame(false, CONTINUATION, b"").repeat(5_000));
    assert_eq!(closed_with(&server, &eve, &[parts]).await, Some(1008));

    assert!(is_in_time(begun.elapsed(), Duration::from_secs(3)));
    assert_eq!(server.reached("socket_messages").await, 5.0);
    scenes::pair_up(ada, server.user("bob"), "Array").await;
    screen.match_with("bob").await;
    assert_eq!(screen.close_code(), None);
}

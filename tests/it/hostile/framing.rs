//! Requests within which another one is hidden: whoever takes the hidden one for a request of its own
//! was made to carry out what nobody asked for (request smuggling).
//!
//! Each is so made that a server which follows RFC 9112 refuses it or takes what is hidden for a
//! part of a body.

use super::dice::Dice;

/// Values of a length that is not one, or one that others read differently. `N` is the length.
const LENGTHS: &[&str] = &[
    "+N",
    "-N",
    "0xN",
    "N, N",
    "N,0",
    "0,N",
    "N N",
    "N;",
    "\"N\"",
    "N.0",
    "Ne0",
    "",
    "\u{b}N",
    "18446744073709551616",
    "99999999999999999999999",
];
/// Ways to write that the body is chunked, or nearly; all next to a length.
const CODINGS: &[&str] = &[
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "transfer-encoding:chunked",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding: identity, chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: \"chunked\"",
    "Transfer-Encoding: chunked;q=1",
    "Transfer-Encoding:\tchunked",
    "Transfer-Encoding : chunked",
    "Transfer-Encoding\t: chunked",
    " Transfer-Encoding: chunked",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "Transfer-Encoding:\r\n chunked",
    "X: x\nTransfer-Encoding: chunked",
    "X: x\rTransfer-Encoding: chunked",
    "X: x\r\n\tTransfer-Encoding: chunked",
    "Transfer_Encoding: chunked",
    "Transfer-Encoding: \u{b}chunked",
    "Transfer-Encoding: chunked\u{b}",
    "Transfer-Encoding: chunked\0",
    "Transfer-Encoding\0: chunked",
];
/// Sizes of a chunk that are none, or that others read differently. `N` is the size in hexadecimal.
const SIZES: &[&str] = &[
    "0xN",
    "+N",
    "-N",
    " N",
    "N;a=\"b\"",
    "N;a",
    "N ",
    "N\t;a",
    "000000000000000000000N",
    "fffffffffffffffffN",
    "N_",
    "N\0",
    "N;\r",
    "g",
    "",
];
/// What makes the rest of the connection something else, or nearly.
const SWITCHES: &[&str] = &[
    "Connection: Upgrade\r\nUpgrade: websocket\r\n",
    "Upgrade: websocket\r\n",
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
    "Expect: 100-continue\r\n",
    "Expect: 100-continue, nonsense\r\n",
    "Connection: Content-Length\r\n",
    "Connection: close, keep-alive, Transfer-Encoding\r\n",
    "Content-Encoding: chunked\r\n",
    "Content-Type: multipart/form-data; boundary=x\r\n",
    "",
];

/// A request to `target` with `hidden` in it; `authorization` is a line of its head, or none.
pub fn with_hidden(target: &str, authorization: &str, hidden: &str, dice: &mut Dice) -> Vec<u8> {
    let method = dice.one(&["POST", "POST", "GET", "DELETE", "PUT", "OPTIONS", "TRACE"]);
    let start = format!("{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{authorization}");
    let ended = format!("0\r\n\r\n{hidden}");
    let length = ended.len();
    match dice.below(7) {
        // Read as chunks, what is hidden comes behind the end.
        0 => {
            let coding = dice.one(CODINGS);
            let (first, second) = (format!("Content-Length: {length}"), coding.to_owned());
            let lines = if dice.chance(50) {
                [first, second]
            } else {
                [second, first]
            };
            format!("{start}{}\r\n{}\r\n\r\n{ended}", lines[0], lines[1])
        }
        1 => {
            let value = dice.one(LENGTHS).replace('N', &length.to_string());
            format!("{start}Content-Length: {value}\r\n\r\n{ended}")
        }
        2 => {
            let other = dice.one(&["0", "5", "4", "+0", ""]);
            let (first, second) = if dice.chance(50) {
                (other.to_owned(), length.to_string())
            } else {
                (length.to_string(), other.to_owned())
            };
            format!("{start}Content-Length: {first}\r\nContent-Length: {second}\r\n\r\n{ended}")
        }
        3 => {
            let size = dice.one(SIZES).replace('N', &format!("{length:x}"));
            format!(
                "{start}Transfer-Encoding: chunked\r\n\r\n{size}\r\n{ended}\r\n0\r\nX-Injected: yes\r\n\r\n"
            )
        }
        4 => {
            let old = start.replace("HTTP/1.1", "HTTP/1.0");
            format!(
                "{old}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\
                 Content-Length: {length}\r\n\r\n{ended}"
            )
        }
        // Sound, but some look at no body of such a request.
        5 => {
            let more = dice.one(SWITCHES);
            format!("{start}{more}Content-Length: {length}\r\n\r\n{ended}")
        }
        // Longer than what is read: wherever the server stops, what is hidden follows.
        _ => {
            let body = hidden.repeat(20_000 / hidden.len() + 1);
            format!("{start}Content-Length: {}\r\n\r\n{body}", body.len())
        }
    }
    .into_bytes()
}

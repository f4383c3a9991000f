//! Requests of every kind that a server may be sent by those who have no business with it.

use super::bodies;
use super::dice::Dice;
use super::framing;
use super::handshakes;
use super::routes::Route;
use super::scene::Cast;
use crate::harness::*;

/// Ids and parts of paths that are none, as a path may spell them.
pub const ODD_PARTS: &[&str] = &[
    "undefined",
    "%00",
    "%2f",
    "..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..;",
    "%c0%af",
    "%c0%ae%c0%ae",
    "%ff%fe",
    "%ed%a0%80",
    "%25%32%66",
    "%",
    "%zz",
    "%0d%0aX-Injected:%20yes",
    "%1b%5b31m",
    "%e2%80%ae",
    "%EF%BC%8F",
    "'%20OR%201=1--",
    "*",
    "{}",
    "~root",
    "a.b",
    "00000000-0000-0000-0000-000000000000",
    "urn:uuid:00000000-0000-0000-0000-000000000001",
    "{00000000-0000-0000-0000-000000000001}",
];
/// Changes to a whole path; `P` is the path.
const ODD_PATHS: &[&str] = &[
    "P/",
    "P//",
    "/P",
    "P/.",
    "P/..",
    "/./P",
    "P%00",
    "P%2f",
    "P;a=b",
    "P.json",
    "P%20",
    "P#x",
    "/%2e%2e/P",
    "P/x",
    "http://127.0.0.1P",
    "http://evil.exampleP",
    "*",
    "P?",
];
const ODD_METHODS: &[&str] = &[
    "GET",
    "POST",
    "DELETE",
    "PUT",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "PRI",
    "BREW",
    "DEBUG",
    "PROPFIND",
    "M-SEARCH",
    "!#$%&'*+.^_`|~",
];
const QUERIES: &[&str] = &[
    "?",
    "?token=",
    "?token=x",
    "?token=%00&token=%ff",
    "?a=b&a=c",
    "?%0d%0aX-Injected:%20yes",
    "?a[]=1&a[$ne]=2",
    "?_method=DELETE",
    "?;",
    "?=&=",
    "?%",
    "?callback=x",
    "?token=..%2f..%2f",
];
/// Header lines that mean something to somebody, each sound by itself.
pub const LINES: &[&str] = &[
    "X-Request-Id: 00000000-0000-0000-0000-000000000001",
    "X-Request-Id: %0d%0aX-Injected: yes",
    "X-Request-Id: \t",
    "X-Forwarded-For: 127.0.0.1, ::1",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: gopher",
    "Forwarded: for=\"[::1]\";host=evil.example;proto=https",
    "X-Real-Ip: 127.0.0.1",
    "X-Original-Url: /admin",
    "X-Rewrite-Url: /metrics",
    "X-Http-Method-Override: DELETE",
    "Origin: null",
    "Origin: https://evil.example",
    "Origin: http://[",
    "Access-Control-Request-Method: POST",
    "Access-Control-Request-Method: \x22",
    "Access-Control-Request-Headers: authorization, ,,\x22",
    "Content-Type: application/json; charset=utf-16",
    "Content-Type: ;;;=,",
    "Content-Type: text/html; charset=\"",
    "Content-Encoding: gzip",
    "Content-Encoding: identity",
    "Content-Language: \u{80}\u{80}",
    "Expect: 100-continue",
    "Expect: the unexpected",
    "Range: bytes=0-0,-1,5-1",
    "Range: bytes=18446744073709551615-",
    "If-Match: *",
    "If-Range: x",
    "If-None-Match: *",
    "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "Accept: */*;q=99999999999999999999",
    "Accept-Encoding: gzip, br, zstd, *;q=0",
    "Upgrade: websocket",
    "Upgrade: h2c",
    "TE: trailers, deflate;q=0.5",
    "Trailer: Content-Length",
    "Max-Forwards: -1",
    "Via: 1.1 evil",
    "Cookie: token=x; a=\"",
    "Authorization: Negotiate x",
    "Proxy-Authorization: Basic x",
    "Content-Location: /admin",
    "Content-MD5: x",
    "Date: never",
    "Early-Data: 1",
    "Sec-Fetch-Site: cross-site",
    "Sec-WebSocket-Protocol: a, b,,",
];
/// What a head has no room for.
const RAW: &[&[u8]] = &[
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\t",
    b" ",
    b"\x1b[31m",
    b"\x7f",
    b"\xff",
    b"\xc2\x85",
    b"\xc2\x9b31m",
    b"\xe2\x80\xa8",
    b":",
    b"%",
    b"\r\nX-Injected: yes",
    b"HTTP/1.1",
    b"HTTP/9.9",
    b"\r\n x",
];

/// One thing to send.
pub struct Input {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Whether it is one request of sound form, which is answered once.
    pub is_sound: bool,
    /// Whether its method is `HEAD`.
    pub to_head: bool,
}

/// Who a request says that it comes from.
#[derive(Clone, Copy, PartialEq)]
enum Caller {
    Nobody,
    /// With a token that is not valid.
    Worthless,
    /// With a token of somebody who has no part in what the request is about.
    Stranger,
    /// With a token of somebody whom the request is about: its body is none.
    Member,
}

/// The next input.
pub fn next(routes: &[Route], cast: &Cast, dice: &mut Dice) -> Input {
    match dice.below(100) {
        0..60 => call(routes, cast, dice),
        60..74 => mangled(routes, cast, dice),
        74..88 => {
            let route = &routes[dice.below(routes.len())];
            let target = route.with_ids(|| id(cast, dice));
            let caller = [Caller::Nobody, Caller::Stranger][dice.below(2)];
            let line = authorization(&caller, cast, dice);
            let hidden = cast.deed(dice);
            unsound(framing::with_hidden(&target, &line, hidden, dice))
        }
        _ => unsound(handshakes::next(cast, dice)),
    }
}

fn unsound(bytes: Vec<u8>) -> Input {
    Input {
        bytes,
        is_sound: false,
        to_head: false,
    }
}

/// One request of sound form.
fn call(routes: &[Route], cast: &Cast, dice: &mut Dice) -> Input {
    let route = &routes[dice.below(routes.len())];
    let caller = match dice.below(10) {
        0..2 => Caller::Nobody,
        2..5 => Caller::Worthless,
        5..8 => Caller::Stranger,
        // Nothing else keeps their request from being a good one.
        _ if route.method != "GET" && route.body.is_none() => Caller::Stranger,
        _ => Caller::Member,
    };
    let is_member = caller == Caller::Member;
    let mut path = route.with_ids(|| id(cast, dice));
    let mut method = route.method.as_str();
    if !is_member && dice.chance(15) {
        path = dice.one(ODD_PATHS).replace('P', &path);
    }
    if !is_member && dice.chance(8) {
        method = dice.one(ODD_METHODS);
    }
    if dice.chance(12) {
        path.push_str(dice.one(QUERIES));
    }
    let mut body = match &route.body {
        Some(good) if is_member => bodies::broken(&about(good, cast, dice), dice),
        Some(good) => bodies::mutated(&about(good, cast, dice), dice),
        None if dice.chance(10) => cast.deed(dice).into(),
        None => Vec::new(),
    };
    if !body.is_empty() && dice.chance(12) {
        body.resize(17_000, b' ');
    }

    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n").into_bytes();
    bytes.extend_from_slice(authorization(&caller, cast, dice).as_bytes());
    for _ in 0..[0, 0, 1, 2, 5][dice.below(5)] {
        bytes.extend_from_slice(dice.one(LINES).as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    finish(&mut bytes, &body, dice);
    Input {
        bytes,
        is_sound: method != "CONNECT" && method != "HEAD",
        to_head: method == "HEAD",
    }
}

/// The end of the head, and the body as it is or in chunks.
fn finish(bytes: &mut Vec<u8>, body: &[u8], dice: &mut Dice) {
    if body.is_empty() {
        return bytes.extend_from_slice(b"\r\n");
    }
    if dice.chance(80) {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        return bytes.extend_from_slice(body);
    }
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for chunk in body.chunks(1 + dice.below(body.len())) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
}

fn authorization(caller: &Caller, cast: &Cast, dice: &mut Dice) -> String {
    let tokens = match caller {
        Caller::Nobody => return String::new(),
        Caller::Worthless => &cast.worthless,
        Caller::Stranger => &cast.strangers,
        Caller::Member => &cast.members,
    };
    let token = &tokens[dice.below(tokens.len())];
    format!("Authorization: Bearer {token}\r\n")
}

/// A live id of the scene, one that nobody has, or none at all.
fn id(cast: &Cast, dice: &mut Dice) -> String {
    match dice.below(10) {
        0..6 => cast.ids[dice.below(cast.ids.len())].clone(),
        6..8 => dice.uuid(),
        8 => "x".repeat([1, 36, 500, 9_000][dice.below(4)]),
        _ => dice.one(ODD_PARTS).to_owned(),
    }
}

/// A good body with ids of the scene in the place of those of the example.
fn about(good: &Value, cast: &Cast, dice: &mut Dice) -> Value {
    let mut body = good.clone();
    for field in body
        .as_object_mut()
        .into_iter()
        .flat_map(|it| it.values_mut())
    {
        let is_id = field
            .as_str()
            .is_some_and(|it| uuid::Uuid::try_parse(it).is_ok());
        if is_id && dice.chance(90) {
            *field = json!(cast.ids[dice.below(cast.ids.len())]);
        }
    }
    body
}

/// A request of somebody who may do nothing, with bytes in it that have no place there.
fn mangled(routes: &[Route], cast: &Cast, dice: &mut Dice) -> Input {
    let route = &routes[dice.below(routes.len())];
    let path = route.with_ids(|| id(cast, dice));
    let caller = if dice.chance(50) {
        Caller::Worthless
    } else {
        Caller::Stranger
    };
    let mut bytes = format!("{} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n", route.method).into_bytes();
    bytes.extend_from_slice(authorization(&caller, cast, dice).as_bytes());
    if dice.chance(3) {
        let many = 90 + dice.below(20);
        bytes.extend_from_slice("X: y\r\n".repeat(many).as_bytes());
    }
    if dice.chance(3) {
        let long = "x".repeat(30_000 + dice.below(150_000));
        bytes.extend_from_slice(format!("X-Long: {long}\r\n").as_bytes());
    }
    let body = route
        .body
        .as_ref()
        .map(|good| bodies::mutated(&about(good, cast, dice), dice));
    finish(&mut bytes, &body.unwrap_or_default(), dice);
    mangle(&mut bytes, dice);
    unsound(bytes)
}

fn mangle(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..1 + dice.below(4) {
        let at = dice.below(bytes.len().clamp(1, 400));
        match dice.below(5) {
            0 => drop(bytes.splice(at..at, dice.one(RAW).iter().copied())),
            1 => drop(bytes.splice(at..(at + 1).min(bytes.len()), dice.one(RAW).iter().copied())),
            2 if at < bytes.len() => bytes[at] = dice.byte(),
            3 => drop(bytes.drain(at..(at + dice.below(12)).min(bytes.len()))),
            _ => {
                let again = bytes[at..(at + 30).min(bytes.len())].to_vec();
                drop(bytes.splice(at..at, again));
            }
        }
        if bytes.is_empty() {
            return;
        }
    }
}

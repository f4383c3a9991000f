//! With which codes the server closes a socket.

use actix_web_actors::ws::CloseCode;

/// The token is bad, or has expired.
pub const UNAUTHORIZED: CloseCode = CloseCode::Other(4401);

/// Every code, and why a socket is closed with it. What a client closes with is answered in kind.
pub fn all() -> [(u16, &'static str); 7] {
    [
        (CloseCode::Away, "The server stops: connect again."),
        (CloseCode::Protocol, "What came is no frame."),
        (CloseCode::Invalid, "What came as text is not UTF-8."),
        (CloseCode::Policy, "Too many messages came."),
        (CloseCode::Size, "A message was too long."),
        (
            CloseCode::Again,
            "Events were not read for too long: connect again, and read how everything stands.",
        ),
        (
            UNAUTHORIZED,
            "The token is not valid, or not any more: connect again with another one.",
        ),
    ]
    .map(|(code, why)| (code.into(), why))
}

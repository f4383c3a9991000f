//! The least HTTP/1.1 and WebSocket that measuring needs: one write and one read per request, so that
//! the tool takes little of the machine that it shares with the server.

mod frame;
mod head;
mod http;
mod pool;
mod socket;
mod stream;

#[cfg_attr(not(test), expect(unused_imports, reason = "only tests take frames apart"))]
pub use frame::{Frame, decode, pong};
pub use head::{Head, parse_head};
pub use http::{Answer, Connection, Fault, Target, request};
pub use pool::Pool;
pub use socket::{Message, Socket};

//! The least HTTP/1.1 and WebSocket that measuring needs: one write and one read per request, so that
//! the tool takes little of the machine that it shares with the server.

pub mod frame;
pub mod head;
mod http;
mod pool;
mod socket;
mod stream;

pub use http::{Answer, Connection, Fault, Target, request};
pub use pool::Pool;
pub use socket::{Message, Socket, closed};

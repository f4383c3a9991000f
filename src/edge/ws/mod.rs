//! The upgrade, and the actor of one user's socket.

pub mod codes;
mod oversize;
mod parts;
pub mod places;

use std::cell::Cell;
use std::io;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Handler, Running, StreamHandler,
    WrapFuture,
};
use actix_web::body::BoxBody;
use actix_web::error::PayloadError;
use actix_web::http::header::ORIGIN;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{
    self, CloseCode, CloseReason, Message, ProtocolError, WebsocketContext, WsResponseBuilder,
};
use futures_util::Stream;
use governor::{DefaultDirectRateLimiter, Quota};
use serde::Deserialize;
use tokio::time::Instant;
use tracing::error;

use super::auth::{admitted, bearer};
use super::docs::failures;
use super::error::ApiError;
use super::state::{Edge, Stage};
use super::wire;
use crate::panics::Contained;
use actors::SOCKET_MAILBOX;
use actors::messages::{Deliver, SocketClosed, SocketConnected};
use actors::roster::RosterActor;
use domain::limits::{SOCKET_MESSAGE_BYTES_MAX, SOCKET_MESSAGES_BURST, SOCKET_MESSAGES_PER_SECOND};
use domain::{Breach, Guarantee, UserId};
use observability::{Limit, breached};
use oversize::Oversize;
use parts::{Fault, Parts};
use places::SocketPlace;
use settings::Sockets;

/// Longest time for which a timer is set at once.
const LONGEST_TIMER: Duration = Duration::from_secs(24 * 3_600);

#[derive(Deserialize)]
pub(super) struct ConnectQuery {
    token: Option<String>,
}

/// Open a socket for the caller's events.
///
/// With a token that is not valid it opens all the same and is closed at once with 4401, so that a
/// browser can see why; without any it does not open.
#[utoipa::path(
    get,
    path = "/ws",
    operation_id = "open_socket",
    tag = "socket",
    responses(
        (status = 101, description = "The socket is open. What is told on it stands in `asyncapi.json`."),
        failures::Connect,
    ),
    security(("token" = []), ("bearer" = []))
)]
pub(super) async fn connect(
    edge: web::Data<Edge>,
    query: Result<web::Query<ConnectQuery>, actix_web::Error>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, ApiError> {
    let query = query.ok().and_then(|query| query.into_inner().token);
    let in_query = query.as_deref().filter(|token| !token.is_empty());
    let in_header = || bearer(&request).filter(|token| !token.is_empty());
    let token = in_query.or_else(in_header).ok_or(ApiError::Unauthorized)?;
    let origin = request
        .headers()
        .get(ORIGIN)
        .map(|origin| origin.to_str().unwrap_or(""));
    if origin.is_some_and(|origin| edge.settings.http.allowed_origins.refuse(origin)) {
        return Err(ApiError::ForeignOrigin);
    }
    let invalid = |error: ws::HandshakeError| ApiError::InvalidHandshake(error.to_string());
    ws::handshake(&request).map_err(invalid)?;
    // A browser cannot see why a handshake failed, only why a socket was closed.
    let user = match (edge.verifier.verify(token), edge.users()) {
        (Ok(user), Some(users)) => match admitted(users, user).await {
            Err(ApiError::Unauthorized) => Err(ApiError::Unauthorized),
            asked => Ok(asked?),
        },
        (user, _) => user,
    };
    let Ok(user) = user else {
        return upgrade(RefusedSocket, &request, payload);
    };
    edge.lend_token(&user);
    let backend = edge.backend()?;
    let place = edge.sockets.enter(user.id.clone())?;
    let socket = WsActor {
        lives_for: user.valid_for,
        roster: backend.roster.clone(),
        limits: edge.sockets.limits(),
        place,
        too_slow: Arc::new(AtomicBool::new(false)),
        messages: message_limiter(),
        parts: Parts::default(),
        awaits_pong: false,
        last_heard: Instant::now(),
        stopping: edge.stage() == Stage::Stopping,
        oversized: Rc::default(),
    };
    let oversized = Rc::clone(&socket.oversized);
    upgrade(
        socket,
        &request,
        Oversize::new(payload, SOCKET_MESSAGE_BYTES_MAX, oversized),
    )
}

fn upgrade<A, S>(actor: A, request: &HttpRequest, bytes: S) -> Result<HttpResponse, ApiError>
where
    A: Actor<Context = WebsocketContext<A>> + StreamHandler<Result<Message, ProtocolError>>,
    S: Stream<Item = Result<Bytes, PayloadError>> + 'static,
{
    WsResponseBuilder::new(actor, request, bytes)
        .frame_size(SOCKET_MESSAGE_BYTES_MAX)
        .start()
        .map(|response| response.map_body(|_, body| BoxBody::new(Contained(body))))
        .map_err(|error| ApiError::InvalidHandshake(error.to_string()))
}

fn message_limiter() -> DefaultDirectRateLimiter {
    DefaultDirectRateLimiter::direct(
        Quota::per_second(SOCKET_MESSAGES_PER_SECOND).allow_burst(SOCKET_MESSAGES_BURST),
    )
}

/// One user's socket. It outlives neither its token nor a client that is gone or does not read.
struct WsActor {
    lives_for: Duration,
    roster: Addr<RosterActor>,
    limits: Sockets,
    place: SocketPlace,
    too_slow: Arc<AtomicBool>,
    messages: DefaultDirectRateLimiter,
    parts: Parts,
    /// A pong that was asked for is no message of its own.
    awaits_pong: bool,
    last_heard: Instant,
    stopping: bool,
    /// Set by the guard of the incoming bytes.
    oversized: Rc<Cell<bool>>,
}

impl WsActor {
    fn close(ctx: &mut WebsocketContext<Self>, code: CloseCode) {
        ctx.close(Some(CloseReason::from(code)));
        ctx.stop();
    }

    fn beat(&mut self, ctx: &mut WebsocketContext<Self>) {
        if self.too_slow.load(Ordering::Relaxed) {
            Self::close(ctx, CloseCode::Again);
        } else if self.last_heard.elapsed() >= Duration::from_millis(self.limits.silence_ms) {
            ctx.stop();
        } else {
            self.awaits_pong = true;
            ctx.ping(b"");
        }
    }

    fn expire_later(&mut self, ctx: &mut WebsocketContext<Self>) {
        let step = self.lives_for.min(LONGEST_TIMER);
        self.lives_for -= step;
        ctx.run_later(step, |actor, ctx| {
            if actor.lives_for.is_zero() {
                Self::close(ctx, codes::UNAUTHORIZED);
            } else {
                actor.expire_later(ctx);
            }
        });
    }
}

impl Actor for WsActor {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if self.stopping {
            return Self::close(ctx, CloseCode::Away);
        }
        ctx.set_mailbox_capacity(SOCKET_MAILBOX);
        ctx.run_interval(Duration::from_millis(self.limits.ping_ms), Self::beat);
        self.expire_later(ctx);
        let connected = SocketConnected {
            user: self.place.user.clone(),
            socket: self.place.id,
            recipient: ctx.address().recipient(),
            too_slow: Arc::clone(&self.too_slow),
        };
        // Nothing else before that: the roster must not hear of the end before the beginning.
        let sent = self.roster.send(connected).into_actor(self);
        ctx.wait(sent.map(|sent, _, ctx| {
            if sent.is_err() {
                Self::close(ctx, CloseCode::Away);
            }
        }));
    }

    fn stopping(&mut self, _ctx: &mut Self::Context) -> Running {
        let closed = SocketClosed {
            user: self.place.user.clone(),
            socket: self.place.id,
        };
        let sent = self.roster.send(closed);
        // An event is not dropped for want of room, and this socket is not kept for it.
        actix_rt::spawn(async move {
            let _ = sent.await;
        });
        Running::Stop
    }
}

impl Handler<Deliver> for WsActor {
    type Result = ();

    fn handle(&mut self, command: Deliver, ctx: &mut Self::Context) {
        match command {
            Deliver::Notice { to, notice } => match foreign(&to, &self.place.user) {
                Some(breach) => breached(breach),
                None => match wire::frame(&notice) {
                    Ok(text) => ctx.text(text),
                    Err(fault) => error!("an event has no JSON text: {fault}"),
                },
            },
            Deliver::GoingAway => return Self::close(ctx, CloseCode::Away),
        }
        if self.too_slow.load(Ordering::Relaxed) {
            Self::close(ctx, CloseCode::Again);
        }
    }
}

/// An event for somebody else than the socket's owner must have gone astray, and is not shown.
fn foreign(to: &UserId, owner: &UserId) -> Option<Breach> {
    (to != owner).then_some(Breach {
        guarantee: Guarantee::OwnOnly,
        seen: "an event reached somebody else's socket and was not shown",
    })
}

impl StreamHandler<Result<Message, ProtocolError>> for WsActor {
    fn handle(&mut self, frame: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        self.last_heard = Instant::now();
        let taken = match frame {
            Ok(Message::Close(reason)) => {
                ctx.close(reason);
                return ctx.stop();
            }
            Ok(message) => self.take(&message, ctx),
            Err(_) if self.oversized.get() => Err(CloseCode::Size),
            // The client is gone.
            Err(ProtocolError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return ctx.stop();
            }
            Err(error) => Err(code_for(&error)),
        };
        if let Err(code) = taken {
            Self::close(ctx, code);
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl WsActor {
    /// What the client says is ignored, as long as it keeps the rules; the error is the code to close
    /// with.
    fn take(
        &mut self,
        message: &Message,
        ctx: &mut WebsocketContext<Self>,
    ) -> Result<(), CloseCode> {
        let is_awaited = matches!(message, Message::Pong(_)) && mem::take(&mut self.awaits_pong);
        let is_too_long = match message {
            Message::Text(text) => text.len() > SOCKET_MESSAGE_BYTES_MAX,
            Message::Binary(bytes) => bytes.len() > SOCKET_MESSAGE_BYTES_MAX,
            _ => false,
        };
        if is_too_long {
            return Err(CloseCode::Size);
        }
        if !is_awaited && self.messages.check().is_err() {
            Limit::SocketMessages.reached();
            return Err(CloseCode::Policy);
        }
        match message {
            Message::Ping(bytes) => ctx.pong(bytes),
            Message::Continuation(part) => self.parts.add(part).map_err(|fault| match fault {
                Fault::TooLong => CloseCode::Size,
                Fault::NoText => CloseCode::Invalid,
            })?,
            Message::Text(_) | Message::Binary(_) | Message::Pong(_) => {}
            Message::Close(_) | Message::Nop => {}
        }
        Ok(())
    }
}

/// What is wrong with bytes that are no message (RFC 6455, section 7.4.1).
fn code_for(error: &ProtocolError) -> CloseCode {
    match error {
        ProtocolError::Overflow => CloseCode::Size,
        // Reserved bits are set.
        ProtocolError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            CloseCode::Protocol
        }
        // Text that is no UTF-8.
        ProtocolError::Io(_) => CloseCode::Invalid,
        _ => CloseCode::Protocol,
    }
}

/// A socket whose token is bad: accepted and closed at once, so that a browser can see why.
struct RefusedSocket;

impl Actor for RefusedSocket {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.close(Some(CloseReason::from(codes::UNAUTHORIZED)));
        ctx.stop();
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for RefusedSocket {
    fn handle(&mut self, _: Result<Message, ProtocolError>, _: &mut Self::Context) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_for_somebody_else_is_a_breach_and_not_shown() {
        let [ada, bob] = ["ada", "bob"].map(|id| UserId::parse(id).unwrap());

        assert_eq!(foreign(&ada, &ada), None);
        let breach = foreign(&ada, &bob).map(|breach| breach.guarantee);
        assert_eq!(breach, Some(Guarantee::OwnOnly));
    }
}

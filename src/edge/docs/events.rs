//! The document that describes what comes by itself: AsyncAPI 3, made from the wire's types.

use std::sync::LazyLock;

use actix_web::web::Bytes;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use super::samples;
use crate::wire::{MatchExpired, MatchFound, MatchReady, PartnerLeft, RequestTimeout};
use crate::ws::codes;
use domain::limits::{SOCKET_MESSAGE_BYTES_MAX, SOCKET_MESSAGES_BURST, SOCKET_MESSAGES_PER_SECOND};
use ports::announcement::{self, CONTENT_TYPE, EXCHANGE, PERSISTENT};
use settings::VARIABLES;

/// The document's JSON text; made once, when it is first asked for.
pub(super) static TEXT: LazyLock<Bytes> = LazyLock::new(|| {
    let text = serde_json::to_vec(&document());
    Bytes::from(text.expect("all keys are strings"))
});

/// The text of the document that describes events, as it is served.
pub fn asyncapi() -> &'static [u8] {
    &TEXT
}

fn document() -> Value {
    let mut parts = Parts::default();
    let socket = [
        parts.event::<MatchFound>(&[samples::match_found()]),
        parts.event::<MatchReady>(&[samples::match_ready()]),
        parts.event::<MatchExpired>(&samples::expired()),
        parts.event::<RequestTimeout>(&[samples::request_timeout()]),
        parts.event::<PartnerLeft>(&[samples::partner_left()]),
    ];
    let announced = [samples::announced()];
    let fixed = ["event_type", "version"];
    let announced = parts.message::<announcement::MatchFound>("announcement", &announced, &fixed);
    parts.messages[&announced]["x-properties"] = properties();
    parts.add_message("anything", anything());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "matchmaker: events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What is told without being asked: to people on a socket, and to other \
                services by RabbitMQ. The paths stand in `openapi.json`.",
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": servers(),
        "channels": {
            "socket": socket_channel(&socket),
            "announcements": announcements_channel(&announced),
        },
        "operations": operations(&socket, &announced),
        "components": {
            "messages": parts.messages,
            "schemas": parts.schemas,
            "securitySchemes": {
                "token": {
                    "type": "httpApiKey",
                    "name": "token",
                    "in": "query",
                    "description": "A user's access token, as the user service signs it (HS256).",
                },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "The same token, for clients that can set a header here.",
                },
            },
        },
    })
}

fn operations(socket: &[String], announced: &str) -> Value {
    let told: Vec<_> = socket
        .iter()
        .map(|name| of_channel("socket", name))
        .collect();
    json!({
        "tell_user": {
            "action": "send",
            "title": "Tell a user what has happened",
            "description": "On every open socket of that user. Whoever was away finds the \
                same by polling: events are not kept.",
            "channel": reference("channels", "socket"),
            "messages": told,
        },
        "hear_user": {
            "action": "receive",
            "title": "Hear what a client sends, and ignore it",
            "channel": reference("channels", "socket"),
            "messages": [of_channel("socket", "anything")],
        },
        "announce_session": {
            "action": "send",
            "title": "Announce that a session has opened",
            "description": "At least once for each session, after the session can be read. A \
                repetition has the same body and the same `message_id`.",
            "channel": reference("channels", "announcements"),
            "messages": [of_channel("announcements", announced)],
            "bindings": {"amqp": {
                "deliveryMode": PERSISTENT,
                "mandatory": true,
                "timestamp": true,
                "bindingVersion": "0.3.0",
            }},
        },
    })
}

fn servers() -> Value {
    let host = |default: &str, description: &str| json!({"host": {"default": default, "description": description}});
    json!({
        "matchmaker": {
            "host": "{host}",
            "protocol": "ws",
            "description": "This server; `wss` where TLS ends in front of it.",
            "variables": host("localhost:8002", "Host and port."),
            "security": [
                reference("components/securitySchemes", "token"),
                reference("components/securitySchemes", "bearer"),
            ],
        },
        "broker": {
            "host": "{host}",
            "protocol": "amqp",
            "protocolVersion": "0.9.1",
            "description": "The RabbitMQ of `RABBITMQ_URL`; `amqps` where that says so.",
            "variables": host("localhost:5672", "Host and port."),
        },
    })
}

fn socket_channel(events: &[String]) -> Value {
    let messages = events.iter().map(String::as_str).chain(["anything"]);
    let closes = codes::all().map(|(code, why)| json!({"code": code, "description": why}));
    let default = |name: &str| {
        let variable = VARIABLES.iter().find(|it| it.name == name);
        variable.map_or("", |it| it.default)
    };
    json!({
        "address": "/ws",
        "title": "A user's socket",
        "description": format!(
            "Text frames, each a JSON object with a `type`; there may be types and fields that are \
             not listed here. With a token that is not valid the socket opens all the same and is \
             closed at once with 4401, and so it is when the token expires; without any it does \
             not open. The server pings every {} s and drops a socket that has been silent for \
             {} s (`SOCKET_PING_SECONDS`, `SOCKET_SILENCE_SECONDS`).",
            default("SOCKET_PING_SECONDS"),
            default("SOCKET_SILENCE_SECONDS"),
        ),
        "servers": [reference("servers", "matchmaker")],
        "messages": messages_of(messages),
        "bindings": {"ws": {
            "method": "GET",
            "query": {
                "type": "object",
                "properties": {"token": {"type": "string", "minLength": 1}},
            },
            "headers": {
                "type": "object",
                "properties": {"Authorization": {"type": "string", "examples": ["Bearer …"]}},
            },
            "bindingVersion": "0.1.0",
        }},
        "x-close-codes": closes,
    })
}

fn announcements_channel(message: &str) -> Value {
    json!({
        "address": announcement::MATCH_FOUND,
        "title": "Sessions that have opened",
        "description": "Whoever wants to hear of them declares a durable queue and binds it with \
            this routing key. What no queue takes is sent again until its session is over.",
        "servers": [reference("servers", "broker")],
        "messages": messages_of([message]),
        "bindings": {"amqp": {
            "is": "routingKey",
            "exchange": {
                "name": EXCHANGE,
                "type": "topic",
                "durable": true,
                "autoDelete": false,
            },
            "bindingVersion": "0.3.0",
        }},
    })
}

/// The properties of a message, which AMQP keeps apart from its headers.
fn properties() -> Value {
    json!({
        "type": "object",
        "properties": {
            "content_type": {"const": CONTENT_TYPE},
            "delivery_mode": {"const": PERSISTENT},
            "message_id": {
                "type": "string",
                "format": "uuid",
                "description": "The event's id, the same whenever it is sent again.",
            },
            "timestamp": {
                "type": "integer",
                "description": "When the event was stored, in seconds since the Unix epoch.",
            },
        },
        "required": ["content_type", "delivery_mode", "message_id", "timestamp"],
        "additionalProperties": false,
    })
}

fn anything() -> Value {
    json!({
        "name": "anything",
        "title": "Anything",
        "summary": "Whatever a client sends is ignored.",
        "description": format!(
            "More than {SOCKET_MESSAGE_BYTES_MAX} bytes close the socket with 1009, and more than \
             {SOCKET_MESSAGES_BURST} messages at once or {SOCKET_MESSAGES_PER_SECOND} a second \
             after that with 1008. Answers to pings do not count.",
        ),
        "contentType": "text/plain",
        "payload": {"type": "string", "maxLength": SOCKET_MESSAGE_BYTES_MAX},
        "examples": [{"payload": ""}],
    })
}

/// The components, as they are collected.
#[derive(Default)]
struct Parts {
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
}

impl Parts {
    /// Adds an event of the socket, named after the type that its samples have.
    fn event<T: ToSchema>(&mut self, samples: &[Value]) -> String {
        let name = samples.first().and_then(|sample| sample["type"].as_str());
        let name = name.unwrap_or_default().to_owned();
        self.message::<T>(&name, samples, &["type"])
    }

    /// Adds a message with all schemas that it needs. What the fields `fixed` hold in the samples is all
    /// that they ever hold.
    fn message<T: ToSchema>(&mut self, name: &str, samples: &[Value], fixed: &[&str]) -> String {
        let mut needed = Vec::new();
        T::schemas(&mut needed);
        for (name, schema) in needed {
            self.schemas.insert(name, plain(&schema));
        }
        let mut schema = plain(&T::schema());
        for (field, sample) in fixed
            .iter()
            .filter_map(|field| Some((field, samples.first()?)))
        {
            fix(&mut schema, field, &sample[field]);
        }
        let description = schema["description"].as_str().unwrap_or_default();
        let (summary, more) = description.split_once("\n\n").unwrap_or((description, ""));
        let message = json!({
            "name": name,
            "title": name,
            "summary": summary,
            "description": if more.is_empty() { summary } else { more },
            "contentType": CONTENT_TYPE,
            "payload": reference("components/schemas", &T::name()),
            "examples": samples.iter().map(|it| json!({"payload": it})).collect::<Vec<_>>(),
        });
        self.schemas.insert(T::name().into_owned(), schema);
        self.add_message(name, message);
        name.to_owned()
    }

    fn add_message(&mut self, name: &str, message: Value) {
        self.messages.insert(name.to_owned(), message);
    }
}

/// The field is there, and is always this.
fn fix(schema: &mut Value, field: &str, value: &Value) {
    schema["properties"][field] = json!({"const": value});
    if let Some(required) = schema["required"].as_array_mut()
        && !required.iter().any(|it| it == field)
    {
        required.insert(0, json!(field));
    }
}

fn plain(schema: &RefOr<Schema>) -> Value {
    json!(schema)
}

fn messages_of<'a>(names: impl IntoIterator<Item = &'a str>) -> Map<String, Value> {
    let message = |name: &str| (name.to_owned(), reference("components/messages", name));
    names.into_iter().map(message).collect()
}

fn of_channel(channel: &str, message: &str) -> Value {
    reference(&format!("channels/{channel}/messages"), message)
}

fn reference(place: &str, name: &str) -> Value {
    json!({"$ref": format!("#/{place}/{name}")})
}

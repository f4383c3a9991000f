//! Events on sockets and at the broker, held to AsyncAPI.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jsonschema::Validator;
use lapin::BasicProperties;
use serde_json::{Value, json};

use super::schemas::{Schemas, faults};

/// What a socket shows that ended without a close frame: its peer vanished, or was dropped as one that did.
const NO_CLOSE_FRAME: u16 = 1006;

static EVENTS: LazyLock<Events> = LazyLock::new(|| Events::of(&document()));

/// The document, as it is served.
pub fn document() -> Value {
    serde_json::from_slice(matchmaker::edge::asyncapi()).expect("the document is JSON")
}

/// Whether the document says that this may be told on a socket; else what is wrong.
pub fn check_event(event: &Value) -> Result<(), String> {
    let checked = EVENTS.check_event(event);
    checked.map_err(|fault| format!("{fault}: {event}"))
}

/// Whether the document says that the server may close a socket with this code.
pub fn knows_close_code(code: u16) -> bool {
    EVENTS.knows_close_code(code)
}

/// Asserts that the document says that this may be published.
#[track_caller]
pub fn assert_announcement(properties: &BasicProperties, body: &str) {
    if let Err(fault) = EVENTS.check_announcement(properties, body) {
        panic!("{fault}: {body} with {properties:?}");
    }
}

pub(super) struct Events {
    by_type: BTreeMap<String, Validator>,
    announcement: Validator,
    properties: Validator,
    close_codes: Vec<u64>,
}

impl Events {
    pub(super) fn of(document: &Value) -> Self {
        let schemas = Schemas::of(document);
        let messages = &document["components"]["messages"];
        let compiled = |channel: &str| {
            let named = document["channels"][channel]["messages"].as_object();
            let named = named.expect("a channel has messages").keys();
            let compiled =
                named.map(|name| (name.clone(), schemas.compile(&messages[name]["payload"])));
            compiled.collect::<BTreeMap<_, _>>()
        };
        let mut announced = compiled("announcements");
        let (name, announcement) = announced.pop_first().expect("one is announced");
        assert!(announced.is_empty(), "there is only one");
        let codes = document["channels"]["socket"]["x-close-codes"].as_array();
        let codes = codes.expect("there are codes").iter();
        Self {
            by_type: compiled("socket"),
            announcement,
            properties: schemas.compile(&messages[&name]["x-properties"]),
            close_codes: codes.filter_map(|it| it["code"].as_u64()).collect(),
        }
    }

    pub(super) fn check_event(&self, event: &Value) -> Result<(), String> {
        let kind = event["type"].as_str().unwrap_or_default();
        let schema = self.by_type.get(kind);
        let schema = schema.ok_or(format!("`{kind}` is not documented"))?;
        fitting("the event", schema, event)
    }

    pub(super) fn check_announcement(
        &self,
        properties: &BasicProperties,
        body: &str,
    ) -> Result<(), String> {
        let body = serde_json::from_str(body).map_err(|fault| fault.to_string())?;
        fitting("the body", &self.announcement, &body)?;
        fitting(
            "what it has with it",
            &self.properties,
            &as_json(properties),
        )
    }

    pub(super) fn knows_close_code(&self, code: u16) -> bool {
        code == NO_CLOSE_FRAME || self.close_codes.contains(&u64::from(code))
    }
}

fn fitting(what: &str, schema: &Validator, value: &Value) -> Result<(), String> {
    match faults(schema, value) {
        nothing if nothing.is_empty() => Ok(()),
        faults => Err(format!("{what} is not as documented ({faults})")),
    }
}

/// Those properties that are set, under the names that AMQP has for them.
fn as_json(properties: &BasicProperties) -> Value {
    let text = |it: &Option<lapin::types::ShortString>| it.as_ref().map(ToString::to_string);
    let all = json!({
        "content_type": text(properties.content_type()),
        "content_encoding": text(properties.content_encoding()),
        "headers": properties.headers().as_ref().map(|it| format!("{it:?}")),
        "delivery_mode": properties.delivery_mode(),
        "priority": properties.priority(),
        "correlation_id": text(properties.correlation_id()),
        "reply_to": text(properties.reply_to()),
        "expiration": text(properties.expiration()),
        "message_id": text(properties.message_id()),
        "timestamp": properties.timestamp(),
        "type": text(properties.kind()),
        "user_id": text(properties.user_id()),
        "app_id": text(properties.app_id()),
    });
    let set = all
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

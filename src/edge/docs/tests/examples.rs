//! Every example fits the schema that it is an example of.

use jsonschema::Draft;
use serde_json::{Value, json};

use super::super::events;
use super::{document, walk};

/// What does not fit, of each pair of a schema and an example; none may be missing.
fn misfits<'a>(
    document: &Value,
    pairs: impl IntoIterator<Item = (&'a Value, &'a Value)>,
) -> (usize, Vec<String>) {
    let (mut looked_at, mut misfits) = (0, Vec::new());
    for (schema, example) in pairs {
        looked_at += 1;
        let root = json!({"allOf": [schema], "components": document["components"]});
        let compiled = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .build(&root)
            .unwrap();
        let faults = compiled.iter_errors(example);
        misfits.extend(faults.map(|fault| format!("{example}: {fault}")));
    }
    (looked_at, misfits)
}

/// A schema or what has one, with its examples.
fn examples<'a>(value: &'a Value, pairs: &mut Vec<(&'a Value, &'a Value)>) {
    let schema = if value["schema"].is_object() {
        &value["schema"]
    } else {
        value
    };
    match &value["examples"] {
        Value::Array(examples) => pairs.extend(examples.iter().map(|it| (schema, it))),
        Value::Object(named) => pairs.extend(named.values().map(|it| (schema, &it["value"]))),
        _ => {}
    }
    if !value["example"].is_null() {
        pairs.push((schema, &value["example"]));
    }
}

#[test]
fn examples_of_answers_fit_their_schemas() {
    let document = document();
    let mut pairs = Vec::new();
    walk("", &document, &mut |_, value| examples(value, &mut pairs));

    let (looked_at, misfits) = misfits(&document, pairs);

    assert_eq!(misfits, Vec::<String>::new());
    assert!(looked_at > 100, "{looked_at} examples");
}

#[test]
fn examples_of_events_fit_their_schemas_and_every_event_has_one() {
    let document: Value = serde_json::from_slice(&events::TEXT).unwrap();
    let messages = document["components"]["messages"].as_object().unwrap();
    let mut pairs = Vec::new();
    for (name, message) in messages {
        let examples = message["examples"].as_array().unwrap();
        assert!(!examples.is_empty(), "{name}");
        pairs.extend(
            examples
                .iter()
                .map(|it| (&message["payload"], &it["payload"])),
        );
    }

    let (looked_at, misfits) = misfits(&document, pairs);

    assert_eq!(misfits, Vec::<String>::new());
    assert_eq!(looked_at, messages.len() + 2, "two more reasons of an end");
}

#[test]
fn an_example_that_does_not_fit_is_found() {
    let document = document();
    let schema = json!({"$ref": "#/components/schemas/UserId"});

    let (_, misfits) = misfits(&document, [(&schema, &json!("\n"))]);

    assert_eq!(misfits.len(), 1);
}

#[test]
fn every_reference_among_the_events_resolves_and_every_component_is_used() {
    let document: Value = serde_json::from_slice(&events::TEXT).unwrap();
    let mut used = std::collections::BTreeSet::new();

    walk("", &document, &mut |name, value| {
        if let ("$ref", Value::String(reference)) = (name, value) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
            used.insert(pointer.to_owned());
        }
    });

    for kind in ["schemas", "messages", "securitySchemes"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(used.contains(&pointer), "{pointer} is not used");
        }
    }
}

//! Schemas of a document, compiled.

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// Where values stand that are no schemas, whatever they look like.
const NO_SCHEMAS: [&str; 5] = ["example", "examples", "enum", "const", "default"];

/// Compiles schemas that stand in one document.
pub struct Schemas {
    components: Value,
}

impl Schemas {
    /// Those of `document`. Clients must bear a field that they do not know, so the document lets it be
    /// there; what we answer has no field that is not in the document.
    pub fn of(document: &Value) -> Self {
        let mut components = document["components"].clone();
        tighten(&mut components);
        Self { components }
    }

    /// A schema of the document, or one that refers to its components.
    pub fn compile(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        tighten(&mut schema);
        let root = json!({"allOf": [schema], "components": self.components});
        // AsyncAPI has an older draft, which knows fewer formats and means the same by all that we use.
        let compiled = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .should_validate_formats(true)
            .build(&root);
        compiled.unwrap_or_else(|fault| panic!("{fault} in {schema}"))
    }

    /// One of the components.
    pub fn component(&self, name: &str) -> Validator {
        self.compile(&json!({"$ref": format!("#/components/schemas/{name}")}))
    }
}

/// Why `value` does not fit; empty where it does.
pub fn faults(schema: &Validator, value: &Value) -> String {
    let faults = schema.iter_errors(value);
    let faults: Vec<_> = faults
        .map(|fault| format!("{fault} at `{}`", fault.instance_path()))
        .collect();
    faults.join("; ")
}

/// Closes every object that does not say itself whether there may be more in it.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            let is_open = !fields.contains_key("additionalProperties");
            if is_open && fields.get("properties").is_some_and(Value::is_object) {
                fields.insert("additionalProperties".to_owned(), json!(false));
            }
            for (name, field) in fields {
                if !NO_SCHEMAS.contains(&name.as_str()) {
                    tighten(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(tighten),
        _ => {}
    }
}

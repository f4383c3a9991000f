//! The routes of a server, as its own document lists them: whoever adds one need not come here.

use std::collections::BTreeSet;

use crate::harness::*;

/// One path with one method.
pub struct Route {
    /// In upper case.
    pub method: String,
    /// With the names of ids in braces.
    pub path: String,
    /// A good body, where it takes one.
    pub body: Option<Value>,
}

/// Every route of the document.
pub async fn of(server: &Server) -> Vec<Route> {
    let reply = server.get("/openapi.json").await;
    let document = reply.expect(200);
    let paths = document["paths"].as_object().expect("it lists paths");
    let mut routes = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("a path has methods") {
            routes.push(Route {
                method: method.to_uppercase(),
                path: path.clone(),
                body: body_of(operation, document),
            });
        }
    }
    let kinds: BTreeSet<&str> = routes.iter().map(|it| it.method.as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["DELETE", "GET", "POST"]));
    routes
}

/// The first example of the schema that the document names for the body.
fn body_of(operation: &Value, document: &Value) -> Option<Value> {
    let body = operation.get("requestBody")?;
    let schema = text(&body["content"]["application/json"]["schema"], "$ref");
    let found = document.pointer(schema.trim_start_matches('#'));
    let example = found.and_then(|it| it["examples"].get(0)).cloned();
    Some(example.unwrap_or_else(|| panic!("no example of {schema}")))
}

impl Route {
    /// Its path with an id for each name in braces.
    pub fn with_ids(&self, mut id: impl FnMut() -> String) -> String {
        let mut whole = String::new();
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (_, behind) = after.split_once('}').expect("braces are closed");
            whole.push_str(before);
            whole.push_str(&id());
            rest = behind;
        }
        whole + rest
    }
}

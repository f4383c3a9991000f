//! The document against the rules of OpenAPI 3.1, and against the routes.

mod examples;

use std::collections::BTreeSet;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, web};
use serde_json::Value;

use super::{TEXT, samples};
use crate::wire::{AskBody, ConfirmBody, LeaveBody, TokenBody};
use crate::{Edge, PREFIX, routes};
use settings::{Settings, Sources};

const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

fn document() -> Value {
    serde_json::from_slice(&TEXT).unwrap()
}

/// Every operation with its path and method.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            operations.push((path.clone(), method.clone(), operation));
        }
    }
    operations
}

/// Calls `visit` with every value in the document and the name under which it stands.
fn walk<'a>(name: &str, value: &'a Value, visit: &mut impl FnMut(&str, &'a Value)) {
    visit(name, value);
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, it)| walk(name, it, visit)),
        Value::Array(items) => items.iter().for_each(|it| walk("", it, visit)),
        _ => {}
    }
}

#[test]
fn the_document_has_what_openapi_3_1_asks_for() {
    let document = document();

    assert_eq!(document["openapi"], "3.1.0");
    for field in ["title", "version", "description"] {
        assert!(document["info"][field].is_string(), "info.{field}");
    }
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let what = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{what}: {id} is taken");
        assert!(operation["summary"].is_string(), "{what} has no summary");
        let tags = document["tags"].as_array().unwrap();
        let known = |tag: &Value| tags.iter().any(|it| it["name"] == *tag);
        assert!(operation["tags"].as_array().unwrap().iter().all(known));
        let named = operation["parameters"].as_array().into_iter().flatten();
        let named: Vec<_> = named
            .filter(|it| it["in"] == "path" && it["required"] == true)
            .map(|it| format!("{{{}}}", it["name"].as_str().unwrap()))
            .collect();
        let in_path = path.split('/').filter(|it| it.starts_with('{'));
        assert_eq!(named, in_path.collect::<Vec<_>>(), "{what}");
        for (code, response) in operation["responses"].as_object().unwrap() {
            let described = response["description"].is_string() || response["$ref"].is_string();
            assert!(described, "{what}: {code}");
        }
        for requirement in operation["security"].as_array().unwrap() {
            for scheme in requirement.as_object().unwrap().keys() {
                let schemes = &document["components"]["securitySchemes"];
                assert!(schemes[scheme].is_object(), "{what}: {scheme}");
            }
        }
    }
}

#[test]
fn every_reference_resolves_and_every_component_is_used() {
    let document = document();
    let mut used = BTreeSet::new();

    walk("", &document, &mut |name, value| {
        if let ("$ref", Value::String(reference)) = (name, value) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
            used.insert(pointer.to_owned());
        }
    });

    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let pointer = format!("/components/{kind}/{name}");
            assert!(used.contains(&pointer), "{pointer} is not used");
        }
    }
}

#[test]
fn nothing_refers_to_the_network() {
    let [text, events] = [&TEXT, &super::events::TEXT].map(|it| std::str::from_utf8(it).unwrap());
    for text in [text, events, super::page::PAGE, super::page::SCRIPT] {
        assert!(!text.contains("://") && !text.contains("=\"//"), "{text}");
    }
}

#[test]
fn every_operation_tells_the_failures_that_all_of_its_kind_have() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let mut codes = vec!["414", "431", "500"];
        if operation["requestBody"].is_object() {
            codes.extend(["400", "408", "413"]);
        }
        if !operation["security"].as_array().unwrap().is_empty() {
            codes.push("401");
        }
        if path != "/livez" {
            codes.push("503");
        }
        for code in codes {
            let response = &operation["responses"][code];
            assert!(response.is_object(), "{method} {path} lacks {code}");
        }
    }
}

#[test]
fn errors_are_shown_as_they_are_answered() {
    let document = document();
    let mut shown = 0;

    walk("", &document, &mut |_, response| {
        let examples = response["content"]["application/json"]["examples"].as_object();
        for (name, example) in examples.into_iter().flatten() {
            let body = &example["value"];
            if body["detail"].is_string() {
                shown += 1;
                assert_ne!(body["detail"], "", "{name}");
                assert_eq!(body["status_code"].is_u64(), body["error"].is_string());
            }
        }
        if let Some(examples) = examples.filter(|it| it.contains_key("Busy")) {
            let wait = &response["headers"]["Retry-After"]["example"];
            assert!(wait.is_u64(), "{examples:?}");
        }
    });

    assert!(shown > 50, "{shown} examples of errors");
    let unauthorized = &document["components"]["responses"]["Unauthorized"];
    assert_eq!(
        unauthorized["headers"]["WWW-Authenticate"]["example"],
        "Bearer"
    );
}

#[test]
fn examples_of_bodies_are_accepted() {
    let ask = serde_json::from_value::<AskBody>(samples::ask()).unwrap();
    assert!(ask.wish().is_ok());
    let confirm = serde_json::from_value::<ConfirmBody>(samples::confirm()).unwrap();
    let leave = serde_json::from_value::<LeaveBody>(samples::leave()).unwrap();
    for id in [confirm.match_id, leave.session_id] {
        assert!(uuid::Uuid::try_parse(&id).is_ok());
    }
    assert!(serde_json::from_value::<TokenBody>(samples::token_body()).is_ok());
}

/// The routes as [`routes`] spells them.
fn spelt_routes() -> BTreeSet<(String, String)> {
    let code: String = include_str!("../lib.rs").split_whitespace().collect();
    let (plain, scoped) = code.split_once("web::scope(PREFIX)").unwrap();
    let in_part = |part: &str, prefix: &str| -> Vec<_> {
        let calls = part.split("(on(").skip(1);
        calls
            .map(|call| {
                let mut quoted = call.split('"').skip(1).step_by(2);
                let (method, path) = (quoted.next().unwrap(), quoted.next().unwrap());
                (format!("{prefix}{path}"), method.to_ascii_lowercase())
            })
            .collect()
    };
    let mut routes = BTreeSet::from_iter(in_part(plain, ""));
    routes.extend(in_part(scoped, PREFIX));
    routes
}

#[test]
fn every_route_is_in_the_document() {
    let document = document();
    let documented = operations(&document);
    let documented = documented
        .into_iter()
        .map(|(path, method, _)| (path, method));

    let documented: BTreeSet<_> = documented.collect();
    let routes = spelt_routes();

    assert!(routes.len() > 15, "{routes:?}");
    assert_eq!(routes, documented);
}

fn edge() -> web::Data<Edge> {
    let folder = tempfile::TempDir::new().unwrap();
    let settings = Settings::load(&Sources::in_folder(folder.path())).unwrap();
    web::Data::new(Edge::new(settings, 0, Box::new(String::new)))
}

#[actix_rt::test]
async fn every_operation_of_the_document_is_a_route() {
    let app = init_service(App::new().app_data(edge()).configure(routes)).await;
    let document = document();

    for (path, method, _) in operations(&document) {
        let request = TestRequest::with_uri(&path.replace(['{', '}'], ""))
            .method(method.to_uppercase().parse().unwrap());
        let response = call_service(&app, request.to_request()).await;

        assert_eq!(response.request().match_pattern(), Some(path.clone()));
        assert_ne!(response.status().as_u16(), 405, "{method} {path}");
    }
}

#[actix_rt::test]
async fn the_page_is_there_with_all_that_it_loads() {
    let app = init_service(App::new().app_data(edge()).configure(routes)).await;
    let get = |path: &str| TestRequest::get().uri(path).to_request();

    let page = call_service(&app, get("/docs")).await;
    assert_eq!(page.status(), 200);
    let policy = page.headers().get(CONTENT_SECURITY_POLICY).unwrap();
    let policy = policy.to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    let page = String::from_utf8(read_body(page).await.to_vec()).unwrap();
    let names = page.split("docs/").skip(1);
    let names: Vec<_> = names.map(|it| it.split('"').next().unwrap()).collect();

    assert_eq!(names, ["swagger-ui.css", "swagger-ui-bundle.js", "docs.js"]);
    for name in names {
        let file = call_service(&app, get(&format!("/docs/{name}"))).await;
        assert_eq!(file.status(), 200, "{name}");
        let kind = file.headers().get(CONTENT_TYPE).unwrap().to_str().unwrap();
        let is_style = kind.starts_with("text/css");
        assert_eq!(is_style, name.ends_with(".css"), "{name}: {kind}");
        let is_packed = file.headers().contains_key(CONTENT_ENCODING);
        assert_eq!(is_packed, name.starts_with("swagger"), "{name}");
    }
    for foreign in ["swagger-ui-es-bundle.js", "swagger-initializer.js", "x"] {
        let file = call_service(&app, get(&format!("/docs/{foreign}"))).await;
        assert_eq!(file.status(), 404, "{foreign}");
    }
}

//! The bodies of errors, as schemas. Every one has a sentence, and some have more.

use actix_web::ResponseError;
use actix_web::http::StatusCode;
use serde_json::json;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::values::{LiveStatus, NeededServer};
use crate::error::ApiError;
use crate::wire;

macro_rules! problems {
    ($($(#[doc = $doc:literal])+ $name:ident => $object:expr;)+) => {
        $(
            $(#[doc = $doc])+
            pub enum $name {}

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let object: ObjectBuilder = $object;
                    object.description(Some([$($doc),+].concat().trim())).into()
                }
            }

            impl ToSchema for $name {
                fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                    for (name, schema) in [
                        (LiveStatus::name(), LiveStatus::schema()),
                        (NeededServer::name(), NeededServer::schema()),
                    ] {
                        schemas.push((name.into_owned(), schema));
                    }
                }
            }
        )+
    };
}

problems! {
    /// What is wrong, in one sentence.
    Problem => sentence();
    /// Nothing is there, or nothing of the caller's.
    NotFoundProblem => with_code(404);
    /// A fault of the server.
    InternalProblem => with_code(500);
    /// The caller holds a request already: which, and how it stands.
    DuplicateProblem => sentence()
        .property("request_id", text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid))))
        .required("request_id")
        .property("status", Ref::from_schema_name(LiveStatus::name()))
        .required("status");
    /// The server takes no work before these answer.
    NotReadyProblem => sentence()
        .property("waiting_for", ArrayBuilder::new()
            .items(Ref::from_schema_name(NeededServer::name()))
            .min_items(Some(1)))
        .required("waiting_for");
}

/// The schema of the bodies of `errors`, which have one status code.
pub fn schema(errors: &[ApiError]) -> RefOr<Schema> {
    let mut names: Vec<_> = errors.iter().map(name).collect();
    names.sort_unstable();
    names.dedup();
    match &names[..] {
        [name] => Ref::from_schema_name(name).into(),
        names => {
            let any = names.iter().fold(AnyOfBuilder::new(), |any, name| {
                any.item(Ref::from_schema_name(name))
            });
            any.into()
        }
    }
}

fn name(error: &ApiError) -> String {
    let name = match (error, error.status_code()) {
        (ApiError::DuplicateRequest { .. }, _) => DuplicateProblem::name(),
        (ApiError::NotReady { .. }, _) => NotReadyProblem::name(),
        (_, StatusCode::NOT_FOUND) => NotFoundProblem::name(),
        (_, StatusCode::INTERNAL_SERVER_ERROR) => InternalProblem::name(),
        _ => Problem::name(),
    };
    name.into_owned()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn sentence() -> ObjectBuilder {
    ObjectBuilder::new()
        .property("detail", text().min_length(Some(1)))
        .required("detail")
}

/// With the code and its name in the body too, for clients that look for them there.
fn with_code(code: u16) -> ObjectBuilder {
    let body = json!(wire::problem(code, ""));
    let exactly = |field: &str, kind: Type| {
        ObjectBuilder::new()
            .schema_type(kind)
            .enum_values(Some([body[field].clone()]))
    };
    sentence()
        .property("error", exactly("error", Type::String))
        .required("error")
        .property("status_code", exactly("status_code", Type::Integer))
        .required("status_code")
}

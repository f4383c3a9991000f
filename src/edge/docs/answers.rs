//! Answers that are no single type of the wire, as schemas.

use serde_json::{Value, json};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Schema,
    SchemaFormat, Type,
};
use utoipa::openapi::{Object, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::samples;
use super::values::UserId;
use crate::wire::{Declined, QuestionBody, SessionReady, WaitingForPartner};

/// Names and schemas that a schema refers to.
type Schemas = Vec<(String, RefOr<Schema>)>;

/// What a confirmation or a decline is answered with.
pub enum ProposalAnswered {}

impl PartialSchema for ProposalAnswered {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(WaitingForPartner::name()))
            .item(Ref::from_schema_name(SessionReady::name()))
            .item(Ref::from_schema_name(Declined::name()))
            .description(Some("What a confirmation or a decline is answered with."))
            .into()
    }
}

impl ToSchema for ProposalAnswered {
    fn schemas(schemas: &mut Schemas) {
        add::<WaitingForPartner>(schemas);
        add::<SessionReady>(schemas);
        add::<Declined>(schemas);
    }
}

/// How a request stands.
pub enum RequestStanding {}

impl PartialSchema for RequestStanding {
    fn schema() -> RefOr<Schema> {
        let matched = standing([samples::matched()])
            .description(Some(
                "It is in a match, or in the session that the match became.",
            ))
            .property("match_id", uuid())
            .required("match_id");
        let others = [
            samples::pending(),
            samples::timed_out(),
            samples::cancelled(),
        ];
        let others = standing(others).description(Some("It waits, or it is over."));
        OneOfBuilder::new()
            .item(matched)
            .item(others)
            .description(Some(
                "How a request stands; it stays `matched` when the session has begun.",
            ))
            .examples([
                samples::matched(),
                samples::pending(),
                samples::timed_out(),
                samples::cancelled(),
            ])
            .into()
    }
}

impl ToSchema for RequestStanding {}

/// An object with the status that these samples have.
fn standing<const N: usize>(samples: [Value; N]) -> ObjectBuilder {
    let words = samples.map(|sample| sample["status"].clone());
    let word = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words));
    ObjectBuilder::new()
        .property("status", word)
        .required("status")
}

/// How a match stands.
pub enum MatchStanding {}

impl PartialSchema for MatchStanding {
    fn schema() -> RefOr<Schema> {
        let nothing = ObjectBuilder::new().schema_type(Type::Null);
        OneOfBuilder::new()
            .item(confirmed(
                true,
                uuid(),
                "Both have confirmed, and the session is readable.",
            ))
            .item(confirmed(false, nothing, "There is no session yet."))
            .description(Some("How a match stands."))
            .examples([samples::match_in_session(), samples::match_not_in_session()])
            .into()
    }
}

impl ToSchema for MatchStanding {}

fn confirmed(is_so: bool, session: ObjectBuilder, description: &str) -> ObjectBuilder {
    let word = ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .enum_values(Some([json!(is_so)]));
    ObjectBuilder::new()
        .description(Some(description))
        .property("confirm_status", word)
        .property("session_id", session)
        .required("confirm_status")
        .required("session_id")
}

/// A document of OpenAPI, in outline.
pub enum OpenApiDocument {}

impl PartialSchema for OpenApiDocument {
    fn schema() -> RefOr<Schema> {
        outline("openapi", ["info", "paths", "components"])
    }
}

impl ToSchema for OpenApiDocument {}

/// A document of AsyncAPI, in outline.
pub enum AsyncApiDocument {}

impl PartialSchema for AsyncApiDocument {
    fn schema() -> RefOr<Schema> {
        outline("asyncapi", ["info", "channels", "operations", "components"])
    }
}

impl ToSchema for AsyncApiDocument {}

fn outline<const N: usize>(version: &str, parts: [&str; N]) -> RefOr<Schema> {
    let number = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(r"^3\.\d+\.\d+$"));
    let whole = ObjectBuilder::new()
        .description(Some("The document, which says itself what stands in it."))
        .additional_properties(Some(AdditionalProperties::FreeForm(true)))
        .property(version, number)
        .required(version);
    let whole = parts.into_iter().fold(whole, |whole, part| {
        whole.property(part, ObjectBuilder::new()).required(part)
    });
    whole.into()
}

/// A session's text as the shared store has it, completed from our own record.
pub enum SessionText {}

impl PartialSchema for SessionText {
    fn schema() -> RefOr<Schema> {
        let members = ArrayBuilder::new()
            .items(Ref::from_schema_name(UserId::name()))
            .description(Some("The two members."))
            .min_items(Some(2))
            .max_items(Some(2));
        let left = ArrayBuilder::new()
            .items(Ref::from_schema_name(UserId::name()))
            .description(Some("Who of them has left; may be missing."))
            .max_items(Some(2));
        ObjectBuilder::new()
            .description(Some(
                "A session as it stands in the shared store, whatever else is in it. The members \
                 always come from our own record, and so does what is missing of the rest.",
            ))
            .additional_properties(Some(AdditionalProperties::FreeForm(true)))
            .property("question", Ref::from_schema_name(QuestionBody::name()))
            .property("code", string("What the two have written so far."))
            .property("language", string("The programming language."))
            .property("users", members)
            .property("left_users", left)
            .required("question")
            .required("code")
            .required("language")
            .required("users")
            .examples([samples::shared_session()])
            .into()
    }
}

impl ToSchema for SessionText {
    fn schemas(schemas: &mut Schemas) {
        add::<QuestionBody>(schemas);
        add::<UserId>(schemas);
    }
}

fn add<T: ToSchema>(schemas: &mut Schemas) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn string(description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .build()
}

fn uuid() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)))
}

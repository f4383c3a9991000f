//! Answers that are no single type of the wire, as schemas.

use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Object, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::samples;
use super::values::UserId;
use crate::edge::wire::{Declined, QuestionBody, SessionReady, WaitingForPartner};

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

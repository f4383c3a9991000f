//! Rows of values, and the arrays that a statement takes them in.

use std::borrow::Cow;
use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};
use uuid::Uuid;

use super::statements::Parameter;

/// One value of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Id(Uuid),
    Text(Cow<'a, str>),
    Number(i64),
    Flag(bool),
    Null,
}

/// An array of one of the types in [`Parameter`], or a single value.
pub(super) type Array<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// A row, and by what its statement sorts.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    pub(super) sort_by: Cell<'a>,
    pub(super) cells: Vec<Cell<'a>>,
}

/// One value for each parameter of a statement for one write.
pub(super) fn values<'a>(parameters: &[Parameter], row: Row<'a>) -> Vec<Array<'a>> {
    let value = |(parameter, cell): (&Parameter, Cell<'a>)| -> Array<'a> {
        match parameter {
            Parameter::Ids => Box::new(cell.id()),
            Parameter::Texts => Box::new(cell.text()),
            Parameter::Numbers => Box::new(cell.number()),
            Parameter::Flags => Box::new(cell.flag()),
        }
    };
    parameters.iter().zip(row.cells).map(value).collect()
}

/// One array for each parameter, in the order of the rows.
pub(super) fn arrays<'a>(parameters: &[Parameter], rows: Vec<Row<'a>>) -> Vec<Array<'a>> {
    let mut columns: Vec<Vec<Cell<'a>>> = Vec::new();
    columns.resize_with(parameters.len(), || Vec::with_capacity(rows.len()));
    for row in rows {
        for (column, cell) in columns.iter_mut().zip(row.cells) {
            column.push(cell);
        }
    }
    let typed = parameters.iter().zip(columns);
    typed
        .map(|(parameter, column)| array(*parameter, column))
        .collect()
}

fn array<'a>(parameter: Parameter, cells: Vec<Cell<'a>>) -> Array<'a> {
    let cells = cells.into_iter();
    match parameter {
        Parameter::Ids => Box::new(cells.map(Cell::id).collect::<Vec<_>>()),
        Parameter::Texts => Box::new(cells.map(Cell::text).collect::<Vec<_>>()),
        Parameter::Numbers => Box::new(cells.map(Cell::number).collect::<Vec<_>>()),
        Parameter::Flags => Box::new(cells.map(Cell::flag).collect::<Vec<_>>()),
    }
}

impl<'a> Cell<'a> {
    fn id(self) -> Option<PgId> {
        match self {
            Self::Id(id) => Some(PgId(id)),
            _ => None,
        }
    }

    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(number),
            _ => None,
        }
    }

    fn flag(self) -> Option<bool> {
        match self {
            Self::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// What sorts rows: their id or their user.
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        match (self, other) {
            (Self::Id(one), Self::Id(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            _ => std::cmp::Ordering::Equal,
        }
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<Uuid> for Cell<'_> {
    fn from(id: Uuid) -> Self {
        Self::Id(id)
    }
}

impl<'a, T: Into<Self>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// An id on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PgId(pub(super) Uuid);

impl ToSql for PgId {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for PgId {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(Uuid::from_slice(raw)?))
    }

    accepts!(UUID);
}

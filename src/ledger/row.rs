//! A table of the ledger and its rows, from one list: what is created, written and read can't differ.

use duckdb::{
    Row,
    types::{TimeUnit, ToSqlOutput, Value},
};

/// A table's columns.
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) comment: &'static str,
    pub(super) columns: &'static [Column],
}

/// A column.
pub(super) struct Column {
    pub(super) name: &'static str,
    /// Its SQL type.
    pub(super) kind: &'static str,
    pub(super) comment: &'static str,
}

/// A row of a table.
pub(super) trait TableRow: Sized {
    const TABLE: Table;

    /// Its cells, in the order of the columns.
    fn cells(&self) -> Vec<ToSqlOutput<'_>>;

    /// Reads it from a row that has all columns by their names.
    fn read(row: &Row<'_>) -> duckdb::Result<Self>;
}

/// A value of a column.
pub(super) trait Cell: Sized {
    const KIND: &'static str;

    fn write(&self) -> ToSqlOutput<'_>;

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self>;
}

/// Declares a table by its row: what is said of a field becomes the column's comment.
macro_rules! table {
    ($(#[doc = $comment:literal])+ $name:ident $row:ident {
        $($(#[doc = $says:literal])+ $column:ident: $kind:ty,)+
    }) => {
        $(#[doc = $comment])+
        #[derive(Debug, Clone)]
        pub(super) struct $row {
            $($(#[doc = $says])+ pub(super) $column: $kind,)+
        }

        impl $crate::ledger::row::TableRow for $row {
            const TABLE: $crate::ledger::row::Table = $crate::ledger::row::Table {
                name: stringify!($name),
                comment: concat!($($comment),+).trim_ascii(),
                columns: &[$($crate::ledger::row::Column {
                    name: stringify!($column),
                    kind: <$kind as $crate::ledger::row::Cell>::KIND,
                    comment: concat!($($says),+).trim_ascii(),
                }),+],
            };

            fn cells(&self) -> Vec<duckdb::types::ToSqlOutput<'_>> {
                vec![$($crate::ledger::row::Cell::write(&self.$column)),+]
            }

            fn read(row: &duckdb::Row<'_>) -> duckdb::Result<Self> {
                Ok(Self { $($column: $crate::ledger::row::Cell::read(row, stringify!($column))?),+ })
            }
        }
    };
}
pub(super) use table;

/// A time in epoch microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Moment(pub(super) i64);

fn null<'a>() -> ToSqlOutput<'a> {
    ToSqlOutput::Owned(Value::Null)
}

fn text(text: &str) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(duckdb::types::ValueRef::Text(text.as_bytes()))
}

impl Cell for String {
    const KIND: &'static str = "VARCHAR";

    fn write(&self) -> ToSqlOutput<'_> {
        text(self)
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        Ok(row.get::<_, Option<Self>>(column)?.unwrap_or_default())
    }
}

impl Cell for Option<String> {
    const KIND: &'static str = String::KIND;

    fn write(&self) -> ToSqlOutput<'_> {
        self.as_deref().map_or_else(null, text)
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        row.get(column)
    }
}

impl Cell for i32 {
    const KIND: &'static str = "INTEGER";

    fn write(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::Int(*self))
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        row.get(column)
    }
}

impl Cell for i64 {
    const KIND: &'static str = "BIGINT";

    fn write(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::BigInt(*self))
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        Ok(row.get::<_, Option<Self>>(column)?.unwrap_or_default())
    }
}

impl Cell for bool {
    const KIND: &'static str = "BOOLEAN";

    fn write(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::Boolean(*self))
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        row.get(column)
    }
}

/// A count.
impl Cell for Option<u64> {
    const KIND: &'static str = "BIGINT";

    fn write(&self) -> ToSqlOutput<'_> {
        let count = self.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        count.map_or_else(null, |count| ToSqlOutput::Owned(Value::BigInt(count)))
    }

    /// A negative count, which nobody writes here, is as many as can be: it must not pass for a right one.
    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        let count = row.get::<_, Option<i64>>(column)?;
        Ok(count.map(|count| u64::try_from(count).unwrap_or(u64::MAX)))
    }
}

impl Cell for u64 {
    const KIND: &'static str = "BIGINT";

    fn write(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::BigInt(i64::try_from(*self).unwrap_or(i64::MAX)))
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        Ok(Option::<Self>::read(row, column)?.unwrap_or_default())
    }
}

impl Cell for Option<Moment> {
    const KIND: &'static str = "TIMESTAMP";

    fn write(&self) -> ToSqlOutput<'_> {
        self.map_or_else(null, |Moment(micros)| {
            ToSqlOutput::Owned(Value::Timestamp(TimeUnit::Microsecond, micros))
        })
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        Ok(match row.get::<_, Value>(column)? {
            Value::Timestamp(TimeUnit::Microsecond, micros) => Some(Moment(micros)),
            _ => None,
        })
    }
}

impl Cell for Moment {
    const KIND: &'static str = "TIMESTAMP";

    fn write(&self) -> ToSqlOutput<'_> {
        ToSqlOutput::Owned(Value::Timestamp(TimeUnit::Microsecond, self.0))
    }

    fn read(row: &Row<'_>, column: &str) -> duckdb::Result<Self> {
        Ok(Option::<Self>::read(row, column)?.unwrap_or_default())
    }
}

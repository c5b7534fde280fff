//! Writing into DuckDB's vectors and reading what DuckDB keeps for us: the only unsafe code of the crate.
//!
//! Invariants, each held by a type, or checked where a wrapper is made or a value is set:
//! - a wrapper borrows the data chunk that DuckDB lends for one call, so no pointer outlives the call;
//! - a wrapper is made only for a column whose logical type has exactly the wrapper's physical type;
//! - rows are below `duckdb_vector_size()`, which is what every flat vector of a chunk has room for;
//! - strings are UTF-8: only `&str` gets here; [`CleanText`] makes them from a chunk validated as a whole;
//! - pairs of a MAP are below what its vector was made for;
//! - no call that DuckDB documents or implements to allocate by its memory limit is made without a guard: an
//!   exception of C++ must not meet a frame of Rust, which would abort the process;
//! - what was registered and bound is asked for under the type it was given with: [`TableFunction`] has one type for
//!   each, and DuckDB keeps both for longer than a statement.
//!
//! All of it is exercised under Valgrind and AddressSanitizer: docs/fuzzing.md.
#![allow(unsafe_code)]

use std::{error::Error as StdError, marker::PhantomData};

use duckdb::{
    Connection,
    core::{DataChunkHandle, LogicalTypeHandle, LogicalTypeId},
    ffi,
    vtab::{BindInfo, InitInfo, TableFunctionInfo, VTab},
};

use crate::reader::{Chunk, RecordMeta};

/// A table function whose shared and bound data have one type each: what is registered with one can't be asked for
/// as another.
pub(super) trait TableFunction: 'static {
    /// What it is registered with.
    type Shared: Clone + Send + Sync + 'static;
    /// What a statement of it holds.
    type Bound: Send + Sync + 'static;

    fn parameters() -> Vec<LogicalTypeHandle>;

    fn bind(shared: &Self::Shared, bind: &BindInfo) -> Result<Self::Bound, Box<dyn StdError>>;

    fn init(bound: &Self::Bound, init: &InitInfo);

    fn fill(bound: &Self::Bound, output: &mut DataChunkHandle) -> Result<(), Box<dyn StdError>>;
}

/// Registers it.
pub(super) fn register<F: TableFunction>(
    connection: &Connection,
    name: &str,
    shared: &F::Shared,
) -> duckdb::Result<()> {
    connection.register_table_function_with_extra_info::<Registered<F>, F::Shared>(name, shared)
}

/// [`register`] alone can register it.
struct Registered<F>(PhantomData<F>);

impl<F: TableFunction> VTab for Registered<F> {
    type BindData = F::Bound;
    type InitData = ();

    fn bind(bind: &BindInfo) -> Result<F::Bound, Box<dyn StdError>> {
        // SAFETY: [`register`] has given it this type, and DuckDB keeps it for as long as the function is registered.
        let shared = unsafe { &*bind.get_extra_info::<F::Shared>() };
        F::bind(shared, bind)
    }

    fn init(init: &InitInfo) -> Result<(), Box<dyn StdError>> {
        // SAFETY: it is what `bind` above has returned, and DuckDB keeps it for the statement.
        let bound = unsafe { &*init.get_bind_data::<F::Bound>() };
        F::init(bound, init);
        Ok(())
    }

    fn func(
        function: &TableFunctionInfo<Self>,
        output: &mut DataChunkHandle,
    ) -> Result<(), Box<dyn StdError>> {
        F::fill(function.get_bind_data(), output)
    }

    fn parameters() -> Option<Vec<LogicalTypeHandle>> {
        Some(F::parameters())
    }
}

/// A chunk of which every cell is UTF-8 without NUL, checked once for all of them.
#[derive(Clone, Copy)]
pub(super) struct CleanText<'c>(&'c Chunk);

impl<'c> CleanText<'c> {
    pub(super) fn check(chunk: &'c Chunk) -> Option<Self> {
        chunk.is_clean_utf8().then_some(Self(chunk))
    }

    #[inline]
    pub(super) fn cell(self, record: &RecordMeta, index: usize) -> &'c str {
        let cell = self.0.cell(record, index);
        debug_assert!(std::str::from_utf8(cell).is_ok());
        // SAFETY: the chunk's delivered text is UTF-8, and cells are cut from it at ASCII characters
        // (delimiter, quote, line break); an unescaped cell is such a cut without some ASCII quotes.
        unsafe { std::str::from_utf8_unchecked(cell) }
    }
}

/// The columns of a data chunk that DuckDB wants filled.
pub(super) struct Columns<'a> {
    chunk: &'a DataChunkHandle,
    capacity: usize,
}

/// A physical type with the logical types it stands for.
///
/// # Safety
/// `matches` must be true only for logical types that DuckDB stores as `Self`.
pub(super) unsafe trait Physical: Copy {
    fn matches(id: LogicalTypeId, decimal_width: u8) -> bool;
}

macro_rules! physical {
    ($type:ty, $id:pat, $width:pat) => {
        // SAFETY: DuckDB's C API documents these storage types (duckdb.h, "Vector interface").
        unsafe impl Physical for $type {
            fn matches(id: LogicalTypeId, decimal_width: u8) -> bool {
                matches!((id, decimal_width), ($id, $width))
            }
        }
    };
}

physical!(u8, LogicalTypeId::UTinyint | LogicalTypeId::Boolean, 0);
physical!(i16, LogicalTypeId::Decimal, 1..=4);
physical!(i32, LogicalTypeId::Decimal, 5..=9);
physical!(
    i64,
    LogicalTypeId::Bigint | LogicalTypeId::Timestamp | LogicalTypeId::Decimal,
    0 | 10..=18
);
physical!(
    i128,
    LogicalTypeId::Uuid | LogicalTypeId::Decimal,
    0 | 19..=38
);

impl<'a> Columns<'a> {
    pub(super) fn new(chunk: &'a mut DataChunkHandle) -> Self {
        // SAFETY: a constant of the library.
        let capacity = unsafe { ffi::duckdb_vector_size() } as usize;
        Self { chunk, capacity }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn set_len(&self, rows: usize) {
        assert!(rows <= self.capacity);
        self.chunk.set_len(rows);
    }

    fn vector(&self, column: usize) -> Raw<'a> {
        assert!(column < self.chunk.num_columns());
        // SAFETY: the column exists, and the vector lives as long as the chunk that `self` borrows.
        let vector = unsafe {
            ffi::duckdb_data_chunk_get_vector(self.chunk.get_ptr(), column as ffi::idx_t)
        };
        Raw::new(vector, self.capacity)
    }

    /// The values of a fixed-width column.
    pub(super) fn values<T: Physical>(&self, column: usize) -> Values<'a, T> {
        let vector = self.vector(column);
        let logical = self.chunk.flat_vector(column).logical_type();
        let width = if logical.id() == LogicalTypeId::Decimal {
            logical.decimal_width()
        } else {
            0
        };
        assert!(
            T::matches(logical.id(), width),
            "column {column} is {:?}({width})",
            logical.id()
        );
        // SAFETY: `matches` says that the vector stores `T`.
        let data = unsafe { ffi::duckdb_vector_get_data(vector.pointer) }.cast();
        Values { vector, data }
    }

    /// The values of a VARCHAR column.
    pub(super) fn strings(&self, column: usize) -> Strings<'a> {
        let logical = self.chunk.flat_vector(column).logical_type();
        assert!(
            logical.id() == LogicalTypeId::Varchar,
            "column {column} is {:?}",
            logical.id()
        );
        Strings::new(self.vector(column))
    }

    /// The values of a MAP(VARCHAR, VARCHAR) column with so many pairs in all rows together.
    pub(super) fn maps(&self, column: usize, pairs: usize) -> Result<Maps<'a>, NoRoom> {
        Maps::new(self.map_vector(column), pairs)
    }

    /// Sets the first `rows` rows of a MAP column to NULL.
    pub(super) fn set_maps_null(&self, column: usize, rows: usize) {
        let mut list = self.map_vector(column);
        // SAFETY: a MAP is stored as a list of structs, `duckdb_list_entry` each.
        let entries: *mut ffi::duckdb_list_entry =
            unsafe { ffi::duckdb_vector_get_data(list.pointer) }.cast();
        for row in 0..rows {
            list.mark(row, false);
            let nothing = ffi::duckdb_list_entry {
                offset: 0,
                length: 0,
            };
            // SAFETY: `mark` has checked the row; the vector stores list entries.
            unsafe { entries.add(row).write(nothing) };
        }
        // SAFETY: the vector is a list; no entry of it has a pair.
        unsafe { ffi::duckdb_list_vector_set_size(list.pointer, 0) };
    }

    fn map_vector(&self, column: usize) -> Raw<'a> {
        let logical = self.chunk.flat_vector(column).logical_type();
        assert!(
            logical.id() == LogicalTypeId::Map,
            "column {column} is {:?}",
            logical.id()
        );
        self.vector(column)
    }
}

struct Raw<'a> {
    pointer: ffi::duckdb_vector,
    validity: *mut u64,
    capacity: usize,
    chunk: PhantomData<&'a ()>,
}

impl Raw<'_> {
    fn new(pointer: ffi::duckdb_vector, capacity: usize) -> Self {
        // SAFETY: `pointer` is a live vector. Null when every row is valid.
        let validity = unsafe { ffi::duckdb_vector_get_validity(pointer) };
        Self {
            pointer,
            validity,
            capacity,
            chunk: PhantomData,
        }
    }

    #[inline]
    fn mark(&mut self, row: usize, valid: bool) {
        assert!(row < self.capacity);
        if valid && self.validity.is_null() {
            return;
        }
        // SAFETY: the row is within the vector, and the mask is made writable before it is written.
        unsafe {
            if self.validity.is_null() {
                ffi::duckdb_vector_ensure_validity_writable(self.pointer);
                self.validity = ffi::duckdb_vector_get_validity(self.pointer);
            }
            ffi::duckdb_validity_set_row_validity(self.validity, row as ffi::idx_t, valid);
        }
    }
}

/// A fixed-width column. Setting a row again overwrites it, NULL included.
pub(super) struct Values<'a, T> {
    vector: Raw<'a>,
    data: *mut T,
}

impl<T: Physical> Values<'_, T> {
    #[inline]
    pub(super) fn set(&mut self, row: usize, value: Option<T>) {
        self.vector.mark(row, value.is_some());
        if let Some(value) = value {
            // SAFETY: `mark` has checked the row; `values` has checked the type.
            unsafe { self.data.add(row).write_unaligned(value) };
        }
    }
}

/// A VARCHAR column.
pub(super) struct Strings<'a> {
    vector: Raw<'a>,
    data: *mut ffi::duckdb_string_t,
}

/// Longest text that DuckDB stores inside its 16-byte string (`string_t::INLINE_LENGTH`).
const INLINE_LENGTH: usize = 12;

impl<'a> Strings<'a> {
    fn new(vector: Raw<'a>) -> Self {
        // SAFETY: the vector stores strings, as its maker has checked.
        let data = unsafe { ffi::duckdb_vector_get_data(vector.pointer) }.cast();
        Self { vector, data }
    }

    #[inline]
    pub(super) fn set(&mut self, row: usize, value: Option<&str>) {
        self.vector.mark(row, value.is_some());
        if let Some(value) = value {
            self.write(row, value.as_bytes());
        }
    }

    #[inline]
    fn write(&mut self, row: usize, value: &[u8]) {
        if value.len() <= INLINE_LENGTH {
            let mut inlined = [0; INLINE_LENGTH];
            for (to, from) in inlined.iter_mut().zip(value) {
                *to = *from as std::ffi::c_char;
            }
            let inlined = ffi::duckdb_string_t__bindgen_ty_1__bindgen_ty_2 {
                length: value.len() as u32,
                inlined,
            };
            let string = ffi::duckdb_string_t {
                value: ffi::duckdb_string_t__bindgen_ty_1 { inlined },
            };
            // SAFETY: `mark` has checked the row; the vector stores strings.
            unsafe { self.data.add(row).write(string) };
        } else {
            // SAFETY: copies the text into the vector's own heap; it is UTF-8 by this type's contract.
            unsafe {
                ffi::duckdb_unsafe_vector_assign_string_element_len(
                    self.vector.pointer,
                    row as ffi::idx_t,
                    value.as_ptr().cast(),
                    value.len() as ffi::idx_t,
                );
            }
        }
    }
}

/// The engine has no memory for a vector.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("out of memory: no room for the cells of undeclared columns")]
pub(super) struct NoRoom;

/// A vector of our own. DuckDB answers null where it can't be made; making room in a vector of its own
/// (`duckdb_list_vector_reserve`) throws instead.
struct Made(ffi::duckdb_vector);

impl Made {
    /// A vector of the type of `like`; a list gets as many children as entries.
    fn like(like: &Raw<'_>, capacity: usize) -> Result<Self, NoRoom> {
        // SAFETY: `like` is a live vector; its type is ours to destroy, and the new vector keeps a copy of it.
        let made = unsafe {
            let mut kind = ffi::duckdb_vector_get_column_type(like.pointer);
            let made = ffi::duckdb_create_vector(kind, capacity as ffi::idx_t);
            ffi::duckdb_destroy_logical_type(&mut kind);
            made
        };
        if made.is_null() {
            return Err(NoRoom);
        }
        Ok(Self(made))
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: made by us and destroyed once; a vector that refers to it shares its buffers.
        unsafe { ffi::duckdb_destroy_vector(&mut self.0) };
    }
}

/// A MAP(VARCHAR, VARCHAR) column, filled from the first row on.
pub(super) struct Maps<'a> {
    /// The chunk's vector.
    of: Raw<'a>,
    made: Made,
    /// The vector made: what it lies over `of` in the end.
    list: Raw<'a>,
    entries: *mut ffi::duckdb_list_entry,
    keys: Strings<'a>,
    values: Strings<'a>,
    used: usize,
}

impl<'a> Maps<'a> {
    fn new(of: Raw<'a>, pairs: usize) -> Result<Self, NoRoom> {
        let made = Made::like(&of, pairs.max(of.capacity))?;
        // SAFETY: a MAP is stored as a list, `duckdb_list_entry` each, whose child is a struct of key and value;
        // the vector has room for so many of both and lives as long as `made`.
        let (entries, key, value) = unsafe {
            let pair = ffi::duckdb_list_vector_get_child(made.0);
            (
                ffi::duckdb_vector_get_data(made.0).cast(),
                ffi::duckdb_struct_vector_get_child(pair, 0),
                ffi::duckdb_struct_vector_get_child(pair, 1),
            )
        };
        Ok(Self {
            list: Raw::new(made.0, of.capacity),
            entries,
            keys: Strings::new(Raw::new(key, pairs)),
            values: Strings::new(Raw::new(value, pairs)),
            used: 0,
            of,
            made,
        })
    }

    /// Sets `row` to the pairs; none: NULL. Keys must differ within a row (MAP's own rule).
    pub(super) fn set<'t>(&mut self, row: usize, pairs: impl Iterator<Item = (&'t str, &'t str)>) {
        let offset = self.used;
        for (key, value) in pairs {
            self.keys.set(self.used, Some(key));
            self.values.set(self.used, Some(value));
            self.used += 1;
        }
        self.list.mark(row, self.used > offset);
        let entry = ffi::duckdb_list_entry {
            offset: offset as u64,
            length: (self.used - offset) as u64,
        };
        // SAFETY: `mark` has checked the row; the vector stores list entries.
        unsafe { self.entries.add(row).write(entry) };
    }

    /// Gives the column to DuckDB.
    pub(super) fn finish(self) {
        // SAFETY: there is room for so many pairs (each `set` is checked against that) and they are written. The
        // chunk's vector has the same type, takes a share of the buffers and outlives nothing of ours.
        unsafe {
            ffi::duckdb_list_vector_set_size(self.made.0, self.used as ffi::idx_t);
            ffi::duckdb_vector_reference_vector(self.of.pointer, self.made.0);
        }
    }
}

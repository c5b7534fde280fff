//! Rows that came inside the announcement, brought into the same chunks as a file's.

use super::{CHUNK_RECORDS, Chunk};

/// Rows of an inline list per chunk.
pub const ROWS_PER_CHUNK: usize = CHUNK_RECORDS;

/// Fills `chunk` with rows: each is its JSON text and a look-up from column to cell.
///
/// `first_position` is the 1-based position of the first row in the list; `byte_offset` is the row's
/// offset in the list's rows written one after the other, which is what their content hash covers.
pub fn inline_chunk<'a, R: 'a>(
    chunk: &mut Chunk,
    rows: &'a [R],
    columns: &[String],
    first_position: u64,
    mut byte_offset: u64,
    json: impl Fn(&'a R) -> &'a str,
    cell: impl Fn(&'a R, &str) -> Option<&'a str>,
) {
    chunk.clear();
    for (row, position) in rows.iter().zip(first_position..) {
        let text = json(row);
        chunk.push_inline(
            text,
            columns.iter().map(|column| cell(row, column)),
            position,
            byte_offset,
        );
        byte_offset += text.len() as u64;
    }
}

//! What makes two inline lists one: their rows' values, not the JSON that they were written in.

use base16ct::lower::encode_string;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{
    ListRow,
    json::{self, Kind},
};

/// Levels of objects and arrays inside a cell that are looked into; what is deeper is taken as it is written.
const DEEPEST: u32 = 16;

/// SHA-256, in lower hexadecimal, of the rows' values in the order of the rows.
///
/// Of a row count its keys and what they hold, in the order of the keys. As in the table, a number is its text, so
/// that `1` and `"1"` are the same and `1.0` and `1.00` are not; null is not an empty text, and neither is a key
/// that is not there. Inside a nested object or array white space and the order of keys do not count either.
///
/// It says whether a list was delivered before, and is no name of its bytes: those, as delivered, have a hash of
/// their own.
///
/// ```
/// use redledger::hook::{list_identity, stored_rows};
///
/// let identity = |rows: &[u8]| stored_rows("a", rows).map(|rows| list_identity(&rows));
/// assert_eq!(
///     identity(br#"{"id":1,"currency":"USD"}"#)?,
///     identity(br#"{ "currency": "USD", "id": "1" }"#)?,
/// );
/// # Ok::<(), redledger::error::Error>(())
/// ```
#[must_use]
pub fn list_identity(rows: &[ListRow]) -> String {
    let mut identity = ListIdentity::default();
    rows.iter().for_each(|row| identity.add(row));
    identity.finish()
}

/// The same, of rows that come one by one.
#[derive(Default)]
pub(super) struct ListIdentity {
    hasher: Sha256,
    order: Vec<usize>,
}

impl ListIdentity {
    pub(super) fn add(&mut self, row: &ListRow) {
        let Self { hasher, order } = self;
        in_order(row, order);
        hasher.update(count(order.len()));
        for index in order {
            let (key, cell) = &row.cells[*index];
            // Lengths go before texts: no text can then be taken for the end of another.
            hasher.update(count(key.len()));
            hasher.update(key);
            match cell {
                None => hasher.update(u64::MAX.to_le_bytes()),
                Some(text) => {
                    let plain = plain(row, key, text);
                    let text = plain.as_deref().unwrap_or(text);
                    hasher.update(count(text.len()));
                    hasher.update(text);
                }
            }
        }
        // Of what is no text no cell tells.
        if row.fault.is_some() {
            hasher.update(&row.json);
        }
    }

    pub(super) fn finish(self) -> String {
        encode_string(&self.hasher.finalize())
    }
}

/// Whether two rows have the same values under the same keys; of what is no text, whether it is written the same.
#[must_use]
pub fn is_same_row(this: &ListRow, that: &ListRow) -> bool {
    if this.fault.is_some() || that.fault.is_some() {
        return this.json == that.json;
    }
    if this.cells == that.cells {
        return true;
    }
    let (mut these, mut those) = (Vec::new(), Vec::new());
    in_order(this, &mut these);
    in_order(that, &mut those);
    these.len() == those.len()
        && these.iter().zip(&those).all(|(a, b)| {
            let ((key, a), (other, b)) = (&this.cells[*a], &that.cells[*b]);
            key == other
                && match (a, b) {
                    (Some(a), Some(b)) => {
                        a == b || plain_or(this, key, a) == plain_or(that, key, b)
                    }
                    (None, None) => true,
                    _ => false,
                }
        })
}

fn count(of: usize) -> [u8; 8] {
    (of as u64).to_le_bytes()
}

/// The places of a row's cells in the order of their keys.
fn in_order(row: &ListRow, order: &mut Vec<usize>) {
    order.clear();
    order.extend(0..row.cells.len());
    order.sort_by(|a, b| row.cells[*a].0.cmp(&row.cells[*b].0));
}

fn plain_or(row: &ListRow, key: &str, text: &str) -> String {
    plain(row, key, text).unwrap_or_else(|| text.to_owned())
}

/// A nested object or array without white space and with its keys in order; `None` for any other cell, also for a
/// text that only looks like one.
fn plain(row: &ListRow, key: &str, text: &str) -> Option<String> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let value: &RawValue = serde_json::from_str(&row.json).ok()?;
    let members = json::object(value).ok()?;
    let (_, value) = members.iter().find(|(of, _)| of == key)?;
    matches!(Kind::of(value), Kind::Object | Kind::Array).then(|| {
        let mut plain = String::with_capacity(text.len());
        write_plain(value, DEEPEST, &mut plain);
        plain
    })
}

fn write_plain(value: &RawValue, levels: u32, plain: &mut String) {
    let written = match Kind::of(value) {
        Kind::Object if levels > 0 => json::object(value).map(|mut members| {
            members.sort_by(|a, b| a.0.cmp(&b.0));
            plain.push('{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                plain.push_str(if index > 0 { "," } else { "" });
                plain.push_str(&quoted(&key));
                plain.push(':');
                write_plain(value, levels - 1, plain);
            }
            plain.push('}');
        }),
        Kind::Array if levels > 0 => json::array(value).map(|values| {
            plain.push('[');
            for (index, value) in values.into_iter().enumerate() {
                plain.push_str(if index > 0 { "," } else { "" });
                write_plain(value, levels - 1, plain);
            }
            plain.push(']');
        }),
        Kind::Text => json::text(value).map(|text| plain.push_str(&quoted(&text))),
        _ => {
            plain.push_str(value.get());
            Ok(())
        }
    };
    // What can't be read is what it is.
    if written.is_err() {
        plain.push_str(value.get());
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::{super::stored_rows, *};

    fn rows(json: &str) -> Vec<ListRow> {
        stored_rows("h", json.replace('\'', "\"").as_bytes()).expect("rows")
    }

    #[test]
    fn a_list_is_its_values_however_they_are_written() {
        let list =
            "{'id':1,'name':'a','none':null}{'id':2,'deep':{'x':[1,{'b':2,'a':'c'}],'y':1.10}}";
        for same in [
            "{ 'name' : 'a', 'none' : null, 'id' : 1 }\n{'deep': { 'y': 1.10, 'x': [ 1, {'a':'\\u0063', 'b': 2} ] }, 'id': 2}",
            "{'id':'1','name':'\\u0061','none':null}{'id':2,'deep':{'x':[1,{'b':2,'a':'c'}],'y':1.10}}",
        ] {
            assert_eq!(
                list_identity(&rows(list)),
                list_identity(&rows(same)),
                "{same}"
            );
            let (these, those) = (rows(list), rows(same));
            assert!(
                these.iter().zip(&those).all(|(a, b)| is_same_row(a, b)),
                "{same}"
            );
        }
    }

    #[test]
    fn every_other_value_key_or_order_of_rows_is_another_list() {
        let list = "{'a':1,'b':'x'}{'a':2,'b':'y'}";
        let one = rows(list);
        for other in [
            "{'a':2,'b':'y'}{'a':1,'b':'x'}",
            "{'a':1,'b':'x'}",
            "{'a':1,'b':'x'}{'a':2,'b':'y'}{}",
            "{'a':1,'b':'x'}{'a':2.0,'b':'y'}",
            "{'a':1,'b':'x'}{'a':2,'b':'y '}",
            "{'a':1,'b':'x'}{'a':2,'b':null}",
            "{'a':1,'b':'x'}{'a':2,'b':''}",
            "{'a':1,'b':'x'}{'a':2}",
            "{'a':1,'b':'x'}{'a':2,'c':'y'}",
            "{'a':1,'b':'x','a2':null}{'a':2,'b':'y'}",
            "{'a':1}{'b':'x'}{'a':2,'b':'y'}",
            "{'a':1,'b':'xa'}{'':2,'b':'y'}",
        ] {
            let other_rows = rows(other);
            assert_ne!(list_identity(&one), list_identity(&other_rows), "{other}");
            let is_same = one.len() == other_rows.len()
                && one.iter().zip(&other_rows).all(|(a, b)| is_same_row(a, b));
            assert!(!is_same, "{other}");
        }
        let nested = |json: &str| list_identity(&rows(json));
        assert_ne!(nested("{'a':{'b':1}}"), nested("{'a':{'b':2}}"));
        assert_ne!(nested("{'a':[1,2]}"), nested("{'a':[2,1]}"));
        // A text is a text, blanks and all, whatever it looks like.
        assert_ne!(nested("{'a':'[1, 2]'}"), nested("{'a':'[1,2]'}"));
        assert_eq!(list_identity(&[]), encode_string(&Sha256::digest(b"")));
    }

    #[test]
    fn depth_costs_neither_stack_nor_time() {
        let deep = |blank: &str| {
            let open = format!("{blank}[").repeat(100_000);
            format!("{{\"a\":{}1{}}}", open.trim_start(), "]".repeat(100_000))
        };
        let identity =
            |json: &str| list_identity(&stored_rows("h", json.as_bytes()).expect("rows"));
        assert_eq!(identity(&deep("")).len(), 64);
        // So deep down white space counts.
        assert_ne!(identity(&deep("")), identity(&deep(" ")));
    }
}

//! Cells of CSV: the same value is the same text each time.

use crate::ledger::quoted;

/// What a spreadsheet may take for the beginning of a formula, as a character class.
const OPENS_A_FORMULA: &str = "^[=+\\-@\\t\\r\\n＝＋－＠]";

/// What begins so and is a number all the same.
const IS_A_NUMBER: &str = "^[+\\-][0-9]+([.][0-9]+)?$";

/// The SQL of a column's cells. `name` is in quotes.
///
/// The engine writes UUIDs, integers, decimals (with all digits of their scale) and booleans as they are. Text is written
/// as it is; the empty one in quotes, which tells it from NULL.
pub(super) fn cell(name: &str, kind: &str, for_spreadsheets: bool) -> String {
    match kind {
        "TIMESTAMP" => format!("strftime({name}, '%Y-%m-%dT%H:%M:%S.%fZ')"),
        "MAP(VARCHAR, VARCHAR)" => object(name),
        "VARCHAR" if for_spreadsheets => format!(
            "CASE WHEN regexp_matches({name}, {}) AND NOT regexp_matches({name}, {}) THEN '''' || {name} ELSE {name} END",
            quoted(OPENS_A_FORMULA),
            quoted(IS_A_NUMBER)
        ),
        _ => name.to_owned(),
    }
}

/// A map as a JSON object. The engine has no JSON of its own in this build.
fn object(name: &str) -> String {
    let (key, value) = (string("_pair.key"), string("_pair.value"));
    // No column can be called `_pair`.
    format!(
        "'{{' || array_to_string(list_transform(map_entries({name}), lambda _pair: \
         concat({key}, ':', coalesce({value}, 'null'))), ',') || '}}'"
    )
}

/// Text as a JSON string; NULL for NULL.
fn string(text: &str) -> String {
    let plain = format!("replace(replace({text}, '\\', '\\\\'), '\"', '\\\"')");
    let mut sql = plain.clone();
    for control in 1..0x20 {
        sql = format!("replace({sql}, chr({control}), '\\u{control:04x}')");
    }
    // Few have such characters, and looking for each of them takes its time.
    let has_controls = format!("regexp_matches({text}, '[\\x01-\\x1f]')");
    format!("('\"' || CASE WHEN {has_controls} THEN {sql} ELSE {plain} END || '\"')")
}

//! From a document's bytes to announcements: the forms an announcement has, and its fields.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    Announcement, BatchHook, FORMS, Fault, ListRow, ListSummary, RowFault,
    identity::ListIdentity,
    json::{self, Kind, shown},
};
use crate::{
    batch_no::BatchNo,
    error::{Error, Result},
    source_url::{SourceUrl, without_secrets},
};

/// Reads the announcements of one document: a Batch Hook, an array of hooks or envelopes, or the
/// webhook's envelope, whose `resource` is a hook, an array of hooks, or either as JSON in a string.
///
/// `origin` names the document in errors and in [`Announcement::origin`].
///
/// # Errors
/// [`Error::Announcement`] that names the element and the field, never a value: not JSON (with line and
/// column), no hook, a key that appears twice, a field that is missing or not what it should be, a hook
/// that names no rows although `total` is not 0.
///
/// ```
/// use redledger::hook;
///
/// let bytes = br#"{"batchNo":"BATCH_1","page":"1","lastPage":true,"list":[{"cardNegative":1.10}]}"#;
/// let announcements = hook::parse("hook.json", bytes)?;
/// let list = announcements[0].hook.list.as_ref().expect("a list");
/// assert_eq!(list[0].cells, [("cardNegative".into(), Some("1.10".into()))]);
/// # Ok::<(), redledger::error::Error>(())
/// ```
pub fn parse(origin: &str, bytes: &[u8]) -> Result<Vec<Announcement>> {
    read(origin, bytes, Lists::Rows)
}

/// Like [`parse`], but keeps of inline lists only what they are known by: one row is in memory at a time.
///
/// # Errors
/// As [`parse`].
pub fn index(origin: &str, bytes: &[u8]) -> Result<Vec<Announcement>> {
    read(origin, bytes, Lists::Summary)
}

/// The rows of one of a document's hooks, counted from 0.
///
/// # Errors
/// As [`parse`], and when there is no such hook.
pub fn rows_of(origin: &str, bytes: &[u8], element: usize) -> Result<Vec<ListRow>> {
    let of_element = read(origin, bytes, Lists::RowsOf(element))?
        .into_iter()
        .find(|announcement| announcement.element == element);
    let rows = of_element.and_then(|announcement| announcement.hook.list);
    rows.ok_or_else(|| Error::Announcement {
        origin: origin.to_owned(),
        message: "the list that was in it is not there any more".into(),
        hint: Some("run again: something has changed it meanwhile".into()),
    })
}

/// What is kept of inline lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lists {
    Rows,
    Summary,
    /// The rows of the hook at this place, and nothing of the others.
    RowsOf(usize),
}

fn read(origin: &str, bytes: &[u8], lists: Lists) -> Result<Vec<Announcement>> {
    // A path may well hold a `?` or `#`; only a URL has secrets behind it.
    let origin = if origin.contains("://") {
        &without_secrets(origin)
    } else {
        origin
    };
    let text = json::decode(bytes).map_err(|fault| fault.at(origin))?;
    let document = json::document(&text).map_err(|fault| fault.at(origin))?;
    let mut reading = Reading {
        lists,
        announcements: Vec::new(),
    };
    for (origin, element) in elements(origin, document)? {
        reading.element(&origin, element)?;
    }
    Ok(reading.announcements)
}

/// Like [`parse`], of the part of a document that `pointer` (RFC 6901, such as `/data/hook`) leads to.
///
/// # Errors
/// As [`parse`], and when there is nothing at `pointer`.
pub fn parse_at(origin: &str, bytes: &[u8], pointer: &str) -> Result<Vec<Announcement>> {
    let text = json::decode(bytes).map_err(|fault| fault.at(origin))?;
    let mut value = json::document(&text).map_err(|fault| fault.at(origin))?;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let next = match Kind::of(value) {
            Kind::Object => json::object(value)
                .map_err(|fault| fault.at(origin))?
                .into_iter()
                .find(|(key, _)| *key == token)
                .map(|(_, value)| value),
            Kind::Array => json::array(value)
                .map_err(|fault| fault.at(origin))?
                .into_iter()
                .nth(token.parse().unwrap_or(usize::MAX)),
            _ => None,
        };
        value = next.ok_or_else(|| {
            Fault::new(format!("nothing at `{pointer}`, where a hook was expected")).at(origin)
        })?;
    }
    if Kind::of(value) == Kind::Text {
        let inner = json::inner_document(value).map_err(|fault| fault.at(origin))?;
        return parse(origin, inner.as_bytes());
    }
    parse(origin, value.get().as_bytes())
}

/// What the outermost object of a document says about it.
#[derive(Debug, Default)]
pub struct Wrapping {
    /// The envelope's `id`.
    pub id: Option<String>,
    /// The envelope's `resource`: decoded if it is a text, else as it is written.
    pub resource: Option<Vec<u8>>,
}

/// Reads no more of a document than what is wrapped around its hooks.
///
/// # Errors
/// [`Error::Announcement`] when it is no JSON.
pub fn wrapping(origin: &str, bytes: &[u8]) -> Result<Wrapping> {
    let text = json::decode(bytes).map_err(|fault| fault.at(origin))?;
    let document = json::document(&text).map_err(|fault| fault.at(origin))?;
    let [id, resource] = json::named(document, ["id", "resource"]);
    let id = id.and_then(text_or_none);
    let has_escaped_bytes = matches!(text, Cow::Owned(_));
    let resource = resource.and_then(|value| match Kind::of(value) {
        Kind::Text => json::sent(value, has_escaped_bytes),
        Kind::Null => None,
        _ if has_escaped_bytes => None,
        _ => Some(value.get().into()),
    });
    Ok(Wrapping { id, resource })
}

fn text_or_none(value: &RawValue) -> Option<String> {
    text(value).ok().flatten().filter(|text| !text.is_empty())
}

/// Reads the rows of an inline list as the archive keeps them: one JSON object after the other.
///
/// # Errors
/// [`Error::Announcement`] that names the row.
pub fn stored_rows(origin: &str, bytes: &[u8]) -> Result<Vec<ListRow>> {
    serde_json::Deserializer::from_slice(bytes)
        .into_iter::<&RawValue>()
        .zip(1_u64..)
        .map(|(value, position)| {
            value
                .map_err(|error| Fault::new(format!("is not JSON ({error})")))
                .and_then(row)
                .map_err(|fault| fault.within(format_args!("row {position} ")).at(origin))
        })
        .collect()
}

/// The elements of an array, or the value itself, each with its origin.
fn elements<'a>(origin: &str, value: &'a RawValue) -> Result<Vec<(String, &'a RawValue)>> {
    if Kind::of(value) != Kind::Array {
        return Ok(vec![(origin.to_owned(), value)]);
    }
    let values = json::array(value).map_err(|fault| fault.at(origin))?;
    if values.is_empty() {
        return Err(Fault::new("an empty array where a Batch Hook was expected")
            .hint(FORMS)
            .at(origin));
    }
    Ok(values
        .into_iter()
        .enumerate()
        .map(|(index, value)| (format!("{origin}[{}]", index + 1), value))
        .collect())
}

/// A document on its way to announcements.
struct Reading {
    lists: Lists,
    announcements: Vec<Announcement>,
}

impl Reading {
    /// Reads a hook, or the hooks of an envelope.
    fn element(&mut self, origin: &str, value: &RawValue) -> Result<()> {
        let members = members(value).map_err(|fault| fault.at(origin))?;
        let holds = |name: &str| {
            members
                .iter()
                .any(|(key, value)| key == name && Kind::of(value) != Kind::Null)
        };
        if !holds("resource") {
            let hook = self.hook(origin, &members);
            self.announcements
                .push(hook.map_err(|fault| fault.at(origin))?);
            return Ok(());
        }
        if holds("batchNo") {
            // To take it for either would drop the rows of the other.
            return Err(Fault::new(
                "both `batchNo` and `resource`: a hook or an envelope, but not both",
            )
            .hint(FORMS)
            .at(origin));
        }
        self.envelope(origin, &members)
    }

    fn envelope(&mut self, origin: &str, members: &[(String, &RawValue)]) -> Result<()> {
        let mut event_type = None;
        let mut id = None;
        let mut announced_at = None;
        let mut unknown_keys = 0;
        let mut resource = None;
        for (key, value) in members {
            let read = || -> Result<(), Fault> {
                match key.as_str() {
                    "eventType" => event_type = text(value)?.filter(|text| !text.is_empty()),
                    "id" => id = text(value)?.filter(|text| !text.is_empty()),
                    "createTime" => announced_at = moment(value)?,
                    "resource" => resource = Some(*value),
                    "apiVersion" | "code" | "message" => {}
                    _ => unknown_keys += 1,
                }
                Ok(())
            };
            field(key, read).map_err(|fault| fault.at(origin))?;
        }
        let Some(resource) = resource else {
            return Err(Error::Internal("an envelope without `resource`".into()));
        };
        let unescaped;
        let resource = if Kind::of(resource) == Kind::Text {
            let in_resource = |fault: Fault| fault.within("`resource` ").at(origin);
            unescaped = json::inner_document(resource).map_err(in_resource)?;
            json::document(&unescaped)
                .map_err(|fault| fault.within("`resource` is text but ").at(origin))?
        } else {
            resource
        };
        for (origin, value) in elements(origin, resource)? {
            let announcement = self::members(value)
                .and_then(|members| self.hook(&origin, &members))
                .map_err(|fault| fault.within("in `resource`: ").at(&origin))?;
            self.announcements.push(Announcement {
                event_type: event_type.clone(),
                id: id.clone(),
                announced_at,
                unknown_keys: announcement.unknown_keys + std::mem::take(&mut unknown_keys),
                ..announcement
            });
        }
        Ok(())
    }

    fn hook(&self, origin: &str, members: &[(String, &RawValue)]) -> Result<Announcement, Fault> {
        let mut batch_no = None;
        let (mut page, mut size, mut total, mut last_page) = (None, None, None, None);
        let (mut file_url, mut list, mut summary) = (None, None, None);
        let mut known_keys = 0;
        for (key, value) in members {
            known_keys += 1;
            let read = || -> Result<(), Fault> {
                match key.as_str() {
                    "batchNo" => batch_no = text(value)?,
                    "page" => page = whole_number(value)?,
                    "size" => size = whole_number(value)?,
                    "total" => total = whole_number(value)?,
                    "lastPage" => last_page = boolean(value)?,
                    "fileUrl" => file_url = address(value)?,
                    "list" => (list, summary) = self.list(value)?,
                    _ => known_keys -= 1,
                }
                Ok(())
            };
            field(key, read)?;
        }
        if known_keys == 0 {
            return Err(Fault::new(format!(
                "no Batch Hook: {} where `batchNo` was expected",
                keys(members)
            ))
            .hint(FORMS));
        }
        let batch_no = batch_no.ok_or_else(|| Fault::new("`batchNo` is missing"))?;
        // The constructor's message names the field.
        let batch_no = BatchNo::new(&batch_no).map_err(Fault::new)?;
        if file_url.is_none() && list.is_none() && total != Some(0) {
            let total = total.map_or("`total` is not given".into(), |total| {
                format!("`total` is {total}")
            });
            return Err(Fault::new(format!(
                "the hook names no rows: neither `fileUrl` nor `list`, and {total}"
            ))
            .hint("an empty batch has `total` 0 or an empty `list`"));
        }
        Ok(Announcement {
            origin: origin.to_owned(),
            event_type: None,
            id: None,
            announced_at: None,
            received_at: None,
            only_resource_signed: false,
            document: 0,
            element: self.announcements.len(),
            hook: BatchHook {
                batch_no,
                page,
                size,
                total,
                last_page,
                file_url,
                list,
                summary,
            },
            unknown_keys: (members.len() - known_keys) as u64,
        })
    }

    /// An inline list, or what of it is to be kept.
    fn list(&self, value: &RawValue) -> Result<(Option<Vec<ListRow>>, Option<ListSummary>), Fault> {
        let values = match Kind::of(value) {
            Kind::Null => return Ok((None, None)),
            Kind::Array => json::array(value)?,
            Kind::Text if is_blank(value) => return Ok((None, None)),
            other => return Err(expected(other, "an array of rows")),
        };
        let rows = values.into_iter().zip(1_u64..).map(|(value, position)| {
            row(value).map_err(|fault| fault.within(format_args!("row {position}: ")))
        });
        match self.lists {
            Lists::RowsOf(element) if element != self.announcements.len() => {
                Ok((Some(Vec::new()), None))
            }
            Lists::Rows | Lists::RowsOf(_) => Ok((Some(rows.collect::<Result<_, _>>()?), None)),
            Lists::Summary => {
                let (mut count, mut identity) = (0, ListIdentity::default());
                for row in rows {
                    identity.add(&row?);
                    count += 1;
                }
                let summary = ListSummary {
                    rows: count,
                    identity: identity.finish(),
                };
                Ok((Some(Vec::new()), Some(summary)))
            }
        }
    }
}

/// The members of what should be a hook or an envelope.
fn members(value: &RawValue) -> Result<Vec<(String, &RawValue)>, Fault> {
    match Kind::of(value) {
        Kind::Object => json::object(value),
        other => {
            Err(Fault::new(format!("{} where a Batch Hook was expected", other.name())).hint(FORMS))
        }
    }
}

/// The keys of an object that is no hook; the values may be anybody's secrets.
fn keys(members: &[(String, &RawValue)]) -> String {
    const MOST: usize = 12;
    if members.is_empty() {
        return "an object without keys".into();
    }
    let names: Vec<String> = members
        .iter()
        .take(MOST)
        .map(|(key, _)| shown(key))
        .collect();
    let more = match members.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("an object with the keys {}{more}", names.join(", "))
}

/// Runs `read`, naming the field in what goes wrong.
fn field(key: &str, read: impl FnOnce() -> Result<(), Fault>) -> Result<(), Fault> {
    read().map_err(|fault| fault.within(format_args!("{} ", shown(key))))
}

/// Text or a number's text; `None` for null.
fn text(value: &RawValue) -> Result<Option<String>, Fault> {
    match Kind::of(value) {
        Kind::Null => Ok(None),
        Kind::Text => json::text(value).map(Some),
        Kind::Number => Ok(Some(value.get().to_owned())),
        other => Err(expected(other, "text or a number")),
    }
}

fn expected(kind: Kind, expected: &str) -> Fault {
    Fault::new(format!("is {} where {expected} was expected", kind.name()))
}

/// Whether a text says nothing.
fn is_blank(value: &RawValue) -> bool {
    json::text(value).is_ok_and(|text| text.trim().is_empty())
}

/// Like [`text`]; a text that says nothing is absent.
fn said(value: &RawValue) -> Result<Option<String>, Fault> {
    Ok(text(value)?.filter(|text| !text.trim().is_empty()))
}

/// A whole number from 0 that the ledger's BIGINT can hold.
fn whole_number(value: &RawValue) -> Result<Option<u64>, Fault> {
    said(value)?.map(|digits| number(&digits)).transpose()
}

fn number(digits: &str) -> Result<u64, Fault> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let what = if digits.starts_with('-') {
            "is negative"
        } else {
            "is not a whole number"
        };
        return Err(Fault::new(what));
    }
    match digits.parse::<i64>() {
        Ok(number) => Ok(number.unsigned_abs()),
        Err(_) => Err(Fault::new("is larger than any number of rows")),
    }
}

fn boolean(value: &RawValue) -> Result<Option<bool>, Fault> {
    if Kind::of(value) == Kind::Boolean {
        return Ok(Some(value.get() == "true"));
    }
    match said(value)?.as_deref() {
        None => Ok(None),
        Some("1") => Ok(Some(true)),
        Some("0") => Ok(Some(false)),
        Some(word) if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
        Some(word) if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
        Some(_) => Err(Fault::new("is neither true nor false")),
    }
}

/// Epoch milliseconds, also of a time as RFC 3339 has it. Another unit would order announcements wrongly, so it is
/// refused, not guessed; so is a time without a zone.
fn moment(value: &RawValue) -> Result<Option<i64>, Fault> {
    let Some(said) = said(value)? else {
        return Ok(None);
    };
    let wrong = |message: String| {
        Err(Fault::new(message).hint(
            "`createTime` is in epoch milliseconds, such as 1711785600000, or as RFC 3339 has it, such as \
             2024-03-30T08:00:00Z",
        ))
    };
    if said.bytes().any(|byte| matches!(byte, b'-' | b':')) && !said.starts_with('-') {
        return match said.trim().parse::<jiff::Timestamp>() {
            Ok(time) if time.as_millisecond() >= 0 => Ok(Some(time.as_millisecond())),
            Ok(_) => wrong("is a time before 1970".into()),
            Err(_) => wrong("is no time as RFC 3339 has it, with its zone".into()),
        };
    }
    match number(&said)? {
        // 9 and 10 digits: years 1973 to 2286 in seconds, January to April 1970 in milliseconds.
        100_000_000..=9_999_999_999 => wrong("has the digits of seconds".into()),
        number @ 0..=99_999_999_999_999 => Ok(i64::try_from(number).ok()),
        _ => wrong("has the digits of microseconds or nanoseconds".into()),
    }
}

fn address(value: &RawValue) -> Result<Option<SourceUrl>, Fault> {
    let address = match Kind::of(value) {
        Kind::Null => return Ok(None),
        Kind::Text => json::text(value)?,
        other => return Err(expected(other, "a URL")),
    };
    if address.trim().is_empty() {
        return Ok(None);
    }
    let url = SourceUrl::parse(&address).map_err(|message| Fault::new(format!("is {message}")))?;
    if url.secret().scheme() == "file" {
        // Whoever can announce must not be able to have local files read.
        return Err(
            Fault::new("is a `file:` URL").hint("local files are taken only from the command line")
        );
    }
    Ok(Some(url))
}

fn row(value: &RawValue) -> Result<ListRow, Fault> {
    if Kind::of(value) != Kind::Object {
        return Err(Fault::new(format!(
            "{} where an object was expected",
            Kind::of(value).name()
        )));
    }
    let mut row = ListRow {
        cells: Vec::new(),
        json: value.get().to_owned(),
        fault: None,
    };
    let fault = |key: Option<&str>, message: String| RowFault {
        is_repeated_key: false,
        key: key.map(str::to_owned),
        message,
    };
    let members = match json::members(value) {
        Ok(members) => members,
        Err(no_key) => {
            row.fault = Some(fault(None, no_key.message));
            return Ok(row);
        }
    };
    if let Some(key) = json::repeated(&members) {
        row.fault = Some(RowFault {
            is_repeated_key: true,
            ..fault(Some(key), json::appears_twice(key))
        });
        return Ok(row);
    }
    for (key, value) in members {
        let cell = match Kind::of(value) {
            Kind::Null => None,
            Kind::Text => match json::text(value) {
                Ok(text) => Some(text),
                Err(no_text) => {
                    let of = || fault(Some(&key), no_text.message);
                    row.fault.get_or_insert_with(of);
                    None
                }
            },
            Kind::Boolean | Kind::Number | Kind::Array | Kind::Object => {
                Some(value.get().to_owned())
            }
        };
        row.cells.push((key, cell));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{index, parse, rows_of, wrapping};
    use crate::{
        error::Error,
        hook::{Announcement, assemble},
    };

    /// Parses a document in which `'` stands for `"`.
    fn parsed(json: &str) -> Vec<Announcement> {
        parse("h.json", json.replace('\'', "\"").as_bytes())
            .unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    fn one(json: &str) -> Announcement {
        let mut announcements = parsed(json);
        assert_eq!(announcements.len(), 1, "{json}");
        announcements.remove(0)
    }

    /// `origin: message`, and the hint.
    fn refused_bytes(bytes: &[u8]) -> (String, Option<String>) {
        match parse("h.json", bytes) {
            Err(error @ Error::Announcement { .. }) => {
                (error.to_string(), error.hint().map(str::to_owned))
            }
            other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
        }
    }

    fn refused(json: &str) -> String {
        refused_bytes(json.replace('\'', "\"").as_bytes()).0
    }

    const HOOK: &str = "{'batchNo':'B','list':[{'a':1}]}";

    #[test]
    fn every_form_of_announcement_is_read() {
        let text = HOOK.replace('\'', "\\'");
        let array_text = format!("[{text}]");
        #[rustfmt::skip]
        let cases: &[(&str, &[&str])] = &[
            // The document and the origins of its announcements.
            (HOOK, &["h.json"]),
            (&format!("\u{feff} {HOOK}\n"), &["h.json"]),
            (&format!("[{HOOK},{HOOK}]"), &["h.json[1]", "h.json[2]"]),
            (&format!("{{'resource':{HOOK}}}"), &["h.json"]),
            (&format!("{{'resource':'{text}'}}"), &["h.json"]),
            (&format!("{{'resource':[{HOOK},{HOOK}]}}"), &["h.json[1]", "h.json[2]"]),
            (&format!("{{'resource':'{array_text}'}}"), &["h.json[1]"]),
            (&format!("[{HOOK},{{'resource':'{text}'}},{{'resource':[{HOOK}]}}]"), &["h.json[1]", "h.json[2]", "h.json[3][1]"]),
        ];
        for (json, origins) in cases {
            let announcements = parsed(json);
            let found: Vec<&str> = announcements.iter().map(|a| a.origin.as_str()).collect();
            assert_eq!(found, *origins, "{json}");
            for announcement in announcements {
                assert_eq!(announcement.hook, one(HOOK).hook, "{json}");
            }
        }
    }

    #[test]
    fn an_envelope_is_kept_with_its_hook() {
        let announcement = one(&format!(
            "{{'eventType':'negative','apiVersion':'v1','code':0,'message':'ok','createTime':'1711785600000','id':77,'resource':{HOOK}}}"
        ));
        assert_eq!(announcement.event_type.as_deref(), Some("negative"));
        assert_eq!(announcement.id.as_deref(), Some("77"));
        assert_eq!(announcement.announced_at, Some(1_711_785_600_000));
        assert_eq!(announcement.unknown_keys, 0);
        let bare = one(&format!(
            "{{'eventType':'','id':null,'createTime':null,'resource':{HOOK}}}"
        ));
        assert_eq!(
            (bare.event_type, bare.id, bare.announced_at),
            (None, None, None)
        );
    }

    #[test]
    fn numbers_and_strings_are_interchangeable() {
        let expected = one(
            "{'batchNo':'20260330','page':1,'size':2,'total':3,'lastPage':true,'list':[{'a':'1.10'}]}",
        );
        for json in [
            "{'batchNo':20260330,'page':'1','size':'2','total':'3','lastPage':'true','list':[{'a':'1.10'}]}",
            "{'batchNo':'20260330','page':'1','size':2,'total':'3','lastPage':1,'list':[{'a':'1.10'}]}",
            "{'batchNo':'20260330','page':1,'size':'2','total':3,'lastPage':'1','list':[{'a':'1.10'}]}",
        ] {
            assert_eq!(one(json), expected, "{json}");
        }
        for (json, last_page) in [
            ("false", false),
            ("0", false),
            ("'False'", false),
            ("'TRUE'", true),
        ] {
            let announcement = one(&format!("{{'batchNo':'B','lastPage':{json},'list':[]}}"));
            assert_eq!(announcement.hook.last_page, Some(last_page), "{json}");
        }
    }

    #[test]
    fn a_cell_is_its_text() {
        #[rustfmt::skip]
        let cases: &[(&str, Option<&str>)] = &[
            ("1.10", Some("1.10")),
            ("-0.00", Some("-0.00")),
            ("1E+400", Some("1E+400")),
            ("123456789012345678901234567890", Some("123456789012345678901234567890")),
            ("\"1.10\"", Some("1.10")),
            ("true", Some("true")),
            ("false", Some("false")),
            ("null", None),
            ("\"\"", Some("")),
            ("{\"b\": [1.10, {}]}", Some("{\"b\": [1.10, {}]}")),
            ("[1.10 , null]", Some("[1.10 , null]")),
            (r#""a\"b\\c\/\n\t\u00e9""#, Some("a\"b\\c/\n\té")),
            (r#""\ud83d\ude00 \u0000""#, Some("😀 \0")),
            ("\"账户\"", Some("账户")),
        ];
        for (cell, text) in cases {
            let row = format!("{{ \"a\" : {cell} }}");
            let json = format!("{{\"batchNo\":\"B\",\"list\":[ {row} ]}}");
            let list = one(&json).hook.list.expect("a list");
            let [row_read] = list.as_slice() else {
                panic!("{list:?}")
            };
            assert_eq!(row_read.cells, [("a".into(), text.map(Into::into))]);
            assert_eq!(row_read.json, row);
            // The same by way of a string.
            let escaped = serde_json::to_string(&json).expect("a string");
            let enveloped = one(&format!("{{\"resource\":{escaped}}}"));
            assert_eq!(enveloped.hook.list, Some(list));
        }
    }

    #[test]
    fn null_is_absent_and_an_empty_list_is_not() {
        let nulls = one(
            "{'batchNo':'B','page':null,'size':null,'total':0,'lastPage':null,'fileUrl':null,'list':null}",
        );
        assert_eq!(nulls, one("{'batchNo':'B','total':0,'fileUrl':''}"));
        assert_eq!(nulls.hook.list, None);
        let empty = one("{'batchNo':'B','list':[]}");
        assert_eq!(empty.hook.list, Some(vec![]));
    }

    #[test]
    fn unknown_keys_are_ignored_and_counted() {
        #[rustfmt::skip]
        let cases: &[(&str, &[u64])] = &[
            ("{'batchNo':'B','list':[{'odd':1}]}", &[0]),
            ("{'batchNo':'B','list':[],'x':{'y':1},'resource':null}", &[2]),
            ("{'x':1,'resource':{'batchNo':'B','list':[],'y':1}}", &[2]),
            ("{'x':1,'resource':[{'batchNo':'B','list':[]},{'batchNo':'C','list':[],'y':1}]}", &[1, 1]),
        ];
        for (json, counts) in cases {
            let found: Vec<u64> = parsed(json).iter().map(|a| a.unknown_keys).collect();
            assert_eq!(found, *counts, "{json}");
        }
    }

    #[test]
    fn what_is_no_announcement_is_refused_by_name() {
        let long = "9".repeat(10_000);
        #[rustfmt::skip]
        let cases: &[(&str, &str)] = &[
            ("", "h.json: not JSON: it is empty"),
            ("\u{feff}\n", "h.json: not JSON: it is empty"),
            ("<html>", "h.json: not JSON: expected value at line 1 column 1"),
            ("{'batchNo':'B',\n 'list':[}", "h.json: not JSON: expected value at line 2 column 10"),
            ("{'batchNo':'B'", "h.json: not JSON: EOF while parsing an object at line 1 column 14"),
            ("{'batchNo':01}", "h.json: not JSON: invalid number at line 1 column 13"),
            (&format!("{HOOK}\n{HOOK}\n"), "h.json: more than one JSON document: the second starts at line 2 column 1"),
            (&format!("{HOOK};"), "h.json: not JSON: trailing characters at line 1 column 33"),
            ("[]", "h.json: an empty array where a Batch Hook was expected"),
            ("3", "h.json: a number where a Batch Hook was expected"),
            ("null", "h.json: null where a Batch Hook was expected"),
            (&format!("[{HOOK},'x']"), "h.json[2]: text where a Batch Hook was expected"),
            (&format!("[[{HOOK}]]"), "h.json[1]: an array where a Batch Hook was expected"),
            ("{}", "h.json: no Batch Hook: an object without keys where `batchNo` was expected"),
            ("{'code':401,'message':'secret'}", "h.json: no Batch Hook: an object with the keys `code`, `message` where `batchNo` was expected"),
            ("{'a\\nb':1}", "h.json: no Batch Hook: an object with the keys `a\\nb` where `batchNo` was expected"),
            ("{'page':1,'list':[]}", "h.json: `batchNo` is missing"),
            ("{'batchNo':null,'list':[]}", "h.json: `batchNo` is missing"),
            ("{'batchNo':'','list':[]}", "h.json: `batchNo` is empty"),
            ("{'batchNo':true,'list':[]}", "h.json: `batchNo` is a boolean where text or a number was expected"),
            ("{'batchNo':'../x','list':[]}", "h.json: `batchNo` must start with a letter or a digit"),
            ("{'batchNo':'a/b','list':[]}", "h.json: `batchNo` has '/' at position 2 where only letters, digits, `_`, `.` and `-` are allowed"),
            (&format!("{{'batchNo':{long},'list':[]}}"), "h.json: `batchNo` has 10000 bytes where at most 128 are allowed"),
            ("{'batchNo':'B','page':-1,'list':[]}", "h.json: `page` is negative"),
            ("{'batchNo':'B','size':'x','list':[]}", "h.json: `size` is not a whole number"),
            ("{'batchNo':'B','total':'-3','list':[]}", "h.json: `total` is negative"),
            ("{'batchNo':'B','total':3.0,'list':[]}", "h.json: `total` is not a whole number"),
            ("{'batchNo':'B','total':1e3,'list':[]}", "h.json: `total` is not a whole number"),
            ("{'batchNo':'B','total':9223372036854775808,'list':[]}", "h.json: `total` is larger than any number of rows"),
            ("{'batchNo':'B','total':{},'list':[]}", "h.json: `total` is an object where text or a number was expected"),
            ("{'batchNo':'B','lastPage':2,'list':[]}", "h.json: `lastPage` is neither true nor false"),
            ("{'batchNo':'B','fileUrl':'f.csv'}", "h.json: `fileUrl` is not a URL (relative URL without a base)"),
            ("{'batchNo':'B','fileUrl':'ftp://h/f'}", "h.json: `fileUrl` is a URL with scheme `ftp` where https was expected"),
            ("{'batchNo':'B','fileUrl':'file:///etc/passwd'}", "h.json: `fileUrl` is a `file:` URL"),
            ("{'batchNo':'B','fileUrl':7}", "h.json: `fileUrl` is a number where a URL was expected"),
            ("{'batchNo':'B','list':{}}", "h.json: `list` is an object where an array of rows was expected"),
            ("{'batchNo':'B','list':[{},null]}", "h.json: `list` row 2: null where an object was expected"),
            ("{'batchNo':'B','total':3}", "h.json: the hook names no rows: neither `fileUrl` nor `list`, and `total` is 3"),
            ("{'batchNo':'B','fileUrl':'','list':null}", "h.json: the hook names no rows: neither `fileUrl` nor `list`, and `total` is not given"),
            ("{'resource':'x'}", "h.json: `resource` is text but not JSON: expected value at line 1 column 1"),
            ("{'resource':''}", "h.json: `resource` is text but not JSON: it is empty"),
            ("{'resource':'\\'x\\''}", "h.json: in `resource`: text where a Batch Hook was expected"),
            ("{'resource':7}", "h.json: in `resource`: a number where a Batch Hook was expected"),
            ("{'resource':[{'batchNo':'B','list':[]},{'list':[]}]}", "h.json[2]: in `resource`: `batchNo` is missing"),
            ("{'resource':null,'eventType':'e'}", "h.json: no Batch Hook: an object with the keys `resource`, `eventType` where `batchNo` was expected"),
            ("{'batchNo':'B','list':[],'resource':{}}", "h.json: both `batchNo` and `resource`: a hook or an envelope, but not both"),
            ("{'resource':{},'createTime':1711785600}", "h.json: `createTime` has the digits of seconds"),
            ("{'resource':{},'createTime':1711785600000000}", "h.json: `createTime` has the digits of microseconds or nanoseconds"),
            ("{'resource':{},'createTime':'2024-03-30'}", "h.json: `createTime` is no time as RFC 3339 has it, with its zone"),
            ("{'resource':{},'createTime':'2024-03-30T08:00:00'}", "h.json: `createTime` is no time as RFC 3339 has it, with its zone"),
            ("{'resource':{},'createTime':'1960-03-30T08:00:00Z'}", "h.json: `createTime` is a time before 1970"),
            ("{'resource':{},'createTime':'-5'}", "h.json: `createTime` is negative"),
        ];
        for (json, message) in cases {
            assert_eq!(refused(json), *message, "{json}");
        }
    }

    #[test]
    fn a_key_that_appears_twice_is_refused_wherever_it_would_be_read() {
        #[rustfmt::skip]
        let cases: &[(&str, &str)] = &[
            ("{'batchNo':'B','total':1,'list':[],'total':2}", "h.json: `total` appears twice in one object"),
            ("{'batchNo':'B','x':1,'x':1,'list':[]}", "h.json: `x` appears twice in one object"),
            ("{'resource':{'batchNo':'B','list':[]},'resource':{}}", "h.json: `resource` appears twice in one object"),
            ("{'resource':{'batchNo':'B','batchNo':'C','list':[]}}", "h.json: in `resource`: `batchNo` appears twice in one object"),
        ];
        for (json, message) in cases {
            assert_eq!(refused(json), *message, "{json}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        #[rustfmt::skip]
        let cases: &[(&[u8], &str)] = &[
            (b"{\"batchNo\":\n\xff}", "h.json: not JSON: not UTF-8 at line 2 column 1"),
            (b"{\"batchNo\":\"\xff\",\"list\":[]}", "h.json: `batchNo` holds what is no character: bytes that are not UTF-8, or half a surrogate pair"),
            (b"\xff\xfe{\0", "h.json: not JSON: not UTF-8 at line 1 column 1"),
            (br#"{"batchNo":"\ud83d","list":[]}"#, "h.json: `batchNo` holds what is no character: bytes that are not UTF-8, or half a surrogate pair"),
            (br#"{"batchNo":"B","\ude00":1}"#, "h.json: a key holds what is no character"),
            (br#"{"batchNo":"B\u0000","list":[]}"#, "h.json: `batchNo` has U+0000, which is not seen, at position 2: only letters, digits, `_`, `.` and `-` are allowed"),
        ];
        for (bytes, message) in cases {
            assert_eq!(refused_bytes(bytes).0, *message);
        }
    }

    #[test]
    fn a_row_that_is_no_text_does_not_refuse_the_others() {
        let json = r#"{"batchNo":"B","list":[{"a":"1"},{"a":"\ud83d","b":"x"},{"\ude00":1},{"c":["\ud83d"]}]}"#;
        let list = one(json).hook.list.expect("a list");
        let faults: Vec<_> = list
            .iter()
            .map(|row| row.fault.as_ref().map(|fault| fault.key.as_deref()))
            .collect();
        // What is nested is kept as its JSON text, which is none of ours to read.
        assert_eq!(faults, [None, Some(Some("a")), Some(None), None]);
        assert_eq!(
            list[1].cells,
            [("a".into(), None), ("b".into(), Some("x".into()))]
        );
        assert_eq!(list[2].json, r#"{"\ude00":1}"#);
    }

    #[test]
    fn a_row_of_other_bytes_or_with_a_key_twice_does_not_refuse_the_others() {
        let row = b"{\"a\":\"\xff\"},{\"a\":1,\"\\u0061\":2},{\"\xe4\":1},{\"a\":\"ok\"}";
        let hook = [b"{\"batchNo\":\"B\",\"list\":[", &row[..], b"]}"].concat();
        let escaped = hook
            .iter()
            .flat_map(|byte| match byte {
                b'"' | b'\\' => vec![b'\\', *byte],
                _ => vec![*byte],
            })
            .collect::<Vec<u8>>();
        let in_text = [b"{\"resource\":\"", &escaped[..], b"\"}"].concat();
        let mut identities = Vec::new();
        for document in [&hook, &in_text] {
            let list = parse("h", document)
                .expect("an announcement")
                .remove(0)
                .hook
                .list;
            let list = list.expect("a list");
            let faults: Vec<_> = list
                .iter()
                .map(|row| {
                    row.fault
                        .as_ref()
                        .map(|fault| (fault.is_repeated_key, fault.key.as_deref()))
                })
                .collect();
            assert_eq!(
                faults,
                [
                    Some((false, Some("a"))),
                    Some((true, Some("a"))),
                    Some((false, None)),
                    None
                ]
            );
            identities.push(super::super::list_identity(&list));
            let indexed = index("h", document)
                .expect("an announcement")
                .remove(0)
                .hook;
            assert_eq!(
                indexed.summary.map(|of| (of.rows, of.identity)),
                Some((4, identities[0].clone()))
            );
            assert!(rows_of("h", document, 0).expect("rows") == list);
            assert!(rows_of("h", document, 1).is_err());
        }
        assert_eq!(identities[0], identities[1]);
        // What was signed is what was sent.
        let signed = wrapping("h", &in_text).expect("JSON").resource;
        assert_eq!(signed.as_deref(), Some(&hook[..]));
        let escape = br#"{"resource":"{\"a\":\"\\udcff\"}"}"#;
        let signed = wrapping("h", escape).expect("JSON").resource;
        assert_eq!(signed.as_deref(), Some(&br#"{"a":"\udcff"}"#[..]));
    }

    #[test]
    fn a_text_that_says_nothing_is_absent_and_times_may_be_written_out() {
        let blank = one(
            "{'batchNo':'B','page':'','size':' ','total':0,'lastPage':'','fileUrl':' ','list':''}",
        );
        assert_eq!(blank, one("{'batchNo':'B','total':0}"));
        for (time, millis) in [
            ("'2024-03-30T08:00:00Z'", Some(1_711_785_600_000)),
            ("'2024-03-30T16:00:00.5+08:00'", Some(1_711_785_600_500)),
            ("'1711785600000'", Some(1_711_785_600_000)),
            ("''", None),
        ] {
            let json = format!("{{'createTime':{time},'resource':{HOOK}}}");
            assert_eq!(one(&json).announced_at, millis, "{time}");
        }
    }

    #[test]
    fn refusals_say_what_to_do_where_something_can_be_done() {
        for (json, hint) in [
            ("<html>", "web page"),
            ("{}\n{}", "put several hooks into an array"),
            ("{}", "an array of them"),
            (
                r#"{"batchNo":"B","fileUrl":"file:///x"}"#,
                "only from the command line",
            ),
        ] {
            let found = refused_bytes(json.as_bytes()).1;
            assert!(
                found.as_deref().is_some_and(|text| text.contains(hint)),
                "{json}: {found:?}"
            );
        }
    }

    #[test]
    fn nothing_that_is_shown_holds_a_secret() {
        let url = "https://user:word@h/hook.json?Signature=s3cret";
        let announcements = parse(
            url,
            br#"[{"batchNo":"B","fileUrl":"https://h/f?sig=s3cret","list":[{"name":"s3cret"}]}]"#,
        )
        .expect("an announcement");
        assert_eq!(announcements[0].origin, "https://h/hook.json[1]");
        let refusal = parse(url, b"{}").expect_err("no hook").to_string();
        let shown = format!(
            "{announcements:?} {:?} {refusal}",
            assemble(announcements.clone())
        );
        assert!(
            !shown.contains("s3cret") && !shown.contains("word"),
            "{shown}"
        );
        // A path is not a URL: all of it is its name.
        let path = parse("in#1?.json", br#"{"batchNo":"B","list":[]}"#).expect("an announcement");
        assert_eq!(path[0].origin, "in#1?.json");
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep =
            |open: &str, close: &str| format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        for cell in [deep("[", "]"), deep("{\"a\":", "}")] {
            let json = format!("{{\"batchNo\":\"B\",\"list\":[{{\"a\":{cell}}}],\"x\":{cell}}}");
            let list = one(&json).hook.list.expect("a list");
            assert_eq!(list[0].cells[0].1.as_deref(), Some(cell.as_str()));
            refused(&cell);
            refused(&format!("{{\"resource\":{cell}}}"));
        }
    }

    /// JSON-like text: most of it nearly an announcement.
    fn nearly_json() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "'batchNo'",
            "'page'",
            "'total'",
            "'list'",
            "'fileUrl'",
            "'resource'",
            "'lastPage'",
            "'createTime'",
            "'B'",
            "'https://h/f?q'",
            "1",
            "0",
            "-1",
            "1.10",
            "1e9",
            "true",
            "null",
            "\\",
            "\\u",
            "\\ud83d",
            "\u{feff}",
            "\0",
            "{'batchNo':'B','list':[{'a':1}]}",
            "{'resource':'{}'}",
            "\n",
        ]);
        prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat().replace('\'', "\""))
    }

    fn arbitrary_hook() -> impl Strategy<Value = String> {
        let value = prop::sample::select(vec![
            "null",
            "0",
            "1",
            "2",
            "'1'",
            "'2'",
            "3",
            "9223372036854775807",
            "true",
            "false",
            "[]",
            "[{'a':1}]",
            "[{'a':1},{'b':2}]",
            "'https://h/a?1'",
            "'https://h/b?2'",
            "''",
        ]);
        prop::collection::vec(value, 5).prop_map(|v| {
            format!(
                "{{'batchNo':'B','page':{},'size':{},'total':{},'lastPage':{},'fileUrl':{},'list':[{{'a':1}}]}}",
                v[0], v[1], v[2], v[3], v[4]
            )
            .replace('\'', "\"")
        })
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse("h", &bytes).map(assemble);
        }

        #[test]
        fn no_text_is_a_panic(text in nearly_json()) {
            let _ = parse("h", text.as_bytes()).map(assemble);
        }

        #[test]
        fn no_hooks_are_a_panic(hooks in prop::collection::vec(arbitrary_hook(), 0..40)) {
            let announcements: Vec<_> = hooks
                .iter()
                .filter_map(|hook| parse("h", hook.as_bytes()).ok())
                .flatten()
                .collect();
            let known = announcements.len();
            prop_assert!(assemble(announcements).len() <= known);
        }

        #[test]
        fn a_number_survives_as_its_text(number in r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,5})?") {
            let json = format!(r#"{{"batchNo":"B","list":[{{"n":{number},"deep":[{number}]}}]}}"#);
            let list = one(&json).hook.list.expect("a list");
            prop_assert_eq!(&list[0].cells[0].1, &Some(number.clone()));
            prop_assert_eq!(&list[0].cells[1].1, &Some(format!("[{number}]")));
        }

        #[test]
        fn text_survives(text in any::<String>()) {
            let cell = serde_json::to_string(&text).expect("a string");
            let json = format!(r#"{{"batchNo":"B","list":[{{"t":{cell}}}]}}"#);
            let list = parse("h", json.as_bytes()).expect("an announcement").remove(0).hook.list.expect("a list");
            prop_assert_eq!(&list[0].cells[0].1, &Some(text));
        }
    }
}

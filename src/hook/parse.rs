//! From a document's bytes to announcements: the forms an announcement has, and its fields.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    Announcement, BatchHook, FORMS, Fault, ListRow, ListSummary,
    fields::{
        address, boolean, expected, field, is_blank, keys, members, moment, row, text, whole_number,
    },
    identity::ListIdentity,
    json::{self, Kind},
};
use crate::{
    batch_no::BatchNo,
    error::{Error, Result},
    source_url::without_secrets,
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

#[cfg(test)]
mod tests;

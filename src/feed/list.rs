//! An inline list, read as a file that was never one.

use std::sync::{Arc, atomic::Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    Feed,
    read::{FedFile, FeedEnd, send},
    tally::Tally,
};
use crate::{
    batch::InlineRows,
    batch_no::BatchNo,
    clock,
    contract::Contract,
    hook::{ListRow, list_identity},
    reader::{InlineReader, InlineRow},
    rejection::RejectionCode,
    scan::{Scan, ScanFile, ScanMessage},
};

/// Rows that came inside the announcement.
pub(crate) struct InlineList {
    pub(crate) list: InlineRows,
    pub(crate) scanned: Arc<ScanFile>,
    pub(crate) origin: String,
}

fn inline_row(row: &ListRow) -> InlineRow<'_> {
    let fault = row.fault.as_ref().map(|fault| {
        let code = match fault.is_repeated_key {
            true => RejectionCode::FieldCount,
            false => RejectionCode::InvalidUtf8,
        };
        (code, fault.key.as_deref(), fault.message.as_str())
    });
    InlineRow {
        json: &row.json,
        cells: &row.cells,
        fault,
    }
}

impl Feed {
    /// Feeds the rows of an inline list, as a file that was never one.
    pub(crate) async fn feed_rows(
        self,
        list: InlineList,
        batch_no: BatchNo,
        contract: Arc<Contract>,
        scan: Arc<Scan>,
        sender: mpsc::Sender<ScanMessage>,
    ) -> Result<Vec<FedFile>, FeedEnd> {
        let InlineList {
            list: InlineRows { rows, columns, .. },
            scanned,
            origin,
        } = list;
        let tally = Tally::new(self.keeps.then_some(&self.archive));
        let max_record = usize::try_from(self.download.max_record.0).unwrap_or(usize::MAX);
        let mut reader = InlineReader::new(&columns, &origin, max_record)?;
        let mut left = rows.as_slice();
        while !left.is_empty() {
            let mut chunk = scan.spare_chunk();
            let taken = reader.read_chunk(&mut chunk, left.iter().map(inline_row))?;
            let part = left.split_off(..taken).unwrap_or_default();
            for row in part {
                tally.add(&Bytes::copy_from_slice(row.json.as_bytes()))?;
                tally.add(&Bytes::from_static(b"\n"))?;
            }
            self.progress
                .rows
                .fetch_add(part.len() as u64, Ordering::Relaxed);
            send(&sender, &scanned, chunk).await?;
        }
        reader.check_not_empty()?;
        let (read, asides) = (reader.records(), reader.asides());
        let (bytes, hash, kept) = self.keep(tally, &contract, &batch_no, "jsonl").await?;
        Ok(vec![FedFile {
            identity: Some(list_identity(&rows)),
            query_hash: None,
            kept,
            scanned,
            url: origin,
            bytes,
            hash,
            etag: None,
            content_type: None,
            last_modified: None,
            named_by: None,
            encoding: "UTF-8",
            header: columns.join(","),
            read,
            last_line: 0,
            asides,
            unread_checksums: Vec::new(),
            ends_with_line_break: true,
            expected_rows: None,
            fetched_at: clock::now(),
        }])
    }
}

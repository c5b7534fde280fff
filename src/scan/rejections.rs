//! Rejected rows of a batch, up to a bound: the counts are exact, the rows kept are not endless.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    reader::RecordMeta,
    rejection::{CellFault, KEPT_BYTES, KEPT_PER_FILE, Rejection, raw_text},
    source_url::redacted,
};

/// Collects rejections from all scan threads.
#[derive(Debug, Default)]
pub struct RejectionLog(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    kept: Vec<Rejection>,
    per_file: HashMap<i64, u64>,
    bytes: usize,
}

impl RejectionLog {
    /// Notes that `record` of file `file_id` was rejected.
    pub fn push(
        &self,
        file_id: i64,
        meta: &RecordMeta,
        record: &[u8],
        field: Option<Arc<str>>,
        fault: &CellFault,
    ) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_file = log.per_file.entry(file_id).or_default();
        *of_file += 1;
        if *of_file > KEPT_PER_FILE || log.bytes > KEPT_BYTES {
            return;
        }
        log.bytes += record.len() + 200;
        log.kept.push(Rejection {
            file_id,
            line: meta.line,
            byte_offset: Some(meta.byte_offset),
            field,
            code: fault.code,
            message: fault.message.clone(),
            record: redacted(&raw_text(record)).into_owned(),
        });
    }

    /// Takes what was kept, in the order of file and line.
    #[must_use]
    pub fn take(&self) -> Vec<Rejection> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = std::mem::take(&mut log.kept);
        kept.sort_by_key(|rejection| (rejection.file_id, rejection.line, rejection.byte_offset));
        kept
    }
}

//! The text between the decoder and csv-async: everything since the current chunk's first record, so that
//! each record's delivered bytes are at hand when it turns out to be broken.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, Bytes};
use futures_util::Stream;
use tokio::io::{AsyncRead, ReadBuf};

use super::encoding::Decoder;
use crate::error::FetchError;

/// Feeds csv-async with decoded text and keeps what it fed.
pub(super) struct Window<S> {
    body: S,
    decoder: Decoder,
    /// Decoded, not fed yet.
    ready: VecDeque<Bytes>,
    body_ended: bool,
    /// Fed since `base`.
    text: Vec<u8>,
    /// Offset of `text[0]` in the decoded stream.
    base: u64,
    /// Offset at which the current record begins.
    record_start: u64,
    max_record: usize,
}

/// Why reading stopped.
pub(super) enum ReadFault {
    Fetch(FetchError),
    RecordTooLong,
    Io(io::Error),
}

#[derive(Debug, thiserror::Error)]
#[error("record too long")]
struct RecordTooLong;

/// What a failed read was about; csv-async passes the window's errors on as they are.
pub(super) fn downcast(error: io::Error) -> ReadFault {
    match error.downcast::<FetchError>() {
        Ok(error) => ReadFault::Fetch(error),
        Err(error) => match error.downcast::<RecordTooLong>() {
            Ok(RecordTooLong) => ReadFault::RecordTooLong,
            Err(error) => ReadFault::Io(error),
        },
    }
}

impl<S> Window<S> {
    pub(super) fn new(body: S, decoder: Decoder, max_record: usize) -> Self {
        Self {
            body,
            decoder,
            ready: VecDeque::new(),
            body_ended: false,
            text: Vec::new(),
            base: 0,
            record_start: 0,
            max_record,
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn encoding(&self) -> &'static str {
        self.decoder.name()
    }

    /// Where a position of csv-async stands in [`Window::text`].
    pub(super) fn offset_in_text(&self, position: u64) -> usize {
        usize::try_from(position - self.base)
            .unwrap_or(usize::MAX)
            .min(self.text.len())
    }

    /// The next record begins at `position`: its length is limited from here.
    pub(super) fn mark_record(&mut self, position: u64) {
        self.record_start = position;
    }

    /// Hands the text up to `consumed` over in `into` (whose buffer is reused) and keeps the rest.
    pub(super) fn release_to(&mut self, consumed: usize, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&self.text[consumed..]);
        self.text.truncate(consumed);
        self.base += consumed as u64;
        std::mem::swap(&mut self.text, into);
    }
}

impl<S> AsyncRead for Window<S>
where
    S: Stream<Item = Result<Bytes, FetchError>> + Unpin,
{
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.base + this.text.len() as u64 - this.record_start > this.max_record as u64 {
            return Poll::Ready(Err(io::Error::other(RecordTooLong)));
        }
        loop {
            if let Some(piece) = this.ready.front_mut() {
                let length = piece.len().min(out.remaining());
                out.put_slice(&piece[..length]);
                this.text.extend_from_slice(&piece[..length]);
                piece.advance(length);
                if piece.is_empty() {
                    this.ready.pop_front();
                }
                return Poll::Ready(Ok(()));
            }
            if this.body_ended {
                return Poll::Ready(Ok(()));
            }
            match Pin::new(&mut this.body).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) => this.decoder.push(piece, &mut this.ready),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(io::Error::other(error))),
                Poll::Ready(None) => {
                    this.body_ended = true;
                    this.decoder.finish(&mut this.ready);
                }
            }
        }
    }
}

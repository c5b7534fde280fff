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

use super::encoding::{Declared, Decoder};
use crate::error::FetchError;

/// Feeds csv-async with decoded text and keeps what it fed.
pub(super) struct Window<S> {
    body: S,
    decoder: Decoder,
    /// Decoded, not fed yet.
    ready: VecDeque<Bytes>,
    body_ended: bool,
    /// What the text begins with is known not to be a byte order mark.
    past_marks: bool,
    /// Lines before the header that are still to be left out.
    lines_to_skip: u64,
    /// The last byte left out was `\r`: a `\n` now belongs to the same line break.
    after_cr: bool,
    /// Bytes of the lines left out.
    skipped: u64,
    /// Fed since `base`.
    text: Vec<u8>,
    /// Offset of `text[0]` in what is fed.
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
    pub(super) fn new(body: S, decoder: Decoder, skip_lines: u64, max_record: usize) -> Self {
        Self {
            body,
            decoder,
            ready: VecDeque::new(),
            body_ended: false,
            past_marks: false,
            lines_to_skip: skip_lines,
            after_cr: false,
            skipped: 0,
            text: Vec::new(),
            base: 0,
            record_start: 0,
            max_record,
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Offset of the text's first byte in the decoded stream, byte order marks left out.
    pub(super) fn base(&self) -> u64 {
        self.skipped + self.base
    }

    /// Lines that were to be left out and are not there.
    pub(super) fn lines_missing(&self) -> u64 {
        self.lines_to_skip
    }

    pub(super) fn encoding(&self) -> &'static str {
        self.decoder.name()
    }

    pub(super) fn declared(&self) -> Option<Declared> {
        self.decoder.declared()
    }

    pub(super) fn is_overruled(&self) -> bool {
        self.decoder.is_overruled()
    }

    /// Where a position of csv-async stands in [`Window::text`].
    pub(super) fn offset_in_text(&self, position: u64) -> usize {
        usize::try_from(position - self.base)
            .unwrap_or(usize::MAX)
            .min(self.text.len())
    }

    /// Takes byte order marks off the beginning; returns whether it is known what follows them.
    ///
    /// Some files have two. csv-core would pass over one as well, but only where its first read holds all of
    /// it: how a file is read must not depend on how the network cut it.
    fn skip_marks(&mut self) -> bool {
        const MARK: &[u8] = "\u{feff}".as_bytes();
        while !self.past_marks {
            let head: Vec<u8> = self
                .ready
                .iter()
                .flatten()
                .take(MARK.len())
                .copied()
                .collect();
            if head == MARK {
                let mut left = MARK.len();
                while let Some(piece) = self.ready.front_mut().filter(|_| left > 0) {
                    let length = piece.len().min(left);
                    piece.advance(length);
                    left -= length;
                    if piece.is_empty() {
                        self.ready.pop_front();
                    }
                }
            } else if MARK.starts_with(&head) && !self.body_ended {
                return false;
            } else {
                self.past_marks = true;
            }
        }
        true
    }

    /// Takes the lines before the header off; returns whether it is known what follows them.
    fn skip_lines(&mut self) -> bool {
        while self.lines_to_skip > 0 || self.after_cr {
            let Some(piece) = self.ready.front_mut() else {
                return self.body_ended;
            };
            let taken = match piece.first() {
                None => {
                    self.ready.pop_front();
                    continue;
                }
                Some(b'\n') if self.after_cr => {
                    self.after_cr = false;
                    1
                }
                Some(_) if self.lines_to_skip == 0 => {
                    self.after_cr = false;
                    0
                }
                Some(_) => match memchr::memchr2(b'\r', b'\n', piece) {
                    None => {
                        self.after_cr = false;
                        piece.len()
                    }
                    Some(at) => {
                        self.after_cr = piece[at] == b'\r';
                        self.lines_to_skip -= 1;
                        at + 1
                    }
                },
            };
            piece.advance(taken);
            self.skipped += taken as u64;
        }
        true
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
            if this.skip_marks()
                && this.skip_lines()
                && let Some(piece) = this.ready.front_mut()
            {
                if piece.is_empty() {
                    // To read nothing would say that this is the end.
                    this.ready.pop_front();
                    continue;
                }
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

/// Where a record stands in the window.
pub(super) struct Located {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) line: u64,
    pub(super) quoted: bool,
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// All that is fed of these pieces.
    fn fed(pieces: &[&'static [u8]]) -> Vec<u8> {
        fed_after(0, pieces).0
    }

    /// The same behind some lines, and how many bytes these have.
    fn fed_after(lines: u64, pieces: &[&'static [u8]]) -> (Vec<u8>, u64) {
        let body =
            futures_util::stream::iter(pieces.iter().map(|piece| Ok(Bytes::from_static(piece))));
        let mut window = Window::new(body, Decoder::new(None, None), lines, 1 << 20);
        let mut text = Vec::new();
        let read = window.read_to_end(&mut text).now_or_never();
        read.expect("pieces that are there").expect("no error");
        assert_eq!(window.text(), text);
        (text, window.base())
    }

    #[test]
    fn lines_are_left_out_however_they_end_and_are_cut() {
        for (lines, text, rest) in [
            (1, &b"sep=;\na;b\n"[..], &b"a;b\n"[..]),
            (2, b"Report\r\n\r\na,b", b"a,b"),
            (2, b"x\r\ra,b", b"a,b"),
            (1, b"x\r\n\na", b"\na"),
            (1, b"x\n\ra", b"\ra"),
            (3, b"\xEF\xBB\xBFx\n\r\n\r\na", b"a"),
            (1, b"no line break", b""),
            (9, b"x\n", b""),
        ] {
            for step in [1, 2, 3, 100] {
                let pieces: Vec<&[u8]> = text.chunks(step).collect();
                let mark = if text.starts_with(b"\xEF") { 3 } else { 0 };
                let skipped = (text.len() - rest.len() - mark) as u64;
                assert_eq!(
                    fed_after(lines, &pieces),
                    (rest.to_vec(), skipped),
                    "{text:?} in {step}"
                );
            }
        }
    }

    #[test]
    fn a_piece_of_nothing_is_no_end() {
        assert_eq!(fed(&[b"a,b\n", b"", b"1,2\n", b"", b""]), b"a,b\n1,2\n");
    }

    #[test]
    fn byte_order_marks_at_the_beginning_are_left_out_however_they_are_cut() {
        assert_eq!(fed(&[b"\xEF\xBB\xBF\xEF\xBB\xBFa"]), b"a");
        assert_eq!(
            fed(&[b"\xEF\xBB", b"\xBF", b"\xEF", b"\xBB", b"\xBFa"]),
            b"a"
        );
        assert_eq!(fed(&[b"\xEF\xBB\xBF\xEF\xBB"]), b"\xEF\xBB");
        assert_eq!(fed(&[b"a\xEF\xBB\xBF"]), b"a\xEF\xBB\xBF");
        assert_eq!(fed(&[b"\xEF\xBB\xBF"]), b"");
    }
}

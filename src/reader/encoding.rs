//! Which encoding a file has, and decoding it to UTF-8 while it streams.

use std::{collections::VecDeque, fmt};

use bytes::Bytes;
use encoding_rs::{DecoderResult, Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

use super::gb18030::{self, LONGEST_RUN};

/// How much is looked at, from the first non-ASCII byte on, before an undeclared encoding is settled.
const SAMPLE: usize = 64 << 10;
/// A byte that no UTF-8 text has: stands for what could not be decoded, so that its cell is rejected.
const UNDECODABLE: u8 = 0xFF;

/// Decodes a stream to UTF-8.
///
/// A byte order mark decides; else the contract; else the response's charset, as far as servers mean it
/// (`utf-8`, the GB family, UTF-16: others are often a server's default and say nothing); else the file
/// itself: it is UTF-8 unless the first 64 KiB from the first non-ASCII byte on are surely Chinese in GB18030.
/// A response that says GBK is not believed where they are Chinese in UTF-8.
/// What is UTF-8 in such a file does not become other characters in silence: its cells are rejected.
pub(super) struct Decoder {
    state: State,
    /// Who says in what it is, while the bytes do not say otherwise.
    declared: Option<Declared>,
    is_overruled: bool,
}

/// An encoding that somebody says a file has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    encoding: &'static Encoding,
    by_contract: bool,
}

impl fmt::Display for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.by_contract {
            "the contract's [csv] encoding"
        } else {
            "the response's charset"
        };
        write!(f, "{who} says that the file is in {}", self.encoding.name())
    }
}

enum State {
    /// Fewer bytes than a byte order mark can have.
    Start {
        held: Vec<u8>,
    },
    /// Pure ASCII so far, which is the same in UTF-8 and GB18030.
    Undecided {
        /// The last byte handed on.
        before: u8,
        held: Vec<u8>,
    },
    Utf8,
    Other(Box<encoding_rs::Decoder>),
    /// GB18030 that nobody has declared.
    Found {
        decoder: Box<encoding_rs::Decoder>,
        /// The last byte decoded.
        before: u8,
        /// Non-ASCII bytes that the next ones may belong to.
        held: Vec<u8>,
    },
}

impl Decoder {
    pub(super) fn new(contract: Option<&'static Encoding>, charset: Option<&str>) -> Self {
        let meant = charset
            .and_then(|label| Encoding::for_label(label.trim().as_bytes()))
            .filter(|encoding| [UTF_8, GBK, GB18030, UTF_16LE, UTF_16BE].contains(encoding));
        let declared = contract.or(meant).map(|encoding| Declared {
            encoding,
            by_contract: contract.is_some(),
        });
        Self {
            state: State::Start { held: Vec::new() },
            declared,
            is_overruled: false,
        }
    }

    /// Who says in what the file is, if that is what it is read as.
    pub(super) fn declared(&self) -> Option<Declared> {
        self.declared
    }

    /// Whether the bytes were believed and the response was not.
    pub(super) fn is_overruled(&self) -> bool {
        self.is_overruled
    }

    /// The encoding in use; UTF-8 while nothing says otherwise.
    pub(super) fn name(&self) -> &'static str {
        match &self.state {
            State::Other(decoder) | State::Found { decoder, .. } => decoder.encoding().name(),
            State::Undecided { .. } => self.claimed().unwrap_or(UTF_8).name(),
            State::Start { .. } | State::Utf8 => UTF_8.name(),
        }
    }

    /// What the response says, where the bytes have to agree.
    fn claimed(&self) -> Option<&'static Encoding> {
        self.declared.map(|declared| declared.encoding)
    }

    pub(super) fn push(&mut self, piece: Bytes, out: &mut VecDeque<Bytes>) {
        match &mut self.state {
            State::Utf8 => out.push_back(piece),
            State::Other(decoder) => decode(decoder, &piece, false, out),
            State::Found {
                decoder,
                before,
                held,
            } => {
                held.extend_from_slice(&piece);
                let end = end_of_whole_runs(held);
                decode_found(decoder, before, &held[..end], out);
                held.drain(..end);
            }
            State::Start { held } => {
                held.extend_from_slice(&piece);
                if held.len() >= 3 {
                    self.settle_start(out);
                }
            }
            State::Undecided { before, held } => {
                if held.is_empty() && piece.is_ascii() {
                    *before = piece.last().copied().unwrap_or(*before);
                    out.push_back(piece);
                    return;
                }
                held.extend_from_slice(&piece);
                if held.len() >= SAMPLE {
                    self.settle_undecided(false, out);
                }
            }
        }
    }

    pub(super) fn finish(&mut self, out: &mut VecDeque<Bytes>) {
        if matches!(self.state, State::Start { .. }) {
            self.settle_start(out);
        }
        if matches!(self.state, State::Undecided { .. }) {
            self.settle_undecided(true, out);
        }
        match &mut self.state {
            State::Other(decoder) => decode(decoder, &[], true, out),
            State::Found {
                decoder,
                before,
                held,
            } => {
                decode_found(decoder, before, held, out);
                decode(decoder, &[], true, out);
            }
            State::Start { .. } | State::Undecided { .. } | State::Utf8 => {}
        }
    }

    fn settle_start(&mut self, out: &mut VecDeque<Bytes>) {
        let State::Start { held } = &mut self.state else {
            return;
        };
        let held = std::mem::take(held);
        let (encoding, mark) = match Encoding::for_bom(&held) {
            Some((encoding, length)) => {
                self.declared = None;
                (Some(encoding), length)
            }
            None => {
                let settled = self.declared.filter(|declared| {
                    declared.by_contract || ![GBK, GB18030].contains(&declared.encoding)
                });
                (settled.map(|declared| declared.encoding), 0)
            }
        };
        self.state = match encoding {
            None => State::Undecided {
                before: b'\n',
                held: Vec::new(),
            },
            Some(encoding) if encoding == UTF_8 => State::Utf8,
            Some(encoding) => State::Other(Box::new(encoding.new_decoder_without_bom_handling())),
        };
        let rest = Bytes::from(held).slice(mark..);
        if !rest.is_empty() {
            self.push(rest, out);
        }
    }

    fn settle_undecided(&mut self, at_end: bool, out: &mut VecDeque<Bytes>) {
        let State::Undecided { before, held } = &mut self.state else {
            return;
        };
        let Some(first) = held.iter().position(|byte| !byte.is_ascii()) else {
            // All of it ASCII after all: stay undecided.
            *before = held.last().copied().unwrap_or(*before);
            if !held.is_empty() {
                out.push_back(std::mem::take(held).into());
            }
            return;
        };
        if !at_end && held.len() - first < SAMPLE {
            return;
        }
        let held = std::mem::take(held);
        let before = *before;
        let sample = &held[first..held.len().min(first + SAMPLE)];
        let last = first.checked_sub(1).map_or(before, |index| held[index]);
        self.state = match self.claimed() {
            Some(encoding) if !gb18030::is_chinese_utf8(last, sample) => {
                State::Other(Box::new(encoding.new_decoder_without_bom_handling()))
            }
            Some(_) => {
                self.declared = None;
                self.is_overruled = true;
                State::Utf8
            }
            None if gb18030::is_gb18030(last, sample) => State::Found {
                decoder: Box::new(GB18030.new_decoder_without_bom_handling()),
                before,
                held: Vec::new(),
            },
            None => State::Utf8,
        };
        self.push(held.into(), out);
    }
}

/// How many of the bytes are runs that have ended; one that has no end is taken in blocks.
fn end_of_whole_runs(held: &[u8]) -> usize {
    let ended = held
        .iter()
        .rposition(u8::is_ascii)
        .map_or(0, |index| index + 1);
    ended + (held.len() - ended) / LONGEST_RUN * LONGEST_RUN
}

/// Decodes whole runs; a run that is UTF-8 keeps its length as GB18030, but is no text.
fn decode_found(
    decoder: &mut encoding_rs::Decoder,
    before: &mut u8,
    bytes: &[u8],
    out: &mut VecDeque<Bytes>,
) {
    let Some(last) = bytes.last() else {
        return;
    };
    let mut done = 0;
    for run in gb18030::utf8_runs(*before, bytes) {
        decode(decoder, &bytes[done..run.start], false, out);
        let first = out.len();
        decode(decoder, &bytes[run.clone()], false, out);
        if let Some(text) = out.get_mut(first) {
            let mut marked = text.to_vec();
            marked[0] = UNDECODABLE;
            *text = marked.into();
        }
        done = run.end;
    }
    decode(decoder, &bytes[done..], false, out);
    *before = *last;
}

fn decode(
    decoder: &mut encoding_rs::Decoder,
    mut piece: &[u8],
    last: bool,
    out: &mut VecDeque<Bytes>,
) {
    let capacity = decoder
        .max_utf8_buffer_length_without_replacement(piece.len())
        .unwrap_or(piece.len() * 4);
    let mut text = Vec::with_capacity(capacity + 16);
    loop {
        let used = text.len();
        text.resize(text.capacity(), 0);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(piece, &mut text[used..], last);
        text.truncate(used + written);
        piece = &piece[read..];
        match result {
            DecoderResult::InputEmpty => break,
            DecoderResult::OutputFull => text.reserve(1024),
            DecoderResult::Malformed(..) => {
                text.push(UNDECODABLE);
                text.reserve(64);
            }
        }
    }
    if !text.is_empty() {
        out.push_back(text.into());
    }
}

#[cfg(test)]
mod tests;

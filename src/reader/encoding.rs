//! Which encoding a file has, and decoding it to UTF-8 while it streams.

use std::collections::VecDeque;

use bytes::Bytes;
use encoding_rs::{DecoderResult, Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};

/// How much is looked at, from the first non-ASCII byte on, before an undeclared encoding is settled.
const SAMPLE: usize = 64 << 10;
/// A byte that no UTF-8 text has: stands for what could not be decoded, so that its cell is rejected.
const UNDECODABLE: u8 = 0xFF;

/// Decodes a stream to UTF-8.
///
/// A byte order mark decides; else the contract; else the response's charset, as far as servers mean it
/// (`utf-8`, the GB family, UTF-16: others are often a server's default and say nothing); else the file
/// itself: it is UTF-8 unless most runs of non-ASCII bytes in the first 64 KiB from the first such byte
/// are not UTF-8, all of it can be GB18030 and most of these runs are pairs of bytes.
pub(super) struct Decoder {
    state: State,
}

enum State {
    /// Fewer bytes than a byte order mark can have.
    Start {
        held: Vec<u8>,
        declared: Option<&'static Encoding>,
    },
    /// Pure ASCII so far, which is the same in UTF-8 and GB18030.
    Undecided {
        held: Vec<u8>,
    },
    Utf8,
    Other(Box<encoding_rs::Decoder>),
}

impl Decoder {
    pub(super) fn new(contract: Option<&'static Encoding>, charset: Option<&str>) -> Self {
        let meant = charset
            .and_then(|label| Encoding::for_label(label.trim().as_bytes()))
            .filter(|encoding| [UTF_8, GBK, GB18030, UTF_16LE, UTF_16BE].contains(encoding));
        Self {
            state: State::Start {
                held: Vec::new(),
                declared: contract.or(meant),
            },
        }
    }

    /// The encoding in use; UTF-8 while nothing says otherwise.
    pub(super) fn name(&self) -> &'static str {
        match &self.state {
            State::Other(decoder) => decoder.encoding().name(),
            State::Start { .. } | State::Undecided { .. } | State::Utf8 => UTF_8.name(),
        }
    }

    pub(super) fn push(&mut self, piece: Bytes, out: &mut VecDeque<Bytes>) {
        match &mut self.state {
            State::Utf8 => out.push_back(piece),
            State::Other(decoder) => decode(decoder, &piece, false, out),
            State::Start { held, .. } => {
                held.extend_from_slice(&piece);
                if held.len() >= 3 {
                    self.settle_start(out);
                }
            }
            State::Undecided { held } => {
                if held.is_empty() && piece.is_ascii() {
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
        if let State::Other(decoder) = &mut self.state {
            decode(decoder, &[], true, out);
        }
    }

    fn settle_start(&mut self, out: &mut VecDeque<Bytes>) {
        let State::Start { held, declared } = &mut self.state else {
            return;
        };
        let (held, declared) = (std::mem::take(held), *declared);
        let (encoding, mark) = match Encoding::for_bom(&held) {
            Some((encoding, length)) => (Some(encoding), length),
            None => (declared, 0),
        };
        self.state = match encoding {
            None => State::Undecided { held: Vec::new() },
            Some(encoding) if encoding == UTF_8 => State::Utf8,
            Some(encoding) => State::Other(Box::new(encoding.new_decoder_without_bom_handling())),
        };
        let rest = Bytes::from(held).slice(mark..);
        if !rest.is_empty() {
            self.push(rest, out);
        }
    }

    fn settle_undecided(&mut self, at_end: bool, out: &mut VecDeque<Bytes>) {
        let State::Undecided { held } = &mut self.state else {
            return;
        };
        let held = std::mem::take(held);
        let first = held
            .iter()
            .position(|byte| !byte.is_ascii())
            .unwrap_or(held.len());
        if first == held.len() {
            // All of it ASCII after all: stay undecided.
            if !held.is_empty() {
                out.push_back(held.into());
            }
            return;
        }
        let sample = &held[first..held.len().min(first + SAMPLE)];
        if !at_end && held.len() - first < SAMPLE {
            self.state = State::Undecided { held };
            return;
        }
        self.state = if is_gb18030(sample) {
            State::Other(Box::new(GB18030.new_decoder_without_bom_handling()))
        } else {
            State::Utf8
        };
        self.push(held.into(), out);
    }
}

/// Whether text that starts with a non-ASCII byte is GB18030 rather than (possibly damaged) UTF-8.
///
/// Latin-1 can be GB18030, too: `é` and the letter after it make a Chinese character. But the characters of
/// common Chinese text (those of GB 2312) are pairs of non-ASCII bytes, and an accent mostly stands alone.
fn is_gb18030(sample: &[u8]) -> bool {
    let (mut utf8_runs, mut other_runs, mut odd_runs) = (0_usize, 0_usize, 0_usize);
    let mut runs = sample
        .split(u8::is_ascii)
        .filter(|run| !run.is_empty())
        .peekable();
    while let Some(run) = runs.next() {
        match std::str::from_utf8(run) {
            Ok(_) => utf8_runs += 1,
            // The sample may cut its last character.
            Err(error)
                if error.error_len().is_none()
                    && runs.peek().is_none()
                    && !sample[sample.len() - 1].is_ascii() =>
            {
                utf8_runs += 1;
            }
            Err(_) => {
                other_runs += 1;
                odd_runs += run.len() % 2;
            }
        }
    }
    if other_runs <= utf8_runs || odd_runs > other_runs - odd_runs {
        return false;
    }
    // A character cut in two makes two runs of one: damaged UTF-8 still holds more whole characters than faults.
    let (mut characters, mut faults) = (0_usize, 0_usize);
    for chunk in sample.utf8_chunks() {
        characters += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        faults += usize::from(!chunk.invalid().is_empty());
    }
    if characters >= faults {
        return false;
    }
    let mut decoder = GB18030.new_decoder_without_bom_handling();
    let mut sink = vec![
        0;
        decoder
            .max_utf8_buffer_length_without_replacement(sample.len())
            .unwrap_or(sample.len() * 4)
    ];
    matches!(
        decoder
            .decode_to_utf8_without_replacement(sample, &mut sink, false)
            .0,
        DecoderResult::InputEmpty
    )
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
mod tests {
    use super::*;

    fn decoded(
        declared: Option<&'static Encoding>,
        charset: Option<&str>,
        bytes: &[u8],
        step: usize,
    ) -> (Vec<u8>, &'static str) {
        let mut decoder = Decoder::new(declared, charset);
        let mut out = VecDeque::new();
        for piece in bytes.chunks(step) {
            decoder.push(Bytes::copy_from_slice(piece), &mut out);
        }
        decoder.finish(&mut out);
        (out.into_iter().flatten().collect(), decoder.name())
    }

    #[test]
    fn every_encoding_gives_the_same_text_however_it_is_cut() {
        let text = "accountId,账户名称,x\r\n1,上海科技有限公司,é😀\n";
        let gbk = GB18030.encode(text).0.into_owned();
        let utf16 = |little: bool| {
            let mut bytes = if little {
                vec![0xFF, 0xFE]
            } else {
                vec![0xFE, 0xFF]
            };
            for unit in text.encode_utf16() {
                bytes.extend(if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                });
            }
            bytes
        };
        let with_mark = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        for step in [1, 2, 3, 7, 1000] {
            for (bytes, name) in [
                (text.as_bytes(), "UTF-8"),
                (&with_mark, "UTF-8"),
                (&gbk, "gb18030"),
                (&utf16(true), "UTF-16LE"),
                (&utf16(false), "UTF-16BE"),
            ] {
                let (found, used) = decoded(None, None, bytes, step);
                assert_eq!(
                    (String::from_utf8(found).as_deref(), used),
                    (Ok(text), name),
                    "in steps of {step}"
                );
            }
            assert_eq!(decoded(Some(GB18030), None, &gbk, step).0, text.as_bytes());
            assert_eq!(
                decoded(None, Some("GBK"), &GBK.encode("账户").0, step).0,
                "账户".as_bytes()
            );
        }
    }

    #[test]
    fn a_servers_default_charset_does_not_override_the_bytes() {
        assert_eq!(
            decoded(None, Some("iso-8859-1"), "账户".as_bytes(), 100),
            ("账户".as_bytes().to_vec(), "UTF-8")
        );
    }

    #[test]
    fn a_damaged_byte_in_utf8_does_not_make_it_gb18030() {
        let mut bytes = "a,账户\nb,上海\nc,北京\n".as_bytes().to_vec();
        bytes[3] = 0xFE;
        let (found, name) = decoded(None, None, &bytes, 5);
        assert_eq!((found, name), (bytes, "UTF-8"));
    }

    #[test]
    fn utf8_whose_character_is_cut_in_two_is_not_taken_for_gb18030() {
        let text = "1,账户名称\n2,账户名称\n".as_bytes();
        let bytes = [&text[..6], b"\"", &text[6..]].concat();
        let (found, name) = decoded(None, None, &bytes, 3);
        assert_eq!((found, name), (bytes, "UTF-8"));
    }

    #[test]
    fn latin_1_is_not_taken_for_gb18030() {
        for text in [
            "1,Jos\u{e9} Garc\u{ed}a,x\n",
            "na\u{ef}ve se\u{f1}or\n",
            "\u{c5}s\n",
        ] {
            let bytes = encoding_rs::WINDOWS_1252.encode(text).0.into_owned();
            let (found, name) = decoded(None, None, &bytes, 3);
            assert_eq!((found, name), (bytes, "UTF-8"));
        }
    }

    #[test]
    fn what_can_not_be_decoded_becomes_a_byte_that_is_rejected() {
        let (found, name) = decoded(Some(GB18030), None, b"a,\xFF\xFF,b\n", 100);
        assert_eq!(name, "gb18030");
        assert!(std::str::from_utf8(&found).is_err());
        assert!(found.starts_with(b"a,") && found.ends_with(b",b\n"));
    }

    #[test]
    fn chinese_after_a_megabyte_of_ascii_is_still_recognised() {
        let mut bytes = vec![b'x'; 1 << 20];
        bytes.extend_from_slice(&GB18030.encode("上海科技有限公司,北京").0);
        let (found, name) = decoded(None, None, &bytes, 4096);
        assert_eq!(name, "gb18030");
        assert!(found.ends_with("上海科技有限公司,北京".as_bytes()));
    }
}

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
    fn a_charset_does_not_override_chinese_in_utf8() {
        let gbk = |text: &str| GBK.encode(text).0.into_owned();
        for (bytes, used) in [
            ("a,账户名称\n1,上海".as_bytes().to_vec(), "UTF-8"),
            ("1,张三\n".as_bytes().to_vec(), "UTF-8"),
            ("1,张\n2,Müller\n3,é".as_bytes().to_vec(), "UTF-8"),
            (
                ["1,张三\n2,李四\n3,".as_bytes(), b"\xE5\xBC\n"].concat(),
                "UTF-8",
            ),
            // Valid UTF-8 all of it, and still GBK.
            (gbk("1,陆伟\n"), "GBK"),
            (gbk("1,陆伟\n2,上海\n"), "GBK"),
            (gbk("a,账户\n"), "GBK"),
            // One row of another file says nothing of the others.
            ([gbk("1,账户\n2,上海\n3,"), "张三\n".into()].concat(), "GBK"),
            // Nothing speaks against what the response says.
            ("1,Müller".as_bytes().to_vec(), "GBK"),
            (b"a,b\n1,2\n".to_vec(), "GBK"),
        ] {
            for step in [1, 3, 1000] {
                let (found, name) = decoded(None, Some("GBK"), &bytes, step);
                assert_eq!(name, used, "{bytes:?}");
                if used == "UTF-8" {
                    assert_eq!(found, bytes);
                } else {
                    assert_eq!(found, GBK.decode_without_bom_handling(&bytes).0.as_bytes());
                }
            }
            // What the contract says is not doubted.
            assert_eq!(decoded(Some(GBK), Some("utf-8"), &bytes, 7).1, "GBK");
        }
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

    /// What becomes of a file of ASCII with this name in two of its rows.
    fn found_for(name: &[u8]) -> &'static str {
        let file = [
            b"accountId,accountName,type\n936da01f,plain,1\n1,",
            name,
            b",x\n2,other,y\n3,",
            name,
            b",z\n",
        ]
        .concat();
        let (found, encoding) = decoded(None, None, &file, 7);
        if encoding == "UTF-8" {
            assert_eq!(found, file);
        } else {
            let text = GB18030.decode_without_bom_handling(&file).0;
            assert_eq!(String::from_utf8_lossy(&found), text);
        }
        encoding
    }

    #[test]
    fn chinese_names_are_found_to_be_gb18030() {
        for name in [
            "上海科技有限公司",
            "账户1",
            "张三",
            "账户名称",
            "卡负余额",
            "深圳市腾讯计算机系统有限公司",
            "欧阳娜娜",
            "朱镕基,浙江",
            "（中国）有限公司",
            "國際貿易有限公司",
            "张三,é",
        ] {
            let bytes = GB18030.encode(name).0;
            assert_eq!(found_for(&bytes), "gb18030", "{name}");
        }
    }

    #[test]
    fn what_may_be_another_encoding_is_not_taken_for_gb18030() {
        use encoding_rs::{
            BIG5, EUC_JP, EUC_KR, IBM866, KOI8_R, SHIFT_JIS, WINDOWS_874, WINDOWS_1250,
            WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256,
        };
        for (encoding, names) in [
            (
                WINDOWS_1252,
                "ÄÖ GmbH|Créée SA|José García|naïve señor|Ås|Müller|ÉÉ|“quoted”|Joe’s Diner|ÄÖÜ|SÃO",
            ),
            (WINDOWS_1250, "Łódź|Žluťoučký kůň|Škoda"),
            (WINDOWS_1251, "Москва|ООО Ромашка|Газпром|МОСКВА"),
            (KOI8_R, "Москва|ООО Ромашка|Газпром"),
            (IBM866, "Москва|Газпром"),
            (WINDOWS_1253, "Αθήνα|ΕΘΝΙΚΗ|Παπαδόπουλος"),
            (WINDOWS_1254, "İstanbul|Şişli"),
            (WINDOWS_1255, "שלום|חברה"),
            (WINDOWS_1256, "محمد|شركة|السعودية"),
            (WINDOWS_874, "บริษัท|ไทย|กรุงเทพ"),
            (EUC_KR, "서울무역|삼성전자|주식회사 한국|김철수"),
            (EUC_JP, "大阪貿易|東京|株式会社トヨタ|佐々木|渡辺|福岡|食品"),
            (SHIFT_JIS, "大阪貿易|株式会社トヨタ|ｶﾀｶﾅ|佐藤花子"),
            (BIG5, "高雄|台北市|鴻海精密|王大明|股份有限公司"),
        ] {
            for name in names.split('|') {
                let bytes = encoding.encode(name).0;
                assert_eq!(found_for(&bytes), "UTF-8", "{name} in {}", encoding.name());
            }
        }
        for lost in [
            &b"Joe\xE2\x99s Diner"[..],
            b"Joe\x80\x99s Diner",
            b"Joe\xE2\x80s Diner",
        ] {
            assert_eq!(found_for(lost), "UTF-8", "{lost:?}");
        }
    }

    #[test]
    fn utf8_after_gb18030_is_no_text() {
        let head = "1,上海科技有限公司\n".repeat(SAMPLE / 18);
        let head = GB18030.encode(&head).0;
        let row = GB18030.encode("8,上海 B座\n").0;
        for name in ["上海科技", "高雄", "Crée", "Joe’s Diner", "一二三 (高雄)"] {
            let utf8 = format!("7,{name}\n");
            let file = [&head, utf8.as_bytes(), &row].concat();
            for step in [1, 2, 3, 5, 1000] {
                let (found, encoding) = decoded(None, None, &file, step);
                let mut lines = found
                    .split_inclusive(|byte| *byte == b'\n')
                    .map(std::str::from_utf8)
                    .skip(SAMPLE / 18 - 1);
                assert_eq!(encoding, "gb18030");
                assert_eq!(lines.next(), Some(Ok("1,上海科技有限公司\n")));
                let foreign = lines.next().expect("a line");
                assert!(foreign.is_err(), "{name} in steps of {step}");
                assert_eq!(lines.next(), Some(Ok("8,上海 B座\n")));
                assert_eq!(lines.next(), None);
            }
            // Where it is declared, it is taken at its word.
            let (text, _) = decoded(Some(GB18030), None, &file, 3);
            assert_eq!(text.len(), decoded(None, None, &file, 3).0.len());
            assert!(std::str::from_utf8(&text).is_ok());
        }
    }

    #[test]
    fn a_run_without_an_end_is_not_held() {
        let name = "上海科技有限公司";
        let bytes = GB18030.encode(name).0.repeat(20_000);
        let mut decoder = Decoder::new(None, None);
        let mut out = VecDeque::new();
        let mut looked = 0;
        for piece in bytes.chunks(10_000) {
            decoder.push(Bytes::copy_from_slice(piece), &mut out);
            let (State::Undecided { held, .. } | State::Found { held, .. }) = &decoder.state else {
                continue;
            };
            assert!(held.len() < SAMPLE + 10_000);
            looked += 1;
        }
        assert!(looked > 1, "nothing was held at any time");
        decoder.finish(&mut out);
        let text: Vec<u8> = out.into_iter().flatten().collect();
        assert!(text == name.repeat(20_000).as_bytes());
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

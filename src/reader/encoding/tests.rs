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
        BIG5, EUC_JP, EUC_KR, IBM866, KOI8_R, SHIFT_JIS, WINDOWS_874, WINDOWS_1250, WINDOWS_1251,
        WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256,
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

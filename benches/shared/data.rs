//! The files: `account_negative` rows as an export would have them, the same on every machine.

use std::{
    fs::{self, File},
    io::{BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use crc_fast::{CrcAlgorithm, Digest};

use super::Result;

/// Part of the files' names: another one for other contents.
const VERSION: u32 = 1;

const HEADER: &str = "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime\n";
const CITIES: [(&str, &str); 8] = [
    ("上海", "Shanghai"),
    ("北京", "Beijing"),
    ("深圳", "Shenzhen"),
    ("杭州", "Hangzhou"),
    ("广州市", "Guangzhou"),
    ("苏州", "Suzhou"),
    ("成都", "Chengdu"),
    ("", "Global"),
];
const WORDS: [(&str, &str); 10] = [
    ("云帆", "Yunfan"),
    ("星河", "Xinghe"),
    ("远航", "Yuanhang"),
    ("智联", "Zhilian"),
    ("海纳", "Haina"),
    ("鼎盛", "Dingsheng"),
    ("瑞丰", "Ruifeng"),
    ("恒通", "Hengtong"),
    ("华彩", "Huacai"),
    ("明德", "Mingde"),
];
const KINDS: [(&str, &str); 5] = [
    ("科技", "Tech"),
    ("贸易有限公司", "Trading Ltd"),
    ("网络", "Network"),
    ("传媒", "Media"),
    ("供应链", "Supply"),
];
/// Weighted: most balances are in few currencies.
const CURRENCIES: [&str; 16] = [
    "USD", "USD", "USD", "USD", "USD", "USD", "EUR", "EUR", "EUR", "HKD", "HKD", "GBP", "CNY",
    "SGD", "AUD", "CAD",
];

/// The file with so many rows: an earlier one if its bytes are right, else a new one.
pub(super) fn provide(folder: &Path, rows: u64) -> Result<PathBuf> {
    let csv = folder.join(format!("account_negative-{rows}-v{VERSION}.csv"));
    let note = csv.with_extension("csv.crc64");
    if let Ok(noted) = fs::read_to_string(&note)
        && fs::exists(&csv)?
        && noted == checksum(&csv)?
    {
        return Ok(csv);
    }
    println!("generating {}", csv.display());
    let unfinished = csv.with_extension("csv.new");
    let mut file = BufWriter::with_capacity(1 << 20, File::create(&unfinished)?);
    file.write_all(HEADER.as_bytes())?;
    for row in 0..rows {
        write_row(&mut file, row)?;
    }
    file.into_inner()?.sync_all()?;
    fs::rename(&unfinished, &csv)?;
    // Reading it also brings it into the page cache, as for a file found.
    fs::write(&note, checksum(&csv)?)?;
    Ok(csv)
}

fn checksum(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    let mut buffer = vec![0; 1 << 20];
    let mut length = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(format!("{length} {:016x}", digest.finalize())),
            read => {
                digest.update(&buffer[..read]);
                length += read;
            }
        }
    }
}

fn write_row(out: &mut impl std::io::Write, row: u64) -> std::io::Result<()> {
    let mut random = Random(row.wrapping_mul(0x2545_F491_4F6C_DD1D));
    // `mixed` maps one to one, so no two rows have the same id.
    let id = uuid::Uuid::from_u64_pair(random.next(), mixed(row)).hyphenated();
    let (city, city_en) = random.of(&CITIES);
    let (word, word_en) = random.of(&WORDS);
    let (kind, kind_en) = random.of(&KINDS);
    let display = random.below(100_000_000);
    let kind_of_account = random.below(2);
    write!(out, "{id},{city}{word}{kind},")?;
    match random.below(100) {
        0..2 => write!(out, "\"{word_en} {kind_en}, {city_en}\"")?,
        2 => write!(out, "\"{word_en} \"\"{kind_en}\"\" Ltd\"")?,
        3..6 => {}
        _ => write!(out, "{city_en} {word_en} {kind_en}")?,
    }
    write!(out, ",{display:08},{kind_of_account},")?;
    for _ in 0..2 {
        let whole = random.below(10_u64.pow(1 + random.0 as u32 % 6));
        match random.below(10) {
            0 => write!(out, "-{whole}.{:04},", random.below(10_000))?,
            1 => write!(out, "-{whole}.{:03},", random.below(1_000))?,
            _ => write!(out, "-{whole}.{:02},", random.below(100))?,
        }
    }
    let currency = random.of(&CURRENCIES);
    let time = 1_774_800_000_000 + random.below(86_400_000);
    writeln!(out, "{currency},{time}")
}

/// SplitMix64 (Steele, Lea and Flood, 2014): its step and its one-to-one mixing function.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed(self.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }
}

fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

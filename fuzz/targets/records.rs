//! Bytes → records → cells, however the bytes are cut: where nothing is broken, the same cells as the `csv`
//! crate's; where something is, no more records than lines.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use redledger::{
    error::FetchError,
    reader::{Chunk, ReaderOptions, RecordReader},
};

fuzz_target!(|input: (u8, &[u8])| {
    let (step, bytes) = input;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let pieces: Vec<Result<Bytes, FetchError>> = bytes
        .chunks(usize::from(step) + 1)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    let options = ReaderOptions {
        origin: "x.csv".into(),
        delimiter: b',',
        encoding: Some(encoding_rs::UTF_8),
        charset: None,
        max_record: 1 << 20,
    };
    let read = runtime.block_on(async {
        let mut reader = RecordReader::open(futures_util::stream::iter(pieces), options).await?;
        let columns = reader.header().cells.len();
        let (mut records, mut broken) = (Vec::new(), 0);
        let mut chunk = Chunk::default();
        while reader.read_chunk(&mut chunk).await? {
            broken += chunk.faulty.len();
            for record in &chunk.records {
                let cells = (0..columns).map(|index| chunk.cell(record, index).to_vec());
                records.push(cells.collect::<Vec<_>>());
            }
        }
        assert_eq!(reader.records(), (records.len() + broken) as u64);
        Ok::<_, redledger::error::Error>((records, broken))
    });
    let Ok((records, broken)) = read else {
        return;
    };
    let lines = bytes.split(|byte| b"\r\n".contains(byte)).count();
    assert!(records.len() + broken <= lines);
    // A byte order mark elsewhere than UTF-8's says another encoding.
    if broken > 0 || bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return;
    }
    let reference: Vec<Vec<Vec<u8>>> = csv::ReaderBuilder::new()
        .has_headers(true)
        .flexible(true)
        .from_reader(bytes)
        .byte_records()
        .map(|record| {
            record
                .expect("bytes in memory")
                .iter()
                .map(<[u8]>::to_vec)
                .collect()
        })
        .collect();
    assert_eq!(records, reference);
});

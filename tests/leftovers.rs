//! What dead processes have left, and warehouses that are damaged.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::support::{program::Workspace, random::Random, small_disk::SmallDisk};

const HEADER: &str = "accountId,type,cardNegative,budgetNegative,currency,statTime";

fn csv(rows: std::ops::Range<u32>) -> String {
    let rows = rows
        .map(|row| format!("936da01f-9abd-4d9d-80c7-{row:012x},0,-{row}.5,0,USD,1711785600000\n"));
    format!("{HEADER}\n{}", rows.collect::<String>())
}

#[test]
fn what_a_killed_run_has_left_is_removed_at_the_next_start() {
    let workspace = Workspace::new();
    let data = workspace.data();
    for folder in ["inbox/bad", "archive", "warehouse.duckdb.next.tmp"] {
        fs::create_dir_all(data.join(folder)).expect("a folder");
    }
    let left = [
        "warehouse.duckdb.next",
        "warehouse.duckdb.next.wal",
        "warehouse.duckdb.next.tmp/spilt",
        "archive/.incoming-a1",
        "inbox/.incoming-b2",
        "inbox/bad/.incoming-c3",
    ];
    for name in left {
        fs::write(data.join(name), "half").expect("to write");
    }
    // A lock whose holder is dead holds nobody, whatever it says and whoever has its number now.
    fs::write(
        data.join("lock"),
        "`redledger run`, process 1, since ever\n",
    )
    .expect("to write");
    // A receiver is at work on this one.
    let receiving = fs::File::create(data.join("inbox/.incoming-alive")).expect("a file");
    receiving.lock().expect("a lock");
    workspace.write("rows.csv", csv(0..1));
    let ran = workspace.run(&[
        "ingest",
        "rows.csv",
        "--batch-no",
        "B1",
        "--lock-wait",
        "0s",
    ]);
    assert_eq!(ran.exit, Some(0), "{}", ran.stderr);
    let mut files = workspace.leftovers();
    files.retain(|path| !path.ends_with("inbox/.incoming-alive"));
    assert_eq!(files, Vec::<PathBuf>::new());
    assert!(data.join("inbox/.incoming-alive").exists());
    for name in [
        "warehouse.duckdb.next",
        "archive/.incoming-a1",
        "inbox/.incoming-b2",
    ] {
        assert!(ran.stderr.contains(name), "{name}: {}", ran.stderr);
    }
}

/// A warehouse of some size whose every kind of block is used, with a rejection.
fn sound() -> (Workspace, Vec<u8>) {
    let workspace = Workspace::new();
    workspace.write("a.csv", csv(0..3000));
    workspace.write("b.csv", csv(5000..5010) + "x,,,,,\n");
    workspace.write("c.csv", csv(6000..6010));
    let first = workspace.run(&["ingest", "a.csv", "--batch-no", "A"]);
    assert_eq!(first.exit, Some(0), "{}", first.stderr);
    workspace.run(&["ingest", "b.csv", "--batch-no", "B"]);
    let bytes = fs::read(workspace.data().join("warehouse.duckdb")).expect("the warehouse");
    (workspace, bytes)
}

/// Bytes before the first block of a warehouse.
const HEADERS: usize = 3 * 4096;
/// Bytes of a block.
const BLOCK: usize = 256 << 10;

/// Flips bits, cuts, overwrites, each in turn: in the headers, where every bit counts, and in the blocks behind them.
fn damage(sound: &[u8], number: usize, random: &mut Random) -> (String, Vec<u8>) {
    let mut bytes = sound.to_vec();
    let blocks = (bytes.len() - HEADERS) / BLOCK;
    let said = match number % 6 {
        0 => {
            let at = 4096 * random.below(3) + random.below(160);
            bytes[at] ^= 1 << random.below(8);
            format!("a bit of the headers, byte {at}")
        }
        1 | 2 => {
            // The start of a block is used in any case.
            let at = HEADERS + BLOCK * random.below(blocks) + random.below(2048);
            bytes[at] ^= 1 << random.below(8);
            format!("a bit of a block, byte {at}")
        }
        3 => {
            let at = random.below(bytes.len());
            bytes.truncate(at);
            format!("cut at {at}")
        }
        4 => {
            let at = HEADERS + BLOCK * random.below(blocks);
            let from = HEADERS + BLOCK * random.below(blocks);
            bytes.copy_within(from..from + BLOCK, at);
            format!("block at {from} copied over the one at {at}")
        }
        _ => {
            let at = 4096 * random.below(bytes.len() / 4096);
            bytes[at..at + 4096].fill(0);
            format!("zeros at {at}")
        }
    };
    (said, bytes)
}

/// Damage is said (exit 2) or it does not matter to what is asked, and the file is left as it is. The process
/// never dies of it, unless a whole block stands in another one's place: the engine's checksums do not know
/// places, and it may take a wrong pointer. Even then nothing is published.
/// `REDLEDGER_DAMAGES` says how often.
#[test]
fn a_damaged_warehouse_never_kills_the_process_and_is_left_untouched() {
    let damages = std::env::var("REDLEDGER_DAMAGES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(15);
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let (workspace, sound) = sound();
    workspace.damaged();
    let live = workspace.data().join("warehouse.duckdb");
    let previous = workspace.data().join("warehouse.duckdb.previous");
    let mut tally: BTreeMap<(&str, Option<i32>), usize> = BTreeMap::new();
    for number in 0..damages {
        let (said, damaged) = damage(&sound, number, &mut random);
        for (name, arguments) in [
            ("status", &["status"][..]),
            ("verify", &["verify"]),
            ("ingest", &["ingest", "c.csv", "--batch-no", "C"]),
        ] {
            fs::write(&live, &damaged).expect("to write");
            let ran = workspace.run(arguments);
            *tally.entry((name, ran.exit)).or_default() += 1;
            let what = format!("{name}, {said}, seed {seed}: {:?} {}", ran.exit, ran.stderr);
            let untouched = |path| fs::read(path).is_ok_and(|now| now == damaged);
            match (name, ran.exit) {
                ("ingest", Some(0)) => assert!(untouched(&previous), "{what}"),
                (_, Some(0)) => assert!(untouched(&live), "{what}"),
                (_, Some(2)) => {
                    assert!(untouched(&live), "{what}");
                    let hint = ran.stderr.contains("hint: ");
                    assert!(hint || said.contains("copied over"), "{what}");
                }
                (_, None) if said.contains("copied over") => {
                    assert!(untouched(&live), "{what}");
                    // The next run would; `status` would not.
                    for left in workspace.leftovers() {
                        fs::remove_file(left).expect("to remove");
                    }
                }
                _ => panic!("{what}"),
            }
            assert_eq!(workspace.leftovers(), Vec::<PathBuf>::new(), "{what}");
        }
    }
    println!("{damages} damages, seed {seed}: {tally:?}");
    let of_verify = |exit| tally.get(&("verify", exit)).copied().unwrap_or(0);
    // The others are where nothing is, or in a header that is not in force.
    assert!(
        3 * (of_verify(Some(2)) + of_verify(None)) >= damages,
        "hardly any damage is found: {tally:?}, seed {seed}"
    );
}

#[test]
fn verify_finds_every_damaged_block_that_anybody_could_read() {
    let (workspace, sound) = sound();
    workspace.damaged();
    let live = workspace.data().join("warehouse.duckdb");
    let mut found = 0;
    for block in (HEADERS..sound.len()).step_by(BLOCK) {
        let mut damaged = sound.clone();
        damaged[block + 1000] ^= 4;
        fs::write(&live, &damaged).expect("to write");
        let ran = workspace.run(&["verify"]);
        let is_damaged = read_by_an_analyst(&live).is_err();
        let expected = if is_damaged { Some(2) } else { Some(0) };
        assert_eq!(ran.exit, expected, "block at {block}: {}", ran.stderr);
        found += usize::from(is_damaged);
    }
    // The others are free.
    assert!(found > 3, "{found}");
}

/// Reads all there is.
fn read_by_an_analyst(path: &Path) -> duckdb::Result<()> {
    let settings = duckdb::Config::default().access_mode(duckdb::AccessMode::ReadOnly)?;
    let connection = duckdb::Connection::open_with_flags(path, settings)?;
    let mut tables =
        connection.prepare("SELECT schema_name || '.' || table_name FROM duckdb_tables()")?;
    let tables = tables.query_map([], |row| row.get::<_, String>(0))?;
    for table in tables.collect::<duckdb::Result<Vec<_>>>()? {
        let sql = format!("SELECT t::VARCHAR FROM {table} t");
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            row.get::<_, String>(0)?;
        }
    }
    Ok(())
}

#[test]
fn rollback_works_beside_a_warehouse_that_ends_whoever_reads_it() {
    let (workspace, sound) = sound();
    let live = workspace.data().join("warehouse.duckdb");
    let previous = workspace.data().join("warehouse.duckdb.previous");
    let before = fs::read(&previous).expect("the warehouse before");
    let mut deadly = 0;
    for block in (HEADERS..sound.len()).step_by(BLOCK) {
        let other = if block == HEADERS {
            HEADERS + BLOCK
        } else {
            HEADERS
        };
        let mut damaged = sound.clone();
        damaged.copy_within(other..other + BLOCK, block);
        fs::write(&live, &damaged).expect("to write");
        fs::write(&previous, &before).expect("to write");
        let what = format!("the block at {other} copied over the one at {block}");
        let kills = workspace.run(&["status"]).exit.is_none();
        deadly += usize::from(kills);
        let ran = workspace.run(&["rollback"]);
        assert_eq!(ran.exit, Some(0), "{what}: {}", ran.stderr);
        let of_batches = ran.stdout.contains("loaded again");
        assert!(!kills || !of_batches, "{what}: {}", ran.stdout);
        let says_so = ran.stdout.contains("can't be read");
        assert!(says_so || !kills, "{what}: {}", ran.stdout);
        assert!(fs::read(&live).is_ok_and(|now| now == before), "{what}");
        assert!(
            fs::read(&previous).is_ok_and(|now| now == damaged),
            "{what}"
        );
        // And never the other way round.
        let again = workspace.run(&["rollback"]);
        assert!(again.exit == Some(2) || !kills, "{what}: {}", again.stderr);
    }
    assert!(
        deadly > 0,
        "no such block: the engine has learnt to check them"
    );
}

#[test]
fn a_copy_that_has_no_room_is_refused_before_it_is_begun() {
    let (workspace, sound) = sound();
    let small = workspace.path().join("small");
    let room = sound.len() + sound.len() / 2;
    let Some(disk) = SmallDisk::mount(&small, room as u64) else {
        return;
    };
    let live = small.join("warehouse.duckdb");
    fs::write(&live, &sound).expect("to write");
    let small_dir = small.display().to_string();
    let ran = workspace.run(&[
        "ingest",
        "c.csv",
        "--batch-no",
        "C",
        "--data-dir",
        &small_dir,
    ]);
    let after = fs::read(&live);
    let next = small.join("warehouse.duckdb.next").exists();
    drop(disk);
    assert_eq!(ran.exit, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("missing") && ran.stderr.contains("hint: "),
        "{}",
        ran.stderr
    );
    assert!(after.is_ok_and(|after| after == sound));
    assert!(!next);
}

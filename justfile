# What CI runs; with `TESTS_MUST_RUN=1` no test may be skipped, as there.
check:
    cargo fmt --check
    cargo clippy --locked --release --all-targets -- -D warnings
    cargo test --locked --release

# Speed and memory beside SQL that does the same: `just bench --rows 1M,5M,20M --runs 3`
bench *arguments:
    cargo bench --bench ingest -- {{arguments}}

# Files served by nginx: a large one beside the same from disk, and 10,000 small ones
bench-downloads *arguments:
    cargo bench --bench downloads -- {{arguments}}

# Peak memory with 100,000 bill files announced; takes a minute or more
memory:
    cargo test --release --test main memory_stays_bounded -- --ignored --nocapture

# A run with 200 waiting batches of 100 rows, timed
night:
    cargo test --release --test main two_hundred_batches -- --ignored --nocapture

# Announcements beside 2,000 half-open senders: how long the longest but one in a hundred takes
receiver:
    cargo test --release --test main two_thousand_half_open -- --ignored --nocapture

# Verify of a ledger of 2 million files: memory, time, and the time for one batch
audit-2m files="2000000":
    REDLEDGER_SCALE={{files}} REDLEDGER_TEST_LONGEST=3600 cargo test --release --test main verify_takes_the_same -- --ignored --nocapture

# A run beside an archive of 500,000 files and as many documents: memory and time
archive-500k files="500000":
    REDLEDGER_SCALE={{files}} cargo test --release --test main beside_an_archive_of -- --ignored --nocapture

# What a batch costs the engine beside a ledger of a million files, and beside an empty one
ledger-1m files="1000000":
    REDLEDGER_SCALE={{files}} cargo test --release --test main beside_a_ledger_of -- --ignored --nocapture

# The receiver: durable announcements a second, and how long fifty senders at once wait
bench-serve *arguments:
    cargo bench --bench receiver -- {{arguments}}

# Kill the program and fail its calls at every step of a reference run; needs strace, takes minutes
crash:
    cargo test --release --test main crash:: -- --ignored --nocapture --test-threads 1

# Ten clients that ask all the time while fifty runs publish
readers:
    cargo test --release --test main ten_readers -- --ignored --nocapture

# Ten thousand damaged CSV files, a thousand damaged warehouses; takes minutes
fidelity:
    REDLEDGER_MUTATIONS=10000 REDLEDGER_DAMAGES=1000 cargo test --release --test main damaged_ -- --nocapture

# Coverage-guided fuzzing, so many seconds a target: `just fuzz 600 rows` (docs/fuzzing.md)
fuzz seconds="60" *targets:
    fuzz/run {{seconds}} {{targets}}

# The unsafe code at work under Valgrind, then under AddressSanitizer with fuzzed input (docs/fuzzing.md)
sanitize seconds="60":
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --error-exitcode=99" REDLEDGER_FUZZ_SECONDS={{seconds}} \
        cargo test --release --test main rows_keep -- --nocapture
    fuzz/run {{seconds}} rows

# What dependencies may be: licences, versions, sources; advisories where the database can be had
deny:
    .ci/deny

# What tests want beside the program (nginx, s3rver, strace, …); tests of what can't be had are skipped
servers:
    .ci/install-servers

# Serve the shipped examples on loopback, ingest them, show what was loaded.
demo *arguments:
    cargo run --release -- demo {{arguments}}

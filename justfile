# What CI runs.
check:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings
    cargo test --release

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

# The receiver: durable announcements a second, and how long fifty senders at once wait
bench-serve *arguments:
    cargo bench --bench receiver -- {{arguments}}

# Kill the program and fail its calls at every step of a reference run; needs strace, takes minutes
crash:
    cargo test --release --test main crash::every -- --ignored --nocapture --test-threads 1

# Ten clients that ask all the time while fifty runs publish
readers:
    cargo test --release --test main ten_readers -- --ignored --nocapture

# Ten thousand damaged CSV files, a thousand damaged warehouses; takes minutes
fidelity:
    REDLEDGER_MUTATIONS=10000 REDLEDGER_DAMAGES=1000 cargo test --release --test main damaged_ -- --nocapture

# Real servers for the tests that want them (nginx, s3rver); what can't be had is skipped
servers:
    .ci/install-servers

# Serve the shipped examples on loopback, ingest them, show what was loaded.
demo *arguments:
    cargo run --release -- demo {{arguments}}

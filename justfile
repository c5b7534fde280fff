# What CI runs.
check:
    cargo fmt --check
    cargo clippy --release --all-targets -- -D warnings
    cargo test --release

# Speed and memory beside SQL that does the same: `just bench --rows 1M,5M,20M --runs 3`
bench *arguments:
    cargo bench --bench ingest -- {{arguments}}

# Serve the shipped examples on loopback, ingest them, show what was loaded.
demo *arguments:
    cargo run --release -- demo {{arguments}}

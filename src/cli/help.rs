//! What the help says beside the options: examples, variables, and options of every command once.

pub(super) const PROGRAM: &str = "\
Examples:
  redledger demo                              a first look, in ./demo-data
  redledger ingest hook.json                  load an announcement
  redledger ingest b.csv --batch-no BATCH_1   load a CSV as a batch
  redledger run --strict                      the scheduled job
  redledger status                            what is loaded, and what is not

Variables:
  REDLEDGER_CONFIG             settings file, as --config
  REDLEDGER_DATA_DIR           where everything lives, as --data-dir
  REDLEDGER_SECTION__KEY       any setting, such as REDLEDGER_DOWNLOAD__ATTEMPTS
  REDLEDGER_HOOK_SECRET        what announcements are signed with (serve)
  REDLEDGER_PROVIDER_TOKEN     for the provider's interface
  NO_COLOR                     no colors
  COLUMNS                      places in a line where there is no terminal

Exit status:
  0  all is well, including nothing to do
  1  done, but the data needs a person
  2  usage, settings or a fault (serve: 78 for settings)
  3  incomplete for a passing reason: run again";

// Examples: what a stranger would type first.

pub(super) const INGEST: &str = "\
Examples:
  redledger ingest hook.json                          an announcement
  redledger ingest announcements/                     a folder of them
  curl -s https://api.example.com/hook | redledger ingest -
  redledger ingest rows.csv.gz --batch-no BATCH_1     a CSV as a batch
  redledger ingest --batch-no BATCH_1                 ask the provider";

pub(super) const RUN: &str = "\
Examples:
  redledger run --dry-run                   what it would do
  redledger run --strict --deadline 50m --format json
  redledger run --metrics /var/lib/prometheus/node-exporter/redledger.prom
  redledger run --lineage https://marquez.example.com/api/v1/lineage

Exit status 1: a person is needed, and is told once; 3: run again.";

pub(super) const DISMISS: &str = "\
Examples:
  redledger dismiss BATCH_20260330163600 --why 'a test of the platform, see ticket 4711'";

pub(super) const ROLLBACK: &str = "\
Examples:
  redledger rollback --dry-run              what would be published";

pub(super) const SERVE: &str = "\
Examples:
  redledger serve --listen localhost:8080

Variables:
  REDLEDGER_HOOK_SECRET   what announcements are signed with ([serve] secret_env
                          names another variable, secret_file a file)

Exit status 78: the settings are wrong, and starting again does not help.";

pub(super) const BACKFILL: &str = "\
Examples:
  redledger backfill BATCH_20260330163600
  redledger backfill 'BATCH_202603*' --dry-run
  redledger backfill BATCH_20260301..BATCH_20260331 --refetch

Variables:
  REDLEDGER_PROVIDER_TOKEN   for the provider's interface, with --refetch";

pub(super) const STATUS: &str = "\
Examples:
  redledger status                          every batch, the newest first
  redledger status BATCH_20260330163600     one, with files and controls
  redledger status --strict --format json   for a monitor";

pub(super) const REJECTIONS: &str = "\
Examples:
  redledger rejections BATCH_20260330163600
  redledger rejections --code excess-scale --format csv > rows.csv";

pub(super) const VERIFY: &str = "\
Examples:
  redledger verify
  redledger verify 'BATCH_202603*' --no-archive
  redledger verify BATCH_20260330163600 --cells   every cell, read a second time";

pub(super) const TRACE: &str = "\
Examples:
  redledger trace 3:17                      the row of line 17 of file 3
  redledger trace account_negative --account 0000042
  redledger trace account_negative --account 0000042 --batch BATCH_20260330163600

Exit status 1: something does not agree.";

pub(super) const REPORT: &str = "\
Examples:
  redledger report --out night.html
  redledger report --out night.html --lang zh --days 30 --no-records
  redledger report --out batch.html --batch BATCH_20260330163600

A report that is there is replaced; anything else is not. It asks for nothing from anywhere.";

pub(super) const UI: &str = "\
Examples:
  redledger ui
  redledger ui --listen 127.0.0.1:9000 --lang zh

The address that it prints opens once, in one browser; it reads only, and ends with Ctrl-C.";

pub(super) const DICTIONARY: &str = "\
Examples:
  redledger dictionary > dictionary.md
  redledger dictionary --format dbt > models/sources.yml
  redledger dictionary account_negative --format frictionless > datapackage.json";

pub(super) const EXPORT: &str = "\
Examples:
  redledger export account_negative --format parquet --out negative.parquet
  redledger export account_negative --since 2026-03-30T06:00:00Z --out since.csv
  redledger export account_repayment --batch BATCH_20260401100000 \\
      --for-spreadsheets --out repaid.csv

On stdout is one JSON object: what was written, and which batches to delete first.";

pub(super) const DEMO: &str = "\
Examples:
  redledger demo
  redledger demo --month --data-dir ./month
  redledger report --data-dir ./month --out month.html";

pub(super) const COMPLETIONS: &str = "\
Examples:
  redledger completions bash > ~/.local/share/bash-completion/completions/redledger
  redledger completions zsh > ~/.zfunc/_redledger
  redledger completions fish > ~/.config/fish/completions/redledger.fish

The script asks redledger at every TAB: it offers the batch numbers of the ledger, too.";

pub(super) const MAN: &str = "\
Examples:
  redledger man | man -l -
  redledger man datasets infer > redledger-datasets-infer.1";

pub(super) const INFER: &str = "\
Examples:
  redledger datasets infer rows.csv --name card > contracts/card.toml
  redledger datasets infer <(zcat rows.csv.gz) --name card";

pub(super) const CHECK: &str = "\
Exit status 2: something would fail later; the message says where.";

//! `redledger demo --month`: thirty nights, each by the code of `run`, at its own time.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::server::serve;
use crate::{
    cli::{Format, LoadOptions},
    clock,
    commands::{
        context::Context,
        output::{self, Table, counted, say},
        run::drain,
    },
    config::Interval,
    data_dir,
    demo::{Night, month},
    error::{Error, ExitStatus, Result},
    inbox::{Envelope, Inbox},
    pipeline::Ending,
    run::{Limits, Report},
    warehouse,
};

/// What announcements of the month say they are about.
const EVENTS: [(&str, &str); 3] = [
    ("account.negative", "account_negative"),
    ("account.repayment", "account_repayment"),
    ("account.bill", "account_negative_bill"),
];
/// After an announcement, to the run of its night.
const UNTIL_RUN: i64 = 30 * 60 * 1_000_000;
/// How often a batch is expected, in seconds: once a day, with two hours to spare.
const EXPECTED: u64 = 26 * 3_600;

pub(super) fn play(mut context: Context, options: &LoadOptions) -> Result<ExitStatus> {
    check_new(&context.config.data_dir)?;
    let config = &mut context.config;
    for (event, dataset) in EVENTS {
        config.hook.events.insert(event.into(), dataset.into());
    }
    for dataset in ["account_negative", "account_repayment"] {
        let every = Interval(std::time::Duration::from_secs(EXPECTED));
        config.expected_every.insert(dataset.into(), every);
    }
    config.download.backoff = std::time::Duration::from_millis(1);
    let files: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let server = context.begin("demo", options)?;
    let served = Arc::clone(&files);
    let address = server.intake().block_on(serve(move |name| {
        let files = served.lock().unwrap_or_else(PoisonError::into_inner);
        files.get(name).cloned()
    }))?;
    if options.format == Format::Table {
        say!(
            "Thirty nights, each announced, served on http://{address} and loaded as `redledger run` does it.\n"
        );
    }
    let mut table = Table::new(&["night", "batches", "rows", "rejected", "exit", "what"]);
    for night in month(last_night()) {
        let row = one(&context, options, &night, &files, &address.to_string());
        clock::play(None);
        let row = row?;
        if options.format == Format::Table {
            row.say();
        }
        row.push_to(&mut table);
    }
    server.end();
    match options.format {
        Format::Table => say_what_next(&context),
        format => table.print(format)?,
    }
    Ok(ExitStatus::Success)
}

/// A month is played into a folder of its own: it would be no month among other batches, and they not what they were.
fn check_new(data_dir: &Path) -> Result<()> {
    let is_there = warehouse::exists(&data_dir::warehouse(data_dir))?
        || data_dir::inbox(data_dir).exists()
        || data_dir::archive(data_dir).exists();
    match is_there {
        false => Ok(()),
        true => Err(Error::Usage {
            message: format!(
                "there is something in {} already, and a month is played into a folder of its own",
                data_dir.display()
            ),
            hint: Some("name a new one with --data-dir, or remove that one".into()),
        }),
    }
}

/// The last day whose night is over.
fn last_night() -> jiff::civil::Date {
    let before = clock::now() - 4 * 3_600 * 1_000_000;
    let time = jiff::Timestamp::from_microsecond(before).unwrap_or_default();
    time.to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// What a night has come to.
struct Played {
    night: String,
    batches: String,
    rows: u64,
    rejected: u64,
    exit: u8,
    what: String,
}

fn one(
    context: &Context,
    options: &LoadOptions,
    night: &Night,
    files: &Mutex<HashMap<String, String>>,
    address: &str,
) -> Result<Played> {
    let inbox = Inbox::new(&context.config.data_dir);
    inbox
        .create()
        .map_err(Error::io("make the inbox in", &context.config.data_dir))?;
    let time = night.day.at(3, 0, 0, 0);
    let announced = jiff::tz::TimeZone::UTC.to_timestamp(time);
    let announced = announced.map_or(0, |time| time.as_microsecond());
    for (delivery, received) in night.deliveries.iter().zip(announced..) {
        let text = delivery.announcement.to_string();
        let text = text.replace("{server}", &format!("http://{address}"));
        inbox
            .store(text.as_bytes(), Envelope::default(), received)
            .map_err(Error::io("write to the inbox in", &context.config.data_dir))?;
        let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
        files.extend(delivery.files.iter().cloned());
    }
    clock::play(Some(announced + UNTIL_RUN));
    let mut run = context.begin("run", options)?;
    run.watch_cadence(false)?;
    let limits = Limits {
        batches: usize::MAX,
        until: None,
    };
    drain(context, &mut run, limits)?;
    run.look_for_late()?;
    let played = Played::of(night, &run.report());
    run.end();
    Ok(played)
}

impl Played {
    fn of(night: &Night, report: &Report<'_>) -> Self {
        let ended = |ending| {
            report
                .outcomes
                .iter()
                .filter(|of| of.outcome == ending)
                .count()
        };
        let batches: Vec<String> = Ending::ALL
            .into_iter()
            .filter(|ending| ended(*ending) > 0)
            .map(|ending| format!("{} {}", ended(ending), ending.as_str()))
            .collect();
        Self {
            night: night.day.to_string(),
            batches: batches.join(", "),
            rows: report.outcomes.iter().map(|of| of.rows_loaded).sum(),
            rejected: report.outcomes.iter().map(|of| of.rows_rejected).sum(),
            exit: report.exit.code(),
            what: night.story.join("; "),
        }
    }

    fn say(&self) {
        output::say_wrapped(&format!(
            "{}  exit {}  {}, {}, {} rejected{}{}",
            self.night,
            self.exit,
            self.batches,
            counted(self.rows, "row"),
            self.rejected,
            if self.what.is_empty() { "" } else { ": " },
            self.what
        ));
    }

    fn push_to(self, table: &mut Table) {
        table.push([
            self.night.into(),
            self.batches.into(),
            self.rows.into(),
            self.rejected.into(),
            self.exit.into(),
            self.what.into(),
        ]);
    }
}

fn say_what_next(context: &Context) {
    let given = &context.given;
    say!("\nWhere to go from here:\n");
    say!("redledger report --out month.html{given}");
    say!("redledger ui{given}");
    say!("redledger status{given}");
    say!("redledger rejections{given}");
    say!("redledger verify --cells{given}");
    say!("redledger trace 1:2{given}");
}

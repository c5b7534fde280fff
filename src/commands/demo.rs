//! `redledger demo`: the shipped examples, served on loopback and ingested like real announcements.

mod month;
mod server;

use std::path::PathBuf;

use super::{
    context::{Context, as_word, given},
    load_report::finish,
    output::say,
};
use crate::{
    batch::{Batch, Way},
    cli::{Demo, Format},
    clock,
    demo::EXAMPLES,
    error::{Error, ExitStatus, Result},
    hook,
    source_url::SourceUrl,
};

/// Where the demo's warehouse goes unless --data-dir says: never among real data.
const DATA_DIR: &str = "./demo-data";

const QUERIES: [(&str, &str); 3] = [
    (
        "What is owed now, by currency?",
        "SELECT currency, count(*) AS accounts, sum(card_negative) AS card, sum(budget_negative) AS budget\n\
         FROM account_balance GROUP BY currency ORDER BY card;",
    ),
    (
        "Which bill lines stand behind an account's bill?",
        "SELECT b.display_id, b.create_time, l.fields['商户'] AS merchant, l.fields['交易金额']::DECIMAL(18,4) AS amount\n\
         FROM bill b JOIN account_negative_bill_line l ON l.file_id = b.lines_file_id ORDER BY ALL;",
    ),
    (
        "Where did a row come from that was not loaded, and why was it not?",
        "SELECT url, line, field, code, message, record FROM rejected_row;",
    ),
];

pub(super) fn run(
    mut context: Context,
    data_dir: Option<PathBuf>,
    arguments: &Demo,
) -> Result<ExitStatus> {
    let doing = &arguments.load;
    context.config.data_dir = data_dir.unwrap_or_else(|| DATA_DIR.into());
    context.given = given(None, Some(&context.config.data_dir));
    context.config.download.allow_http = true;
    context.config.download.allow_private = vec!["127.0.0.0/8".into()];
    if arguments.month {
        return month::play(context, doing);
    }
    let mut run = context.begin("demo", doing)?;
    let intake = run.intake();
    let address = intake.block_on(server::serve(|name| {
        EXAMPLES.get_file(name)?.contents_utf8().map(str::to_owned)
    }))?;
    if doing.format == Format::Table {
        say!(
            "The examples are served on http://{address}; ingesting their announcements from there.\n"
        );
    }
    let mut announcements: Vec<&str> = EXAMPLES
        .files()
        .filter_map(|file| file.path().to_str())
        .filter(|name| name.ends_with(".json"))
        .collect();
    announcements.sort_unstable();
    let mut parsed = Vec::new();
    for name in announcements {
        let url = SourceUrl::parse(&format!("http://{address}/{name}")).map_err(Error::Internal)?;
        parsed.extend(hook::parse(
            &url.to_string(),
            &intake.fetch_announcement(&url)?,
        )?);
    }
    let batches = hook::assemble(parsed)
        .into_iter()
        .map(|assembled| {
            let batch = assembled.batch?;
            let event_type = batch.event_type.as_deref();
            let events = &context.config.hook.events;
            let dataset = context.contracts.of_event(events, event_type)?;
            Ok(Batch::announced(batch, dataset, Way::ByHand(clock::now())))
        })
        .collect::<Result<Vec<_>>>()?;
    run.load_all(&batches);
    let exit = finish(&context, run, doing.format)?;
    if doing.format == Format::Table {
        say_what_next(&context);
    }
    Ok(exit)
}

fn say_what_next(context: &Context) {
    say!("\nThree queries worth running:");
    for (question, sql) in QUERIES {
        say!("\n-- {question}\n{sql}");
    }
    let given = &context.given;
    say!("\nWhere to go from here (the first with any DuckDB client):\n");
    say!(
        "duckdb -readonly{}",
        as_word(&context.config.warehouse_path())
    );
    say!("redledger status{given}");
    say!("redledger rejections BATCH_20260330163600{given}");
    say!("redledger verify{given}");
}

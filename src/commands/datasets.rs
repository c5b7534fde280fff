//! `redledger datasets list|show|check|infer`

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    context::Context,
    output::{self, Table, remark, say, say_that_it_waits, shortened},
};
use crate::{
    cli::{Datasets, Format},
    config::Config,
    contract::{Contract, ContractText, Contracts, FieldType, Identifier, MaxRejected},
    error::{Error, ExitStatus, Result},
    infer, views,
};

/// Said of a contract that requires nothing.
const NOT_DETECTED: &str = "no field is required, so that its files can't be told by their columns: name the dataset with \
     --dataset or under [hook.events]";

pub(super) fn run(context: &Context, arguments: &Datasets) -> Result<ExitStatus> {
    match arguments {
        Datasets::List(read) => list(context, read.format)?,
        Datasets::Show { name, read } => show(context, name, read.format)?,
        Datasets::Check { files } => return check(&context.config, files),
        Datasets::Infer { files, name } => infer(context, files, name.as_deref())?,
    }
    Ok(ExitStatus::Success)
}

fn list(context: &Context, format: Format) -> Result<()> {
    let sources = sources(&context.config)?;
    let mut table = Table::new(&["name", "fields", "key", "max_rejected", "source", "comment"])
        .shortening(&[("comment", 16), ("key", 16)])
        .dropping(&["source", "fields", "max_rejected", "key"]);
    for contract in context.contracts.iter() {
        let source = sources.get(contract.name.as_str());
        let own = source.is_some_and(|source| !source.shipped);
        table.push([
            contract.name.as_str().into(),
            contract.fields.len().into(),
            keys(contract).join(", ").into(),
            contract.max_rejected.to_string().into(),
            if own { "own" } else { "shipped" }.into(),
            contract.comment.clone().into(),
        ]);
    }
    table.print(format)
}

/// Where each dataset's contract in force is written.
fn sources(config: &Config) -> Result<BTreeMap<String, ContractText>> {
    ContractText::all(config.datasets_dir())?
        .into_iter()
        .map(|text| Ok((text.parse()?.name.to_string(), text)))
        .collect()
}

fn keys(contract: &Contract) -> Vec<&str> {
    contract
        .key_columns()
        .map(|column| column.as_str())
        .collect()
}

fn show(context: &Context, name: &str, format: Format) -> Result<()> {
    let contract = context.contracts.require(name)?;
    let sources = sources(&context.config)?;
    let source = sources
        .get(name)
        .map_or_else(String::new, |source| source.place.clone());
    match format {
        Format::Json => output::print_json(&as_json(contract, &source)),
        Format::Csv => fields(contract).print(format),
        Format::Table => {
            output::say_wrapped(&format!("{}  {}", contract.name, contract.comment));
            let key = keys(contract);
            let key = if key.is_empty() {
                "none".into()
            } else {
                key.join(", ")
            };
            say!("key           {key}");
            say!("max_rejected  {}", contract.max_rejected);
            say!("contract      {source}");
            if contract.csv.delimiter != b',' {
                say!("delimiter     {}", char::from(contract.csv.delimiter));
            }
            if let Some(encoding) = contract.csv.encoding {
                say!("encoding      {}", encoding.name());
            }
            if contract.csv.skip_lines > 0 {
                say!("skip_lines    {}", contract.csv.skip_lines);
            }
            if let Some(parent) = &contract.parent {
                let inherited: Vec<&str> = parent
                    .inherit
                    .iter()
                    .map(|inherit| inherit.column.as_str())
                    .collect();
                output::say_wrapped(&format!(
                    "files         named by {}.{}, which gives {}",
                    parent.dataset,
                    parent.url_field,
                    inherited.join(", ")
                ));
            }
            say!("other cells   in `{}`", contract.rest);
            for control in &contract.controls {
                let enforced = if control.enforce { " (enforced)" } else { "" };
                output::say_wrapped(&format!("control       {}{enforced}", control.rule));
            }
            if contract.parent.is_none() && !contract.can_be_detected() {
                output::say_wrapped(&format!("detection     {NOT_DETECTED}"));
            }
            say!("");
            if contract.fields.is_empty() {
                say!(
                    "No declared fields: every cell is kept in `{}`.",
                    contract.rest
                );
                return Ok(());
            }
            fields(contract).print(format)
        }
    }
}

fn fields(contract: &Contract) -> Table {
    let mut table = Table::new(&["field", "column", "type", "required", "aliases", "comment"])
        .shortening(&[
            ("comment", 16),
            ("aliases", 10),
            ("type", 14),
            ("column", 14),
        ])
        .dropping(&["aliases", "column"]);
    for field in &contract.fields {
        table.push([
            field.name.as_ref().into(),
            field.column.as_str().into(),
            type_in_words(&field.kind).into(),
            if field.required { "yes" } else { "" }.into(),
            field.aliases.join(", ").into(),
            field.comment.clone().into(),
        ]);
    }
    table
}

/// `decimal(18,4)`, `timestamp ms`, `enum 0, 1`.
fn type_in_words(kind: &FieldType) -> String {
    let name = kind.name();
    match kind {
        FieldType::Decimal {
            precision, scale, ..
        } => format!("{name}({precision},{scale})"),
        FieldType::Timestamp { unit } => format!("{name} {}", unit.name()),
        FieldType::Enum { values, .. } => {
            let codes: Vec<&str> = values.iter().map(|(code, _)| code.as_str()).collect();
            format!("{name} {}", shortened(&codes.join(", "), 40))
        }
        FieldType::Text {
            max_length: Some(most),
        } => format!("{name}({most})"),
        _ => name.to_owned(),
    }
}

fn as_json(contract: &Contract, source: &str) -> Value {
    let fields: Vec<Value> = contract
        .fields
        .iter()
        .map(|field| {
            let mut of = json!({
                "name": &*field.name,
                "column": field.column.as_str(),
                "type": field.kind.name(),
                "sql_type": field.kind.sql(),
                "required": field.required,
                "aliases": field.aliases,
                "comment": field.comment,
            });
            match &field.kind {
                FieldType::Timestamp { unit } => of["unit"] = unit.name().into(),
                FieldType::Enum { values, .. } => {
                    of["values"] = values
                        .iter()
                        .map(|(code, meaning)| (code.clone(), Value::from(meaning.as_str())))
                        .collect::<serde_json::Map<_, _>>()
                        .into();
                }
                FieldType::Decimal {
                    precision, scale, ..
                } => {
                    of["precision"] = (*precision).into();
                    of["scale"] = (*scale).into();
                }
                FieldType::Currency { also } => of["also"] = json!(also),
                FieldType::Text { max_length } => of["max_length"] = json!(max_length),
                FieldType::Uuid
                | FieldType::Integer { .. }
                | FieldType::Url
                | FieldType::Boolean => {}
            }
            of
        })
        .collect();
    let controls: Vec<Value> = contract
        .controls
        .iter()
        .map(|control| {
            json!({"name": control.name, "rule": control.rule, "enforce": control.enforce})
        })
        .collect();
    let parent = contract.parent.as_ref().map(|parent| {
        let inherit: Vec<Value> = parent
            .inherit
            .iter()
            .map(|inherit| json!({"field": inherit.field, "column": inherit.column.as_str()}))
            .collect();
        json!({
            "dataset": parent.dataset,
            "url_field": parent.url_field,
            "rows_field": parent.rows_field,
            "inherit": inherit,
        })
    });
    let max_rejected = match contract.max_rejected {
        MaxRejected::Rows(rows) => json!(rows),
        share @ MaxRejected::Share { .. } => json!(share.to_string()),
    };
    json!({
        "name": contract.name.as_str(),
        "comment": contract.comment,
        "source": source,
        "primary_key": keys(contract),
        "max_rejected": max_rejected,
        "csv": {
            "delimiter": char::from(contract.csv.delimiter).to_string(),
            "encoding": contract.csv.encoding.map_or("auto", |encoding| encoding.name()),
            "skip_lines": contract.csv.skip_lines,
        },
        "rest": contract.rest.as_str(),
        "parent": parent,
        "fields": fields,
        "controls": controls,
    })
}

/// `redledger datasets check [FILES]`: every contract by itself, then all of them together.
pub(super) fn check(config: &Config, files: &[PathBuf]) -> Result<ExitStatus> {
    let in_force = ContractText::all(config.datasets_dir())?;
    let wanted: Vec<Result<ContractText>> = if files.is_empty() {
        in_force.iter().cloned().map(Ok).collect()
    } else {
        files.iter().map(|file| ContractText::read(file)).collect()
    };
    let mut errors = Vec::new();
    let mut sound = Vec::new();
    for text in wanted {
        match text.and_then(|text| Ok((text.parse()?, text))) {
            Ok((contract, text)) => sound.push((Arc::new(contract), text.place)),
            Err(error) => errors.push(error),
        }
    }
    // What was asked for is laid over what is in force; that may have its own mistakes.
    let mut together: BTreeMap<String, Arc<Contract>> = in_force
        .iter()
        .filter(|text| !files.iter().any(|file| is_at(text, file)))
        .filter_map(|text| text.parse().ok())
        .map(|contract| (contract.name.to_string(), Arc::new(contract)))
        .collect();
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (contract, place) in &sound {
        let shipped = place.starts_with('(');
        if !shipped && let Some(first) = seen.insert(contract.name.as_str(), place) {
            errors.push(Error::Settings {
                place: place.clone(),
                message: format!("declares the dataset `{}`, as {first} does", contract.name),
                hint: Some("keep one of them".into()),
            });
        }
        together.insert(contract.name.to_string(), Arc::clone(contract));
    }
    let views = views::shipped_names();
    for (contract, place) in &sound {
        if views.contains(contract.name.as_str()) {
            errors.push(Error::Settings {
                place: place.clone(),
                message: format!("`{}` is the name of a view", contract.name),
                hint: Some("give the dataset another name, see docs/analyst.md".into()),
            });
        }
    }
    if errors.is_empty()
        && let Err(error) = Contracts::joined(together)
    {
        errors.push(error);
    }
    for (contract, place) in &sound {
        say!(
            "OK  {place}: {}, {}",
            contract.name,
            output::counted(contract.fields.len() as u64, "field")
        );
        if contract.parent.is_none() && !contract.can_be_detected() {
            remark!("note: {place}: {NOT_DETECTED}");
        }
    }
    let worst = errors.iter().map(Error::exit_status).max();
    for error in &errors {
        output::report_error(error);
    }
    Ok(worst.unwrap_or(ExitStatus::Success))
}

fn is_at(text: &ContractText, file: &Path) -> bool {
    !text.shipped && Path::new(&text.place) == file
}

/// The name of a dataset whose sample has none: a pipe, standard input.
const NAMELESS: &str = "sample";

/// `redledger datasets infer FILE…`
fn infer(context: &Context, files: &[PathBuf], name: Option<&str>) -> Result<()> {
    let name = match name {
        Some(name) => {
            Identifier::new(name).map_err(|message| Error::usage(format!("--name: {message}")))?
        }
        None => match infer::name_of(&files[0])? {
            Some(name) => name,
            None => {
                remark!("The dataset is called `{NAMELESS}`; --name gives it another name.");
                Identifier::new(NAMELESS).map_err(Error::Internal)?
            }
        },
    };
    if files.iter().any(|file| file == Path::new("-")) {
        say_that_it_waits("CSV");
    }
    let max_record = usize::try_from(context.config.download.max_record.0).unwrap_or(usize::MAX);
    let proposal = infer::propose(&name, files, max_record, &context.contracts)?;
    say!("{}", proposal.text.trim_end());
    if proposal.broken > 0 {
        let records = output::counted(proposal.broken, "broken record");
        remark!("{records} left out, see the comments");
    }
    Ok(())
}

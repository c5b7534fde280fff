//! `redledger dictionary`: what tables and columns mean, on stdout.

use super::{
    context::Context,
    output::{self, print_bytes},
};
use crate::{
    cli::{Dictionary, DictionaryFormat},
    dictionary::{self, Dataset, Expected},
    error::{ExitStatus, Result},
    ledger,
};

pub(super) fn run(context: &Context, arguments: &Dictionary) -> Result<ExitStatus> {
    let contracts = &context.contracts;
    for name in &arguments.datasets {
        contracts.require(name)?;
    }
    let is_meant = |name: &str| {
        arguments.datasets.is_empty() || arguments.datasets.iter().any(|wanted| wanted == name)
    };
    let meant = contracts.iter().filter(|of| is_meant(of.name.as_str()));
    let datasets = meant.map(|contract| Dataset::of(contract, contracts));
    let datasets = datasets.collect::<Result<Vec<_>>>()?;
    let ledger = match arguments.datasets.is_empty() {
        true => ledger::described(),
        false => Vec::new(),
    };
    match arguments.format {
        DictionaryFormat::Md => print_bytes(dictionary::page(&datasets, &ledger).as_bytes()),
        DictionaryFormat::Dbt => {
            let every = context.config.expected_every.iter();
            let expected: Expected = every.map(|(name, every)| (name.clone(), every.0)).collect();
            // Tests ask the ledger for a row's file, whichever datasets are meant.
            let sources = dictionary::sources(&datasets, &ledger::described(), &expected);
            print_bytes(sources.as_bytes());
        }
        DictionaryFormat::Frictionless => output::print_json(&dictionary::package(&datasets))?,
    }
    Ok(ExitStatus::Success)
}

//! What a shell shows when TAB is pressed: commands, options, and batch numbers as the ledger has them.

use std::{ffi::OsString, path::PathBuf};

use clap_complete::{
    engine::{ArgValueCompleter, CompletionCandidate},
    env::{CompleteEnv, Shells},
};

use super::{context::settings_of, output};
use crate::{
    batch_no::BatchNo,
    cli,
    error::{Error, ExitStatus, Result},
    ledger, warehouse,
};

/// The variable by which a shell asks. No setting's, or a run could be taken for such a question.
const VARIABLE: &str = "_REDLEDGER_COMPLETE";

/// What the help calls an argument that is a batch's number.
const BATCH: &str = "BATCH";

/// Most numbers offered: the newest, of those that begin as typed.
const MOST: usize = 1_000;

/// Prints a shell's script, which asks this program at every TAB.
pub(super) fn script(shell: clap_complete::Shell) -> Result<ExitStatus> {
    let shell = shell.to_string();
    let shells = Shells::builtins();
    let no_script = || Error::Internal(format!("there is no completion script for {shell}"));
    let completer = shells.completer(&shell).ok_or_else(no_script)?;
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, "redledger", "redledger", "redledger", &mut script)
        .map_err(|_| no_script())?;
    output::print_bytes(&script);
    Ok(ExitStatus::Success)
}

/// Answers a shell; `None` where the program was started by somebody who wants it to do something.
pub(super) fn answer() -> Option<Result<ExitStatus, clap::Error>> {
    let answered = CompleteEnv::with_factory(|| with_numbers(cli::command(), &Ledger::asked_for()))
        .var(VARIABLE)
        .try_complete(std::env::args_os(), std::env::current_dir().ok().as_deref());
    match answered {
        Ok(false) => None,
        Ok(true) => Some(Ok(ExitStatus::Success)),
        Err(error) => Some(Err(error)),
    }
}

fn with_numbers(command: clap::Command, ledger: &Ledger) -> clap::Command {
    let is_batch = |argument: &clap::Arg| {
        let names = argument.get_value_names();
        names.is_some_and(|names| names.iter().any(|name| name == BATCH))
    };
    command
        .mut_args(|argument| {
            if !is_batch(&argument) {
                return argument;
            }
            let ledger = ledger.clone();
            argument.add(ArgValueCompleter::new(move |typed: &std::ffi::OsStr| {
                // Whoever types is not helped by what is wrong; the command itself will say it.
                ledger
                    .numbers(typed.to_str().unwrap_or_default())
                    .unwrap_or_default()
            }))
        })
        .mut_subcommands(|command| with_numbers(command, ledger))
}

/// Whose batches are meant.
#[derive(Debug, Clone, Default)]
struct Ledger {
    config: Option<PathBuf>,
    data_dir: Option<PathBuf>,
}

impl Ledger {
    /// By what has been typed so far: behind the `--` that a shell's script puts there.
    fn asked_for() -> Self {
        let typed: Vec<OsString> = std::env::args_os()
            .skip_while(|word| word != "--")
            .skip(1)
            .collect();
        let Ok(matches) = cli::command()
            .ignore_errors(true)
            .try_get_matches_from(typed)
        else {
            return Self::default();
        };
        Self {
            config: matches.get_one("config").cloned(),
            data_dir: matches.get_one("data_dir").cloned(),
        }
    }

    fn numbers(&self, typed: &str) -> Result<Vec<CompletionCandidate>> {
        let (config, _) = settings_of(self.config.as_deref(), self.data_dir.as_deref())?;
        let Some(connection) = warehouse::open_reading(&config.warehouse_path())? else {
            return Ok(Vec::new());
        };
        let known = ledger::numbers(&connection, typed, MOST)?;
        // A shell puts them into its line as they are.
        let are_numbers = known
            .into_iter()
            .filter(|(number, _)| BatchNo::new(number).is_ok());
        let candidates = are_numbers
            .map(|(number, datasets)| CompletionCandidate::new(number).help(Some(datasets.into())));
        Ok(candidates.collect())
    }
}

//! The command line as the program reads it.

use clap::CommandFactory as _;

use super::Cli;
use crate::terminal;

/// Longest line: a longer one is hard to read.
const LINE: usize = 100;

/// The last line of a command's help.
const MORE: &str = "Options of every command, such as --data-dir, are in `redledger --help`.";

/// The command line as the program reads it: options of every command are shown once, in the program's own help.
#[must_use]
pub fn command() -> clap::Command {
    let program =
        Cli::command().term_width(terminal::width().map_or(LINE, |places| places.min(LINE)));
    let global: Vec<clap::Arg> = program
        .get_arguments()
        .filter(|argument| argument.is_global_set())
        .map(|argument| argument.clone().hide(true))
        .collect();
    program.mut_subcommands(|command| with_hidden(command, &global))
}

fn with_hidden(command: clap::Command, global: &[clap::Arg]) -> clap::Command {
    let said = command.get_after_help().map(ToString::to_string);
    let after = said.map_or_else(|| MORE.to_owned(), |said| format!("{said}\n\n{MORE}"));
    command
        .args(global)
        .after_help(after)
        .mut_subcommands(|command| with_hidden(command, global))
}

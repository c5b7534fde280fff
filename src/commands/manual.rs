//! `redledger completions` and `redledger man`: made from the command line's own definition.

use clap::CommandFactory as _;

use super::output;
use crate::{
    cli::Cli,
    error::{Error, ExitStatus, Result},
};

pub(super) fn completions(shell: clap_complete::Shell) -> Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "redledger", &mut script);
    output::print_bytes(&script)?;
    Ok(ExitStatus::Success)
}

pub(super) fn man(subcommand: Option<&str>) -> Result<ExitStatus> {
    let mut program = Cli::command();
    program.build();
    let command = match subcommand {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| {
            Error::usage(format!(
                "there is no subcommand `{name}`; see `redledger --help`"
            ))
        })?,
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Error::Internal(format!("writing the manual page: {error}")))?;
    output::print_bytes(&page)?;
    Ok(ExitStatus::Success)
}

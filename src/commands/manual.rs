//! `redledger man`: made from the command line's own definition.

use super::output;
use crate::{
    cli,
    error::{Error, ExitStatus, Result},
    toml_file,
};

pub(super) fn man(subcommand: &[String]) -> Result<ExitStatus> {
    let mut program = cli::command();
    program.build();
    // A page's own name is understood too: `datasets-infer`.
    let names = subcommand.iter().flat_map(|name| name.split('-'));
    let mut command = &program;
    for name in names.filter(|name| *name != "redledger") {
        command = command
            .find_subcommand(name)
            .ok_or_else(|| no_subcommand(command, name))?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Error::Internal(format!("writing the manual page: {error}")))?;
    output::print_bytes(&page);
    Ok(ExitStatus::Success)
}

fn no_subcommand(of: &clap::Command, name: &str) -> Error {
    let known = || of.get_subcommands().map(clap::Command::get_name);
    let of = of.get_bin_name().unwrap_or("redledger");
    Error::Usage {
        message: match known().next() {
            Some(_) => format!("`{of}` has no subcommand `{name}`"),
            None => format!("`{of}` has no subcommands"),
        },
        hint: Some(match toml_file::nearest(name, known()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("see `{of} --help`"),
        }),
    }
}

//! What the commands that make pages have in common: the warehouse opened, and what a page is made from.

use std::io;

use askama::Template;

use super::context::Context;
use crate::{
    audit,
    cli::{Language, PageOptions},
    clock,
    error::{Error, Result},
    inbox::Inbox,
    page::{Choice, Lang, Links, Sources},
    run, warehouse,
};

/// How a page is to be.
pub(super) fn choice(options: &PageOptions, links: Links) -> Choice {
    Choice {
        lang: match options.lang {
            Language::En => Lang::En,
            Language::Zh => Lang::Zh,
        },
        days: options.days,
        records: !options.no_records,
        links,
    }
}

/// Opens the warehouse for one page; `step` is told what is being done.
///
/// # Errors
/// [`Error::Usage`] where nothing is loaded yet; what keeps the warehouse from being read.
pub(super) fn look<T>(
    context: &Context,
    step: &dyn Fn(&str),
    make: impl FnOnce(&Sources<'_>) -> Result<T>,
) -> Result<T> {
    let config = &context.config;
    let path = config.warehouse_path();
    let Some(opened) = warehouse::open_auditing(&path, &config.load)? else {
        audit::check_nothing_loaded(config)?;
        return Err(Error::Usage {
            message: format!("nothing is loaded yet in {}", path.display()),
            hint: Some(
                "see `redledger ingest --help`, or `redledger demo` for a first look".into(),
            ),
        });
    };
    let connection = &opened.connection;
    let now = clock::now();
    make(&Sources {
        connection,
        config,
        contracts: &context.contracts,
        late: run::late(config, &context.contracts, Some(connection), now)?,
        waiting: Inbox::new(&config.data_dir).waiting()?.len(),
        now,
        step,
    })
}

/// The page as text.
pub(super) fn rendered(page: &impl Template) -> Result<String> {
    let failed = |error| Error::io("write", "the page")(io::Error::other(error));
    page.render().map_err(failed)
}

//! Where in which file something is declared.

use toml::Spanned;

use crate::{
    contract::Identifier,
    error::{Error, Result},
    toml_file,
};

/// Where in which file, for errors that serde does not make.
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    pub(super) text: &'a str,
}

impl Place<'_> {
    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> Error {
        self.error_with(at, message, None)
    }

    pub(super) fn error_with(
        &self,
        at: usize,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Error {
        Error::Settings {
            place: format!("{}:{}", self.name, toml_file::line_of(self.text, at)),
            message: toml_file::on_one_line(&message.into()),
            hint,
        }
    }

    /// Comments become SQL, which can't hold everything.
    pub(super) fn check_comment(&self, at: usize, comment: &str) -> Result<()> {
        match comment.contains('\0') {
            true => Err(self.error(at, "a NUL character in `comment`")),
            false => Ok(()),
        }
    }

    pub(super) fn identifier(&self, text: &Spanned<String>) -> Result<Identifier> {
        Identifier::new(text.get_ref()).map_err(|message| self.error(text.span().start, message))
    }
}

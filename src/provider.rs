//! Asking the provider for a batch by its number.
//!
//! Its endpoint is not public, so everything about it is configured (`[provider]`): the URL with its
//! placeholders, the method, the headers, where in the reply the hook is. The rules of `[download]` hold
//! for it as for any other address.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    batch_no::BatchNo,
    config::{Method, ProviderConfig},
    error::{Error, Result},
    hook::{self, Announcement},
    source::{Fetcher, Question},
    source_url::SourceUrl,
};

/// Largest page.
const LARGEST: u64 = 64 << 20;
/// A reply that never says `lastPage` ends here.
const MAX_PAGES: u64 = 10_000;

/// The configured provider.
#[derive(Debug)]
pub struct Provider<'a> {
    config: &'a ProviderConfig,
    headers: HeaderMap,
}

impl<'a> Provider<'a> {
    /// The provider of `config`; `None` when none is configured. `variable` reads the environment.
    ///
    /// # Errors
    /// [`Error::Settings`] when something of `config` can't be used or the token is missing.
    pub fn new(
        config: &'a ProviderConfig,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        if config.url.is_empty() {
            return Ok(None);
        }
        if !config.url.contains("{batch_no}") && !config.body.contains("{batch_no}") {
            return Err(wrong("url", "`{batch_no}` is neither in it nor in `body`"));
        }
        if config.method == Method::Get && !config.body.is_empty() {
            return Err(wrong("body", "a GET has none: set method = \"POST\""));
        }
        if !config.hook.is_empty() && !config.hook.starts_with('/') {
            return Err(wrong("hook", "a JSON pointer starts with `/`"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let value = if value.contains("{token}") {
                let token = variable(&config.token_env).filter(|token| !token.trim().is_empty());
                let token = token.ok_or_else(|| Error::Settings {
                    place: "[provider] token_env".into(),
                    message: format!("the variable `{}` is not set", config.token_env),
                    hint: Some("it holds the token that `headers` names as {token}".into()),
                })?;
                value.replace("{token}", token.trim())
            } else {
                value.clone()
            };
            let key = HeaderName::try_from(name)
                .map_err(|_| wrong("headers", &format!("`{name}` is no header's name")))?;
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| wrong("headers", &format!("the value of `{name}` can't be sent")))?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        let provider = Self { config, headers };
        provider.url("1", config.first_page)?;
        Ok(Some(provider))
    }

    /// All pages that the provider has of a batch.
    ///
    /// # Errors
    /// [`Error::Fetch`] when it can't be asked or does not know the batch; [`Error::Announcement`] when the
    /// reply is no hook, or another batch's.
    pub async fn ask(&self, fetcher: &Fetcher, batch_no: &BatchNo) -> Result<Vec<Announcement>> {
        let mut announcements: Vec<Announcement> = Vec::new();
        for page in (self.config.first_page..).take(MAX_PAGES as usize) {
            let url = self.url(batch_no.as_str(), page)?;
            let question = Question {
                body: (self.config.method == Method::Post)
                    .then(|| filled(&self.config.body, batch_no.as_str(), page)),
                headers: self.headers.clone(),
            };
            tracing::info!(%batch_no, page, "asking the provider");
            let reply = fetcher.ask(&url, question, LARGEST).await?;
            let origin = if announcements.is_empty() {
                url.to_string()
            } else {
                format!("{url} (page {page})")
            };
            let found = hook::parse_at(&origin, &reply, &self.config.hook)?;
            let refuse = |message: String, hint: Option<&str>| Error::Announcement {
                origin: origin.clone(),
                message,
                hint: hint.map(str::to_owned),
            };
            if let Some(other) = found.iter().find(|of| of.hook.batch_no != *batch_no) {
                let message = format!(
                    "about batch {} where {batch_no} was asked for",
                    other.hook.batch_no
                );
                return Err(refuse(message, Some("see [provider] url")));
            }
            let more = found.iter().all(|of| of.hook.last_page == Some(false));
            announcements.extend(found);
            if !more {
                return Ok(announcements);
            }
            if !self.config.url.contains("{page}") && !self.config.body.contains("{page}") {
                return Err(refuse(
                    "more pages follow, and nothing says how to ask for them".into(),
                    Some("put {page} into [provider] url or body"),
                ));
            }
        }
        Err(Error::Announcement {
            origin: self
                .url(batch_no.as_str(), self.config.first_page)?
                .to_string(),
            message: format!("more than {MAX_PAGES} pages of {batch_no}, none of them the last"),
            hint: None,
        })
    }

    fn url(&self, batch_no: &str, page: u64) -> Result<SourceUrl> {
        SourceUrl::parse(&filled(&self.config.url, batch_no, page))
            .map_err(|message| wrong("url", &message))
    }
}

fn filled(template: &str, batch_no: &str, page: u64) -> String {
    // A batch number is safe in a URL and in JSON: letters, digits, `_`, `.` and `-`.
    template
        .replace("{batch_no}", batch_no)
        .replace("{page}", &page.to_string())
}

fn wrong(key: &str, message: &str) -> Error {
    Error::Settings {
        place: format!("[provider] {key}"),
        message: message.into(),
        hint: None,
    }
}

//! What the command line names: standard input, a path, a URL, or a folder and what is in it.

use std::{
    ffi::OsStr,
    fmt::{self, Display},
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    error::{Error, Result},
    source_url::{FileKey, SourceUrl, redacted},
};

/// A source as the command line names it.
pub(super) enum Named {
    Stdin,
    Path(PathBuf),
    Url(SourceUrl),
}

/// What makes two sources one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Identity {
    Stdin,
    /// Where links lead to.
    Path(PathBuf),
    Url(FileKey),
}

impl Named {
    pub(super) fn identity(&self) -> Identity {
        match self {
            Self::Stdin => Identity::Stdin,
            // What is not there is still named twice.
            Self::Path(path) => {
                Identity::Path(path.canonicalize().unwrap_or_else(|_| path.clone()))
            }
            Self::Url(url) => Identity::Url(url.identity()),
        }
    }
}

impl Display for Named {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => formatter.write_str("standard input"),
            Self::Path(path) => path.display().fmt(formatter),
            Self::Url(url) => url.fmt(formatter),
        }
    }
}

/// What a file is to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Rows: parts of the batch that the command line numbers.
    Csv,
    /// Announcements.
    Json,
}

impl Wanted {
    fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
        }
    }

    /// Whether a file's name says that it holds this: `a.csv`, `A.CSV`, `a.csv.gz`. A compressed file that says no
    /// more than that, such as `a.zip`, may hold anything.
    fn is_said_by(self, path: &Path) -> bool {
        match ending_of(path) {
            Ending::Kind(ending) => ending == self.ending(),
            Ending::Compressed => true,
            Ending::None => false,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// In lower case; of a compressed file the one before.
    Kind(String),
    /// Only that it is compressed.
    Compressed,
    None,
}

fn ending_of(path: &Path) -> Ending {
    let ending = |path: &Path| {
        let ending = path.extension()?;
        Some(ending.to_string_lossy().to_ascii_lowercase())
    };
    match ending(path) {
        Some(outer) if matches!(outer.as_str(), "gz" | "zst" | "zip") => {
            ending(&path.with_extension("")).map_or(Ending::Compressed, Ending::Kind)
        }
        Some(outer) => Ending::Kind(outer),
        None => Ending::None,
    }
}

/// Whether a file's name ends in `ending`, compressed or not.
pub(super) fn has_ending(path: &Path, ending: &str) -> bool {
    ending_of(path) == Ending::Kind(ending.to_owned())
}

/// The sources that one of the command line's stands for, and what of it is not read though it may be meant.
pub(super) fn expand(source: &OsStr, wanted: Wanted) -> Result<(Vec<Named>, Option<Error>)> {
    if source == "-" {
        return Ok((vec![Named::Stdin], None));
    }
    // What is no text is no URL, and may still be a path.
    if let Some(source) = source.to_str().filter(|source| source.contains("://")) {
        let url = SourceUrl::parse(source)
            .map_err(|message| Error::usage(format!("{}: {message}", redacted(source))))?;
        if url.secret().scheme() == "file" {
            let path = url
                .secret()
                .to_file_path()
                .map_err(|()| Error::usage(format!("{url} is not a path of this machine")))?;
            return Ok((vec![Named::Path(path)], None));
        }
        return Ok((vec![Named::Url(url)], None));
    }
    let path = Path::new(source);
    if !path.is_dir() {
        return Ok((vec![Named::Path(path.to_path_buf())], None));
    }
    let Contents { mut read, others } =
        contents(path, wanted).map_err(Error::io("read the folder", path))?;
    if read.is_empty() {
        return Err(Error::usage(format!(
            "{} holds no *.{} file",
            path.display(),
            wanted.ending()
        )));
    }
    read.sort();
    let named = read.into_iter().map(Named::Path).collect();
    Ok((named, passed_over(path, wanted, others)))
}

/// A folder's entries but for hidden ones.
struct Contents {
    read: Vec<PathBuf>,
    /// By name.
    others: Vec<PathBuf>,
}

/// Hidden files are none of ours: what copies into a folder hides what is not whole yet.
fn contents(folder: &Path, wanted: Wanted) -> io::Result<Contents> {
    let (mut read, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // A link that leads nowhere is read, and that says so. A pipe could keep everything waiting.
        let is_file = path.metadata().map_or(true, |metadata| metadata.is_file());
        if is_file && wanted.is_said_by(&path) {
            read.push(path);
        } else {
            others.push(path);
        }
    }
    others.sort();
    Ok(Contents { read, others })
}

/// Says what of a folder is not read. A batch in parts is loaded whole or not at all, so that it must not lack one
/// in silence; announcements stand each for itself.
fn passed_over(folder: &Path, wanted: Wanted, others: Vec<PathBuf>) -> Option<Error> {
    let (meant, rest): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|path| wanted == Wanted::Csv || has_ending(path, Wanted::Csv.ending()));
    if !rest.is_empty() {
        tracing::warn!(folder = %folder.display(), "not read: {}", names(&rest));
    }
    let hint = match wanted {
        Wanted::Csv => {
            "name the files of the batch by themselves, or move the others away: a folder is read without its folders"
        }
        Wanted::Json => "to load a CSV give --batch-no, and --dataset unless its columns tell",
    };
    (!meant.is_empty()).then(|| Error::Usage {
        message: format!(
            "{}: not read, since no name of theirs ends in .{}: {}",
            folder.display(),
            wanted.ending(),
            names(&meant)
        ),
        hint: Some(hint.into()),
    })
}

/// The names of files, folders with a slash behind.
fn names(paths: &[PathBuf]) -> String {
    const MOST: usize = 20;
    let mut names: Vec<String> = paths
        .iter()
        .take(MOST)
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            format!("{name}{}", if path.is_dir() { "/" } else { "" })
        })
        .collect();
    if paths.len() > MOST {
        names.push(format!("and {} more", paths.len() - MOST));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_a_file_holds_compressed_or_not() {
        for (name, csv, json) in [
            ("a.csv", true, false),
            ("A.CSV", true, false),
            ("a.csv.gz", true, false),
            ("a.Csv.ZST", true, false),
            ("a.csv.zip", true, false),
            ("a.json", false, true),
            ("a.JSON.gz", false, true),
            ("a.zip", true, true),
            ("part-1.gz", true, true),
            ("notes.txt", false, false),
            ("notes.txt.gz", false, false),
            ("csv", false, false),
            ("a.csv.bak", false, false),
            ("_SUCCESS", false, false),
        ] {
            let path = Path::new(name);
            assert_eq!(
                (Wanted::Csv.is_said_by(path), Wanted::Json.is_said_by(path)),
                (csv, json),
                "{name}"
            );
        }
    }
}

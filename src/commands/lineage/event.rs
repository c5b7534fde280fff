//! What OpenLineage's events look like: version 2-0-2 of its specification, and its facets' own.

use reqwest::Url;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    ledger::{Control, FileEntry},
    load::TableColumn,
    wording::iso,
};

const PRODUCER: &str = concat!("urn:redledger:", env!("CARGO_PKG_VERSION"));
const SPEC: &str = "https://openlineage.io/spec";
/// Most files of a batch that its event names: bills may name a hundred thousand.
const MOST_FILES: usize = 100;

/// How an event leaves a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transition {
    Start,
    Complete,
    /// A person or a scheduler has ended it, or it could not begin yet.
    Abort,
    Fail,
}

impl Transition {
    fn as_str(self) -> &'static str {
        match self {
            Self::Start => "START",
            Self::Complete => "COMPLETE",
            Self::Abort => "ABORT",
            Self::Fail => "FAIL",
        }
    }
}

/// A run of a job, as all of its events have it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) id: Uuid,
    /// The job's, and that of the run that it is a part of.
    pub(super) namespace: String,
    pub(super) job: String,
    pub(super) facets: serde_json::Map<String, Value>,
}

impl Told {
    pub(super) fn new(namespace: &str, job: String) -> Self {
        let mut told = Self {
            id: Uuid::now_v7(),
            namespace: namespace.to_owned(),
            job,
            facets: serde_json::Map::new(),
        };
        let engine = json!({"version": env!("CARGO_PKG_VERSION"), "name": "redledger"});
        told.add(
            "processing_engine",
            ("ProcessingEngineRunFacet", "1-1-1"),
            engine,
        );
        told
    }

    /// A run of its own within this one.
    pub(super) fn part(&self, job: String) -> Self {
        let mut part = Self::new(&self.namespace, job);
        let parent = json!({
            "run": {"runId": self.id},
            "job": {"namespace": self.namespace, "name": self.job},
        });
        part.add("parent", ("ParentRunFacet", "1-2-0"), parent);
        part
    }

    /// What it was given, such as the number of its batch.
    pub(super) fn parameters(&mut self, parameters: &[(&str, String)]) {
        let parameters: Vec<Value> = parameters
            .iter()
            .map(|(key, value)| json!({"key": key, "value": value}))
            .collect();
        let parameters = json!({"parameters": parameters});
        self.add(
            "executionParameters",
            ("ExecutionParametersRunFacet", "1-0-0"),
            parameters,
        );
    }

    /// Why it has failed.
    pub(super) fn message(&mut self, message: &str) {
        let error = json!({"message": message, "programmingLanguage": "Rust"});
        self.add("errorMessage", ("ErrorMessageRunFacet", "1-0-1"), error);
    }

    fn add(&mut self, key: &str, kind: (&str, &str), content: Value) {
        self.facets.insert(key.to_owned(), facet(kind, content));
    }

    /// An event; `at` in epoch microseconds.
    pub(super) fn event(
        &self,
        transition: Transition,
        at: i64,
        inputs: &[Value],
        outputs: &[Value],
    ) -> Value {
        let kind = json!({"processingType": "BATCH", "integration": "REDLEDGER", "jobType": "JOB"});
        json!({
            "eventType": transition.as_str(),
            "eventTime": iso(at),
            "run": {"runId": self.id, "facets": self.facets},
            "job": {
                "namespace": self.namespace,
                "name": self.job,
                "facets": {"jobType": facet(("JobTypeJobFacet", "2-0-4"), kind)},
            },
            "inputs": inputs,
            "outputs": outputs,
            "producer": PRODUCER,
            "schemaURL": format!("{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"),
        })
    }
}

fn facet((name, version): (&str, &str), mut content: Value) -> Value {
    content["_producer"] = PRODUCER.into();
    content["_schemaURL"] = format!("{SPEC}/facets/{version}/{name}.json#/$defs/{name}").into();
    content
}

/// The files of a batch, by scheme and host as OpenLineage's naming has them.
pub(super) fn inputs(files: &[FileEntry]) -> Vec<Value> {
    let inputs = files.iter().take(MOST_FILES).map(|file| {
        let (namespace, name) = place(&file.url);
        let read = json!({"rowCount": file.rows_read, "size": file.bytes, "fileCount": 1});
        let facets = ("InputStatisticsInputDatasetFacet", "1-0-0");
        json!({
            "namespace": namespace,
            "name": name,
            "inputFacets": {"inputStatistics": facet(facets, read)},
        })
    });
    inputs.collect()
}

fn place(url: &str) -> (String, String) {
    match Url::parse(url) {
        Ok(url) if url.has_host() => (
            url.origin().ascii_serialization(),
            url.path().trim_start_matches('/').to_owned(),
        ),
        _ => ("file".to_owned(), url.to_owned()),
    }
}

/// A table that a batch was loaded into.
pub(super) struct Output<'a> {
    /// As dbt's DuckDB adapter names it: `duckdb://` and the file's path.
    pub(super) namespace: &'a str,
    /// Database, schema and table.
    pub(super) name: String,
    pub(super) comment: &'a str,
    pub(super) columns: Vec<TableColumn>,
    /// The batch and its revision.
    pub(super) version: String,
    pub(super) rows: u64,
    /// What was checked of the batch.
    pub(super) controls: &'a [Control],
}

impl Output<'_> {
    pub(super) fn json(&self) -> Value {
        let fields = self.columns.iter().zip(1_u64..).map(|(column, position)| {
            json!({
                "name": column.name.trim_matches('"'),
                "type": column.kind,
                "description": column.comment,
                "ordinal_position": position,
            })
        });
        let schema = json!({"fields": fields.collect::<Vec<_>>()});
        let mut facets = json!({
            "schema": facet(("SchemaDatasetFacet", "1-2-0"), schema),
            "version": facet(("DatasetVersionDatasetFacet", "1-0-1"), json!({"datasetVersion": self.version})),
            "documentation": facet(("DocumentationDatasetFacet", "1-1-0"), json!({"description": self.comment})),
        });
        let assertions: Vec<Value> = self.controls.iter().filter_map(assertion).collect();
        if !assertions.is_empty() {
            facets["dataQualityAssertions"] = facet(
                ("DataQualityAssertionsDatasetFacet", "1-1-0"),
                json!({"assertions": assertions}),
            );
        }
        let written = json!({"rowCount": self.rows});
        json!({
            "namespace": self.namespace,
            "name": self.name,
            "facets": facets,
            "outputFacets": {
                "outputStatistics": facet(("OutputStatisticsOutputDatasetFacet", "1-0-2"), written),
            },
        })
    }
}

/// `None` for a figure that is only noted, such as a sum.
fn assertion(control: &Control) -> Option<Value> {
    let expected = control.expected.as_ref()?;
    Some(json!({
        "assertion": control.name,
        "success": control.passed,
        "expected": expected,
        "actual": control.actual,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_named_by_where_it_is() {
        let places = [
            "https://files.example.com:8443/exports/a%20b.csv",
            "/var/exports/a.csv",
            "inbox/0001.json",
            "s3:nothing",
        ];
        assert_eq!(
            places.map(place),
            [
                (
                    "https://files.example.com:8443".into(),
                    "exports/a%20b.csv".into()
                ),
                ("file".into(), "/var/exports/a.csv".into()),
                ("file".into(), "inbox/0001.json".into()),
                ("file".into(), "s3:nothing".into()),
            ]
        );
    }
}

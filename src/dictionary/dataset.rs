//! A dataset as its table has it.

use crate::{
    contract::{Contract, Contracts, Field},
    error::Result,
    load,
};

/// The column by which a row belongs to a batch.
pub(super) const BATCH: &str = "batch_no";
/// The columns by which a row was delivered.
pub(super) const PLACE: [&str; 2] = ["file_id", "line"];

/// A dataset, with all columns of its table.
pub(crate) struct Dataset<'c> {
    pub(super) contract: &'c Contract,
    pub(super) columns: Vec<DatasetColumn<'c>>,
    /// The rows of another dataset that name this one's files.
    pub(super) parent: Option<Link>,
}

/// A column of a dataset's table.
pub(super) struct DatasetColumn<'c> {
    pub(super) name: String,
    /// Its SQL type.
    pub(super) kind: String,
    pub(super) comment: String,
    pub(super) origin: Origin<'c>,
}

/// Where the values of a column come from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'c> {
    /// A field of the row that names the file.
    Inherited(&'c Field),
    Field(&'c Field),
    /// Cells that no field declares.
    Rest,
    /// Which batch, file and line.
    Lineage,
}

/// How rows find the row of another dataset that they belong to: these columns there are those columns here.
pub(super) struct Link {
    pub(super) dataset: String,
    pub(super) here: Vec<String>,
    pub(super) there: Vec<String>,
}

impl<'c> Dataset<'c> {
    pub(crate) fn of(contract: &'c Contract, contracts: &'c Contracts) -> Result<Self> {
        let mut origins = Vec::new();
        if let Some(parent) = &contract.parent {
            let of = contracts.require(&parent.dataset)?;
            let fields = parent.inherit.iter().filter_map(|inherit| {
                let at = of.field_index(&inherit.field)?;
                Some(Origin::Inherited(&of.fields[at]))
            });
            origins.extend(fields);
        }
        origins.extend(contract.fields.iter().map(Origin::Field));
        origins.push(Origin::Rest);
        let origins = origins
            .into_iter()
            .chain(std::iter::repeat(Origin::Lineage));
        let columns = load::columns(contract, contracts)?.into_iter().zip(origins);
        Ok(Self {
            contract,
            columns: columns
                .map(|(column, origin)| DatasetColumn {
                    name: column.name.trim_matches('"').to_owned(),
                    kind: column.kind,
                    comment: column.comment,
                    origin,
                })
                .collect(),
            parent: link(contract, contracts),
        })
    }

    pub(super) fn name(&self) -> &str {
        self.contract.name.as_str()
    }

    /// The columns that tell each row from all others: the key within its batch, or where it was delivered.
    pub(super) fn key(&self) -> Vec<String> {
        match self.contract.primary_key.is_empty() {
            true => PLACE.map(str::to_owned).to_vec(),
            false => in_batch(self.contract),
        }
    }
}

impl<'c> DatasetColumn<'c> {
    /// Whether it is never NULL.
    pub(super) fn is_required(&self) -> bool {
        match self.origin {
            Origin::Inherited(field) | Origin::Field(field) => field.required,
            Origin::Rest => false,
            Origin::Lineage => true,
        }
    }

    /// The field that says what its values are.
    pub(super) fn field(&self) -> Option<&'c Field> {
        match self.origin {
            Origin::Inherited(field) | Origin::Field(field) => Some(field),
            Origin::Rest | Origin::Lineage => None,
        }
    }
}

/// The key of a contract holds within a batch: several batches may deliver the same key.
fn in_batch(contract: &Contract) -> Vec<String> {
    let key = contract.key_columns().map(|column| column.as_str());
    std::iter::once(BATCH)
        .chain(key)
        .map(str::to_owned)
        .collect()
}

/// `None` where rows don't take over the whole key of the rows that name their files.
fn link(contract: &Contract, contracts: &Contracts) -> Option<Link> {
    let parent = contract.parent.as_ref()?;
    let of = contracts.get(&parent.dataset)?;
    let mut here = vec![BATCH.to_owned()];
    for index in &of.primary_key {
        let name = &*of.fields[*index].name;
        let inherit = parent
            .inherit
            .iter()
            .find(|inherit| inherit.field == name)?;
        here.push(inherit.column.to_string());
    }
    (here.len() > 1).then(|| Link {
        dataset: parent.dataset.clone(),
        here,
        there: in_batch(of),
    })
}

//! Figures that a batch's rows must agree with, counted by SQL: inside the transaction, and by `redledger verify`.

mod finer_amounts;

use std::collections::{BTreeMap, HashMap};

use duckdb::{Connection, types::Type};

use self::finer_amounts::FinerAmounts;
use crate::{
    contract::{Contract, FieldType, Identifier, RowControl},
    error::{Error, Result},
    ledger::Control,
};

/// What a recount of the batch's rows has found.
#[derive(Debug, Default)]
pub struct Totals {
    /// Rows in the table.
    pub rows: u64,
    /// The row controls and what they found.
    pub controls: Vec<Control>,
    /// Rows that break a control with `enforce = true`, and its name.
    pub enforced: Vec<(String, u64)>,
}

/// Announced rows against rows read.
pub const HOOK_TOTAL: &str = "hook total = rows read";
/// Rows that the naming rows state against rows read of the files that they name.
pub const LINE_TOTAL: &str = "bill total = lines received";

/// The control that accounts for every row of a dataset.
#[must_use]
pub fn accounted(dataset: &str) -> String {
    format!("{dataset}: read = loaded + rejected")
}

/// The control with the sum of an amount.
fn sum_of(column: &str) -> String {
    format!("sum of {column}")
}

/// Whether a control is the sum of a column that the table has had as an amount.
#[must_use]
pub fn is_sum(control: &str) -> bool {
    let column = control.strip_prefix("sum of ");
    column.is_some_and(|column| Identifier::new(column).is_ok())
}

const MINOR_UNITS: &str = "no more decimals than the currency has";
/// Most digits of an amount whose sum is noted: ten thousand million of them don't leave 38 digits.
const SUMMED_PRECISION: u8 = 28;

pub(super) fn totals(
    connection: &Connection,
    contract: &Contract,
    first_file: i64,
) -> Result<Totals> {
    let checks = RowChecks::of(contract);
    let counted = checks
        .count(
            connection,
            &contract.name,
            Grouping::Whole,
            &format!("file_id >= {first_file}"),
        )
        .map_err(Error::database("count the batch's rows"))?;
    let counted = counted.into_values().next().unwrap_or_default();
    let enforced = contract.controls.iter().zip(&counted.broken);
    Ok(Totals {
        rows: counted.rows,
        controls: checks.controls(&counted),
        enforced: enforced
            .filter(|(control, broken)| control.enforce && **broken > 0)
            .map(|(control, broken)| (control.name.clone(), *broken))
            .collect(),
    })
}

/// Where rows say they came from; nothing of it for rows that are counted as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowOrigin {
    /// Their file.
    pub file_id: Option<i64>,
    /// Their batch.
    pub batch_no: Option<String>,
}

/// What some rows of a table come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many they are.
    pub rows: u64,
    /// How many of them name a file.
    pub files_named: u64,
    /// How many of those say how many rows it has.
    pub files_stated: u64,
    /// The rows that they say, as many as can be counted: a cell may say any number.
    pub rows_stated: u64,
    /// How many break each rule.
    broken: Vec<u64>,
    /// How many have more decimals than their currency.
    finer: u64,
    /// The sum of each amount, in units of its column's scale.
    sums: Vec<i128>,
}

impl Counted {
    /// Takes in further rows of the same table.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.files_named += other.files_named;
        self.files_stated += other.files_stated;
        self.rows_stated = self.rows_stated.saturating_add(other.rows_stated);
        self.finer += other.finer;
        self.broken
            .resize(other.broken.len().max(self.broken.len()), 0);
        for (sum, broken) in self.broken.iter_mut().zip(&other.broken) {
            *sum += broken;
        }
        self.sums.resize(other.sums.len().max(self.sums.len()), 0);
        for (sum, amount) in self.sums.iter_mut().zip(&other.sums) {
            *sum += amount;
        }
    }
}

/// Which rows are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grouping {
    /// All.
    Whole,
    /// Those of one origin.
    ByOrigin,
}

/// What is counted of a dataset's rows.
#[derive(Debug, Default)]
pub(super) struct RowChecks {
    /// Name, and the condition of a row that breaks it.
    rules: Vec<(String, String)>,
    finer: Option<FinerAmounts>,
    /// Amounts whose sum is noted, and their scale.
    sums: Vec<(Identifier, u8)>,
    /// The columns with the file that a row names, and with the rows that this file has.
    names_files: Option<(Identifier, Option<Identifier>)>,
}

impl RowChecks {
    /// The controls of a contract.
    fn of(contract: &Contract) -> Self {
        let sums = contract.fields.iter().filter_map(|field| match field.kind {
            FieldType::Decimal {
                precision, scale, ..
            } if precision <= SUMMED_PRECISION => Some((field.column.clone(), scale)),
            _ => None,
        });
        Self {
            sums: sums.collect(),
            ..Self::on(contract, None, |_| true)
        }
    }

    /// Those whose columns the table has but for the sums, and what its rows say of the files that they name.
    pub(super) fn on(
        contract: &Contract,
        child: Option<&Contract>,
        has: impl Fn(&Identifier) -> bool,
    ) -> Self {
        let rules = contract.controls.iter().filter(|control| {
            let mut columns = control.left.iter().chain(&control.right);
            columns.all(|(_, column)| has(column))
        });
        let rules = rules.map(|control| (control.name.clone(), broken_by(control)));
        let column = |name: &str| {
            let field = &contract.fields[contract.field_index(name)?];
            has(&field.column).then(|| field.column.clone())
        };
        let names_files = child.and_then(|child| {
            let parent = child.parent.as_ref()?;
            let rows = parent.rows_field.as_deref().and_then(column);
            Some((column(&parent.url_field)?, rows))
        });
        Self {
            sums: Vec::new(),
            rules: rules.collect(),
            finer: FinerAmounts::of(contract).filter(|finer| finer.columns().all(has)),
            names_files,
        }
    }

    /// Whatever a contract says of them, the amounts that a table has are summed: its columns with their SQL types.
    pub(super) fn summing(mut self, columns: &HashMap<String, String>) -> Self {
        let mut sums: Vec<(Identifier, u8)> = columns
            .iter()
            .filter_map(|(column, kind)| {
                let bounds = kind.strip_prefix("DECIMAL(")?.strip_suffix(')')?;
                let (precision, scale) = bounds.split_once(',')?;
                let is_summed = precision.parse::<u8>().ok()? <= SUMMED_PRECISION;
                let column = Identifier::new(column).ok().filter(|_| is_summed)?;
                Some((column, scale.parse().ok()?))
            })
            .collect();
        sums.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        self.sums = sums;
        self
    }

    /// The row controls, as the ledger has them.
    pub(super) fn controls(&self, counted: &Counted) -> Vec<Control> {
        let broken = counted.broken.iter().copied().chain(std::iter::repeat(0));
        let rules = self.rules.iter().zip(broken);
        let finer = self.finer.iter().map(|_| (MINOR_UNITS, counted.finer));
        let sums = counted.sums.iter().copied().chain(std::iter::repeat(0));
        let sums = self.sums.iter().zip(sums);
        rules
            .map(|((name, _), broken)| (name.as_str(), broken))
            .chain(finer)
            .map(|(name, broken)| rows_that_break(name, broken))
            .chain(sums.map(|((column, scale), sum)| Control {
                name: sum_of(column.as_str()),
                expected: None,
                actual: decimal(sum, *scale),
                passed: true,
            }))
            .collect()
    }

    /// Counts the rows that `condition` (SQL) takes, in one scan.
    pub(super) fn count(
        &self,
        connection: &Connection,
        table: &Identifier,
        grouping: Grouping,
        condition: &str,
    ) -> duckdb::Result<BTreeMap<RowOrigin, Counted>> {
        let mut keys = match grouping {
            Grouping::Whole => vec![],
            Grouping::ByOrigin => vec!["file_id", "batch_no"],
        };
        let origin = match grouping {
            Grouping::Whole => "NULL::BIGINT, NULL::VARCHAR",
            Grouping::ByOrigin => "file_id, batch_no",
        };
        let currency = self.finer.as_ref().map(|finer| finer.currency.quoted());
        keys.extend(currency.as_deref());
        let group = if keys.is_empty() {
            String::new()
        } else {
            format!("GROUP BY {}", keys.join(", "))
        };
        let (named, stated) = match &self.names_files {
            None => ("NULL".into(), "NULL".into()),
            Some((url, None)) => (url.quoted(), "NULL".into()),
            Some((url, Some(rows))) => (
                url.quoted(),
                format!(
                    "CASE WHEN {url} IS NOT NULL AND {rows} >= 0 THEN {rows} END",
                    url = url.quoted(),
                    rows = rows.quoted()
                ),
            ),
        };
        let rules = self.rules.iter().map(|(_, condition)| condition.clone());
        let filters: String = rules
            .chain(self.finer.iter().flat_map(FinerAmounts::conditions))
            .map(|condition| format!(", count(*) FILTER (WHERE {condition})::UBIGINT"))
            .collect();
        let sums: String = self
            .sums
            .iter()
            .map(|(column, _)| format!(", sum({})::VARCHAR", column.quoted()))
            .collect();
        let sql = format!(
            "SELECT {origin}, {currency}, count(*)::UBIGINT, count({named})::UBIGINT, count({stated})::UBIGINT, \
             least(coalesce(sum({stated}::BIGINT), 0), {most})::UBIGINT{filters}{sums} \
             FROM {table} WHERE {condition} {group}",
            currency = currency.as_deref().unwrap_or("NULL::VARCHAR"),
            most = u64::MAX,
            table = table.quoted(),
        );
        let mut counted: BTreeMap<RowOrigin, Counted> = BTreeMap::new();
        let mut statement = connection.prepare(&sql)?;
        let mut groups = statement.query([])?;
        while let Some(group) = groups.next()? {
            const FIRST: usize = 7;
            let origin = RowOrigin {
                file_id: group.get(0)?,
                batch_no: group.get(1)?,
            };
            let rules = 0..self.rules.len();
            let broken: duckdb::Result<Vec<u64>> =
                rules.map(|index| group.get(FIRST + index)).collect();
            let units = self.finer.as_ref().map_or(0, |finer| finer.units.len());
            let sums = (0..self.sums.len()).map(|index| -> duckdb::Result<i128> {
                let index = FIRST + self.rules.len() + units + index;
                // As many digits after the point as the column has; nothing where every cell is empty.
                let Some(sum) = group.get::<_, Option<String>>(index)? else {
                    return Ok(0);
                };
                sum.replace('.', "").parse().map_err(|error| {
                    duckdb::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
                })
            });
            let mut of_group = Counted {
                sums: sums.collect::<duckdb::Result<_>>()?,
                rows: group.get(3)?,
                files_named: group.get(4)?,
                files_stated: group.get(5)?,
                rows_stated: group.get(6)?,
                broken: broken?,
                finer: 0,
            };
            if let Some(finer) = &self.finer
                && let Some(currency) = group.get::<_, Option<String>>(2)?
                && let Some(index) = finer.condition_for(&currency)
            {
                of_group.finer = group.get(FIRST + self.rules.len() + index)?;
            }
            counted.entry(origin).or_default().add(&of_group);
        }
        Ok(counted)
    }
}

/// The condition of a row that breaks a rule. Every column is widened first: a sum in the columns' own types may
/// overflow, and then the engine ends the statement.
fn broken_by(control: &RowControl) -> String {
    let sum = |terms: &[(bool, Identifier)]| {
        let terms = terms.iter().map(|(negative, column)| {
            let sign = if *negative { "-" } else { "+" };
            format!("{sign} {}::{}", column.quoted(), control.width)
        });
        terms.collect::<Vec<_>>().join(" ")
    };
    format!("({}) <> ({})", sum(&control.left), sum(&control.right))
}

/// `units` of 10^-scale as text.
fn decimal(units: i128, scale: u8) -> String {
    let sign = if units < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, rest) = digits.split_at(digits.len() - scale);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{rest}")
}

fn rows_that_break(name: &str, rows: u64) -> Control {
    super::control(format!("rows that break: {name}"), 0, rows)
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::{Grouping, MINOR_UNITS, RowChecks, decimal, totals};
    use crate::contract::{Contract, Contracts};

    #[test]
    fn sums_are_written_as_their_columns_are() {
        for (units, scale, expected) in [
            (0, 0, "0"),
            (-5, 4, "-0.0005"),
            (12_345, 4, "1.2345"),
            (-7, 0, "-7"),
            (100, 2, "1.00"),
        ] {
            assert_eq!(decimal(units, scale), expected);
        }
    }

    #[test]
    fn rows_finer_than_their_currency_are_counted_once_whatever_the_amounts_scales() {
        let contract = Contract::parse(
            "test",
            "name = \"t\"\ncomment = \"t\"\n\
             fields = [\n\
             { name = \"a\", type = \"decimal\", precision = 18, scale = 4, comment = \"a\" },\n\
             { name = \"b\", type = \"decimal\", precision = 38, scale = 38, comment = \"b\" },\n\
             { name = \"c\", type = \"decimal\", precision = 38, scale = 2, comment = \"c\" },\n\
             { name = \"currency\", type = \"currency\", comment = \"currency\" }]",
        )
        .expect("a contract");
        let connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch(
                "CREATE TABLE t(a DECIMAL(18,4), b DECIMAL(38,38), c DECIMAL(38,2), currency VARCHAR, file_id BIGINT);
                 INSERT INTO t VALUES
                 (1.23, 0.1, 1.5, 'USD', 1), (-99999999999999.1230, 0, 0, 'KWD', 1), (1.0000, 0, 5, 'JPY', 1),
                 (NULL, NULL, NULL, 'USD', 1), (1.2345, 0, 0, 'XAU', 1), (1.2345, 0, 0, NULL, 1),
                 (1.2345, 0.001, 0, 'USD', 1), (0, 0.12345678901234567890123456789012345678, 0, 'KWD', 1),
                 (0, 0, -999999999999999999999999999999999999.99, 'JPY', 1), (-0.001, NULL, NULL, 'EUR', 1),
                 (1.2345, 0, 0, 'USD', 0)",
            )
            .expect("rows");
        let found = totals(&connection, &contract, 1).expect("totals");
        assert_eq!(found.rows, 10);
        let [control, sum] = found.controls.as_slice() else {
            panic!("{:?}", found.controls)
        };
        assert_eq!(
            (sum.name.as_str(), sum.actual.as_str(), sum.passed),
            ("sum of a", "-99999999999993.1905", true)
        );
        assert!(control.name.ends_with(MINOR_UNITS) && !control.passed);
        assert_eq!(control.actual, "4");
        let none = totals(&connection, &contract, 2).expect("totals");
        assert_eq!((none.rows, none.controls[0].passed), (0, true));
        assert_eq!(none.controls[1].actual, "0.0000");
    }

    /// What is counted of rows with these two numbers each, of columns `a` and `b`.
    fn controls(kind: &str, sql: &str, rule: &str, rows: &[(&str, &str)]) -> Vec<String> {
        let contract = Contract::parse(
            "test",
            &format!(
                "name = \"t\"\nfields = [\n{{ name = \"a\", {kind} }},\n{{ name = \"b\", {kind} }},\n\
                 {{ name = \"currency\", type = \"currency\" }}]\n[[controls]]\nrule = \"{rule}\""
            ),
        )
        .expect("a contract");
        let connection = Connection::open_in_memory().expect("a database");
        let rows: Vec<String> = rows
            .iter()
            .map(|(a, b)| format!("('{a}', '{b}', 'USD', 1)"))
            .collect();
        connection
            .execute_batch(&format!(
                "CREATE TABLE t(a {sql}, b {sql}, currency VARCHAR, file_id BIGINT); INSERT INTO t VALUES {}",
                rows.join(", ")
            ))
            .expect("rows");
        let found = totals(&connection, &contract, 1).expect(sql);
        found.controls.into_iter().map(|of| of.actual).collect()
    }

    #[test]
    fn no_value_of_a_column_is_too_large_for_a_rule() {
        for (precision, scale) in [
            (1, 0),
            (4, 2),
            (9, 9),
            (17, 4),
            (18, 0),
            (18, 4),
            (18, 18),
            (19, 4),
            (36, 4),
            (37, 0),
            (37, 37),
        ] {
            let digits = |count: u8| "9".repeat(usize::from(count));
            let most = format!("{}.{}", digits(precision - scale), digits(scale));
            let least = format!("-{most}");
            let kind = format!("type = \"decimal\", precision = {precision}, scale = {scale}");
            let found = controls(
                &kind,
                &format!("DECIMAL({precision},{scale})"),
                "- a - b = a + b",
                &[
                    (&most, &most),
                    (&least, &least),
                    (&most, &least),
                    ("0", "0"),
                ],
            );
            assert_eq!(found[0], "2", "DECIMAL({precision},{scale})");
        }
        let (most, least) = (i64::MAX.to_string(), i64::MIN.to_string());
        let rows = [
            (&*most, &*most),
            (&least, &least),
            (&most, &least),
            ("-1", "1"),
        ];
        let found = controls("type = \"integer\"", "BIGINT", "- a = b", &rows);
        assert_eq!(found, ["3"]);
    }

    #[test]
    fn no_value_of_a_column_is_too_large_for_the_question_whether_it_is_finer_than_its_currency() {
        for (precision, scale) in [
            (3_u8, 3_u8),
            (4, 3),
            (9, 9),
            (18, 18),
            (19, 19),
            (28, 28),
            (37, 37),
            (38, 3),
            (38, 37),
            (38, 38),
        ] {
            let whole = usize::from(precision - scale);
            let most = format!("{}.{}", "9".repeat(whole), "9".repeat(usize::from(scale)));
            let least = format!("-{most}");
            let exact = format!("{}.99", "9".repeat(whole));
            let kind = format!("type = \"decimal\", precision = {precision}, scale = {scale}");
            let found = controls(
                &kind,
                &format!("DECIMAL({precision},{scale})"),
                "a = b",
                &[
                    (&most, "0"),
                    ("0", &least),
                    (&exact, &exact),
                    ("0", "-0.01"),
                    ("0.001", "0.001"),
                ],
            );
            assert_eq!(found[..2], ["3", "3"], "DECIMAL({precision},{scale})");
        }
    }

    #[test]
    fn rows_that_are_stated_can_be_as_many_as_a_cell_says() {
        let contracts = Contracts::load(None).expect("the shipped contracts");
        let bill = contracts.get("account_negative_bill").expect("a contract");
        let line = contracts.child_of("account_negative_bill");
        let checks = RowChecks::on(bill, line.map(AsRef::as_ref), |_| true);
        let connection = Connection::open_in_memory().expect("a database");
        connection
            .execute_batch(
                "CREATE TABLE account_negative_bill(total BIGINT, negative_url VARCHAR, file_id BIGINT, batch_no VARCHAR);
                 INSERT INTO account_negative_bill SELECT 9223372036854775807, 'u', 1, 'B' FROM range(3)",
            )
            .expect("rows");
        let counted = checks
            .count(&connection, &bill.name, Grouping::ByOrigin, "true")
            .expect("counted");
        let counted: Vec<u64> = counted.values().map(|of| of.rows_stated).collect();
        assert_eq!(counted, [u64::MAX]);
    }
}

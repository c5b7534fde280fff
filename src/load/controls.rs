//! Figures that a batch's rows must agree with, counted by SQL: inside the transaction, and by `redledger verify`.

mod finer_amounts;

use std::collections::HashMap;

use duckdb::{Connection, types::Type};

use self::finer_amounts::FinerAmounts;
use super::control_name::{ControlName, MINOR_UNITS};
use crate::{
    contract::{Contract, FieldType, Identifier, RowControl},
    error::{Error, Result},
    ledger::{Control, FileIds},
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

/// Most digits of an amount whose sum is noted: ten thousand million of them don't leave 38 digits.
const SUMMED_PRECISION: u8 = 28;

pub(super) fn totals(
    connection: &Connection,
    contract: &Contract,
    files: FileIds,
) -> Result<Totals> {
    let checks = RowChecks::of(contract);
    let counted = checks
        .count(connection, &contract.name, &files.condition())
        .map_err(Error::database("count the batch's rows"))?;
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

/// What the rows of a batch come to.
#[derive(Debug, Default)]
struct Counted {
    rows: u64,
    /// How many break each rule.
    broken: Vec<u64>,
    /// How many have more decimals than their currency.
    finer: u64,
    /// The sum of each amount, in units of its column's scale.
    sums: Vec<i128>,
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
        let rules = rules.map(|control| (control.name.clone(), is_broken(control)));
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
    fn controls(&self, counted: &Counted) -> Vec<Control> {
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
                name: ControlName::Sum(column.as_str()).to_string(),
                expected: None,
                actual: decimal(sum, *scale),
                passed: true,
            }))
            .collect()
    }

    /// Counts the rows that `condition` (SQL) takes, in one scan.
    fn count(
        &self,
        connection: &Connection,
        table: &Identifier,
        condition: &str,
    ) -> duckdb::Result<Counted> {
        let currency = self.finer.as_ref().map(|finer| finer.currency.quoted());
        let group = currency
            .as_ref()
            .map(|currency| format!("GROUP BY {currency}"));
        let broken: String = self.broken().map(|rows| format!(", {rows}")).collect();
        let sums: String = self.sums().map(|sum| format!(", {sum}::VARCHAR")).collect();
        let sql = format!(
            "SELECT {currency}, count(*)::UBIGINT{broken}{sums} FROM {table} WHERE {condition} {group}",
            currency = currency.as_deref().unwrap_or("NULL::VARCHAR"),
            table = table.quoted(),
            group = group.unwrap_or_default(),
        );
        let rules = self.rules.len();
        let units = self.finer.as_ref().map_or(0, |finer| finer.units.len());
        let mut counted = Counted {
            broken: vec![0; rules],
            sums: vec![0; self.sums.len()],
            ..Counted::default()
        };
        let mut statement = connection.prepare(&sql)?;
        let mut groups = statement.query([])?;
        while let Some(group) = groups.next()? {
            const FIRST: usize = 2;
            counted.rows += group.get::<_, u64>(1)?;
            for (index, rows) in counted.broken.iter_mut().enumerate() {
                *rows += group.get::<_, u64>(FIRST + index)?;
            }
            for (index, sum) in counted.sums.iter_mut().enumerate() {
                let index = FIRST + rules + units + index;
                // As many digits after the point as the column has; nothing where every cell is empty.
                if let Some(text) = group.get::<_, Option<String>>(index)? {
                    *sum += text.replace('.', "").parse::<i128>().map_err(|error| {
                        duckdb::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
                    })?;
                }
            }
            if let Some(finer) = &self.finer
                && let Some(currency) = group.get::<_, Option<String>>(0)?
                && let Some(index) = finer.condition_for(&currency)
            {
                counted.finer += group.get::<_, u64>(FIRST + rules + index)?;
            }
        }
        Ok(counted)
    }

    /// How many rows break each rule, then how many are finer than each number of decimals, as SQL.
    fn broken(&self) -> impl Iterator<Item = String> {
        let rules = self.rules.iter().map(|(_, condition)| condition.clone());
        rules
            .chain(self.finer.iter().flat_map(FinerAmounts::conditions))
            .map(|condition| format!("count(*) FILTER (WHERE {condition})::UBIGINT"))
    }

    /// The sum of each amount, as SQL.
    fn sums(&self) -> impl Iterator<Item = String> {
        self.sums
            .iter()
            .map(|(column, _)| format!("sum({})", column.quoted()))
    }

    /// The query that counts the rows that `condition` takes by the file and the batch that they say they are of:
    /// `rows`, what they say of the files that they name (`files_named`, `files_stated`, `rows_stated`), and what
    /// [`Self::figures`] is made of.
    pub(super) fn by_file(&self, table: &Identifier, condition: &str) -> String {
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
        let (rules, units) = (
            self.rules.len(),
            self.finer.as_ref().map_or(0, |of| of.units.len()),
        );
        let broken: String = self
            .broken()
            .zip(0..)
            .map(|(rows, n)| format!(", {rows} AS broken_{n}"))
            .collect();
        let sums: String = self
            .sums()
            .zip(0..)
            .map(|(sum, n)| format!(", {sum} AS sum_{n}"))
            .collect();
        let whole = |name: String| format!(", sum({name})::HUGEINT AS {name}");
        let mut again: String = (0..rules).map(|n| whole(format!("broken_{n}"))).collect();
        let mut currency = "NULL".to_owned();
        if let Some(finer) = &self.finer {
            currency = finer.currency.quoted();
            // Among rows of one currency: each row would have to be compared with some 150 codes.
            let cases: String = (0..units)
                .map(|n| {
                    format!(
                        " WHEN currency IN ({}) THEN broken_{}",
                        finer.codes(n),
                        rules + n
                    )
                })
                .collect();
            again += &format!(", sum(CASE{cases} ELSE 0 END)::HUGEINT AS finer");
        }
        again.extend((0..self.sums.len()).map(|n| format!(", sum(sum_{n}) AS sum_{n}")));
        let group = self.finer.as_ref().map(|_| format!(", {currency}"));
        format!(
            "SELECT file_id, batch_no, sum(rows)::HUGEINT AS rows, sum(files_named)::HUGEINT AS files_named, \
             sum(files_stated)::HUGEINT AS files_stated, sum(rows_stated)::HUGEINT AS rows_stated{again} \
             FROM (SELECT file_id, batch_no, {currency} AS currency, count(*) AS rows, count({named}) AS files_named, \
             count({stated}) AS files_stated, coalesce(sum({stated}::BIGINT), 0) AS rows_stated{broken}{sums} \
             FROM {table} WHERE {condition} GROUP BY file_id, batch_no{group}) GROUP BY file_id, batch_no",
            table = table.quoted(),
            group = group.unwrap_or_default(),
        )
    }

    /// The row controls over what [`Self::by_file`] has found of some files.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let broken = |name: &str, column: &str| Figure {
            name: ControlName::Broken(name).to_string(),
            expected: Some("0"),
            actual: format!("coalesce(sum({column}), 0)"),
        };
        let rules = self.rules.iter().zip(0..);
        let rules = rules.map(|((name, _), n)| broken(name, &format!("broken_{n}")));
        let finer = self.finer.iter().map(|_| broken(MINOR_UNITS, "finer"));
        let sums = self.sums.iter().zip(0..).map(|((column, _), n)| Figure {
            name: ControlName::Sum(column.as_str()).to_string(),
            expected: None,
            actual: format!("coalesce(sum(sum_{n}), 0)"),
        });
        rules.chain(finer).chain(sums).collect()
    }
}

/// A row control, counted again.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The control's name.
    pub name: String,
    /// What it should be, if anything.
    pub expected: Option<&'static str>,
    /// What it is: SQL over a group of what was counted by file.
    pub actual: String,
}

/// The condition of a row that breaks a rule. Every column is widened first: a sum in the columns' own types may
/// overflow, and then the engine ends the statement.
fn is_broken(control: &RowControl) -> String {
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
    control(ControlName::Broken(name), 0, rows)
}

/// Checked by the pipeline and written down by it.
pub(crate) fn control(name: ControlName<'_>, expected: u64, actual: u64) -> Control {
    Control {
        name: name.to_string(),
        expected: Some(expected.to_string()),
        actual: actual.to_string(),
        passed: expected == actual,
    }
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::{super::control_name::MINOR_UNITS, RowChecks, decimal, totals};
    use crate::{
        contract::{Contract, Contracts},
        ledger::FileIds,
    };

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
        let found = totals(&connection, &contract, FileIds::from(1, 1)).expect("totals");
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
        let none = totals(&connection, &contract, FileIds::from(2, 1)).expect("totals");
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
        let found = totals(&connection, &contract, FileIds::from(1, 1)).expect(sql);
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
        let sql = checks.by_file(&bill.name, "true");
        let counted: String = connection
            .query_row(
                &format!("SELECT rows_stated::VARCHAR FROM ({sql})"),
                [],
                |row| row.get(0),
            )
            .expect("counted");
        assert_eq!(counted, "27670116110564327421");
    }
}

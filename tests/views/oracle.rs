//! The views of balances against a plain calculation, on small warehouses made by chance.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use super::{HOUR, MARCH, account, balance};
use crate::support::{checkout::checkout, program::Workspace, random::Random};

/// Warehouses a run of the test; another seed: `REDLEDGER_TEST_SEED`.
const WAREHOUSES: usize = 4;

/// Account and currency.
type Pair = (String, &'static str);

/// A batch as it was announced.
struct Batch {
    number: String,
    /// Hours after the first of March.
    accepted: i64,
    /// Of loaded rows: card and budget in ten-thousandths, and hours.
    rows: BTreeMap<Pair, ([i64; 2], i64)>,
    /// Of rejected rows the account that they name, if it is an id.
    rejected: Vec<Option<String>>,
}

fn money(units: i64) -> String {
    let sign = if units < 0 { "-" } else { "" };
    format!("{sign}{}.{:04}", units.abs() / 10_000, units.abs() % 10_000)
}

impl Batch {
    fn made(random: &mut Random, number: usize) -> (Self, Vec<Value>) {
        let accepted = 24 * number as i64 + random.below(30) as i64;
        let mut batch = Self {
            number: format!("B{number}"),
            accepted,
            rows: BTreeMap::new(),
            rejected: Vec::new(),
        };
        let mut rows = Vec::new();
        for id in 1..=4_u8 {
            for currency in ["USD", "EUR"] {
                if random.below(3) == 0 {
                    continue;
                }
                let amounts = [0, 1].map(|_| [-12_500, -10_000, 0, 5_000][random.below(4)]);
                let hours = match random.below(12) {
                    0 => 600_000,
                    _ => accepted - 1 - random.below(3) as i64,
                };
                let mut row = balance(id, &money(amounts[0]), &money(amounts[1]), hours);
                row["currency"] = json!(currency);
                match random.below(8) {
                    0 => {
                        row["cardNegative"] = json!("0.00001");
                        batch.rejected.push(Some(account(id)));
                    }
                    1 if random.below(3) == 0 => {
                        row["accountId"] = json!("nobody");
                        batch.rejected.push(None);
                    }
                    _ => {
                        batch.rows.insert((account(id), currency), (amounts, hours));
                    }
                }
                rows.push(row);
            }
        }
        (batch, rows)
    }

    /// The time it speaks of.
    fn taken(&self) -> i64 {
        let newest = self.rows.values().map(|(_, hours)| *hours).max();
        newest.unwrap_or(self.accepted).min(self.accepted)
    }
}

/// Batches in the order of the time they speak of.
struct History(Vec<Batch>);

impl History {
    fn known(&self) -> BTreeSet<&str> {
        let pairs = self.0.iter().flat_map(|batch| batch.rows.keys());
        pairs.map(|(account, _)| account.as_str()).collect()
    }

    fn pairs(&self) -> BTreeSet<&Pair> {
        self.0.iter().flat_map(|batch| batch.rows.keys()).collect()
    }

    fn rejected(&self, at: usize, account: &str) -> bool {
        self.0[at].rejected.iter().flatten().any(|of| of == account)
    }

    /// Whether a rejected row may be anybody's.
    fn unclear(&self, at: usize) -> bool {
        let known = self.known();
        self.0[at]
            .rejected
            .iter()
            .any(|of| of.as_deref().is_none_or(|of| !known.contains(of)))
    }

    fn last_seen(&self) -> Vec<String> {
        let newest = self.0.len() - 1;
        let seen = self.pairs().into_iter().map(|pair| {
            let at = (0..=newest)
                .rev()
                .find(|at| self.0[*at].rows.contains_key(pair));
            let at = at.expect("it was seen");
            let standing = match () {
                () if at == newest => "current",
                () if self.rejected(newest, &pair.0) => "rejected",
                () if self.unclear(newest) => "unknown",
                () => "gone",
            };
            let amounts = self.0[at].rows[pair].0.map(money);
            format!(
                "{} {} {standing} {} {}",
                pair.0, pair.1, amounts[0], amounts[1]
            )
        });
        let mut seen = Vec::from_iter(seen);
        seen.sort();
        seen
    }

    fn exposure(&self) -> Vec<String> {
        let mut last: BTreeMap<i64, &Batch> = BTreeMap::new();
        for batch in &self.0 {
            last.insert(batch.taken().div_euclid(24), batch);
        }
        let currencies: BTreeSet<&str> = last
            .values()
            .flat_map(|batch| batch.rows.keys().map(|(_, currency)| *currency))
            .collect();
        let mut days = Vec::new();
        for (day, batch) in last {
            for currency in &currencies {
                let of = batch
                    .rows
                    .iter()
                    .filter(|((_, other), _)| other == currency);
                let sums = of.clone().fold([0, 0], |sums, (_, (amounts, _))| {
                    [sums[0] + amounts[0], sums[1] + amounts[1]]
                });
                let (card, budget) = (money(sums[0]), money(sums[1]));
                days.push(format!(
                    "{day:02} {currency} {} {card} {budget}",
                    of.count()
                ));
            }
        }
        days.sort();
        days
    }

    fn episodes(&self) -> Vec<String> {
        let mut episodes = Vec::new();
        for pair in self.pairs() {
            for (measure, name) in ["card", "budget"].into_iter().enumerate() {
                episodes.extend(self.episodes_of(pair, measure, name));
            }
        }
        episodes.sort();
        episodes
    }

    fn episodes_of(&self, pair: &Pair, measure: usize, name: &str) -> Vec<String> {
        let amount = |at: usize| {
            self.0[at]
                .rows
                .get(pair)
                .map(|(amounts, _)| amounts[measure])
        };
        let is_ever = (0..self.0.len()).any(|at| amount(at).is_some_and(|of| of != 0));
        // Some(None): it may be negative, and nobody knows how much.
        let held = |at: usize| match amount(at) {
            Some(0) => None,
            Some(of) => Some(Some(of)),
            None if is_ever && (self.rejected(at, &pair.0) || self.unclear(at)) => Some(None),
            None => None,
        };
        let mut found = Vec::new();
        let mut stretch: Vec<Option<i64>> = Vec::new();
        for at in 0..=self.0.len() {
            let now = (at < self.0.len()).then(|| held(at)).flatten();
            if let Some(of) = now {
                stretch.push(of);
                continue;
            }
            let known: Vec<i64> = stretch.iter().flatten().copied().collect();
            if let (Some(first), Some(last)) = (known.first(), known.last()) {
                let is_open = at == self.0.len();
                let is_newest = is_open && stretch.last().is_some_and(Option::is_some);
                found.push(format!(
                    "{} {} {name} {} {} {is_open} {is_newest} {} {}",
                    pair.0,
                    pair.1,
                    known.len(),
                    stretch.len() - known.len(),
                    money(*first),
                    money(*last)
                ));
            }
            stretch.clear();
        }
        found
    }
}

#[test]
fn the_views_of_balances_are_what_a_plain_calculation_finds() {
    let seed = Random::seed();
    let mut random = Random::new(seed);
    let contract =
        fs::read_to_string(checkout("config/datasets/account_negative.toml")).expect("a contract");
    let contract = contract.replace("max_rejected = \"1%\"", "max_rejected = \"100%\"");
    let (mut standings, mut episodes) = (BTreeSet::new(), 0);
    for _ in 0..WAREHOUSES {
        let workspace = Workspace::new().set("DATASETS_DIR", "contracts");
        fs::create_dir(workspace.path().join("contracts")).expect("a folder");
        workspace.write("contracts/account_negative.toml", &contract);
        let mut history = Vec::new();
        let mut announced = Vec::new();
        for number in 0..3 + random.below(4) {
            let (batch, rows) = Batch::made(&mut random, number);
            announced.push((batch.number.clone(), batch.accepted, rows));
            history.push(batch);
        }
        history.sort_by_key(|batch| (batch.taken(), batch.accepted, batch.number.clone()));
        let history = History(history);
        // In any order: some batches are late.
        while !announced.is_empty() {
            let (number, accepted, rows) = announced.swap_remove(random.below(announced.len()));
            let hook = json!({"eventType": "x", "createTime": MARCH + accepted * HOUR, "resource": {
                "batchNo": number, "page": 1, "lastPage": true, "total": rows.len(), "list": rows}});
            let name = workspace.write(&format!("{number}.json"), hook.to_string());
            let ran = workspace.run(&["ingest", &name, "--dataset", "account_negative"]);
            assert!(
                matches!(ran.exit, Some(0 | 1)),
                "{}{}",
                ran.stdout,
                ran.stderr
            );
        }
        let told =
            |sql: &str| workspace.query(&format!("SELECT told FROM ({sql}) t(told) ORDER BY told"));
        let seen = told(
            "SELECT concat_ws(' ', account_id, currency, standing, last_card_negative, last_budget_negative) FROM account_last_seen",
        );
        assert_eq!(seen, history.last_seen(), "seed {seed}");
        standings.extend(
            seen.iter()
                .filter_map(|of| of.split(' ').nth(2).map(str::to_owned)),
        );
        let exposed = told(
            "SELECT concat_ws(' ', format('{:02d}', date_diff('day', DATE '2026-03-01', reporting_day)), currency, accounts, \
             card_negative, budget_negative) FROM exposure_by_day",
        );
        assert_eq!(exposed, history.exposure(), "seed {seed}");
        let held = told(
            "SELECT concat_ws(' ', account_id, currency, measure, batches, batches_rejected, is_open, is_in_newest_batch, \
             first_amount, last_amount) FROM negative_episode",
        );
        assert_eq!(held, history.episodes(), "seed {seed}");
        episodes += held.len();
        let newest = history.0.last().expect("a batch");
        let sums = workspace.query(
            "SELECT coalesce(sum(card_negative), 0)::DECIMAL(18,4)::VARCHAR FROM account_balance",
        );
        assert_eq!(
            sums,
            [money(
                newest.rows.values().map(|(amounts, _)| amounts[0]).sum()
            )],
            "seed {seed}"
        );
        let open = workspace.query(
            "SELECT ((SELECT count(*) FROM negative_ageing) = (SELECT count(*) FROM negative_episode WHERE is_open))::VARCHAR",
        );
        assert_eq!(open, ["true"], "seed {seed}");
    }
    assert!(
        standings.len() >= 2 && episodes > 20,
        "{standings:?} {episodes}: seed {seed}"
    );
}

//! Thirty nights as they come: most are right, some are not.

use std::fmt::Write as _;

use jiff::{ToSpan as _, civil::Date};
use serde_json::{Value, json};

use super::accounts::{Account, owed};

/// How many nights there are.
pub(crate) const NIGHTS: i64 = 30;

/// What is delivered for one night.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Night {
    /// Its day: it is announced at three o'clock, UTC.
    pub(crate) day: Date,
    /// What is worth seeing, if anything.
    pub(crate) story: Vec<&'static str>,
    pub(crate) deliveries: Vec<Delivery>,
}

/// An announcement and the files that it leads to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delivery {
    /// `{server}` stands for the address of who serves the files.
    pub(crate) announcement: Value,
    /// Name and content.
    pub(crate) files: Vec<(String, String)>,
}

/// What is wrong with a file of balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    None,
    /// One amount has a comma for its thousands.
    OneAmount,
    /// So have those of every fourth row.
    ManyAmounts,
}

/// The nights up to `last`.
pub(crate) fn month(last: Date) -> Vec<Night> {
    let nights = (0..NIGHTS).map(|at| Delivering { last, at }.night());
    nights.collect()
}

/// A night, by its number from 0.
#[derive(Clone, Copy)]
struct Delivering {
    last: Date,
    at: i64,
}

impl Delivering {
    fn night(self) -> Night {
        let mut story = Vec::new();
        let mut deliveries = Vec::new();
        self.balances(&mut deliveries, &mut story);
        self.repayments(&mut deliveries, &mut story);
        if self.at % 7 == 6 {
            deliveries.push(self.bills());
            story.push("bills, with the files that they name");
        }
        Night {
            day: self.day(),
            story,
            deliveries,
        }
    }

    fn before(self, nights: i64) -> Self {
        Self {
            at: self.at - nights,
            ..self
        }
    }

    fn day(self) -> Date {
        self.last.saturating_sub((NIGHTS - 1 - self.at).days())
    }

    /// A time of the day, in epoch milliseconds.
    fn at_hour(self, hour: i8, minute: i8) -> i64 {
        let time = self.day().at(hour, minute, 0, 0);
        let time = jiff::tz::TimeZone::UTC.to_timestamp(time);
        time.map_or(0, |time| time.as_millisecond())
    }

    fn number(self, time: &str) -> String {
        format!("BATCH_{}{time}", self.day().strftime("%Y%m%d"))
    }

    fn balances(self, deliveries: &mut Vec<Delivery>, story: &mut Vec<&'static str>) {
        let flaw = match self.at {
            3 | 29 => Flaw::OneAmount,
            10 => Flaw::ManyAmounts,
            _ => Flaw::None,
        };
        match self.at {
            7 => {
                story.push("no batch of account_negative: it is late");
                return;
            }
            21 => {
                deliveries.push(self.page(1));
                story.push("the first of two pages: the batch waits");
                return;
            }
            22 => {
                deliveries.push(self.before(1).page(2));
                story.push("the second page completes it");
            }
            3 | 29 => story.push("one amount with a comma in it is rejected"),
            10 => story.push("too many amounts with commas: the batch fails"),
            11 => {
                deliveries.push(self.before(1).balances_of(Flaw::None, 0, self));
                story.push("the failed batch comes again, mended");
            }
            14 => {
                deliveries.push(self.before(1).balances_of(Flaw::None, 10_000, self));
                story.push("a batch comes again with another amount: its second revision");
            }
            _ => {}
        }
        deliveries.push(self.balances_of(flaw, 0, self));
    }

    /// The night's balances, announced in the night `told`; the first account owes so much more.
    fn balances_of(self, flaw: Flaw, more: i64, told: Self) -> Delivery {
        let mut csv = String::from(
            "accountId,accountName,accountEn,displayId,type,cardNegative,budgetNegative,currency,statTime\n",
        );
        let mut more = more;
        for (row, account) in (0_i64..).zip(self.negative()) {
            let (name, english) = account.names();
            let is_flawed = match flaw {
                Flaw::None => false,
                Flaw::OneAmount => row == 4,
                Flaw::ManyAmounts => row % 4 == 0,
            };
            let card = match is_flawed {
                true => "\"-1,234.56\"".to_owned(),
                false => owed(account.card(self.at) + std::mem::take(&mut more)),
            };
            let _ = writeln!(
                csv,
                "{},{name},\"{english}\",{},{},{card},{},{},{}",
                account.id(),
                account.display_id(),
                account.kind(),
                owed(account.budget(self.at)),
                account.currency(),
                self.at_hour(2, 0) + row,
            );
        }
        let name = format!("negative-{}-{}.csv", self.day(), told.at);
        told.of_file("account.negative", &self.number("020000"), name, csv)
    }

    /// Accounts of which something is owed.
    fn negative(self) -> impl Iterator<Item = Account> {
        Account::all().filter(move |account| account.card(self.at) > 0)
    }

    /// Half of the night's balances, in the announcement itself.
    fn page(self, page: usize) -> Delivery {
        let rows: Vec<Value> = self
            .negative()
            .map(|account| {
                let (name, english) = account.names();
                json!({
                    "accountId": account.id(), "accountName": name, "accountEn": english,
                    "displayId": account.display_id(), "type": account.kind().to_string(),
                    "cardNegative": owed(account.card(self.at)),
                    "budgetNegative": owed(account.budget(self.at)),
                    "currency": account.currency(), "statTime": self.at_hour(2, 0).to_string(),
                })
            })
            .collect();
        let size = rows.len().div_ceil(2);
        let list: Vec<&Value> = rows.iter().skip((page - 1) * size).take(size).collect();
        let told = match page {
            1 => self.at_hour(3, 0),
            _ => self.at_hour(3, 1),
        };
        Delivery {
            announcement: json!({
                "id": format!("evt-{}-page-{page}", self.day()),
                "eventType": "account.negative",
                "createTime": told,
                "resource": {
                    "batchNo": self.number("020000"), "page": page, "size": size, "total": rows.len(),
                    "lastPage": page == 2, "list": list,
                },
            }),
            files: Vec::new(),
        }
    }

    fn repayments(self, deliveries: &mut Vec<Delivery>, story: &mut Vec<&'static str>) {
        match self.at {
            16 => {
                deliveries.push(self.announced(
                    "account.repayment",
                    &self.number("021000"),
                    json!({"total": 0, "list": []}),
                ));
                story.push("an empty batch of repayments");
                return;
            }
            18 => {
                let mut dead = self.repayments_of(self);
                dead.files.clear();
                deliveries.push(dead);
                story.push("the link to the repayments is dead: it is tried again");
                return;
            }
            19 => story.push("it is dead still, and old by now: the batch has expired"),
            20 => {
                deliveries.push(self.before(2).repayments_of(self));
                story.push("it is announced again, with a link that works");
            }
            24 => {
                story.push("no batch of account_repayment: it is late");
                return;
            }
            25 => {
                deliveries.push(self.before(1).repayments_of(self));
                story.push("and comes a night later");
            }
            26 => story.push("a repayment of the night before is told again with another amount"),
            _ => {}
        }
        deliveries.push(self.repayments_of(self));
    }

    /// What was repaid since the night before, announced in the night `told`.
    fn repayments_of(self, told: Self) -> Delivery {
        let mut csv = String::from(
            "accountId,displayId,type,currency,cardNegative,budgetNegative,cardSettleAmount,budgetSettleAmount,\
             cardUnpaidAmount,budgetUnpaidAmount,repayTime\n",
        );
        for account in Account::all() {
            let (card, budget) = (account.card(self.at - 1), account.budget(self.at - 1));
            let (card_settled, budget_settled) = if account.cured() == self.at {
                (card, budget)
            } else if account.partly() == Some(self.at - 1) {
                (account.part(), 0)
            } else {
                continue;
            };
            let time = self.at_hour(1, 0) + account.0;
            self.repayment(
                &mut csv,
                account,
                [card, budget, card_settled, budget_settled],
                time,
            );
        }
        if self.at == 26 {
            // Settled in part after all.
            let before = self.before(1);
            if let Some(account) = Account::all().find(|of| of.cured() == before.at) {
                let (card, budget) = (account.card(before.at - 1), account.budget(before.at - 1));
                let time = before.at_hour(1, 0) + account.0;
                self.repayment(&mut csv, account, [card, budget, card / 2, budget], time);
            }
        }
        let name = format!("repayments-{}-{}.csv", self.day(), told.at);
        told.of_file("account.repayment", &self.number("021000"), name, csv)
    }

    fn repayment(self, csv: &mut String, account: Account, amounts: [i64; 4], time: i64) {
        let [card, budget, card_settled, budget_settled] = amounts;
        let _ = writeln!(
            csv,
            "{},{},{},{},{},{},{},{},{},{},{time}",
            account.id(),
            account.display_id(),
            account.kind(),
            account.currency(),
            owed(card),
            owed(budget),
            owed(card_settled),
            owed(budget_settled),
            owed(card - card_settled),
            owed(budget - budget_settled),
        );
    }

    /// Bills of four accounts, each with a file of lines.
    fn bills(self) -> Delivery {
        let mut csv = String::from("账户 ID,显示 ID,创建时间戳,账单总数,负余额账单 URL\n");
        let mut files = Vec::new();
        for (bill, account) in (0_i64..).zip(self.negative().step_by(9).take(4)) {
            let name = format!("bill-{}-{bill}.csv", self.day());
            let lines = 2 + bill;
            let mut text = String::from("交易 ID,卡号后四位,商户,交易金额,币种,交易时间\n");
            for line in 0..lines {
                let _ = writeln!(
                    text,
                    "TX{:03}{bill}{line},{:04},FACEBK *ADS,{},{},{} 12:00:00",
                    self.at,
                    821 + 17 * line,
                    owed(account.card(self.at) / lines),
                    account.currency(),
                    self.day()
                );
            }
            let _ = writeln!(
                csv,
                "{},{},{},{lines},{{server}}/{name}?X-Demo-Signature=f00d",
                account.id(),
                account.display_id(),
                self.at_hour(2, 20) + bill,
            );
            files.push((name, text));
        }
        let name = format!("bills-{}.csv", self.day());
        let mut delivery = self.of_file("account.bill", &self.number("022000"), name, csv);
        delivery.files.extend(files);
        delivery
    }

    fn of_file(self, event: &str, batch_no: &str, name: String, csv: String) -> Delivery {
        let total = csv.lines().count() - 1;
        let url = format!("{{server}}/{name}?X-Demo-Signature=f00d");
        let mut delivery = self.announced(event, batch_no, json!({"total": total, "fileUrl": url}));
        delivery.files.push((name, csv));
        delivery
    }

    /// In this night, at three o'clock.
    fn announced(self, event: &str, batch_no: &str, content: Value) -> Delivery {
        let mut resource = json!({"batchNo": batch_no, "page": 1, "size": 1000, "lastPage": true});
        if let (Some(resource), Value::Object(content)) = (resource.as_object_mut(), content) {
            resource.extend(content);
        }
        Delivery {
            announcement: json!({
                "id": format!("evt-{}-{batch_no}", self.day()),
                "eventType": event,
                "createTime": self.at_hour(3, 0),
                "resource": resource,
            }),
            files: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_every_time_and_one_rejected_row_is_less_than_a_hundredth() {
        let last = jiff::civil::date(2026, 11, 26);
        let nights = month(last);
        assert_eq!(nights, month(last));
        assert_eq!(nights.len(), 30);
        assert_eq!(nights[29].day, last);
        for night in [3, 29] {
            let rows = Delivering { last, at: night }.negative().count();
            assert!(rows > 100, "{rows} rows in night {night}");
        }
        let stories: usize = nights.iter().map(|night| night.story.len()).sum();
        assert!(stories >= 18, "{stories}");
    }
}

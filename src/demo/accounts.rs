//! Accounts whose balances turn negative, grow and are repaid: the same ones at every demo.

/// How many there are.
pub(super) const ACCOUNTS: i64 = 420;

const NAMES: [(&str, &str); 6] = [
    (
        "上海云帆科技有限公司",
        "Shanghai Yunfan Technology Co., Ltd.",
    ),
    (
        "深圳市前海跨境电商有限公司",
        "Shenzhen Qianhai Cross-Border E-Commerce",
    ),
    ("Northwind Trading", "Northwind Trading"),
    ("杭州数智广告有限公司", "Hangzhou Shuzhi Advertising"),
    ("广州远航传媒", "Guangzhou Yuanhang Media"),
    ("Blue Harbor Media", "Blue Harbor Media"),
];

/// One of them, by its number from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account(pub(super) i64);

impl Account {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0..ACCOUNTS).map(Self)
    }

    pub(super) fn id(self) -> String {
        format!("0193f2a4-0000-7000-8000-{:012}", self.0 + 1)
    }

    pub(super) fn display_id(self) -> String {
        format!("{:07}", self.0 + 1)
    }

    pub(super) fn names(self) -> (String, &'static str) {
        let (name, english) = NAMES[(self.0 % 6) as usize];
        (format!("{name}{:03}", self.0 + 1), english)
    }

    pub(super) fn kind(self) -> i64 {
        self.0 % 2
    }

    pub(super) fn currency(self) -> &'static str {
        match self.0 % 4 {
            3 => "USD",
            _ => "CNY",
        }
    }

    /// The first night on which it is negative; before 0: it was before the month began.
    fn first(self) -> i64 {
        self.0 * 7 % 38 - 8
    }

    /// The night on which it has been repaid, which may be after the month.
    pub(super) fn cured(self) -> i64 {
        self.first() + 4 + self.0 * 11 % 29
    }

    /// The night after which a part is repaid, of every sixth.
    pub(super) fn partly(self) -> Option<i64> {
        (self.0 % 6 == 0 && self.cured() - self.first() > 4).then(|| self.first() + 2)
    }

    /// What is owed on the card in the batch of a night, in hundredths; 0: nothing.
    pub(super) fn card(self, night: i64) -> i64 {
        if night < self.first() || night >= self.cured() {
            return 0;
        }
        let days = night - self.first();
        let grown = 5_000 + self.0 * 7_919 % 480_000 + days * (311 + self.0 * 17 % 900);
        match self.partly() {
            Some(partly) if night > partly => grown - self.part(),
            _ => grown,
        }
    }

    /// And on the budget, of every fifth.
    pub(super) fn budget(self, night: i64) -> i64 {
        match self.0 % 5 {
            0 => self.card(night) / 7,
            _ => 0,
        }
    }

    /// What of the card is repaid in part.
    pub(super) fn part(self) -> i64 {
        2_000 + self.0 * 13 % 2_500
    }
}

/// Hundredths, owed: with a minus.
pub(super) fn owed(hundredths: i64) -> String {
    match hundredths {
        0 => "0".to_owned(),
        of => format!("-{}.{:02}", of / 100, of % 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_two_decimals() {
        assert_eq!(
            [owed(0), owed(5), owed(123_456)],
            ["0", "-0.05", "-1234.56"]
        );
    }

    #[test]
    fn a_repaid_part_is_never_more_than_is_owed() {
        for account in Account::all() {
            for night in -8..40 {
                assert!(account.card(night) >= 0, "{account:?} in night {night}");
            }
        }
    }
}

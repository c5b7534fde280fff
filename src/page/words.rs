//! What the pages say, in each language. What the ledger says is not translated.

/// A language that pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lang {
    /// English.
    En,
    /// Simplified Chinese.
    Zh,
}

impl Lang {
    /// Its BCP 47 tag.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh-CN",
        }
    }

    pub(super) fn words(self) -> &'static Words {
        match self {
            Self::En => &EN,
            Self::Zh => &ZH,
        }
    }
}

/// A word a line: its name, English, Chinese.
macro_rules! words {
    ($($name:ident: $en:literal, $zh:literal;)*) => {
        /// Words and phrases of the pages.
        #[derive(Debug)]
        pub(super) struct Words {
            $(pub(super) $name: &'static str,)*
        }

        const EN: Words = Words { $($name: $en,)* };
        const ZH: Words = Words { $($name: $zh,)* };
    };
}

words! {
    title: "Was the night right?", "这一夜正常吗？";
    skip: "To the contents", "跳到正文";
    sections: "Sections", "各节";

    right: "The night was right", "这一夜正常";
    right_with_rejected: "The night was right, with rejected rows", "这一夜正常，但有被拒的行";
    not_right: "The night was not right", "这一夜不正常";
    late: "A dataset is late", "有数据集迟到";
    nothing: "Nothing was loaded yet", "尚未加载任何数据";
    night_of: "Night of", "夜间批次：";
    reaches_until: "Data until", "数据截至";
    last_run: "Last run", "最近一次运行";
    ended_with: "exit status", "退出码";
    why: "Why", "原因";
    more_reasons: "further reasons", "条其他原因";

    is_failed: "not loaded", "未加载";
    is_waiting: "waits for pages or files", "等待其余页或文件";
    is_expired: "its link is dead: it must be announced again", "链接已失效：须重新通知";
    rows_rejected_in: "rows rejected", "行被拒";
    is_late: "is late", "迟到";
    newest_is_of: "its newest batch is of", "最新批次时间";
    none_ever: "none was ever loaded", "从未加载过";
    inbox_waits: "announcements wait in the inbox for the next run", "条通知在收件箱中等待下次运行";

    nights: "Nights", "夜间";
    night: "Night", "夜";
    earlier_nights: "Earlier nights", "更早的夜";
    legend: "✓ loaded   ! rows rejected   ✗ not loaded or late   · no batch. The figure is the rows loaded.", "✓ 已加载   ! 有被拒行   ✗ 未加载或迟到   · 无批次。数字为已加载行数。";
    no_batch: "no batch", "无批次";
    state_ok: "loaded", "已加载";
    state_rejected: "loaded, with rejected rows", "已加载，有被拒行";
    state_open: "not loaded", "未加载";
    state_late: "late", "迟到";

    exposure: "Exposure", "敞口";
    exposure_note: "Sums of each day's last batch, with the sign delivered. A line breaks where a day has no batch. Currencies are never added up, nor card to budget.", "每天最后一个批次的合计，符号与来源一致。没有批次的日子线条断开。不同币种、卡与预算从不相加。";
    from: "from", "从";
    to: "to", "到";
    lowest: "lowest", "最低";
    day: "Day", "日期";
    currency: "Currency", "币种";
    measure: "Measure", "口径";
    card: "card", "卡";
    budget: "budget", "预算";
    accounts: "Accounts", "账户数";
    amount: "Amount", "金额";
    exact_figures: "Exact figures", "精确数值";
    earlier_days: "Earlier days", "更早的日子";

    ageing: "Ageing", "账龄";
    ageing_note: "What is negative now, by the reporting days since it was not.", "当前为负的余额，按已持续的报表日分组。";
    as_of: "as of", "截至";
    days: "Days", "天数";
    last_known: "of them last known: the newest batch may have rejected them", "其中为最后已知值：最新批次可能拒收了它们";

    repayments: "Repayments", "还款";
    repayments_note: "By each account's last repayment. Unpaid is what was left after it.", "按每个账户的最近一次还款。未还为还款后剩余。";
    status: "Status", "状态";
    settled: "Settled in all", "累计已还";
    unpaid: "Unpaid", "未还";
    nothing_owed: "nothing owed", "无欠款";
    paid: "paid", "已还清";
    partly_paid: "partly paid", "部分已还";
    is_unpaid: "unpaid", "未还";
    restated: "repayments were told again with other amounts", "笔还款被以不同金额重述";

    rejections: "Rejected rows", "被拒的行";
    no_rejections: "No row was rejected.", "没有被拒的行。";
    rows: "Rows", "行数";
    field: "Field", "字段";
    line: "Line", "行号";
    message: "Message", "说明";
    record: "Record", "原始记录";
    trace_with: "Trace", "追溯";
    first_shown: "shown of", "显示，共";
    rest_with: "all of them:", "全部：";
    kept_only: "rows were rejected; of each file the first 10,000 are kept", "行被拒；每个文件只保留前 10,000 行";

    batches: "Batches", "批次";
    batch: "Batch", "批次";
    state: "State", "状态";
    rejected: "Rejected", "被拒";
    read: "Read", "读取";
    announced_rows: "Announced", "通知行数";
    revision: "Revision", "版本";
    accepted: "Accepted", "接受时间";
    written: "Written", "写入时间";
    difference: "Difference", "差异";
    history: "History", "历史";
    files: "Files", "文件";
    file: "File", "文件";
    bytes: "Bytes", "字节";
    hash: "SHA-256", "SHA-256";
    controls: "Controls", "对账";
    control: "Control", "对账项";
    expected: "Expected", "应为";
    found: "Found", "实际";
    result: "Result", "结果";
    agrees: "agrees", "相符";
    differs: "differs", "不符";
    noted: "noted", "仅记录";
    more_files: "more files", "个其他文件";
    more_batches: "more batches", "个其他批次";

    no_figures: "Not in this warehouse:", "本仓库中没有：";
    no_figures_why: "the view is left out, see redledger.view; the next run makes what can be made", "该视图未建立，见 redledger.view；下次运行会补建";
    empty: "Nothing to show.", "没有可显示的内容。";
    loaded: "loaded", "已加载";
    superseded: "replaced by a later revision", "已被后续版本取代";
    failed: "failed", "失败";
    waiting: "waiting", "等待中";
    expired: "expired", "已过期";
    dismissed: "dismissed", "已作废";

    warehouse: "Warehouse", "仓库";
    zone: "Days and times of", "日期与时间时区";
    made_at: "made", "生成于";
    all_nights: "All nights", "全部夜间";
    lines: "Lines", "行";
    previous: "Previous lines", "上一页";
    next: "Next lines", "下一页";
}

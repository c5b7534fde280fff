use proptest::prelude::*;

use super::{
    super::{Batch, Content},
    assemble,
};
use crate::{
    error::{Error, Result},
    hook::{Announcement, parse},
};

/// Announcements of one document each; `'` stands for `"`.
fn announced(documents: &[&str]) -> Vec<Announcement> {
    documents
        .iter()
        .enumerate()
        .flat_map(|(index, json)| {
            let json = json.replace('\'', "\"");
            parse(&format!("{index}.json"), json.as_bytes()).expect("an announcement")
        })
        .collect()
}

fn assembled(documents: &[&str]) -> Vec<Result<Batch>> {
    assemble(announced(documents))
        .into_iter()
        .map(|assembled| assembled.batch)
        .collect()
}

fn batches(documents: &[&str]) -> Vec<Batch> {
    assembled(documents)
        .into_iter()
        .map(|batch| batch.expect("a batch"))
        .collect()
}

fn batch(documents: &[&str]) -> Batch {
    let mut batches = batches(documents);
    assert_eq!(batches.len(), 1, "{batches:?}");
    batches.remove(0)
}

fn message(documents: &[&str]) -> String {
    match assembled(documents).as_slice() {
        [Err(Error::Announcement { message, .. })] => message.clone(),
        other => panic!("{other:?}"),
    }
}

/// What is loaded: cells of rows joined, or whole URLs.
fn content(batch: &Batch) -> Vec<String> {
    match &batch.content {
        Content::Files(urls) => urls.iter().map(|url| url.secret().to_string()).collect(),
        Content::Rows(rows) => rows
            .iter()
            .map(|row| {
                let cells: Vec<_> = row
                    .cells
                    .iter()
                    .map(|(_, cell)| cell.clone().unwrap_or_default())
                    .collect();
                cells.join("|")
            })
            .collect(),
    }
}

const P1: &str =
    "{'batchNo':'B','page':1,'size':2,'total':5,'lastPage':false,'list':[{'a':1},{'a':2}]}";
const P2: &str =
    "{'batchNo':'B','page':2,'size':2,'total':5,'lastPage':false,'list':[{'a':3},{'a':4}]}";
const P3: &str = "{'batchNo':'B','page':3,'size':2,'total':5,'lastPage':true,'list':[{'a':5}]}";

#[test]
fn list_pages_are_one_batch_in_page_order_whatever_order_they_came_in() {
    for order in [
        [P1, P2, P3],
        [P1, P3, P2],
        [P2, P1, P3],
        [P2, P3, P1],
        [P3, P1, P2],
        [P3, P2, P1],
    ] {
        let batch = batch(&order);
        assert_eq!(content(&batch), ["1", "2", "3", "4", "5"]);
        assert_eq!((batch.total, batch.missing), (Some(5), None));
        assert_eq!(batch.notes, [""; 0]);
    }
}

#[test]
fn what_is_missing_is_said_in_words() {
    let list = "'list':[{'a':1}]";
    let file = "'fileUrl':'https://h/f'";
    #[rustfmt::skip]
    let cases: &[(&[&str], Option<&str>, bool)] = &[
        // The fields of each page, what is missing, whether rows are to be compared with the total.
        (&[list], None, false),
        (&[&format!("'total':9,{list}")], None, false),
        (&[&format!("'lastPage':true,{list}")], None, false),
        (&[&format!("'lastPage':false,{list}")], Some("pages after 1"), false),
        (&[&format!("'page':1,'lastPage':true,{list}")], None, false),
        (&[&format!("'page':1,'lastPage':false,{list}")], Some("pages after 1"), false),
        (&[&format!("'page':1,{list}")], Some("pages after 1, or a `lastPage` that says there are none"), false),
        (&[&format!("'page':1,'lastPage':false,'total':3,'size':1,{list}")], Some("pages 2 and 3 of 3"), false),
        (&[&format!("'page':1,'lastPage':false,'total':2,'size':1,{list}")], Some("page 2 of 2"), false),
        (&[&format!("'page':1,'lastPage':false,'total':9,'size':1,{list}")], Some("pages 2 to 9 of 9"), false),
        (&[&format!("'page':1,'lastPage':false,'total':9,'size':0,{list}")], Some("pages after 1 (1 of 9 rows came)"), false),
        (&[&format!("'page':1,'lastPage':false,'total':9,{list}")], Some("pages after 1 (1 of 9 rows came)"), false),
        (&[&format!("'page':1,'lastPage':false,'total':1,{list}")], None, false),
        (&[&format!("'page':1,'total':1,{list}")], None, false),
        (&[&format!("'page':1,'total':2,{list}"), &format!("'page':2,'total':2,{list}")], None, false),
        (&[&format!("'page':3,'lastPage':true,{list}")], Some("pages 1 and 2 of 3"), false),
        (&[&format!("'page':9223372036854775807,'lastPage':true,{list}")], Some("pages 1 to 9223372036854775806 of 9223372036854775807"), false),
        (&[&format!("'page':2,'lastPage':false,{list}"), &format!("'page':4,'lastPage':false,{list}")], Some("pages 1 and 3 and pages after 4"), false),
        (&[&format!("'page':1,'total':2,{list}"), &format!("'page':3,'total':2,{list}")], Some("page 2"), false),
        (&[&format!("'page':2,'lastPage':false,{list}"), &format!("'page':6,'lastPage':true,{list}")], Some("pages 1 and 3 to 5 of 6"), false),
        (&["'total':0"], None, false),
        (&["'page':1,'lastPage':false,'total':0"], None, false),
        (&["'list':[]"], None, false),
        (&[file], None, false),
        (&[&format!("'page':1,'lastPage':true,'total':9,{file}")], None, false),
        (&[&format!("'page':1,'lastPage':false,{file}")], Some("pages after 1"), false),
        (&[&format!("'page':1,'lastPage':false,'total':9,{file}")], None, true),
        (&[&format!("'lastPage':false,'total':9,{file}")], None, true),
        (&[&format!("'page':3,'lastPage':true,'total':9,{file}")], None, true),
        (&[&format!("'page':3,'lastPage':true,{file}")], Some("pages 1 and 2 of 3"), false),
    ];
    for (pages, missing, pages_incomplete) in cases {
        let pages: Vec<String> = pages
            .iter()
            .map(|fields| format!("{{'batchNo':'B',{fields}}}"))
            .collect();
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        let batch = batch(&pages);
        assert_eq!(batch.missing.as_deref(), *missing, "{pages:?}");
        assert_eq!(batch.pages_incomplete, *pages_incomplete, "{pages:?}");
    }
}

#[test]
fn an_empty_last_page_joins_the_batch_whose_rows_already_reached_the_total() {
    let full = "{'batchNo':'B','page':1,'total':1,'lastPage':false,'list':[{'a':1}]}";
    let empty = "{'batchNo':'B','page':2,'total':1,'lastPage':true,'list':[]}";
    for order in [[full, empty], [empty, full]] {
        let batch = batch(&order);
        assert_eq!((content(&batch).len(), batch.missing), (1, None));
    }
}

#[test]
fn the_file_is_the_batch_and_a_list_beside_it_a_preview() {
    let one = batch(&["{'batchNo':'B','fileUrl':'https://h/f?s=1','list':[{'a':1}]}"]);
    assert_eq!(content(&one), ["https://h/f?s=1"]);
    assert_eq!(
        one.notes,
        ["the inline list beside fileUrl is a preview and was not loaded"]
    );
    assert_eq!(one.columns(), [""; 0]);
    let without = batch(&["{'batchNo':'B','fileUrl':'https://h/f','list':[]}"]);
    assert_eq!(without.notes, [""; 0]);
}

#[test]
fn pages_with_different_files_are_parts_and_the_same_file_is_named_once() {
    let page = |page: u64, url: &str| {
        let last = page == 3;
        format!("{{'batchNo':'B','page':{page},'lastPage':{last},'fileUrl':'{url}'}}")
    };
    type Case<'a> = ([(u64, &'a str); 3], &'a [&'a str]);
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ([(3, "https://h/c"), (1, "https://h/a"), (2, "https://h/b")], &["https://h/a", "https://h/b", "https://h/c"]),
        // The newest signature is the one that still works; the place is that of the first page.
        ([(2, "https://h/a?Signature=1"), (3, "https://h/b"), (1, "https://h/a?Signature=2")], &["https://h/a?Signature=2", "https://h/b"]),
        ([(1, "https://h/a?Signature=1"), (3, "https://h/b"), (2, "https://h/a?Signature=2")], &["https://h/a?Signature=2", "https://h/b"]),
        // What is no signature says which file.
        ([(1, "https://h/a?part=1&Signature=1"), (2, "https://h/a?part=2&Signature=1"), (3, "https://h/a?Signature=2&part=1")], &["https://h/a?Signature=2&part=1", "https://h/a?part=2&Signature=1"]),
        ([(1, "https://h/a"), (2, "https://h/a"), (3, "https://h:443/a")], &["https://h/a"]),
        ([(1, "https://h/a"), (2, "http://h/a"), (3, "https://h:8443/a")], &["https://h/a", "http://h/a", "https://h:8443/a"]),
    ];
    for (pages, expected) in cases {
        let pages = pages.map(|(number, url)| page(number, url));
        let batch = batch(&pages.each_ref().map(String::as_str));
        assert_eq!(content(&batch), *expected);
        assert_eq!(batch.missing, None);
        let is_noted = expected.len() < pages.len();
        assert_eq!(
            batch.notes.len(),
            usize::from(is_noted),
            "{:?}",
            batch.notes
        );
    }
}

#[test]
fn pages_that_disagree_are_an_error_that_says_about_what() {
    #[rustfmt::skip]
    let cases: &[(&[&str], &str)] = &[
        (&["'page':1,'total':5,'list':[]", "'page':2,'total':6,'list':[]"], "batch B: pages disagree: `total` is 5 on page 1 and 6 on page 2"),
        (&["'page':1,'lastPage':false,'fileUrl':'https://h/f'", "'page':2,'list':[{}]"], "batch B: pages disagree: page 1 has `fileUrl`, page 2 only a `list`"),
        (&["'page':3,'list':[]", "'page':2,'lastPage':true,'list':[]"], "batch B: pages disagree: page 2 has `lastPage` true, but page 3 was announced"),
        (&["'page':1,'lastPage':false,'list':[]", "'list':[{}]"], "batch B: pages disagree: some have `page`, others do not"),
        (&["'lastPage':false,'list':[{'a':1}]", "'lastPage':true,'list':[{'a':2}]"], "batch B: announced more than once with `lastPage` false and without `page`: the pages can't be told apart"),
    ];
    for (pages, expected) in cases {
        let pages: Vec<String> = pages
            .iter()
            .map(|fields| format!("{{'batchNo':'B',{fields}}}"))
            .collect();
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        assert_eq!(message(&pages), *expected);
    }
}

#[test]
fn one_bad_batch_does_not_stop_the_others() {
    let result = assembled(&[
        "[{'batchNo':'A','list':[]},{'batchNo':'B','page':1,'total':1,'list':[]},
          {'batchNo':'B','page':2,'total':2,'list':[]},{'batchNo':'C','list':[]}]",
    ]);
    let names: Vec<_> = result
        .iter()
        .map(|batch| batch.as_ref().ok().map(|batch| batch.batch_no.as_str()))
        .collect();
    assert_eq!(names, [Some("A"), None, Some("C")]);
}

#[test]
fn a_page_that_comes_twice_counts_once() {
    let written_otherwise =
        "{'list':[{ 'a':'3' },{'a':4}],'batchNo':'B','page':'2','size':2,'total':'5','lastPage':0}";
    for documents in [
        vec![P1, P2, P2, P3],
        vec![P1, P2, written_otherwise, P3],
        vec![P1, P1, P1, P2, P3],
        vec![P1, P2, P3, P3],
        vec![P1, P2, P3, P1, P2, P3],
    ] {
        let batch = batch(&documents);
        assert_eq!(content(&batch), ["1", "2", "3", "4", "5"], "{documents:?}");
        assert_eq!(batch.notes.len(), 1, "{:?}", batch.notes);
        assert_eq!(batch.origin, "0.json");
    }
}

#[test]
fn rows_whose_keys_come_in_another_order_are_the_same() {
    let one = "{'batchNo':'B','list':[{'a':1,'b':2}]}";
    let batch = batch(&[one, "{'batchNo':'B','list':[{'b':'2', 'a':1}]}"]);
    assert_eq!(
        batch.notes,
        ["announced again with the same content, which counts once"]
    );
    assert_eq!(
        batches(&[one, "{'batchNo':'B','list':[{'a':2,'b':1}]}"]).len(),
        2
    );
}

#[test]
fn a_file_announced_again_is_taken_by_its_newest_url() {
    let old = "{'batchNo':'B','total':3,'fileUrl':'https://h/f?Signature=old'}";
    let new = "{'batchNo':'B','total':3,'fileUrl':'https://h/f?Signature=new'}";
    let batch = batch(&[old, new]);
    assert_eq!(content(&batch), ["https://h/f?Signature=new"]);
    assert_eq!(
        batch.notes,
        ["announced again with the same content, which counts once"]
    );
}

#[test]
fn of_a_page_announced_with_different_content_the_latest_is_taken() {
    let other =
        "{'batchNo':'B','page':1,'size':2,'total':5,'lastPage':false,'list':[{'a':8},{'a':9}]}";
    let latest = batch(&[P1, P2, other, P3]);
    assert_eq!(content(&latest), ["8", "9", "3", "4", "5"]);
    assert_eq!(
        latest.notes,
        ["page 1 came more than once with different content; the latest was taken"]
    );
    // What it replaced has no say about the total.
    let corrected = batches(&[
        "{'batchNo':'B','page':1,'total':9,'list':[{'a':1}]}",
        "{'batchNo':'B','page':1,'total':1,'list':[{'a':1}]}",
    ]);
    assert_eq!(corrected[0].total, Some(1));
    // Nor do its rows count towards it.
    let shortened = batch(&[
        "{'batchNo':'B','page':1,'total':3,'list':[{'a':1},{'a':2}]}",
        "{'batchNo':'B','page':1,'total':3,'list':[{'a':3}]}",
    ]);
    assert_eq!(
        shortened.missing.as_deref(),
        Some("pages after 1 (1 of 3 rows came)")
    );
}

#[test]
fn a_complete_batch_announced_with_other_content_is_a_second_batch() {
    let corrected = P2.replace("'a':4", "'a':44");
    let result = batches(&[P1, P2, P3, P1, &corrected, P3]);
    assert_eq!(content(&result[0]), ["1", "2", "3", "4", "5"]);
    assert_eq!(content(&result[1]), ["1", "2", "3", "44", "5"]);
    assert_eq!(result.len(), 2);

    let (a, b) = (
        "{'batchNo':'B','list':[{'a':1}]}",
        "{'batchNo':'B','list':[{'a':2}]}",
    );
    let back_and_forth: Vec<_> = batches(&[a, b, b, a]).iter().map(content).collect();
    assert_eq!(back_and_forth, [["1"], ["2"], ["1"]]);
}

#[test]
fn a_late_redelivery_of_a_page_does_not_start_a_second_batch() {
    let envelope = |id: u64, hook: &str| format!("{{'eventType':'e','id':{id},'resource':{hook}}}");
    let (p1, p2, p3) = (envelope(1, P1), envelope(2, P2), envelope(3, P3));
    let other = |id, page: &str| envelope(id, &page.replace("'a':", "'a':1"));
    let (q1, q2, q3) = (other(4, P1), other(5, P2), other(6, P3));
    let result: Vec<_> = batches(&[&p1, &p2, &p3, &p3, &q1, &q2, &q3])
        .iter()
        .map(content)
        .collect();
    assert_eq!(
        result,
        [["1", "2", "3", "4", "5"], ["11", "12", "13", "14", "15"]]
    );
}

#[test]
fn one_number_under_two_event_types_is_two_batches() {
    let page = |event: &str, page: u64, cell: &str| {
        format!(
            "{{'eventType':'{event}','resource':{{'batchNo':'B','page':{page},'lastPage':{},'list':[{{'a':'{cell}'}}]}}}}",
            page == 2
        )
    };
    let (a1, b1) = (page("a", 1, "a1"), page("b", 1, "b1"));
    let (a2, b2) = (page("a", 2, "a2"), page("b", 2, "b2"));
    let result: Vec<_> = batches(&[&a1, &b1, &a2, &b2]).iter().map(content).collect();
    assert_eq!(result, [["a1", "a2"], ["b1", "b2"]]);
    // A bare page joins when there is only one event it can belong to.
    let bare = "{'batchNo':'B','page':2,'lastPage':true,'list':[{'a':'bare'}]}";
    let joined = batch(&[bare, &a1]);
    assert_eq!(content(&joined), ["a1", "bare"]);
    assert_eq!(joined.event_type.as_deref(), Some("a"));
}

#[test]
fn batches_come_in_order_of_announcement() {
    let at = |time: &str, number: &str| {
        format!(
            "{{'eventType':'e','createTime':{time},'resource':{{'batchNo':'{number}','list':[]}}}}"
        )
    };
    let bare = "{'batchNo':'D','list':[]}".to_owned();
    let (a, b, c) = (
        at("1711785600003", "A"),
        at("'1711785600001'", "B"),
        at("1711785600001", "C"),
    );
    let order = |documents: &[&String]| -> String {
        let documents: Vec<&str> = documents.iter().map(|json| json.as_str()).collect();
        batches(&documents)
            .iter()
            .map(|batch| batch.batch_no.as_str())
            .collect()
    };
    assert_eq!(order(&[&a, &b, &c]), "BCA");
    assert_eq!(order(&[&a, &c, &b]), "CBA");
    // Without a time for every one, a time says nothing about the rest.
    assert_eq!(order(&[&a, &b, &bare, &c]), "ABDC");
}

#[test]
fn a_batch_keeps_what_its_announcements_said() {
    let batch = batch(&[
        "{'eventType':'e','createTime':1711785600002,'odd':1,'resource':{'batchNo':'B','page':2,'lastPage':true,'list':[],'x':1}}",
        "{'eventType':'e','createTime':1711785600001,'resource':{'batchNo':'B','page':1,'lastPage':false,'list':[],'x':1}}",
    ]);
    assert_eq!(batch.event_type.as_deref(), Some("e"));
    assert_eq!(batch.announced_at, Some(1_711_785_600_001));
    assert_eq!((batch.unknown_keys, batch.origin.as_str()), (3, "1.json"));
}

#[test]
fn columns_are_the_keys_of_all_rows_in_order_of_first_appearance() {
    let batch = batch(&["{'batchNo':'B','list':[{'b':1,'a':2},{},{'c':3,'a':null}]}"]);
    assert_eq!(batch.columns(), ["b", "a", "c"]);
}

#[test]
fn a_hundred_thousand_pages_are_no_trouble() {
    let pages: Vec<String> = (1..=100_000)
        .map(|page| format!("{{'batchNo':'B','page':{page},'total':0,'lastPage':false}}"))
        .collect();
    let document = format!("[{}]", pages.join(","));
    let batch = batch(&[&document, &document]);
    assert_eq!((batch.missing, batch.notes.len()), (None, 1));
}

proptest! {
    #[test]
    fn shuffling_pages_gives_the_same_batch(
        (rows, order, drop, totals, files) in prop::collection::vec(0_usize..4, 1..7).prop_flat_map(|rows| {
            let pages: Vec<usize> = (0..rows.len()).collect();
            (Just(rows), Just(pages).prop_shuffle(), 0_usize..9, any::<bool>(), any::<bool>())
        })
    ) {
        let total: usize = rows.iter().sum();
        let pages: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(index, count)| {
                let list: Vec<String> = (0..*count).map(|row| format!("{{'a':{index}.{row}0}}")).collect();
                let total = if totals { format!("'total':{total},") } else { String::new() };
                let file = if files { format!("'fileUrl':'https://h/{}',", index / 2) } else { String::new() };
                format!(
                    "{{'batchNo':'B',{total}{file}'page':{},'lastPage':{},'list':[{}]}}",
                    index + 1,
                    index + 1 == rows.len(),
                    list.join(",")
                )
            })
            .collect();
        let parsed = announced(&pages.iter().map(String::as_str).collect::<Vec<_>>());
        let kept = |index: &usize| *index != drop;
        let straight: Vec<_> = (0..parsed.len()).filter(kept).map(|index| parsed[index].clone()).collect();
        let shuffled: Vec<_> = order.iter().copied().filter(kept).map(|index| parsed[index].clone()).collect();
        let batches = |announcements| -> Vec<Batch> {
            assemble(announcements).into_iter().map(|batch| batch.batch.expect("a batch")).collect()
        };
        let straight = batches(straight);
        prop_assert!(straight.len() <= 1);
        prop_assert_eq!(straight, batches(shuffled));
    }
}

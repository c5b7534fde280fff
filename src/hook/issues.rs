//! Which pages are of one issue of a batch, as far as anything tells.

use super::{Announcement, Batch, Content, assemble, parse};

const HOUR: i64 = 3_600_000_000;

/// Page `number` of three with the cell `cell`, of `total` rows, received at `at`.
fn page(number: u64, cell: &str, total: u64, at: i64) -> Announcement {
    let json = format!(
        r#"{{"batchNo":"B","page":{number},"size":1,"total":{total},"lastPage":{},"list":[{{"a":"{cell}"}}]}}"#,
        number == total
    );
    let mut announcements = parse("h", json.as_bytes()).expect("an announcement");
    Announcement {
        received_at: Some(1_774_888_600_000_000 + at),
        document: usize::try_from(at.unsigned_abs()).expect("a small number") + cell.len(),
        origin: format!("{cell}{number}"),
        ..announcements.remove(0)
    }
}

/// The cells of each batch and what is missing of it.
fn put_together(announcements: Vec<Announcement>) -> Vec<(String, Option<String>, Vec<String>)> {
    let given = announcements.len();
    let assembled = assemble(announcements);
    let origins: usize = assembled.iter().map(|of| of.origins.len()).sum();
    assert_eq!(origins, given, "each announcement is in one batch");
    let batches = assembled.into_iter().map(|of| of.batch.expect("a batch"));
    let cells = |batch: &Batch| match &batch.content {
        Content::Rows(rows) => {
            let cells = rows.iter().flat_map(|row| &row.cells);
            cells
                .filter_map(|(_, cell)| cell.clone())
                .collect::<String>()
        }
        Content::Files(_) => String::new(),
    };
    batches
        .map(|batch| (cells(&batch), batch.missing.clone(), batch.notes))
        .collect()
}

#[test]
fn pages_of_two_issues_are_never_joined_when_more_than_an_hour_is_between_them() {
    let first = [page(1, "a", 3, 0), page(3, "c", 3, 1)];
    let second = [page(2, "B", 3, 2 * HOUR), page(1, "A", 3, 2 * HOUR + 1)];
    let last = page(3, "C", 3, 2 * HOUR + 2);
    // As far as they have come.
    let waiting = put_together([&first[..], &second[..1]].concat());
    let missing: Vec<_> = waiting
        .iter()
        .map(|(_, missing, _)| missing.as_deref())
        .collect();
    assert_eq!(missing, [Some("page 2 of 3"), Some("pages 1 and 3 of 3")]);
    // The second issue is whole: nobody needs the rest of the first.
    let whole = put_together([&first[..], &second, &[last]].concat());
    assert_eq!(whole.len(), 1);
    assert_eq!((whole[0].0.as_str(), &whole[0].1), ("ABC", &None));
    assert!(whole[0].2.concat().contains("never was whole"), "{whole:?}");
}

#[test]
fn pages_that_disagree_about_total_or_size_are_of_several_issues_however_close() {
    let other_total = put_together(vec![
        page(1, "a", 2, 0),
        page(1, "x", 3, 1),
        page(2, "b", 2, 2),
        page(2, "y", 3, 3),
    ]);
    let found = other_total
        .iter()
        .map(|(cells, missing, _)| (cells.as_str(), missing.as_deref()));
    let found = Vec::from_iter(found);
    assert_eq!(found, [("ab", None), ("xy", Some("page 3 of 3"))]);
    let mut other_size = page(2, "b", 3, 1);
    other_size.hook.size = Some(2);
    let both = put_together(vec![page(1, "a", 3, 0), other_size, page(3, "c", 3, 2)]);
    assert_eq!(both.len(), 2);
    assert!(
        both.iter().all(|(_, missing, _)| missing.is_some()),
        "{both:?}"
    );
}

#[test]
fn that_pages_came_in_several_announcements_is_noted_unless_something_says_that_they_are_one() {
    let notes = |pages: [Announcement; 2]| put_together(pages.into()).remove(0).2;
    let pages = || [page(1, "a", 2, 0), page(2, "b", 2, 90_000_000)];
    let note = notes(pages()).concat();
    assert!(
        note.contains("several announcements within 1m 30s"),
        "{note}"
    );
    let mut same_time = pages();
    same_time
        .iter_mut()
        .for_each(|page| page.announced_at = Some(1_774_888_600_000));
    assert_eq!(notes(same_time), [""; 0]);
    let mut same_id = pages();
    same_id
        .iter_mut()
        .for_each(|page| page.id = Some("1".into()));
    assert_eq!(notes(same_id), [""; 0]);
    let mut same_document = pages();
    same_document.iter_mut().for_each(|page| page.document = 1);
    assert_eq!(notes(same_document), [""; 0]);
}

#[test]
fn when_it_was_made_counts_before_when_it_was_received() {
    let mut pages = [page(1, "a", 2, 0), page(2, "b", 2, 9 * HOUR)];
    for page in &mut pages {
        page.announced_at = Some(1_774_888_500_000);
    }
    assert_eq!(put_together(pages.into())[0].1, None);
}

#[test]
fn pages_counted_from_0_are_understood_in_any_order() {
    let from_zero = |number: u64, at: i64| {
        let mut page = page(
            number + 1,
            ["a", "b", "c"][usize::try_from(number).expect("small")],
            3,
            at,
        );
        page.hook.page = Some(number);
        page
    };
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let pages = order
            .iter()
            .zip(0..)
            .map(|(number, at)| from_zero(*number, at));
        let batch = put_together(pages.collect()).remove(0);
        assert_eq!((batch.0.as_str(), batch.1), ("abc", None));
    }
    let alone = put_together(vec![from_zero(0, 0)]).remove(0).1;
    assert_eq!(
        alone.as_deref(),
        Some("pages 2 and 3 of 3 (counted from 1 here; announced from 0)")
    );
}

#[test]
fn one_that_does_not_say_when_keeps_only_its_own_number_in_the_order_given() {
    let hook = |number: &str, cell: &str, at: Option<i64>| {
        let json = format!(r#"{{"batchNo":"{number}","list":[{{"a":"{cell}"}}]}}"#);
        let mut announcements = parse("h", json.as_bytes()).expect("an announcement");
        Announcement {
            announced_at: at,
            ..announcements.remove(0)
        }
    };
    let batches = put_together(vec![
        hook("A", "new", Some(1_774_888_600_002)),
        hook("C", "bare", None),
        hook("A", "old", Some(1_774_888_600_001)),
    ]);
    let cells: Vec<_> = batches.iter().map(|(cells, ..)| cells.as_str()).collect();
    assert_eq!(cells, ["old", "bare", "new"]);
}

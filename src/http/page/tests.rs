use std::collections::BTreeMap;

use super::{
    view::tests::{shown, with_backups},
    *,
};
use crate::state::{FailedRuns, RunReport};

/// Every ink on every ground that the stylesheet puts it on.
const PAIRS: [(&str, &str); 23] = [
    ("ink", "ground"),
    ("ink", "panel"),
    ("quiet", "ground"),
    ("quiet", "panel"),
    ("link", "ground"),
    ("link", "panel"),
    ("good", "ground"),
    ("good", "panel"),
    ("doubtful", "ground"),
    ("doubtful", "panel"),
    ("bad", "ground"),
    ("bad", "panel"),
    ("on-tone", "good"),
    ("on-tone", "doubtful"),
    ("on-tone", "bad"),
    ("on-proven", "proven"),
    ("on-verified", "verified"),
    ("on-made", "made"),
    ("on-legacy", "legacy"),
    ("on-alarm", "alarm"),
    ("on-missed", "missed"),
    ("on-empty", "empty"),
    ("on-empty", "ground"),
];

/// The colours of a block of the stylesheet, by name.
fn palette(block: &str) -> BTreeMap<&str, [f64; 3]> {
    let mut colours = BTreeMap::new();
    for line in block.lines() {
        let Some((name, value)) = line.trim().strip_prefix("--").and_then(|l| l.split_once(": #"))
        else {
            continue;
        };
        let value = u32::from_str_radix(value.trim_end_matches(';'), 16).unwrap();
        let channel = |shift: u32| f64::from((value >> shift) & 255) / 255.0;
        assert!(colours.insert(name, [channel(16), channel(8), channel(0)]).is_none());
    }
    colours
}

/// Relative luminance, as WCAG 2.2 defines it.
fn luminance(colour: [f64; 3]) -> f64 {
    let [red, green, blue] = colour.map(|channel| {
        if channel <= 0.04045 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn schemes() -> [(&'static str, BTreeMap<&'static str, [f64; 3]>); 2] {
    let (light, rest) = html::STYLE.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let dark = rest.split_once("* {").unwrap().0;
    [("light", palette(light)), ("dark", palette(dark))]
}

#[test]
fn every_text_can_be_read_in_both_schemes() {
    for (scheme, palette) in schemes() {
        for (ink, ground) in PAIRS {
            let ratio = contrast(palette[ink], palette[ground]);
            assert!(ratio >= 4.5, "{scheme}: {ink} on {ground} is {ratio:.2}");
        }
    }
}

/// A colour that no pair names would be held against nothing.
#[test]
fn every_colour_is_in_a_pair_and_every_rule_takes_its_colours_from_the_palette() {
    for (scheme, palette) in schemes() {
        for name in palette.keys().filter(|name| **name != "line") {
            assert!(PAIRS.iter().any(|(a, b)| a == name || b == name), "{scheme}: {name}");
        }
    }
    let [(_, light), (_, dark)] = schemes();
    assert_eq!(light.keys().collect::<Vec<_>>(), dark.keys().collect::<Vec<_>>());
    let rules = html::STYLE.split_once("* { box-sizing").unwrap().1;
    for line in rules.lines() {
        assert!(!line.contains(": #") && !line.contains("rgb("), "{line}");
    }
    // Each rule that sets a ground of the palette's other than the page's own
    // sets the ink with it.
    for rule in rules.split('}').filter(|rule| rule.contains("background: var(--")) {
        let of_page = rule.contains("var(--ground)") || rule.contains("var(--panel)");
        assert!(of_page || rule.contains(" color: var(--on-"), "{rule}");
    }
}

#[test]
fn contrast_is_measured_as_it_is_defined() {
    assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 0.01);
    let grey = f64::from(0x76_u8) / 255.0;
    assert!((contrast([grey; 3], [1.0; 3]) - 4.54).abs() < 0.01);
}

#[test]
fn a_name_or_an_error_cannot_become_markup() {
    let hostile = "<script>alert(1)</script>\"'&\u{202e}</style>";
    let mut known = with_backups(hostile, 30);
    known.failures.update(crate::state::hour(view::tests::now()), |_| FailedRuns {
        count: 1,
        stage: None,
        error: Some(hostile.to_owned()),
    });
    known.stored = crate::state::Hours::default();
    known.catalog_error = Some(hostile.to_owned());
    known.last_failure = Some(RunReport {
        job: crate::words::JobKind::Backup,
        outcome: crate::words::Outcome::Failed,
        started: view::tests::now(),
        seconds: 1.0,
        stage: None,
        error: Some(hostile.to_owned()),
        backup: Some(hostile.to_owned()),
    });
    let page = html::document(&shown(&[known])).into_string();
    assert!(page.matches("&lt;script&gt;alert").count() >= 4, "{page}");
    assert_eq!(page.matches("<script").count(), 1, "only the page's own");
    assert_eq!(page.matches("</style>").count(), 1);
    assert!(!page.contains('\u{202e}'), "what turns text around is made visible");
}

#[test]
fn the_policy_names_the_style_that_the_page_has() {
    let page = html::document(&shown(&[])).into_string();
    let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    assert!(POLICY.to_str().unwrap().contains(&format!("style-src 'sha256-{hash}'")));
    // No rule allows what stands in the page beside it.
    assert!(!page.contains(" style=") && !page.contains(" onclick"), "{page}");
}

#[test]
fn html_is_for_who_asks_for_it() {
    let accept = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(value));
        wants_html(&headers)
    };
    assert!(accept("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
    assert!(accept("application/json, Text/HTML;q=0.1"));
    for other in ["*/*", "text/plain", "application/json", "text/*", ""] {
        assert!(!accept(other), "{other}");
    }
    assert!(!wants_html(&HeaderMap::new()));
}

#[test]
fn a_coding_with_a_weight_is_taken_and_one_of_no_weight_is_not() {
    for taken in ["gzip", " GZIP ", "gzip;q=0.8", "gzip ; q=1", "gzip;x=y"] {
        assert!(is_gzip(taken), "{taken}");
    }
    for refused in ["gzip;q=0", "gzip; q=0.000", "br", "", "identity;q=1", "x-gzip-not"] {
        assert!(!is_gzip(refused), "{refused}");
    }
}

/// Each class of a cell, and of the key, has its rule.
#[test]
fn every_slot_has_a_colour_of_its_own() {
    for slot in view::Slot::ALL {
        let class = html::class(slot);
        let found = html::STYLE.lines().any(|line| {
            let selectors = line.split('{').next().unwrap_or_default();
            line.contains("background")
                && selectors.split(',').any(|s| s.trim() == format!(".{class}"))
        });
        assert!(found, "{slot:?}");
    }
}

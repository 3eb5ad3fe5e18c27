//! Thirty days by twenty-four hours. Each cell holds its details as text: a
//! screen reader reads them, and pointing at a cell shows them below.

use maud::{Markup, html};

use super::class;
use crate::http::page::view::{Grid, Slot};

pub(super) fn grid(at: usize, grid: &Grid) -> Markup {
    let counts = grid.counts();
    let bad: usize = counts.iter().filter(|(slot, _)| slot.is_bad()).map(|(_, count)| count).sum();
    html! {
        h3 { "Every slot of thirty days" }
        p.quiet {
            @match bad {
                0 if !grid.is_known => "What became of them is not known: the store was not listed yet.",
                0 => "No slot was missed and none failed.",
                1 => { strong.bad { "1 slot" } " was missed, failed or is damaged." }
                _ => { strong.bad { (bad) " slots" } " were missed, failed or are damaged." }
            }
        }
        div.grid {
            table {
                thead {
                    tr {
                        th scope="col" { "UTC" }
                        @for hour in 0..24 {
                            th scope="col" { @if hour % 3 == 0 { (format!("{hour:02}")) } }
                        }
                    }
                }
                tbody {
                    @for day in &grid.days {
                        tr {
                            th scope="row" { (day.label) }
                            @for cell in &day.cells {
                                td class=(class(cell.slot)) { span { (cell.text) } }
                            }
                        }
                    }
                }
            }
            p.hint aria-hidden="true" { "Point at a cell, or tap it, to read what became of its slot." }
        }
        p.quiet { "A cell is an hour, and shows the best of it; the numbers count hours." }
        ul.key {
            @for slot in Slot::ALL.iter().filter(|slot| counts.contains_key(slot)) {
                li title=(slot.meaning()) {
                    b class=(class(*slot)) {} (slot.word()) " " span.quiet { (counts[slot]) }
                }
            }
        }
        details id=(format!("words-{at}")) {
            summary { "The same in words" }
            table.list {
                @for day in &grid.days {
                    tr { th scope="row" { (day.label) } td { (day.words()) } }
                }
            }
            dl {
                @for slot in Slot::ALL { dt { strong { (slot.word()) } } dd { (slot.meaning()) } }
            }
        }
    }
}

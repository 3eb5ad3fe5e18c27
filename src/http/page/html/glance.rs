//! The four answers.

use maud::{Markup, html};

use super::prose;
use crate::http::page::view::{Answer, Tone};

pub(super) fn answers(answers: &[Answer]) -> Markup {
    html! {
        dl.glance {
            @for answer in answers {
                div class=(tone(answer.tone)) {
                    dt { (answer.question) }
                    dd.answer { (answer.words) }
                    dd { (prose(&answer.detail)) }
                }
            }
        }
    }
}

fn tone(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Doubtful => "doubtful",
        Tone::Bad => "bad",
    }
}

//! `reliquary calendar`

use anyhow::Result;
use chrono::NaiveDate;
use clap::Args;
use serde_json::json;

use super::{DONE, Global, print};
use crate::{clock::Clock, recovery::calendar::calendar};

#[derive(Args, Debug)]
#[command(
    after_help = "The monthly review of a drill is on the first business day, the quarterly review \
    of the runbook on the first Monday. Importing it again changes the events and adds none.\n\n\
    Example: reliquary calendar > reviews.ics"
)]
pub(super) struct Arguments {
    /// The first day that may have an event, as in 2026-12-01 [default: today, UTC].
    #[arg(long, value_name = "DATE")]
    from: Option<NaiveDate>,
}

pub(super) fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let settings = global.settings(false)?;
    let from = arguments.from.unwrap_or_else(|| Clock::system().now().date_naive());
    let text = calendar(&settings, from);
    if global.json {
        print::json(&json!({ "calendar": text }))?;
    } else {
        print!("{text}");
    }
    Ok(DONE)
}

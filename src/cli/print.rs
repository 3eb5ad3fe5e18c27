//! How documents and tables look to a person on a terminal.

use std::{
    fs::{File, Metadata},
    os::{fd::AsFd, unix::fs::MetadataExt as _},
};

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use crate::figures::noun_of;
pub(super) use crate::figures::{age, count, size};

/// Whether stdout and stderr are read in one place: a terminal, or one file or pipe.
pub(super) fn is_one_place() -> bool {
    let place = |stream: &dyn AsFd| {
        let metadata = stream.as_fd().try_clone_to_owned().map(File::from)?.metadata();
        metadata.map(|found: Metadata| (found.dev(), found.ino()))
    };
    match (place(&std::io::stdout()), place(&std::io::stderr())) {
        (Ok(out), Ok(err)) => out == err,
        _ => false,
    }
}

/// One JSON document on stdout, and nothing else.
pub(super) fn json(document: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(document)?);
    Ok(())
}

/// `1 row`, `1,234 rows`
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {}", count(number), noun_of(number, noun))
}

/// A table without lines; the columns of `right` are aligned to the right.
pub(super) fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.to_vec());
    for &at in right {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

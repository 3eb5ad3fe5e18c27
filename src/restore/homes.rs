//! Tables that the archive fills and does not make: an extension was to make
//! them, and may be of another version on the target, or not be there.

use std::collections::BTreeSet;

use super::{
    failure::Failure,
    judge::Class,
    plan::{Plan, Skipped, name},
    statement::name_of,
};
use crate::{
    archive::{TableName, manifest::Table},
    postgres::Target,
};

/// Takes those out of the plan that are not there when rows are to come;
/// returns what is skipped by that.
pub(super) async fn look(
    plan: &mut Plan,
    tables: &[Table],
    control: &mut Target,
) -> Result<Vec<Skipped>, Failure> {
    let foreign = plan.proof.iter().filter(|expected| expected.at_least);
    let foreign: Vec<String> = foreign.map(|expected| name_of(&expected.table)).collect();
    if foreign.is_empty() {
        return Ok(Vec::new());
    }
    let absent: BTreeSet<String> = control.absent(&foreign).await?.into_iter().collect();
    let is_absent = |at: &usize| absent.contains(&name_of(&name(&tables[*at])));
    let skipped = plan.load.iter().filter(|at| is_absent(at)).map(|&at| {
        let table = &tables[at];
        let lost = table.rows > 0;
        Skipped {
            what: format!("{} rows of {}", table.rows, name_of(&name(table))),
            reason: "the extension that makes the table has not made it".to_owned(),
            class: if lost { Class::DataLoss } else { Class::PlatformDifference },
        }
    });
    let skipped = skipped.collect();
    let lost = plan.load.iter().filter(|at| is_absent(at) && tables[**at].rows > 0);
    let lost: Vec<TableName> = lost.map(|&at| name(&tables[at])).collect();
    plan.rowless.extend(lost);
    plan.load.retain(|at| !is_absent(at));
    plan.proof.retain(|expected| !absent.contains(&name_of(&expected.table)));
    plan.analyze.retain(|table| !absent.contains(&name_of(table)));
    Ok(skipped)
}

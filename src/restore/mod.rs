//! Getting it back: a plan, its guards, and the load.

mod clean;
mod fill_order;
mod guards;
mod judge;
mod options;
mod order;
mod plan;
mod platform;
mod script;
mod select;
mod statement;
mod tokens;

pub use guards::Asked;
pub use judge::Class;
pub use options::{NameError, Options, schema, table};
pub use order::Waves;
pub use plan::{Contents, Expected, Fill, Hold, Plan, Rest, Skipped, plan};
pub use platform::Platform;
pub use script::{ScriptError, cut};
pub use select::{Chosen, NotThere};
pub use statement::{Kind, Statement};

//! What is kept and what goes: pure, from what the bucket holds, the policy
//! and the time.
//!
//! Nothing here removes anything. [`plan()`] gives every backup and legacy
//! archive its decision, with its reasons; [`debris()`] names what was never a
//! backup; [`Refusal`] says when nothing at all may be removed; and
//! [`lifecycle`] holds a bucket's own rules against the policy.
//!
//! What must always hold, and is tested with random histories: the newest good
//! backup stays; one whose drill failed takes no place from another, and goes for
//! nothing but its age where it is all there is; planning again after the plan was
//! carried out changes nothing; an earlier time never removes more; a policy that
//! keeps more never removes more.

mod debris;
mod explain;
pub mod lifecycle;
mod plan;
mod policy;
mod proof;
mod refusal;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod testing;

pub use debris::{Debris, debris};
pub use explain::{explain, why};
pub use plan::{Decision, Plan, Reasons, plan, young_until};
pub use policy::Policy;
pub use proof::Drilled;
pub use refusal::{Refusal, check, check_clock};

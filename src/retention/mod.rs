//! What is kept and what goes: pure, from what the bucket holds, the policy
//! and the time.
//!
//! Nothing here removes anything. [`plan`] gives every backup and legacy
//! archive its decision, each with its reasons; [`debris()`] names what was
//! never a backup; [`refusal`] says when nothing at all may be removed; and
//! [`lifecycle`] holds a bucket's own rules against the policy.

pub mod lifecycle;
mod policy;

pub use policy::Policy;

//! The `reliquary` program.

fn main() {}

//! What becomes of a backup when something fails: the store, `pg_dump`, the
//! source, the process itself. After each fault the same two things hold:
//! nothing is listed or pointed at that is not whole, and running again
//! converges.

mod bench;
mod children;
mod crowded;
mod kill;
mod late;
mod peers;
mod process;
mod runner;
mod source;
mod store;
mod sweep;
mod tools;

//! Getting it back.
mod script;
mod statement;
mod tokens;

//! What the sessions of a restore are set to.

use super::{kind::Kind, statement::Statement};

/// Settings for psql's sessions, of those that the server knows.
pub(super) fn of_psql(known: &[String]) -> Vec<String> {
    [("synchronous_commit", "off"), ("client_connection_check_interval", "'2s'")]
        .into_iter()
        .filter(|(name, _)| known.iter().any(|known| known == name))
        .map(|(name, value)| format!("SET {name} = {value};"))
        .collect()
}

/// The settings with which a dump begins, which decide how its rows and
/// statements are read.
pub(super) fn preamble(pre_data: &[Statement], known: &[String]) -> Vec<String> {
    pre_data
        .iter()
        .take_while(|statement| statement.kind == Kind::Setting)
        .filter(|statement| {
            // What only says how long to wait is set already.
            let name = statement.object.as_ref().map_or("", |object| object.name.as_str());
            !name.ends_with("_timeout") && known.iter().any(|known| known == name)
        })
        .map(|statement| String::from_utf8_lossy(&statement.text).into_owned())
        .collect()
}

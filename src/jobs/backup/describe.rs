//! What a manifest says of the source.

use crate::{archive::manifest, postgres::Snapshot};

/// What the configuration left out of the snapshot.
pub(super) fn excluded(snapshot: &Snapshot) -> manifest::Excluded {
    let tables = |tables: &[(String, String)]| {
        tables
            .iter()
            .map(|(schema, name)| manifest::ExcludedTable {
                schema: schema.clone(),
                name: name.clone(),
            })
            .collect()
    };
    manifest::Excluded {
        schemas: snapshot.exclusions.schemas.clone(),
        tables: tables(&snapshot.exclusions.tables),
        table_data: tables(&snapshot.exclusions.table_data),
    }
}

/// The source, as the snapshot saw it.
pub(super) fn source_of(snapshot: &Snapshot) -> manifest::Source {
    let facts = &snapshot.facts;
    manifest::Source {
        server_version: facts.server_version.clone(),
        server_version_num: facts.server_version_num,
        database: facts.database.clone(),
        encoding: facts.encoding.clone(),
        system_identifier: facts.system_identifier.clone(),
        lsn: facts.lsn.clone(),
        snapshot_at: facts.taken_at,
        extensions: facts
            .extensions
            .iter()
            .map(|extension| manifest::Extension {
                name: extension.name.clone(),
                version: extension.version.clone(),
                schema: extension.schema.clone(),
            })
            .collect(),
        roles: facts.roles.clone(),
    }
}

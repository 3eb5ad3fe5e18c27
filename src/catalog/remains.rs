//! What can still be had of a backup in which verify found damage.

use super::{
    id::BackupId,
    key::Layout,
    read::{CatalogError, own_manifest},
};
use crate::{
    archive::{
        Manifest,
        manifest::Kind,
        map::{Map, MapError},
    },
    store::{ErrorKind, Store, StoreError},
};

/// How a damaged archive can be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Remains {
    /// Its manifest holds together, so that each member can be read by itself.
    Members(Box<Manifest>),
    /// No manifest leads to its members: it is one stream, as a legacy archive
    /// is. Says why, where there is a manifest at all.
    Stream(Option<Unusable>),
}

/// Why a manifest is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read, or is another backup's.
    #[error("{0}")]
    Unreadable(String),
    /// It contradicts itself.
    #[error(transparent)]
    Members(#[from] MapError),
}

/// Looks how a damaged archive can be read.
///
/// # Errors
/// When the store fails.
pub async fn remains(
    store: &dyn Store,
    layout: &Layout,
    kind: Kind,
    id: BackupId,
) -> Result<Remains, StoreError> {
    let manifest = match own_manifest(store, layout, kind, id).await {
        Ok(manifest) => manifest,
        Err(CatalogError::Store(error)) if error.kind == ErrorKind::NotFound => {
            return Ok(Remains::Stream(None));
        }
        Err(CatalogError::Store(error)) => return Err(error),
        Err(error) => return Ok(Remains::Stream(Some(Unusable::Unreadable(error.to_string())))),
    };
    Ok(match Map::of(&manifest) {
        Ok(_) => Remains::Members(Box::new(manifest)),
        Err(error) => Remains::Stream(Some(error.into())),
    })
}

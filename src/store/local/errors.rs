//! From what the file system says to what a person can act on.

use std::{error::Error, io, path::Path};

use crate::store::{ErrorKind, StoreError};

/// What an error of `object_store` means.
pub(super) fn failed(
    operation: &str,
    target: String,
    root: &Path,
    error: &object_store::Error,
) -> StoreError {
    let kind = match error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        other => cause(other).map_or(ErrorKind::Other, |io| kind_of(io, root)),
    };
    StoreError { operation: operation.to_owned(), target, kind, detail: chain(error) }
}

/// What an error of the file system means.
pub(super) fn failed_io(
    operation: &str,
    target: String,
    root: &Path,
    error: &io::Error,
) -> StoreError {
    StoreError {
        operation: operation.to_owned(),
        target,
        kind: kind_of(error, root),
        detail: if error.kind() == io::ErrorKind::NotADirectory {
            "a file stands where a folder must be; name another folder in store.url".to_owned()
        } else {
            error.to_string()
        },
    }
}

/// An error that is not the file system's.
pub(super) fn other(operation: &str, target: String, error: &dyn Error) -> StoreError {
    StoreError {
        operation: operation.to_owned(),
        target,
        kind: ErrorKind::Other,
        detail: error.to_string(),
    }
}

/// The file system gave no answer.
pub(super) fn timed_out(operation: &str, target: String) -> StoreError {
    StoreError {
        operation: operation.to_owned(),
        target,
        kind: ErrorKind::TimedOut,
        detail: "the file system does not answer".to_owned(),
    }
}

fn kind_of(error: &io::Error, root: &Path) -> ErrorKind {
    use io::ErrorKind as Io;
    match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::PermissionDenied | Io::ReadOnlyFilesystem => {
            ErrorKind::Denied(format!("read and write access to {}", root.display()))
        }
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::Full,
        Io::TimedOut => ErrorKind::TimedOut,
        Io::StaleNetworkFileHandle | Io::NetworkDown | Io::HostUnreachable => {
            ErrorKind::Unavailable
        }
        _ => ErrorKind::Other,
    }
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref() {
            return Some(io);
        }
        next = error.source();
    }
    None
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        // Most of the crate's errors quote their source already.
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        next = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_below_object_store_is_a_full_disk() {
        let wrapped = object_store::Error::Generic {
            store: "LocalFileSystem",
            source: Box::new(io::Error::from(io::ErrorKind::StorageFull)),
        };
        let target = "file:///backups/a".to_owned();
        let error = failed("put", target, Path::new("/backups"), &wrapped);
        assert_eq!(error.kind, ErrorKind::Full);
    }

    #[test]
    fn a_missing_right_names_the_directory() {
        let error = failed_io(
            "put",
            "file:///backups/a".to_owned(),
            Path::new("/backups"),
            &io::Error::from(io::ErrorKind::PermissionDenied),
        );
        assert!(error.to_string().contains("read and write access to /backups"), "{error}");
    }
}

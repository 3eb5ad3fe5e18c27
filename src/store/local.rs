//! The store in a directory, through `object_store`'s file system.
//!
//! Keys are paths below the directory. What is under way stands in the hidden
//! folder `.reliquary`, which no listing shows and no key can name; the crate's
//! own staging files (`name#1`, beside the object) are never listed either.
//! Files and folders are synced before a write returns. Before each call the directory
//! must still be the one that was opened: a disk may have been unmounted from it.
//!
//! Parts of an upload go into one file, one after the other, and the finished
//! file is linked under its name, which fails where something stands.

use std::{collections::HashMap, fmt, io, path::PathBuf, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::{StreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt as _, PutMode,
    local::LocalFileSystem, path::Path,
};
use tokio::sync::Mutex;

use self::{
    errors::{failed, failed_io},
    root::Place,
    walk::Walk,
};
use super::{
    Created, Deletion, ErrorKind, ObjectMeta, Page, PartTag, Result, Store, StoreError,
    UnfinishedUpload, UploadHandle,
};

mod errors;
mod listing;
mod range;
mod removal;
mod root;
mod uploads;
mod walk;

/// Where everything stands that is not an object.
const HIDDEN: &str = ".reliquary";
/// A call that takes longer is given up: a network file system can hang.
const DEADLINE: Duration = Duration::from_mins(2);
/// Objects in a page.
const PAGE: usize = 1000;

/// A directory of objects.
pub struct LocalStore {
    root: PathBuf,
    /// What stood there when it was opened.
    place: Place,
    files: LocalFileSystem,
    /// Uploads that this process began, by id.
    uploads: Mutex<HashMap<String, uploads::Upload>>,
    listings: listing::Listings,
}

impl fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStore").field("root", &self.root).finish_non_exhaustive()
    }
}

impl LocalStore {
    /// Opens a directory, and creates it where it is missing. One that is there is
    /// not written to: it may be a disk that can only be read.
    ///
    /// # Errors
    /// When it cannot be created or is not a directory.
    pub async fn open(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        let target = format!("file://{}", directory.display());
        let opened = tokio::task::spawn_blocking({
            let directory = directory.clone();
            move || {
                match std::fs::create_dir_all(&directory) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        return Err(io::ErrorKind::NotADirectory.into());
                    }
                    created => created?,
                }
                let root = directory.canonicalize()?;
                Place::of(&root).map(|place| (root, place))
            }
        })
        .await;
        let (root, place) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Err(failed_io("open", target, &directory, &error)),
            Err(error) => return Err(errors::other("open", target, &error)),
        };
        let files = LocalFileSystem::new_with_prefix(&root)
            .map_err(|error| failed("open", target, &root, &error))?
            .with_fsync(true);
        let listings = listing::Listings::default();
        Ok(Self { root, place, files, uploads: Mutex::new(HashMap::new()), listings })
    }

    /// The path of a key, which must not reach out of the directory.
    fn path(&self, operation: &str, key: &str) -> Result<Path> {
        let refuse = |detail: String| StoreError {
            operation: operation.to_owned(),
            target: self.uri(key),
            kind: ErrorKind::Other,
            detail,
        };
        let path = Path::parse(key).map_err(|error| refuse(error.to_string()))?;
        // Parsing takes slashes at the ends away, and with them the key.
        if key.is_empty() || path.as_ref() != key {
            return Err(refuse("a key must name a file below the directory".to_owned()));
        }
        if is_hidden(key) {
            return Err(refuse(format!("keys must not begin with {HIDDEN}/")));
        }
        if removal::is_staging(key) {
            return Err(refuse("keys must not end in # and a number".to_owned()));
        }
        Ok(path)
    }

    /// Runs a call against the deadline and puts its error into our words.
    async fn run<T>(
        &self,
        operation: &str,
        key: &str,
        call: impl Future<Output = object_store::Result<T>>,
    ) -> Result<T> {
        let checked = async {
            self.is_where_it_was(operation, key).await?;
            call.await.map_err(|error| failed(operation, self.uri(key), &self.root, &error))
        };
        match tokio::time::timeout(DEADLINE, checked).await {
            Ok(done) => done,
            Err(_) => Err(errors::timed_out(operation, self.uri(key))),
        }
    }

    /// Runs blocking file work against the deadline.
    async fn blocking<T: Send + 'static>(
        &self,
        operation: &str,
        key: &str,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let checked = async {
            self.is_where_it_was(operation, key).await?;
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(done)) => Ok(done),
                Ok(Err(error)) => Err(failed_io(operation, self.uri(key), &self.root, &error)),
                Err(error) => Err(errors::other(operation, self.uri(key), &error)),
            }
        };
        match tokio::time::timeout(DEADLINE, checked).await {
            Ok(done) => done,
            Err(_) => Err(errors::timed_out(operation, self.uri(key))),
        }
    }

    /// Refuses to go on where the directory is not the one that was opened.
    async fn is_where_it_was(&self, operation: &str, key: &str) -> Result<()> {
        let (root, opened) = (self.root.clone(), self.place);
        let checked = tokio::task::spawn_blocking(move || root::check(&root, opened)).await;
        let detail = match checked {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(detail)) => detail,
            Err(error) => return Err(errors::other(operation, self.uri(key), &error)),
        };
        Err(StoreError {
            operation: operation.to_owned(),
            target: self.uri(key),
            kind: ErrorKind::Unavailable,
            detail,
        })
    }

    /// Where the object of a key is.
    fn file(&self, operation: &str, key: &str) -> Result<PathBuf> {
        let path = self.path(operation, key)?;
        self.files
            .path_to_filesystem(&path)
            .map_err(|error| failed(operation, self.uri(key), &self.root, &error))
    }
}

#[async_trait]
impl Store for LocalStore {
    fn uri(&self, key: &str) -> String {
        format!("file://{}/{key}", self.root.display())
    }

    /// Parts stand in one file, one after the other.
    fn folder(&self) -> Option<&std::path::Path> {
        Some(&self.root)
    }

    fn parts_in_flight(&self) -> usize {
        1
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<()> {
        let path = self.path("put", key)?;
        self.run("put", key, self.files.put(&path, body.into())).await.map(drop)
    }

    async fn put_if_absent(&self, key: &str, body: Bytes) -> Result<Created> {
        let path = self.path("put", key)?;
        let created = async {
            let put = self.files.put_opts(&path, body.into(), PutMode::Create.into()).await;
            created(put.map(drop))
        };
        self.run("put", key, created).await
    }

    async fn begin_upload(&self, key: &str) -> Result<UploadHandle> {
        uploads::begin(self, key).await
    }

    /// Parts must come one after the other, each once.
    async fn upload_part(
        &self,
        upload: &UploadHandle,
        number: u32,
        body: Bytes,
    ) -> Result<PartTag> {
        uploads::send_part(self, upload, number, body).await
    }

    async fn complete_upload(&self, upload: &UploadHandle, parts: &[PartTag]) -> Result<Created> {
        uploads::complete(self, upload, parts).await
    }

    async fn abort_upload(&self, upload: &UploadHandle) -> Result<()> {
        uploads::abort(self, upload).await
    }

    async fn unfinished_uploads(&self, prefix: &str) -> Result<Vec<UnfinishedUpload>> {
        let (root, wanted) = (self.root.clone(), prefix.to_owned());
        self.blocking("list the unfinished uploads of", prefix, move || {
            removal::find(&root, &wanted)
        })
        .await
    }

    async fn get(&self, key: &str, limit: u64) -> Result<Bytes> {
        let path = self.path("get", key)?;
        let found = self.run("get", key, self.files.get(&path)).await?;
        if found.meta.size > limit {
            return Err(StoreError {
                operation: "get".to_owned(),
                target: self.uri(key),
                kind: ErrorKind::TooLarge,
                detail: format!("it has {} bytes, at most {limit} were expected", found.meta.size),
            });
        }
        self.run("get", key, found.bytes()).await
    }

    async fn get_range(
        &self,
        key: &str,
        start: u64,
        end: u64,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        if start >= end {
            return Ok(futures::stream::empty().boxed());
        }
        let path = self.path("read", key)?;
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(start..end)));
        let found = self.run("read", key, self.files.get_opts(&path, options)).await?;
        let refuse = |detail: String| StoreError {
            operation: "read".to_owned(),
            target: self.uri(key),
            kind: ErrorKind::Other,
            detail,
        };
        if found.range != (start..end) {
            return Err(refuse(format!(
                "the object does not hold bytes {start}..{end}: it has {}",
                found.meta.size
            )));
        }
        match found.payload {
            GetResultPayload::File(file, _) => Ok(range::read(file, start, end, self.uri(key))),
            GetResultPayload::Stream(_) => Err(refuse("it is not a file".to_owned())),
        }
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectMeta>> {
        let path = self.path("look at", key)?;
        match self.run("look at", key, self.files.head(&path)).await {
            Ok(meta) => Ok(Some(object(meta))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn list_page(&self, prefix: &str, next: Option<&str>) -> Result<Page> {
        // A prefix that leads out of the directory is refused as a key would be.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        Path::parse(folder).map_err(|error| StoreError {
            operation: "list".to_owned(),
            target: self.uri(prefix),
            kind: ErrorKind::Other,
            detail: error.to_string(),
        })?;
        let known = next.and_then(|token| self.listings.take(token));
        let after = next.map(|token| listing::last_key(token).to_owned());
        let (root, wanted) = (self.root.clone(), prefix.to_owned());
        let list = move || {
            let walk = match known {
                Some(walk) => walk,
                None => Walk::new(&root, &wanted, after.as_deref())?,
            };
            listing::page(walk, PAGE)
        };
        let (objects, rest) = self.blocking("list", prefix, list).await?;
        let next = rest.map(|(walk, last)| self.listings.keep(walk, &last));
        Ok(Page { objects, next })
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let file = self.file("delete", key)?;
        let left = self.blocking("delete", key, move || removal::delete(vec![file])).await?;
        match left.first() {
            None => Ok(()),
            Some((_, error)) => Err(failed_io("delete", self.uri(key), &self.root, error)),
        }
    }

    async fn delete_many(&self, keys: &[String]) -> Result<Deletion> {
        let (mut left, mut files, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            match self.file("delete", key) {
                Ok(file) => {
                    files.push(file);
                    named.push(key);
                }
                Err(error) => left.push((key.clone(), error)),
            }
        }
        let refused = self.blocking("delete from", "", move || removal::delete(files)).await?;
        left.extend(refused.into_iter().map(|(index, error)| {
            let key = named[index].clone();
            let error = failed_io("delete", self.uri(&key), &self.root, &error);
            (key, error)
        }));
        Ok(Deletion { left, hidden: 0 })
    }

    /// The time that the file system gives a new file: its server's where it
    /// is a network file system, otherwise this machine's.
    async fn server_time(&self) -> Result<DateTime<Utc>> {
        let folder = self.root.join(HIDDEN);
        self.blocking("ask the time of", "", move || {
            std::fs::create_dir_all(&folder)?;
            let file = tempfile::NamedTempFile::new_in(&folder)?;
            // A network file system gives the time of its server to what it
            // writes, not always to what is merely opened.
            std::io::Write::write_all(&mut file.as_file(), b"time")?;
            file.as_file().sync_all()?;
            Ok(DateTime::from(file.as_file().metadata()?.modified()?))
        })
        .await
    }
}

fn is_hidden(key: &str) -> bool {
    key.strip_prefix(HIDDEN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn object(meta: object_store::ObjectMeta) -> ObjectMeta {
    ObjectMeta { key: meta.location.into(), size: meta.size, last_modified: meta.last_modified }
}

fn created(written: object_store::Result<()>) -> object_store::Result<Created> {
    match written {
        Ok(()) => Ok(Created::Yes),
        Err(object_store::Error::AlreadyExists { .. }) => Ok(Created::AlreadyThere),
        Err(error) => Err(error),
    }
}

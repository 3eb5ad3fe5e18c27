//! A page of the objects below a directory.
//!
//! The directory is a person's: whatever else lies in it must not keep the
//! backups from being listed. A name that is no text is listed as well as it
//! can be written, and is nobody's key; a link that leads in a circle or
//! nowhere is passed over.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, PoisonError},
};

use super::{removal, walk::Walk};
use crate::store::ObjectMeta;

/// Listings that are remembered: those under way, and a few that were given up.
const REMEMBERED: usize = 8;

/// The listings that are under way, each by the token that asks for its next page.
///
/// A token is a name that no other listing has, a colon, and the last key: so one
/// that is not remembered any more goes on all the same, and none goes on with
/// what another has seen long ago.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<VecDeque<(String, Walk)>>);

impl Listings {
    /// The walk that a token stands for, taken out; `None` where it is forgotten.
    pub(super) fn take(&self, token: &str) -> Option<Walk> {
        let mut walks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = walks.iter().position(|(known, _)| known == token)?;
        walks.remove(at).map(|(_, walk)| walk)
    }

    /// Remembers a walk, and says by which token.
    pub(super) fn keep(&self, walk: Walk, last: &str) -> String {
        let token = format!("{}:{last}", removal::new_id());
        let mut walks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if walks.len() == REMEMBERED {
            walks.pop_front();
        }
        walks.push_back((token.clone(), walk));
        token
    }
}

/// The key that a token goes on from.
pub(super) fn last_key(token: &str) -> &str {
    token.split_once(':').map_or(token, |(_, key)| key)
}

/// A walk and the last key that it gave; `None` where it has come to its end.
pub(super) type Rest = Option<(Walk, String)>;

/// The next objects of a walk, at most `limit` of them, and the walk with the
/// last one's key where more will come.
///
/// # Errors
/// When a folder cannot be read: a partial listing decides nothing.
pub(super) fn page(mut walk: Walk, limit: usize) -> io::Result<(Vec<ObjectMeta>, Rest)> {
    let mut objects = Vec::new();
    let mut last = None;
    for _ in 0..limit {
        let Some((key, path)) = walk.next()? else { return Ok((objects, None)) };
        match path.metadata() {
            Ok(found) => {
                let last_modified = found.modified()?.into();
                objects.push(ObjectMeta { key: key.clone(), size: found.len(), last_modified });
            }
            // Files come and go while we look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        last = Some(key);
    }
    let rest = if walk.has_more()? { last.map(|last| (walk, last)) } else { None };
    Ok((objects, rest))
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsStr,
        fs,
        os::unix::{ffi::OsStrExt as _, fs::symlink},
    };

    use super::*;
    use crate::store::{LocalStore, Store as _};

    #[test]
    fn whatever_lies_there_the_rest_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("database/2026")).unwrap();
        fs::write(root.join("database/2026/good"), "12345").unwrap();
        fs::write(root.join("database/two\nlines"), "").unwrap();
        fs::write(root.join("database").join(OsStr::from_bytes(b"no text \xff")), "").unwrap();
        symlink("../database", root.join("database/circle")).unwrap();
        symlink("nowhere", root.join("database/dangling")).unwrap();
        fs::create_dir(root.join("elsewhere")).unwrap();
        fs::write(root.join("elsewhere/linked"), "").unwrap();
        symlink("../elsewhere", root.join("database/linked")).unwrap();
        let walk = Walk::new(root, "database/", None).unwrap();
        let (objects, rest) = page(walk, 10).unwrap();
        let keys: Vec<&str> = objects.iter().map(|object| object.key.as_str()).collect();
        let odd = "database/no text \u{fffd}";
        let expected = ["database/2026/good", "database/linked/linked", odd, "database/two\nlines"];
        assert_eq!(keys, expected);
        assert_eq!(objects[0].size, 5);
        assert!(rest.is_none());
    }

    #[test]
    fn pages_follow_each_other_without_gap_or_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..25).map(|n| format!("n/{}/{n:02}", n / 7)).collect();
        for name in &names {
            fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            fs::write(dir.path().join(name), "").unwrap();
        }
        // Going on with the same walk, and beginning one anew for each page.
        for anew in [false, true] {
            let mut walk = Some(Walk::new(dir.path(), "n/", None).unwrap());
            let mut keys = Vec::new();
            while let Some(this) = walk {
                let (objects, rest) = page(this, 5).unwrap();
                assert_eq!(objects.len(), 5);
                keys.extend(objects.into_iter().map(|object| object.key));
                walk = rest.map(|(walk, last)| {
                    if anew { Walk::new(dir.path(), "n/", Some(&last)).unwrap() } else { walk }
                });
            }
            assert_eq!(keys, names);
        }
    }

    /// A listing that is given up must not lend its eyes to a later one, and one
    /// that is forgotten goes on.
    #[tokio::test]
    async fn each_listing_sees_what_is_there_when_it_comes_to_it() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..1001 {
            fs::write(dir.path().join(format!("{number:04}")), "").unwrap();
        }
        let store = LocalStore::open(dir.path()).await.unwrap();
        let token = store.list_page("", None).await.unwrap().next.unwrap();
        fs::write(dir.path().join("1001"), "").unwrap();
        assert_eq!(crate::store::list_all(&store, "").await.unwrap().len(), 1002);
        let rest = async || store.list_page("", Some(&token)).await.unwrap().objects.len();
        assert_eq!((rest().await, rest().await), (1, 2), "remembered once, then looked up");
    }

    #[test]
    fn listings_that_are_given_up_are_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let listings = Listings::default();
        let walk = || Walk::new(dir.path(), "", None).unwrap();
        let tokens: Vec<String> = (0..20).map(|_| listings.keep(walk(), "a:b")).collect();
        let known = tokens.iter().filter(|token| listings.take(token).is_some()).count();
        assert_eq!(known, REMEMBERED);
        assert_eq!(last_key(&tokens[0]), "a:b");
    }
}

//! Asks the store about itself, and tries our rights on one object of our own.

use bytes::Bytes;

use super::Gathered;
use crate::{
    audit::{Finding, access, bucket as checks, clocks, files, lifecycle},
    catalog::Key,
    jobs::{Environment, Source},
    retention::{Policy, lifecycle::Remover},
    settings::SweepMode,
    store::{Address, Condition, Created, Observed, Removal, Result, S3Store, Store, Versioning},
    words::Check,
};

/// What is written where a probe is wanted.
const PROBE: &[u8] =
    b"An audit of Reliquary's writes this, to see what it may do here. It is no backup.\n";

/// What makes no sense of a folder.
const BUCKET_ONLY: [Check; 16] = [
    Check::Region,
    Check::StoreTransport,
    Check::Encryption,
    Check::PublicAccess,
    Check::AccountPublicAccess,
    Check::PolicyGrants,
    Check::PolicyTls,
    Check::AccessLists,
    Check::Versioning,
    Check::ObjectLock,
    Check::AccessLogging,
    Check::UnfinishedUploads,
    Check::Lifecycle,
    Check::Identity,
    Check::PolicyChange,
    Check::Checksums,
];

/// Makes the store's checks. `data` says where the source's own data are.
pub(super) async fn check(
    environment: &Environment,
    source: &Source,
    data: files::DataPlace,
    gathered: &mut Gathered,
) {
    let store = environment.store.as_ref();
    let key = source.layout.key(Key::Probe);
    gathered.findings.push(clock(environment).await);
    let Some(bucket) = store.bucket() else {
        gathered.exempt(&BUCKET_ONLY, "the store is a folder on this machine");
        return folder(store, &key, data, gathered).await;
    };
    // So many questions at once make a large future.
    let versioning = Box::pin(configuration(source, bucket, gathered)).await;
    gathered.findings.extend(trials(source, store, bucket, &key, &versioning).await);
    gathered.exempt(&[Check::StoreFolder, Check::StoreDisk], "the store is a bucket");
}

/// Reads the bucket's configuration; gives back whether it keeps versions,
/// which decides what deleting is worth.
async fn configuration(
    source: &Source,
    bucket: &S3Store,
    gathered: &mut Gathered,
) -> Observed<Versioning> {
    let name = bucket.name();
    let (address, region) = bucket.whereabouts().await;
    let identity = bucket.identity().await;
    let known = identity.value();
    let account = match known {
        Some(identity) => bucket.account_public_access(&identity.account, &address).await,
        None => Observed::Failed("whose account this is, is not known".to_owned()),
    };
    let (encryption, public, policy, off, grants, versioning, lock, logging, rules) = tokio::join!(
        bucket.default_encryption(),
        bucket.public_access(),
        bucket.policy(),
        bucket.lists_are_off(),
        bucket.grants(),
        bucket.versioning(),
        bucket.object_lock(),
        bucket.access_logging(),
        bucket.lifecycle_rules(),
    );
    let rules = match rules {
        Ok(rules) => Observed::Value(rules.unwrap_or_default()),
        Err(error) => error.into(),
    };
    let (retention, remover) = (Policy::of(&source.settings), remover(source));
    let tried = bucket.try_policy_change(Address::is_aws).await;
    gathered.findings.extend([
        checks::region(&bucket.signing_region(), &region),
        checks::transport(&address),
        checks::encryption(name, bucket.asked_encryption(), &encryption),
        checks::public_access(name, &public, &account),
        checks::account_public_access(known.map(|own| own.account.as_str()), &account, &public),
        access::policy_grants(name, known, &policy),
        access::policy_tls(name, &policy),
        checks::access_lists(name, &off, &grants),
        checks::versioning(name, &versioning),
        checks::object_lock(name, retention.keep_for, &lock),
        checks::access_logging(name, &logging),
        lifecycle::unfinished_uploads(name, &source.layout, &rules),
        lifecycle::against_retention(name, &source.layout, &retention, remover, &rules),
        access::identity(&identity),
        access::policy_change(name, known, &policy, &tried),
    ]);
    versioning
}

fn remover(source: &Source) -> Remover {
    match source.settings.sweep.mode {
        SweepMode::Delete => Remover::Reliquary,
        SweepMode::Lifecycle => Remover::Bucket,
    }
}

/// Whether it is for us to delete what retention no longer keeps.
fn sweeps(source: &Source) -> bool {
    source.settings.sweep.enabled && remover(source) == Remover::Reliquary
}

/// Writes one object of our own, and tries on it what else is to be known.
async fn trials(
    source: &Source,
    store: &dyn Store,
    bucket: &S3Store,
    key: &str,
    versioning: &Observed<Versioning>,
) -> Vec<Finding> {
    let written = write(store, key).await;
    if written.is_err() {
        // Without an object of ours there is nothing to try anything on.
        let rest = [Check::Delete, Check::ConditionalWrites, Check::Checksums];
        let unknown = |check| {
            let fix = "mend what `write` says, and run the audit again";
            Finding::unknown(check, "no object of our own could be written", fix)
        };
        return std::iter::once(access::write(&written)).chain(rest.map(unknown)).collect();
    }
    let body = || Bytes::from_static(PROBE);
    let condition = bucket.try_condition(key, body()).await;
    let damage = bucket.try_damage(key, body()).await;
    let deletion = bucket.try_delete(key).await;
    vec![
        access::write(&written),
        access::conditional_writes(&condition),
        access::checksums(bucket.checksum_mode(), &damage),
        access::delete(&deletion, sweeps(source), versioning),
    ]
}

/// Whether what was written is what is read.
async fn write(store: &dyn Store, key: &str) -> Result<bool> {
    store.put(key, Bytes::from_static(PROBE)).await?;
    let read = store.get(key, PROBE.len() as u64 * 2).await?;
    Ok(read == PROBE)
}

async fn folder(store: &dyn Store, key: &str, data: files::DataPlace, gathered: &mut Gathered) {
    let written = write(store, key).await;
    gathered.findings.push(access::write(&written));
    if written.is_ok() {
        let again = store.put_if_absent(key, Bytes::from_static(PROBE)).await;
        let condition = again.map(|created| match created {
            Created::AlreadyThere => Condition::Honoured,
            Created::Yes => Condition::Ignored,
        });
        gathered.findings.push(access::conditional_writes(&condition));
        let deleted = delete(store, key).await;
        // Whoever may write into a folder may delete there as well.
        gathered.findings.push(access::delete(&deleted, true, &Observed::NotConfigured));
    }
    let Some(path) = store.folder() else { return };
    let user = nix::unistd::geteuid().as_raw();
    match files::FileFacts::read("store.url", path) {
        Ok(folder) => gathered
            .findings
            .extend([files::store_folder(&folder, user), files::store_disk(&folder, data)]),
        Err(error) => {
            let path = path.display();
            let found = format!("{path} cannot be looked at: {error}");
            gathered.findings.extend(
                [Check::StoreFolder, Check::StoreDisk]
                    .map(|check| Finding::unknown(check, found.clone(), format!("ls -ld {path}"))),
            );
        }
    }
}

async fn delete(store: &dyn Store, key: &str) -> Result<Removal> {
    store.delete(key).await?;
    let left = store.head(key).await?;
    Ok(left.map_or(Removal::Gone, |_| Removal::StillThere))
}

async fn clock(environment: &Environment) -> Finding {
    let before = environment.clock.now();
    let time = environment.store.server_time().await;
    let middle = before + (environment.clock.now() - before) / 2;
    let skew = time.map(|time| middle - time).map_err(|error| error.to_string());
    clocks::between(Check::ClockStore, "the store's", skew)
}

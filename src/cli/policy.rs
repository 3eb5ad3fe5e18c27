//! `reliquary policy`

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{DONE, Global, Misused, print};
use crate::{
    app,
    audit::policies::Place,
    settings::{Encryption, Settings, StoreLocation},
};

#[derive(Args, Debug)]
#[command(
    after_help = "writer: the daemon that sweeps nothing. keeper: the daemon with the sweep. \
    restorer: whoever gets a backup back; reads, and writes logs of incidents.\nbucket: what the bucket itself refuses \
    whoever asks.\n\nExamples:\n  reliquary policy\n  reliquary policy writer > writer.json\n  \
    reliquary policy bucket --principal arn:aws:iam::111122223333:role/backup-writer"
)]
pub(super) struct Arguments {
    /// Which one; all of them where none is named.
    #[arg(value_enum)]
    which: Option<Which>,
    /// ARN of a user or a role that one of the three is attached to: the bucket keeps it from changing
    /// what protects it, and keeps other accounts out [default: ask AWS who we are].
    #[arg(long, value_name = "ARN")]
    principal: Vec<String>,
    /// ARN of the KMS key that objects are encrypted with [default: `store.kms_key_id`].
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Writer,
    Keeper,
    Restorer,
    Bucket,
}

pub(super) async fn run(global: &Global, arguments: &Arguments) -> Result<u8> {
    let settings = global.settings(false)?;
    for arn in &arguments.principal {
        if !is_principal(arn) {
            bail!(Misused(format!(
                "--principal takes the ARN of a user or a role, such as \
                 arn:aws:iam::111122223333:role/backup, and not {arn:?}"
            )));
        }
    }
    let StoreLocation::S3 { bucket } = &settings.store.location else {
        bail!(Misused("policies are for buckets, and `store.url` names a folder".to_owned()));
    };
    let store = app::store(&settings.store).await?;
    let Some(client) = store.bucket() else {
        bail!("there is no bucket behind store.url; this is a fault in Reliquary");
    };
    let place = Place {
        bucket: bucket.clone(),
        prefixes: settings.databases.values().map(|database| database.prefix.clone()).collect(),
        kms_key: arguments.kms_key.clone().or_else(|| kms_key(&settings)),
        region: client.signing_region(),
    };
    let wants = |which| arguments.which.is_none_or(|wanted| wanted == which);
    let mut principals: BTreeSet<String> = arguments.principal.iter().cloned().collect();
    if wants(Which::Bucket) && principals.is_empty() {
        match client.identity().await.value().filter(|identity| !identity.is_root()) {
            Some(identity) => {
                principals.insert(identity.principal());
            }
            None => eprintln!(
                "note: who is kept out, and who is kept from tampering, is left out of the \
                 bucket's policy, since it is not known who we are; add --principal ARN"
            ),
        }
    }
    let principals: Vec<String> = principals.into_iter().collect();
    let named = |which| match which {
        Which::Writer => ("writer", place.writer()),
        Which::Keeper => ("keeper", place.keeper()),
        Which::Restorer => ("restorer", place.restorer()),
        Which::Bucket => ("bucket", place.bucket(&principals)),
    };
    match arguments.which {
        // One policy is a document by itself, to be piped into a file.
        Some(which) => print::json(&named(which).1)?,
        None if global.json => {
            let all = Which::value_variants().iter().map(|which| named(*which));
            print::json(&all.collect::<std::collections::BTreeMap<&str, Value>>())?;
        }
        None => {
            for which in Which::value_variants() {
                let (name, policy) = named(*which);
                println!("# {name}");
                print::json(&policy)?;
            }
        }
    }
    if place.kms_key.as_deref().is_some_and(|key| !key.starts_with("arn:")) {
        eprintln!(
            "note: the KMS key is not named by its ARN, which a policy needs; add --kms-key ARN"
        );
    }
    Ok(DONE)
}

fn is_principal(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts[..], ["arn", _, "iam", "", account, name]
        if account.len() == 12 && (name.starts_with("role/") || name.starts_with("user/")))
}

/// The key that objects are encrypted with, where it is one of our own; AWS's
/// own key asks no rights of those who use it through S3.
fn kms_key(settings: &Settings) -> Option<String> {
    match &settings.store.encryption {
        Encryption::SseKms(key) => key.clone(),
        Encryption::BucketDefault | Encryption::SseS3 => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_and_roles_are_principals() {
        assert!(is_principal("arn:aws:iam::111122223333:role/team/backup"));
        assert!(is_principal("arn:aws-cn:iam::111122223333:user/backup"));
        for arn in ["*", "111122223333", "arn:aws:iam::111122223333:root", "arn:aws:iam::1:role/x"]
        {
            assert!(!is_principal(arn), "{arn}");
        }
    }
}

//! Checks of who may do what: the bucket's policy, and our own credentials.

use super::{
    Finding,
    document::{Document, Principal, Statement},
    without_value,
};
use crate::{
    store::{
        ChecksumMode, Condition, Damage, ErrorKind, Identity, Observed, PolicyChange, Removal,
        StoreError, Versioning,
    },
    words::Check,
};

fn get_policy(bucket: &str) -> String {
    format!("aws s3api get-bucket-policy --bucket {bucket} --query Policy --output text")
}

fn put_policy(bucket: &str) -> String {
    format!(
        "reliquary policy bucket > policy.json, look at it, and: aws s3api put-bucket-policy \
         --bucket {bucket} --policy file://policy.json"
    )
}

/// The policy as a document, or what to say where there is none.
fn document(
    check: Check,
    bucket: &str,
    observed: &Observed<String>,
) -> Result<Option<Document>, Finding> {
    if let Some(finding) = without_value(check, observed, &get_policy(bucket)) {
        return Err(finding);
    }
    match observed.value() {
        None => Ok(None),
        Some(text) => match Document::parse(text) {
            Some(document) => Ok(Some(document)),
            None => Err(Finding::unknown(
                check,
                "the bucket's policy cannot be read as one",
                get_policy(bucket),
            )),
        },
    }
}

/// The bucket's policy lets nobody else in.
#[must_use]
pub fn policy_grants(
    bucket: &str,
    identity: Option<&Identity>,
    observed: &Observed<String>,
) -> Finding {
    let check = Check::PolicyGrants;
    let document = match document(check, bucket, observed) {
        Ok(Some(document)) => document,
        Ok(None) => {
            return Finding::pass(check, "the bucket has no policy, which lets nobody in");
        }
        Err(finding) => return finding,
    };
    let (mut strangers, mut narrowed, mut writers, mut readers, mut unknown) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let own = identity.map(Identity::principal);
    for statement in document.statements.iter().filter(|statement| statement.allows) {
        for principal in &statement.principals {
            let name = principal.name().to_owned();
            let foreign = match (principal, identity) {
                (Principal::Everybody | Principal::Other(_), _) => true,
                (Principal::Service(_), _) => false,
                // Whose account this is cannot be told without an identity.
                (_, None) => {
                    unknown.push(describe(&name, statement));
                    continue;
                }
                (_, Some(own)) => principal.account() != Some(own.account.as_str()),
            };
            if foreign && statement.conditions.is_empty() {
                strangers.push(describe(&name, statement));
            } else if foreign {
                narrowed.push(describe(&name, statement));
            } else if Some(&name) == own.as_ref() {
            } else if statement.writes() {
                writers.push(describe(&name, statement));
            } else {
                readers.push(name);
            }
        }
    }
    let list = |names: &mut Vec<String>| {
        names.sort();
        names.dedup();
        names.join(", ")
    };
    if !strangers.is_empty() {
        return Finding::fail(
            check,
            format!("the bucket's policy lets in: {}", list(&mut strangers)),
            format!("take these statements out; {}", put_policy(bucket)),
        );
    }
    if !unknown.is_empty() {
        return Finding::unknown(
            check,
            format!(
                "whose credentials these are is not known, and so not whether they are strangers \
                 whom the bucket's policy lets in: {}",
                list(&mut unknown)
            ),
            format!("make sure that each of them is yours; {}", get_policy(bucket)),
        );
    }
    if !narrowed.is_empty() {
        return Finding::warn(
            check,
            format!(
                "the bucket's policy lets in, under conditions that are not judged here: {}",
                list(&mut narrowed)
            ),
            format!(
                "make sure that the conditions leave nobody but yourselves; {}",
                get_policy(bucket)
            ),
        );
    }
    if !writers.is_empty() {
        return Finding::warn(
            check,
            format!("others of the account may change what is here: {}", list(&mut writers)),
            "leave that right to the writer and the keeper alone (reliquary policy)",
        );
    }
    let readers = list(&mut readers);
    if readers.is_empty() {
        Finding::pass(check, "the bucket's policy lets in nobody else")
    } else {
        Finding::pass(check, format!("the bucket's policy lets in, to read: {readers}"))
    }
}

fn describe(name: &str, statement: &Statement) -> String {
    let actions = if statement.not_actions {
        "all but some actions".to_owned()
    } else {
        statement.actions.join(" ")
    };
    if statement.sid.is_empty() {
        format!("{name} ({actions})")
    } else {
        format!("{name} ({actions}, statement {:?})", statement.sid)
    }
}

/// The bucket's policy refuses requests without TLS.
#[must_use]
pub fn policy_tls(bucket: &str, observed: &Observed<String>) -> Finding {
    let check = Check::PolicyTls;
    let found = match document(check, bucket, observed) {
        Ok(Some(document)) if document.statements.iter().any(|s| s.refuses_plain_http(bucket)) => {
            return Finding::pass(check, "the bucket's policy refuses requests without TLS");
        }
        Ok(Some(_)) => {
            "no statement of the bucket's policy refuses every request without TLS \
             (Deny, Principal \"*\", s3:*, bucket and objects, aws:SecureTransport false)"
        }
        Ok(None) => "the bucket has no policy, so requests without TLS are served",
        Err(finding) => return finding,
    };
    Finding::fail(check, found, put_policy(bucket))
}

/// The credentials are not those of the whole account.
#[must_use]
pub fn identity(observed: &Observed<Identity>) -> Finding {
    let check = Check::Identity;
    match observed {
        Observed::Value(identity) if identity.is_root() => Finding::fail(
            check,
            format!(
                "these are the root keys of account {}: they may do everything",
                identity.account
            ),
            "make a user or a role with `reliquary policy writer`, use its keys, and delete the \
             root ones",
        ),
        Observed::Value(identity) => {
            Finding::pass(check, format!("the credentials are those of {}", identity.arn))
        }
        Observed::Unsupported(said) => Finding::unknown(
            check,
            format!("this store does not tell whose credentials these are ({said})"),
            "see in its console that they reach this one bucket and no more",
        ),
        other => without_value(check, other, "aws sts get-caller-identity").unwrap_or_else(|| {
            Finding::unknown(check, "the token service names nobody", "aws sts get-caller-identity")
        }),
    }
}

/// The credentials can write, and read what they wrote.
#[must_use]
pub fn write(outcome: &Result<bool, StoreError>) -> Finding {
    let check = Check::Write;
    match outcome {
        Ok(true) => Finding::pass(check, "an object of our own was written and read back"),
        Ok(false) => Finding::fail(
            check,
            "an object of our own was written, and read back as something else",
            "do not trust this store; ask whoever runs it",
        ),
        Err(error) => match &error.kind {
            ErrorKind::Denied(permission) => Finding {
                permission: Some(permission.clone()),
                ..Finding::fail(
                    check,
                    format!("no backup can be made: {error}"),
                    "attach what `reliquary policy writer` prints to the credentials' user or role",
                )
            },
            _ => Finding::fail(
                check,
                format!("no backup can be made: {error}"),
                "mend what the message names",
            ),
        },
    }
}

/// What is known of deleting, with what that is worth here.
#[must_use]
pub fn delete(
    outcome: &Result<Removal, StoreError>,
    sweeps: bool,
    versioning: &Observed<Versioning>,
) -> Finding {
    let check = Check::Delete;
    let versions = matches!(versioning.value(), Some(Versioning::Enabled { .. }));
    match outcome {
        Err(StoreError { kind: ErrorKind::Denied(permission), .. }) if sweeps => Finding {
            permission: Some(permission.clone()),
            ..Finding::fail(
                check,
                "the credentials cannot delete, and the sweep is to remove what retention no longer \
                 keeps",
                "attach what `reliquary policy keeper` prints; or let the bucket do it: \
                 sweep.mode = \"lifecycle\"",
            )
        },
        Err(StoreError { kind: ErrorKind::Denied(_), .. }) => {
            Finding::pass(check, "the credentials cannot delete, and need not")
        }
        Err(error) => {
            Finding::unknown(check, format!("there was no answer: {error}"), "run the audit again")
        }
        Ok(Removal::StillThere) => Finding::fail(
            check,
            "the store said that our object was deleted, and it is still there",
            "ask whoever runs this store; the sweep cannot do its work",
        ),
        Ok(_) if sweeps => Finding::pass(check, "the credentials can delete, as the sweep must"),
        Ok(Removal::Hidden) => Finding::warn(
            check,
            "the credentials can delete and need not; versions are kept",
            "attach what `reliquary policy writer` prints instead",
        ),
        Ok(Removal::Gone) if versions => Finding::warn(
            check,
            "the credentials can delete and need not",
            "attach what `reliquary policy writer` prints instead",
        ),
        Ok(Removal::Gone) => Finding::fail(
            check,
            "the credentials can delete and need not, and no version is kept: whoever takes this \
             machine can destroy every backup",
            "attach what `reliquary policy writer` prints instead, and switch versioning on",
        ),
    }
}

/// The credentials cannot change the bucket's policy.
#[must_use]
pub fn policy_change(
    bucket: &str,
    identity: Option<&Identity>,
    policy: &Observed<String>,
    tried: &Observed<PolicyChange>,
) -> Finding {
    let check = Check::PolicyChange;
    let fix = "attach what `reliquary policy writer` prints, and no more; and what `reliquary \
               policy bucket` prints to the bucket, which keeps these credentials from changing it";
    let by_hand = format!(
        "aws iam simulate-principal-policy --policy-source-arn {} --action-names \
         s3:PutBucketPolicy --resource-arns arn:aws:s3:::{bucket}",
        identity.map_or_else(|| "ARN".to_owned(), Identity::principal)
    );
    match tried {
        Observed::Value(PolicyChange::Refused) => {
            return Finding::pass(check, "changing the bucket's policy is refused");
        }
        Observed::Value(PolicyChange::Allowed(said)) => {
            return Finding::fail(
                check,
                format!(
                    "the credentials may change the bucket's policy: what was sent was refused for \
                     what it was, not for who sent it ({said})"
                ),
                fix,
            );
        }
        _ => {}
    }
    // The policy itself may say no, whatever else the credentials may do.
    let denies = |document: Document, own: &Identity| {
        document.statements.iter().any(|statement| {
            !statement.allows
                && statement.conditions.is_empty()
                && statement.covers_principal(&own.principal())
                && statement.covers_action("s3:putbucketpolicy")
                && statement.covers_resource(&format!("arn:aws:s3:::{bucket}"))
        })
    };
    if let (Some(text), Some(own)) = (policy.value(), identity)
        && Document::parse(text).is_some_and(|document| denies(document, own))
    {
        return Finding::pass(check, "the bucket's policy itself keeps these credentials from it");
    }
    match tried {
        Observed::Value(PolicyChange::NotTried) => Finding::unknown(
            check,
            "this is tried with AWS alone, where it can be done without a chance to change anything",
            format!("ask the store's own tools; on AWS: {by_hand}"),
        ),
        other => without_value(check, other, &by_hand)
            .unwrap_or_else(|| Finding::unknown(check, "there was no answer", by_hand)),
    }
}

/// A write that must not replace anything does not.
#[must_use]
pub fn conditional_writes(outcome: &Result<Condition, StoreError>) -> Finding {
    let check = Check::ConditionalWrites;
    let fix = "let one daemon alone write to this prefix (its lock on the source database sees to \
               that where all of them read the same server); or use a store that honours \
               If-None-Match";
    match outcome {
        Ok(Condition::Honoured) => {
            Finding::pass(check, "an object that was there was not replaced (If-None-Match)")
        }
        Ok(Condition::Unsupported) => Finding::warn(
            check,
            "the store does not know If-None-Match; whether an object is there is asked before it \
             is written, as a single writer may",
            fix,
        ),
        Ok(Condition::Ignored) => Finding::warn(
            check,
            "the store takes If-None-Match and ignores it; from now on this process asks whether \
             an object is there before it writes it, as a single writer may",
            fix,
        ),
        Err(error) => {
            Finding::unknown(check, format!("there was no answer: {error}"), "run the audit again")
        }
    }
}

/// Bytes that arrive damaged are refused.
#[must_use]
pub fn checksums(mode: ChecksumMode, outcome: &Result<Damage, StoreError>) -> Finding {
    let check = Check::Checksums;
    let name = match mode {
        ChecksumMode::Crc64Nvme => "CRC-64/NVME",
        ChecksumMode::Crc32c => "CRC-32C",
        ChecksumMode::Sha256 => "SHA-256",
        ChecksumMode::Md5 => "Content-MD5",
    };
    match outcome {
        Ok(Damage::Refused) => {
            Finding::pass(check, format!("bytes that do not fit their {name} were refused"))
        }
        Ok(Damage::Stored) => Finding::fail(
            check,
            format!(
                "bytes that do not fit their {name} were stored: damage on the way goes unnoticed"
            ),
            "set store.checksum to another of crc64nvme, crc32c, sha256, none, and audit again; \
             `reliquary verify` finds what was damaged on its way",
        ),
        Err(error) => {
            Finding::unknown(check, format!("there was no answer: {error}"), "run the audit again")
        }
    }
}

#[cfg(test)]
mod tests;

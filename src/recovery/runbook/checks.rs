//! The hardening checklist, with what the last audit found.

use serde_json::json;

use super::{Facts, block, chosen, commands::aws, heading, row};
use crate::{
    audit::Report,
    rfc3339,
    settings::{Encryption, Settings, StoreLocation},
    visible::visible,
    words::CheckResult,
};

/// The checklist.
pub(super) fn hardening(settings: &Settings, facts: Option<&Facts>) -> String {
    let mut text = heading("Hardening checklist");
    text += "`reliquary audit` checks each of these against the real bucket, source and clock, \
             every night and whenever it is asked, and says what mends it; exit code 3 says that \
             one failed.\n\n";
    if let StoreLocation::S3 { bucket } = &settings.store.location {
        text += "- Default encryption, so that everything is encrypted at rest\n\
                 - No public access, of the bucket nor of the account\n\
                 - Versions, so that what is deleted can be had back\n\
                 - Least privilege: who writes cannot delete, who restores writes nothing but logs of incidents\n\
                 - Requests under TLS only, and nobody from another account\n\
                 - Access logs, into another bucket\n\n";
        let aws = aws(settings);
        let rules = json!({
            "Rules": [{ "ApplyServerSideEncryptionByDefault": encryption(&settings.store.encryption) }],
        });
        text += &block(&[
            format!(
                "{aws} s3api put-bucket-encryption --bucket {bucket} \
                 --server-side-encryption-configuration '{rules}'"
            ),
            format!(
                "{aws} s3api put-public-access-block --bucket {bucket} \
                 --public-access-block-configuration \
                 BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
            ),
            format!(
                "{aws} s3api put-bucket-versioning --bucket {bucket} --versioning-configuration \
                 Status=Enabled"
            ),
        ]);
        text += "\nWhat is attached to the user or role that writes, and what replaces the \
                 bucket's own policy (read it before it does):\n\n";
        text += &block(&[
            "reliquary policy writer > writer.json".to_owned(),
            "reliquary policy bucket --principal \"$BACKUP_PRINCIPAL\" > bucket.json".to_owned(),
            format!("{aws} s3api put-bucket-policy --bucket {bucket} --policy file://bucket.json"),
        ]);
        text.push('\n');
    }
    let lines: Vec<String> = settings
        .databases
        .keys()
        .map(|name| format!("reliquary audit{}", chosen(settings, name)))
        .collect();
    text += &block(&lines);
    for (name, known) in facts.into_iter().flat_map(|facts| &facts.databases) {
        let Ok(known) = known else { continue };
        match &known.audit {
            Some(report) => text += &results(name, report),
            None => text += &format!("\nDatabase {name}: no audit is on record yet.\n"),
        }
    }
    text
}

/// What the bucket is to encrypt with by itself.
fn encryption(encryption: &Encryption) -> serde_json::Value {
    match encryption {
        Encryption::BucketDefault | Encryption::SseS3 => json!({ "SSEAlgorithm": "AES256" }),
        Encryption::SseKms(None) => json!({ "SSEAlgorithm": "aws:kms" }),
        Encryption::SseKms(Some(key)) => {
            json!({ "SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key })
        }
    }
}

fn results(name: &str, report: &Report) -> String {
    let tally = report.tally();
    let mut text = format!(
        "\nDatabase {name}, as audited at {}: {} passed, {} to think about, {} failed, {} unknown.\n\n",
        rfc3339::format(report.time),
        tally.pass,
        tally.warn,
        tally.fail,
        tally.unknown
    );
    text += &row(&["Check", "Result", "Found"]);
    text += &row(&["---"; 3]);
    for finding in &report.findings {
        let result = match finding.result {
            CheckResult::Fail => "**fail**",
            other => other.as_str(),
        };
        text += &row(&[finding.check.as_str(), result, &visible(&finding.found)]);
    }
    text
}

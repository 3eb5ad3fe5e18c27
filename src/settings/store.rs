//! `[store]`

use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::{
    ChecksumMode, Encryption, StaticCredentials, StoreLocation, StoreSettings,
    raw::Section,
    units::{GIB, MIB},
};

/// The values of `store.checksum`.
pub(super) const CHECKSUMS: [(&str, ChecksumMode); 4] = [
    ("crc64nvme", ChecksumMode::Crc64Nvme),
    ("crc32c", ChecksumMode::Crc32c),
    ("sha256", ChecksumMode::Sha256),
    ("none", ChecksumMode::Md5),
];

/// Keys that mean nothing to a directory.
const S3_ONLY: [&str; 6] =
    ["region", "endpoint", "path_style", "encryption", "kms_key_id", "checksum"];
const CREDENTIALS: [&str; 3] = ["access_key_id", "secret_access_key", "session_token"];

#[derive(Clone, Copy, PartialEq)]
enum EncryptionMode {
    Bucket,
    SseS3,
    SseKms,
}

pub(super) fn store(mut section: Section<'_>) -> Option<StoreSettings> {
    let s3_only: Vec<&str> = S3_ONLY
        .into_iter()
        .filter(|key| section.has(key))
        .chain(CREDENTIALS.into_iter().filter(|key| section.has_secret(key)))
        .collect();
    let location = location(&mut section);
    if matches!(location, Some(StoreLocation::Directory(_))) {
        for key in s3_only {
            section.problem(key, "is for S3 only, and `store.url` names a directory: remove it");
        }
    }
    let region = region(&mut section);
    let endpoint = endpoint(&mut section);
    let path_style = section.flag("path_style", false);
    if let Some(StoreLocation::S3 { bucket }) = &location
        && bucket.contains('.')
        && !path_style
    {
        section.warning(
            "url",
            "names a bucket with a dot, which TLS certificates do not cover: \
             set `path_style = true`",
        );
    }
    let credentials = credentials(&mut section);
    let encryption = encryption(&mut section);
    let checksum = section.choice("checksum", ChecksumMode::Crc64Nvme, &CHECKSUMS);
    let part_size = section.size("part_size", 6 * MIB, 5 * MIB..=5 * GIB);
    let concurrency = section.count("concurrency", 3, 1..=64);
    if part_size.saturating_mul(concurrency as u64) > GIB {
        section.warning(
            "part_size",
            "times `concurrency` is more than 1 GiB, and so much memory a backup will take",
        );
    }
    let attempt_timeout = section.duration(
        "attempt_timeout",
        Duration::from_mins(1),
        Duration::from_secs(1)..=Duration::from_hours(1),
    );
    let attempts = section.count("attempts", 5, 1..=20);
    section.finish();
    Some(StoreSettings {
        location: location?,
        region,
        endpoint,
        path_style,
        credentials,
        encryption,
        checksum,
        part_size,
        concurrency,
        attempt_timeout,
        attempts,
    })
}

fn location(section: &mut Section<'_>) -> Option<StoreLocation> {
    if !section.has("url") {
        let single = section.context().sources.env.contains_key("RELIQUARY_STORE_URL");
        section.problem(
            "url",
            if single {
                "is missing: RELIQUARY_STORE_URL is no setting, RELIQUARY__STORE__URL is, \
                 with two underscores between the words"
            } else {
                "is missing: say where backups go, as `s3://bucket` or `file:///folder` \
                 (in the environment, RELIQUARY__STORE__URL)"
            },
        );
    }
    let text = section.text("url")?;
    let parsed = if let Some(bucket) = text.strip_prefix("s3://") {
        s3_location(bucket)
    } else if text.starts_with("file://") {
        directory(&text)
    } else if text.starts_with(['"', '\'']) {
        Err("begins with a quote: write it without, since nothing takes it away \
             (Docker's env files, for one, keep quotes)")
    } else if text.starts_with("https://") || text.starts_with("http://") {
        Err("must be `s3://bucket` or `file:///folder`: the address of an S3 server that is \
             not AWS's belongs into `endpoint`")
    } else {
        Err("must be `s3://bucket` or `file:///folder`")
    };
    parsed.map_err(|message| section.problem("url", message)).ok()
}

fn s3_location(rest: &str) -> Result<StoreLocation, &'static str> {
    let bucket = rest.strip_suffix('/').unwrap_or(rest);
    if bucket.contains('/') {
        return Err("must name the bucket alone: \
                    put the folder into `databases.<name>.prefix`");
    }
    if bucket.contains(['@', '?', ':']) {
        return Err("must name the bucket alone, without credentials or options: \
                    they have keys of their own");
    }
    let well_formed = (3..=63).contains(&bucket.len())
        && bucket.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c))
        && bucket.starts_with(|c: char| c.is_ascii_alphanumeric())
        && bucket.ends_with(|c: char| c.is_ascii_alphanumeric())
        && !bucket.contains("..")
        && bucket.parse::<std::net::Ipv4Addr>().is_err();
    if !well_formed {
        return Err("does not hold a bucket's name: 3 to 63 lower-case letters, digits, \
                    hyphens and dots, beginning and ending with a letter or digit");
    }
    Ok(StoreLocation::S3 { bucket: bucket.to_owned() })
}

fn directory(text: &str) -> Result<StoreLocation, &'static str> {
    let mistake = "must be `file://` and an absolute path, three slashes in all, \
                   such as `file:///var/lib/reliquary`";
    let path = Url::parse(text)
        .ok()
        .filter(|url| url.query().is_none() && url.fragment().is_none())
        .and_then(|url| url.to_file_path().ok())
        .ok_or(mistake)?;
    // Without the slash at the end, so that the same folder is the same setting.
    let path: PathBuf = path.components().collect();
    if path.parent().is_none() {
        return Err("names the root of the file system: name a folder in it");
    }
    Ok(StoreLocation::Directory(path))
}

fn region(section: &mut Section<'_>) -> Option<String> {
    let region = section.text("region")?;
    let well_formed = region.len() <= 64
        && region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !well_formed {
        section.problem("region", "must be a region's name, such as `us-east-1` or `auto`");
    }
    Some(region)
}

fn endpoint(section: &mut Section<'_>) -> Option<String> {
    let text = section.text("endpoint")?;
    let Some(url) = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    else {
        section.problem("endpoint", "must be a URL that begins with `https://` or `http://`");
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() {
        section.problem(
            "endpoint",
            "may not hold credentials: they have keys of their own \
             (`access_key_id`, `secret_access_key`)",
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        section.problem("endpoint", "may not hold a query or a fragment (`?`, `#`)");
    }
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    if url.scheme() == "http" && !local {
        section
            .warning("endpoint", "is not encrypted: backups travel in the clear; use `https://`");
    }
    Some(text.trim_end_matches('/').to_owned())
}

fn credentials(section: &mut Section<'_>) -> Option<StaticCredentials> {
    let gave = CREDENTIALS.map(|key| section.has_secret(key));
    let [id, secret, token] = CREDENTIALS.map(|key| section.secret(key));
    match gave {
        [true, false, _] => section.problem(
            "secret_access_key",
            "is missing beside `store.access_key_id`; without both, the usual AWS variables, \
             files and roles are used",
        ),
        [false, true, _] => section.problem(
            "access_key_id",
            "is missing beside `store.secret_access_key`; without both, the usual AWS \
             variables, files and roles are used",
        ),
        [false, false, true] => section.problem(
            "session_token",
            "needs `store.access_key_id` and `store.secret_access_key` beside it",
        ),
        _ => {}
    }
    Some(StaticCredentials {
        access_key_id: id?.expose_secret().to_owned(),
        secret_access_key: secret?,
        session_token: token,
    })
}

fn encryption(section: &mut Section<'_>) -> Encryption {
    let modes = [
        ("bucket", EncryptionMode::Bucket),
        ("sse-s3", EncryptionMode::SseS3),
        ("sse-kms", EncryptionMode::SseKms),
    ];
    let mode = section.choice("encryption", EncryptionMode::Bucket, &modes);
    let key = section.text("kms_key_id");
    if key.is_some() && mode != EncryptionMode::SseKms {
        section.problem("kms_key_id", "is used only with `encryption = \"sse-kms\"`");
    }
    match mode {
        EncryptionMode::Bucket => Encryption::BucketDefault,
        EncryptionMode::SseS3 => Encryption::SseS3,
        EncryptionMode::SseKms => Encryption::SseKms(key),
    }
}

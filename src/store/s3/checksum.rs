//! Checksums that guard a transfer, computed here and never by the SDK.
//!
//! The SDK would send them as trailers of an `aws-chunked` body, which several
//! S3-compatible stores reject; a value in a header works everywhere.

use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bytes::Bytes;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};
use sha2::Sha256;

use crate::store::PartTag;

/// Bodies above this size (in bytes) are hashed off the async threads.
const HASHED_INLINE: usize = 256 * 1024;

/// Which checksum guards a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumMode {
    /// CRC-64/NVME, of the whole object also where it went up in parts.
    Crc64Nvme,
    /// CRC-32C, of the whole object also where it went up in parts.
    Crc32c,
    /// SHA-256; of an upload in parts S3 keeps only the hash of the parts' hashes.
    Sha256,
    /// `Content-MD5` and none of S3's newer checksum headers: for stores that reject those.
    Md5,
}

/// The headers that guard one body; exactly one of them is set.
#[derive(Clone, Debug, Default)]
pub(super) struct Seal {
    pub(super) crc64nvme: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) md5: Option<String>,
}

impl Seal {
    /// The value that the store echoes, where the mode has one.
    pub(super) fn value(&self) -> Option<&str> {
        self.crc64nvme.as_deref().or(self.crc32c.as_deref()).or(self.sha256.as_deref())
    }

    /// Whether what the store echoed contradicts what was sent. Silence does
    /// not: many compatible stores check the header and echo nothing.
    pub(super) fn contradicts(
        &self,
        crc64nvme: Option<&str>,
        crc32c: Option<&str>,
        sha256: Option<&str>,
    ) -> bool {
        [(&self.crc64nvme, crc64nvme), (&self.crc32c, crc32c), (&self.sha256, sha256)]
            .into_iter()
            .any(|(sent, echo)| matches!((sent, echo), (Some(sent), Some(echo)) if sent != echo))
    }
}

impl ChecksumMode {
    /// Seals a body. Large bodies are hashed on a blocking thread; the clone
    /// that goes there shares the bytes.
    pub(super) async fn seal(self, body: &Bytes) -> Seal {
        if body.len() <= HASHED_INLINE {
            return self.seal_now(body);
        }
        let shared = body.clone();
        match tokio::task::spawn_blocking(move || self.seal_now(&shared)).await {
            Ok(seal) => seal,
            // The runtime is shutting down; the request will be dropped anyway.
            Err(_) => self.seal_now(body),
        }
    }

    fn seal_now(self, body: &[u8]) -> Seal {
        let mut seal = Seal::default();
        match self {
            Self::Crc64Nvme => {
                let crc = crc_fast::checksum(CrcAlgorithm::Crc64Nvme, body);
                seal.crc64nvme = Some(BASE64.encode(crc.to_be_bytes()));
            }
            Self::Crc32c => {
                let crc = crc_fast::checksum(CrcAlgorithm::Crc32Iscsi, body);
                seal.crc32c = Some(encode_crc32(crc));
            }
            Self::Sha256 => seal.sha256 = Some(BASE64.encode(Sha256::digest(body))),
            Self::Md5 => seal.md5 = Some(content_md5(body)),
        }
        seal
    }

    /// What an upload in parts is begun with.
    pub(super) fn for_upload(self) -> (Option<ChecksumAlgorithm>, Option<ChecksumType>) {
        match self {
            Self::Crc64Nvme => (Some(ChecksumAlgorithm::Crc64Nvme), Some(ChecksumType::FullObject)),
            Self::Crc32c => (Some(ChecksumAlgorithm::Crc32C), Some(ChecksumType::FullObject)),
            // Composite is the only type there is; naming it upsets older stores.
            Self::Sha256 => (Some(ChecksumAlgorithm::Sha256), None),
            Self::Md5 => (None, None),
        }
    }

    /// What the SDK is asked to compute for a request whose body it writes itself.
    pub(super) fn for_sdk(self) -> Option<ChecksumAlgorithm> {
        self.for_upload().0
    }

    /// The seal of an object put together from parts, without its bytes:
    /// CRCs combine. `None` where the mode has no checksum of a whole object
    /// or a part's is not known.
    pub(super) fn combine(self, parts: &[PartTag]) -> Option<Seal> {
        let algorithm = match self {
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
            Self::Sha256 | Self::Md5 => return None,
        };
        let mut whole: Option<u64> = None;
        for part in parts {
            let crc = decode_crc(part.checksum.as_deref()?)?;
            whole = Some(match whole {
                None => crc,
                Some(before) => crc_fast::checksum_combine(algorithm, before, crc, part.size),
            });
        }
        let whole = whole?;
        Some(match self {
            Self::Crc64Nvme => {
                Seal { crc64nvme: Some(BASE64.encode(whole.to_be_bytes())), ..Seal::default() }
            }
            _ => Seal { crc32c: Some(encode_crc32(whole)), ..Seal::default() },
        })
    }
}

/// The value of a `Content-MD5` header.
pub(super) fn content_md5(body: &[u8]) -> String {
    BASE64.encode(Md5::digest(body))
}

/// The entity tag that S3 gives an object of these parts: the MD5 of the parts'
/// MD5s and their number. `None` where a part's tag is not an MD5.
pub(super) fn multipart_etag(parts: &[PartTag]) -> Option<String> {
    let mut all = Md5::new();
    for part in parts {
        all.update(decode_hex_md5(part.etag.trim_matches('"'))?);
    }
    let hash = u128::from_be_bytes(all.finalize().into());
    Some(format!("{hash:032x}-{}", parts.len()))
}

fn decode_hex_md5(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn encode_crc32(crc: u64) -> String {
    // A CRC-32 stands in the lower half.
    let [_, _, _, _, rest @ ..] = crc.to_be_bytes();
    BASE64.encode(rest)
}

fn decode_crc(text: &str) -> Option<u64> {
    let bytes = BASE64.decode(text).ok()?;
    match bytes.len() {
        4 | 8 => Some(bytes.iter().fold(0, |crc, byte| crc << 8 | u64::from(*byte))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check string of every CRC catalogue.
    const CHECK: &[u8] = b"123456789";

    #[test]
    fn values_are_those_of_the_catalogue() {
        let crc64 = ChecksumMode::Crc64Nvme.seal_now(CHECK).crc64nvme.unwrap();
        assert_eq!(decode_crc(&crc64), Some(0xae8b_1486_0a79_9888));
        let crc32c = ChecksumMode::Crc32c.seal_now(CHECK).crc32c.unwrap();
        assert_eq!(decode_crc(&crc32c), Some(0xe306_9283));
        assert_eq!(
            ChecksumMode::Sha256.seal_now(b"").sha256.unwrap(),
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
        assert_eq!(ChecksumMode::Md5.seal_now(b"").md5.unwrap(), "1B2M2Y8AsgTpgAmY7PhCfg==");
    }

    #[test]
    fn parts_combine_to_the_checksum_of_the_whole() {
        let whole: Vec<u8> = (0..100_000_u32).map(|n| (n * 7 % 251) as u8).collect();
        for mode in [ChecksumMode::Crc64Nvme, ChecksumMode::Crc32c] {
            let parts: Vec<PartTag> = whole
                .chunks(33_333)
                .zip(1..)
                .map(|(bytes, number)| PartTag {
                    number,
                    etag: String::new(),
                    size: bytes.len() as u64,
                    checksum: mode.seal_now(bytes).value().map(str::to_owned),
                })
                .collect();
            let combined = mode.combine(&parts).unwrap();
            assert_eq!(combined.value(), mode.seal_now(&whole).value(), "{mode:?}");
        }
    }

    #[test]
    fn a_multipart_etag_is_the_md5_of_md5s() {
        let part =
            |number, etag: &str| PartTag { number, etag: etag.to_owned(), size: 1, checksum: None };
        let parts = [
            part(1, "\"d41d8cd98f00b204e9800998ecf8427e\""),
            part(2, "d41d8cd98f00b204e9800998ecf8427e"),
        ];
        // printf 'd41d8cd98f00b204e9800998ecf8427e%.0s' 1 2 | xxd -r -p | md5sum
        assert_eq!(multipart_etag(&parts).unwrap(), "5873dd45edd01f09c1ef2e7819369e8e-2");
        assert_eq!(multipart_etag(&[part(1, "an-opaque-tag")]), None);
    }

    #[test]
    fn a_wrong_echo_contradicts_and_silence_does_not() {
        let seal = ChecksumMode::Crc32c.seal_now(CHECK);
        assert!(!seal.contradicts(None, None, None));
        assert!(!seal.contradicts(None, seal.crc32c.as_deref(), None));
        assert!(seal.contradicts(None, Some("AAAAAA=="), None));
    }
}

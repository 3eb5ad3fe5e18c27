//! An S3 backend that spends little of the processors that are measured.
//!
//! Amazon hashes an upload and puts its parts together on machines of its own.
//! Here the server shares the processors with both sides of a benchmark, and
//! s3s-fs takes an MD5 of each part twice and copies the whole object once the
//! last part is there. This backend writes a part to its file as it comes and
//! lets the kernel join the files. All else is s3s-fs.

use std::{
    error::Error,
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use futures::TryStreamExt;
use s3s::{
    S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
        CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, ETag,
        GetBucketLocationInput, GetBucketLocationOutput, GetObjectInput, GetObjectOutput,
        HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsInput,
        ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput,
        PutObjectOutput, StreamingBlob, UploadPartInput, UploadPartOutput,
    },
};
use s3s_fs::FileSystem;

/// The backend.
#[derive(Debug)]
pub(crate) struct Lean {
    files: FileSystem,
    dir: PathBuf,
    uploads: AtomicU64,
}

impl Lean {
    /// Serves the folders of `dir` as buckets.
    pub(crate) fn new(dir: PathBuf) -> Result<Self, Box<dyn Error>> {
        let files = FileSystem::new(&dir).map_err(|error| format!("{error:?}"))?;
        Ok(Self { files, dir, uploads: AtomicU64::default() })
    }

    /// The folder of an upload's parts; an id that this server never gave has none.
    fn upload(&self, id: &str) -> S3Result<PathBuf> {
        let number: u64 = id.parse().map_err(|_| S3Error::new(S3ErrorCode::NoSuchUpload))?;
        Ok(self.dir.join(format!(".upload-{number}")))
    }
}

/// Every call that s3s-fs answers as it is.
macro_rules! as_files {
    ($($call:ident($input:ident) -> $output:ident;)*) => {$(
        fn $call<'a, 'b>(
            &'a self,
            request: S3Request<$input>,
        ) -> std::pin::Pin<Box<dyn Future<Output = S3Result<S3Response<$output>>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            self.files.$call(request)
        }
    )*};
}

#[async_trait::async_trait]
impl S3 for Lean {
    as_files! {
        delete_object(DeleteObjectInput) -> DeleteObjectOutput;
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
        get_object(GetObjectInput) -> GetObjectOutput;
        head_bucket(HeadBucketInput) -> HeadBucketOutput;
        head_object(HeadObjectInput) -> HeadObjectOutput;
        list_objects(ListObjectsInput) -> ListObjectsOutput;
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
        put_object(PutObjectInput) -> PutObjectOutput;
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let CreateMultipartUploadInput { bucket, key, .. } = request.input;
        let id = self.uploads.fetch_add(1, Ordering::Relaxed).to_string();
        fs::create_dir(self.upload(&id)?).map_err(S3Error::internal_error)?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let UploadPartInput { body, upload_id, part_number, .. } = request.input;
        let Some(mut body) = body else { return Err(S3ErrorCode::IncompleteBody.into()) };
        let path = self.upload(&upload_id)?.join(part_number.to_string());
        let mut file = File::create(path).map_err(S3Error::internal_error)?;
        let broken = |error| S3Error::internal_error(io::Error::other(error));
        while let Some(bytes) = body.try_next().await.map_err(broken)? {
            file.write_all(&bytes).map_err(S3Error::internal_error)?;
        }
        let e_tag = Some(ETag::Strong(format!("{upload_id}-{part_number}")));
        Ok(S3Response::new(UploadPartOutput { e_tag, ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let dir = self.upload(&request.input.upload_id)?;
        let numbers = request.input.multipart_upload.as_ref().and_then(|upload| {
            upload.parts.iter().flatten().map(|part| part.part_number).collect::<Option<Vec<_>>>()
        });
        let joined = join(&dir, &numbers.unwrap_or_default()).map_err(S3Error::internal_error)?;
        let (bucket, key) = (request.input.bucket.clone(), request.input.key.clone());
        // An empty object first: its conditions and its records are those of s3s-fs.
        let put = request.map_input(|input| PutObjectInput {
            bucket: input.bucket,
            key: input.key,
            if_none_match: input.if_none_match,
            if_match: input.if_match,
            content_length: Some(0),
            body: Some(StreamingBlob::from(s3s::Body::empty())),
            ..Default::default()
        });
        let e_tag = self.files.put_object(put).await?.output.e_tag;
        fs::rename(joined, self.dir.join(&bucket).join(&key)).map_err(S3Error::internal_error)?;
        fs::remove_dir_all(dir).map_err(S3Error::internal_error)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            e_tag,
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let dir = self.upload(&request.input.upload_id)?;
        fs::remove_dir_all(dir).map_err(S3Error::internal_error)?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

/// Appends each part to the first one, which the kernel does without this process.
fn join(dir: &Path, numbers: &[i32]) -> io::Result<PathBuf> {
    let Some((first, rest)) = numbers.split_first() else {
        return Err(io::Error::other("an upload without parts"));
    };
    let joined = dir.join(first.to_string());
    let mut file = File::options().write(true).open(&joined)?;
    file.seek(SeekFrom::End(0))?;
    for number in rest {
        io::copy(&mut File::open(dir.join(number.to_string()))?, &mut file)?;
    }
    Ok(joined)
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

resource "aws_s3_bucket" "backups" {
  bucket              = var.bucket
  object_lock_enabled = var.object_lock_days > 0
  tags                = var.tags

  lifecycle {
    prevent_destroy = true

    precondition {
      condition     = var.object_lock_days <= var.keep_days
      error_message = "A lock that is longer than retention keeps backups that nobody may remove: object_lock_days is more than keep_days."
    }
  }
}

resource "aws_s3_bucket_public_access_block" "backups" {
  bucket                  = aws_s3_bucket.backups.id
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = true
  restrict_public_buckets = true
}

resource "aws_s3_account_public_access_block" "account" {
  count = var.block_public_access_of_account ? 1 : 0

  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "backups" {
  bucket = aws_s3_bucket.backups.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "backups" {
  bucket = aws_s3_bucket.backups.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_kms_key" "backups" {
  count = var.kms ? 1 : 0

  description             = "Encrypts the backups in ${var.bucket}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags
}

resource "aws_s3_bucket_server_side_encryption_configuration" "backups" {
  bucket = aws_s3_bucket.backups.id

  rule {
    bucket_key_enabled = var.kms

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms ? "aws:kms" : "AES256"
      kms_master_key_id = var.kms ? aws_kms_key.backups[0].arn : null
    }
  }
}

resource "aws_s3_bucket_object_lock_configuration" "backups" {
  count = var.object_lock_days > 0 ? 1 : 0

  bucket = aws_s3_bucket_versioning.backups.bucket

  rule {
    default_retention {
      mode = var.object_lock_mode
      days = var.object_lock_days
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "backups" {
  # Rules about versions need a bucket that keeps them.
  bucket = aws_s3_bucket_versioning.backups.bucket

  rule {
    id     = "reliquary-abort"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 2
    }
  }

  rule {
    id     = "reliquary-noncurrent"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }

    expiration {
      expired_object_delete_marker = true
    }
  }

  # Scheduled backups alone: what a person made by hand, the pointer, and what
  # drills and incidents leave stand under other names.
  dynamic "rule" {
    for_each = var.sweep == "lifecycle" ? var.prefixes : []

    content {
      id     = "reliquary-expire-${trimsuffix(rule.value, "/")}"
      status = "Enabled"

      filter {
        prefix = "${rule.value}20"
      }

      expiration {
        days = var.keep_days
      }
    }
  }
}

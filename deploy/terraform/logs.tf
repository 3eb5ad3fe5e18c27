# A bucket of its own: logs in the bucket they are about would be logged again,
# and whoever takes the one takes the other.
resource "aws_s3_bucket" "logs" {
  count = var.log_bucket == "" ? 0 : 1

  bucket = var.log_bucket
  tags   = var.tags
}

resource "aws_s3_bucket_public_access_block" "logs" {
  count = var.log_bucket == "" ? 0 : 1

  bucket                  = aws_s3_bucket.logs[0].id
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  count = var.log_bucket == "" ? 0 : 1

  bucket = aws_s3_bucket.logs[0].id

  rule {
    # The log service writes with S3's own keys only.
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  count = var.log_bucket == "" ? 0 : 1

  bucket = aws_s3_bucket.logs[0].id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = var.log_days
    }
  }
}

data "aws_iam_policy_document" "logs" {
  count = var.log_bucket == "" ? 0 : 1

  statement {
    sid       = "AllowServerAccessLogs"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.logs[0].arn}/*"]

    principals {
      type        = "Service"
      identifiers = ["logging.s3.amazonaws.com"]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.backups.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.logs[0].arn, "${aws_s3_bucket.logs[0].arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  count = var.log_bucket == "" ? 0 : 1

  bucket     = aws_s3_bucket.logs[0].id
  policy     = data.aws_iam_policy_document.logs[0].json
  depends_on = [aws_s3_bucket_public_access_block.logs]
}

resource "aws_s3_bucket_logging" "backups" {
  count = var.log_bucket == "" ? 0 : 1

  bucket        = aws_s3_bucket.backups.id
  target_bucket = aws_s3_bucket.logs[0].id
  target_prefix = "${var.bucket}/"

  depends_on = [aws_s3_bucket_policy.logs]
}

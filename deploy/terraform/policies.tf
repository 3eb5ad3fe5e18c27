# The same policies that `reliquary policy` prints; a test compares them.
locals {
  bucket_arn = aws_s3_bucket.backups.arn
  objects    = [for prefix in var.prefixes : "${local.bucket_arn}/${prefix}*"]
  verdicts = flatten([
    for end in ["*.verified.json", "*.damaged.json"] :
    [for prefix in var.prefixes : "${local.bucket_arn}/${prefix}${end}"]
  ])

  questions = {
    Sid    = "AuditTheBucket"
    Effect = "Allow"
    Action = [
      "s3:GetBucketAcl",
      "s3:GetBucketLogging",
      "s3:GetBucketObjectLockConfiguration",
      "s3:GetBucketOwnershipControls",
      "s3:GetBucketPolicy",
      "s3:GetBucketPublicAccessBlock",
      "s3:GetBucketVersioning",
      "s3:GetEncryptionConfiguration",
      "s3:GetLifecycleConfiguration",
    ]
    Resource = [local.bucket_arn]
  }
  account_question = {
    Sid      = "AuditTheAccount"
    Effect   = "Allow"
    Action   = ["s3:GetAccountPublicAccessBlock"]
    Resource = ["*"]
  }
  use_the_key = { for role, actions in {
    writer   = ["kms:Decrypt", "kms:GenerateDataKey"]
    keeper   = ["kms:Decrypt", "kms:GenerateDataKey"]
    restorer = ["kms:Decrypt", "kms:GenerateDataKey"]
    } : role => [for key in aws_kms_key.backups : {
      Sid      = "UseTheKey"
      Effect   = "Allow"
      Action   = actions
      Resource = [key.arn]
  }] }

  statements = {
    writer = concat([
      # Not narrowed to a prefix: without the right to list the bucket, S3 says
      # "denied" of an object that is not there.
      { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.bucket_arn] },
      local.questions,
      local.account_question,
      {
        Sid      = "ReadAndWriteBackups"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
        Resource = local.objects
      },
      { Sid = "ReplaceVerdicts", Effect = "Allow", Action = ["s3:DeleteObject"], Resource = local.verdicts },
    ], local.use_the_key.writer)

    keeper = concat([
      {
        Sid      = "List"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = [local.bucket_arn]
      },
      local.questions,
      local.account_question,
      {
        Sid      = "ReadWriteAndRemoveBackups"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
        Resource = local.objects
      },
    ], local.use_the_key.keeper)

    restorer = concat([
      { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.bucket_arn] },
      { Sid = "ReadBackups", Effect = "Allow", Action = ["s3:GetObject"], Resource = local.objects },
      {
        Sid      = "KeepLogsOfIncidents"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = [for prefix in var.prefixes : "${local.bucket_arn}/${prefix}incidents/*"]
      },
    ], local.use_the_key.restorer)
  }

  # The writer's or the keeper's rights belong to the daemon, one of the two.
  daemon = var.sweep == "delete" ? "keeper" : "writer"
  roles  = toset([local.daemon, "restorer"])
}

resource "aws_iam_policy" "this" {
  for_each = local.roles

  name        = "${var.name}-${each.key}"
  description = "What Reliquary's ${each.key} needs of ${var.bucket}, and no more"
  # Encoded one by one: the statements differ in their keys.
  policy = "{\"Version\":\"2012-10-17\",\"Statement\":[${join(",", [for s in local.statements[each.key] : jsonencode(s)])}]}"
  tags   = var.tags
}

locals {
  principal_arns = sort(concat(
    [for user in aws_iam_user.this : user.arn],
    [for role in aws_iam_role.this : role.arn],
  ))
  everything = [local.bucket_arn, "${local.bucket_arn}/*"]
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "DenyPlainHttp"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = local.everything

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

  statement {
    sid       = "DenyOldTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = local.everything

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "NumericLessThan"
      variable = "s3:TlsVersion"
      values   = ["1.2"]
    }
  }

  statement {
    sid       = "DenyOtherAccounts"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = local.everything

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "aws:PrincipalAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }

    condition {
      test     = "Bool"
      variable = "aws:PrincipalIsAWSService"
      values   = ["false"]
    }
  }

  statement {
    sid       = "DenyTampering"
    effect    = "Deny"
    resources = local.everything

    actions = [
      "s3:BypassGovernanceRetention",
      "s3:DeleteBucket",
      "s3:DeleteBucketPolicy",
      "s3:DeleteObjectVersion",
      "s3:PutAccelerateConfiguration",
      "s3:PutBucketAcl",
      "s3:PutBucketLogging",
      "s3:PutBucketNotification",
      "s3:PutBucketObjectLockConfiguration",
      "s3:PutBucketOwnershipControls",
      "s3:PutBucketPolicy",
      "s3:PutBucketPublicAccessBlock",
      "s3:PutBucketVersioning",
      "s3:PutEncryptionConfiguration",
      "s3:PutLifecycleConfiguration",
      "s3:PutObjectAcl",
      "s3:PutObjectLegalHold",
      "s3:PutObjectRetention",
      "s3:PutObjectVersionAcl",
      "s3:PutReplicationConfiguration",
    ]

    principals {
      type        = "AWS"
      identifiers = local.principal_arns
    }
  }
}

resource "aws_s3_bucket_policy" "backups" {
  bucket     = aws_s3_bucket.backups.id
  policy     = data.aws_iam_policy_document.bucket.json
  depends_on = [aws_s3_bucket_public_access_block.backups]
}

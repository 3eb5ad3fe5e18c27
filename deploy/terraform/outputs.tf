output "bucket" {
  description = "The bucket's name."
  value       = aws_s3_bucket.backups.id
}

output "principals" {
  description = "ARNs of the users or roles, by what they are for."
  value       = merge({ for key, user in aws_iam_user.this : key => user.arn }, { for key, role in aws_iam_role.this : key => role.arn })
}

output "settings" {
  description = "What belongs into Reliquary's settings."
  value       = <<-EOT
    [store]
    url = "s3://${aws_s3_bucket.backups.id}"
    region = "${data.aws_region.current.name}"
    encryption = "${var.kms ? "sse-kms" : "bucket"}"
    %{if var.kms}kms_key_id = "${aws_kms_key.backups[0].arn}"%{endif}

    [retention]
    keep_for = "${var.keep_days}d"

    [sweep]
    mode = "${var.sweep}"
  EOT
}

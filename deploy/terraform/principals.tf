resource "aws_iam_user" "this" {
  for_each = var.principals == "users" ? local.roles : toset([])

  name = "${var.name}-${each.key}"
  tags = var.tags
}

resource "aws_iam_user_policy_attachment" "this" {
  for_each = aws_iam_user.this

  user       = each.value.name
  policy_arn = aws_iam_policy.this[each.key].arn
}

data "aws_iam_policy_document" "trust" {
  for_each = var.principals == "roles" ? local.roles : toset([])

  dynamic "statement" {
    # A service runs the daemon; it restores nothing.
    for_each = each.key == "restorer" || length(var.trusted_services) == 0 ? [] : [var.trusted_services]

    content {
      actions = ["sts:AssumeRole"]

      principals {
        type        = "Service"
        identifiers = statement.value
      }
    }
  }

  dynamic "statement" {
    for_each = length(var.trusted_arns) == 0 ? [] : [var.trusted_arns]

    content {
      actions = ["sts:AssumeRole"]

      principals {
        type        = "AWS"
        identifiers = statement.value
      }
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = data.aws_iam_policy_document.trust

  name               = "${var.name}-${each.key}"
  assume_role_policy = each.value.json
  tags               = var.tags

  lifecycle {
    precondition {
      condition     = length(var.trusted_arns) + (each.key == "restorer" ? 0 : length(var.trusted_services)) > 0
      error_message = "Nobody may take the role ${var.name}-${each.key}: name somebody in trusted_arns (or, for the daemon, a service in trusted_services)."
    }
  }
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = aws_iam_role.this

  role       = each.value.name
  policy_arn = aws_iam_policy.this[each.key].arn
}

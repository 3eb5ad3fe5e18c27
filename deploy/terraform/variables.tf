variable "bucket" {
  description = "Name of the bucket that backups go to."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "A bucket's name has 3 to 63 lower-case letters, digits, hyphens and dots."
  }
}

variable "prefixes" {
  description = "Prefixes of the databases, as databases.<name>.prefix has them; each ends with a slash."
  type        = list(string)
  default     = ["database/"]

  validation {
    condition     = length(var.prefixes) > 0 && alltrue([for prefix in var.prefixes : can(regex("^[^/].*/$", prefix))])
    error_message = "Each prefix begins with no slash and ends with one."
  }
}

variable "name" {
  description = "What the names of users, roles and policies begin with."
  type        = string
  default     = "reliquary"
}

variable "keep_days" {
  description = "How long backups are kept, in days: retention.keep_for."
  type        = number
  default     = 30

  validation {
    condition     = var.keep_days >= 1 && floor(var.keep_days) == var.keep_days
    error_message = "Whole days, one at least."
  }
}

variable "sweep" {
  description = "Who removes what retention no longer keeps, as sweep.mode has it: \"delete\" (Reliquary, with the keeper's rights) or \"lifecycle\" (the bucket's own rule)."
  type        = string
  default     = "delete"

  validation {
    condition     = contains(["delete", "lifecycle"], var.sweep)
    error_message = "Either \"delete\" or \"lifecycle\"."
  }
}

variable "noncurrent_days" {
  description = "How long versions that were overwritten or deleted can still be had back, in days."
  type        = number
  default     = 30
}

variable "object_lock_days" {
  description = "Locks every object against deletion for so many days; 0 for no lock. Not more than keep_days. A bucket gets Object Lock when it is made."
  type        = number
  default     = 0
}

variable "object_lock_mode" {
  description = "GOVERNANCE, which some may lift, or COMPLIANCE, which nobody may, the root account included."
  type        = string
  default     = "GOVERNANCE"

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock_mode)
    error_message = "Either GOVERNANCE or COMPLIANCE."
  }
}

variable "kms" {
  description = "Makes a KMS key and encrypts with it (store.encryption = \"sse-kms\"). Without it S3's own keys do that."
  type        = bool
  default     = false
}

variable "log_bucket" {
  description = "Name of the bucket that access logs go to, which is made too; empty for no logging."
  type        = string
  default     = ""
}

variable "log_days" {
  description = "How long access logs are kept, in days."
  type        = number
  default     = 400
}

variable "principals" {
  description = "\"users\" makes IAM users (make their keys yourself: keys that Terraform makes stand in its state); \"roles\" makes roles for trusted_arns or trusted_services."
  type        = string
  default     = "users"

  validation {
    condition     = contains(["users", "roles"], var.principals)
    error_message = "Either \"users\" or \"roles\"."
  }
}

variable "trusted_services" {
  description = "AWS services that may take the writer's and the keeper's role, such as ecs-tasks.amazonaws.com."
  type        = list(string)
  default     = []
}

variable "trusted_arns" {
  description = "ARNs of users, roles or accounts that may take any of the roles."
  type        = list(string)
  default     = []
}

variable "block_public_access_of_account" {
  description = "Switches Block Public Access on for the whole account, all of its buckets."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of all that is made."
  type        = map(string)
  default     = {}
}

#!/usr/bin/env bash
# From a fresh Debian or Ubuntu to a backup that was proven to restore, without
# a question: installs what is missing, builds reliquary, and lets it take and
# restore a backup of a throwaway database.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/prepare.sh
. deploy/prepare.sh

step "what the machine must have"
install_build_tools
install_postgresql any
install_rust

step "building (a few minutes the first time)"
cargo build --release --locked

step "a backup of a throwaway database, and its restore"
target/release/reliquary demo --once

cat <<'NEXT'

== what next

   See the daemon at work, a backup a minute, until Ctrl-C:
     target/release/reliquary demo

   Back up your own database into a directory:
     export DIRECT_URL='postgresql://user:password@host:5432/database'
     export RELIQUARY__STORE__URL=file:///var/backups/reliquary
     target/release/reliquary config check
     target/release/reliquary backup

   Into a bucket, every hour (the usual AWS_* variables, or the machine's role):
     export RELIQUARY__STORE__URL=s3://your-bucket
     target/release/reliquary run

   config/reliquary.toml explains every setting, README.md the rest.
NEXT

#!/usr/bin/env bash
# The most memory that each job takes, for databases of very different size, in
# one session: a backup into a directory and into S3, a verify, a restore. The
# claim is that it does not grow with the database.
#
#   benches/memory.sh [--mb "100 1000 10000"] [--no-restore]
#
# --mb "N …"     about how much plain dump each database makes, in MB
# --no-restore   without the restores, which take the longest
#
# Beside the peaks of reliquary stand those of `pg_dump` and of `gunzip | psql`,
# each the largest of its programs. The server's own memory is
# not in any of them.
#
# Environment: RELIQUARY (default target/release/reliquary), PGBIN (the
# directory of PostgreSQL's programs), S3_SERVER (default
# target/release/examples/s3_server). Needs about 4 bytes of disk in TMPDIR for
# each byte of the largest dump; 10 GB take about an hour's quarter.
set -euo pipefail

sizes="100 1000 10000" restores=yes
while [ $# -gt 0 ]; do
  case $1 in
    --mb) sizes=${2:?--mb needs numbers} && shift 2 ;;
    --no-restore) restores= && shift ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    *) printf 'unknown argument %s; see --help\n' "$1" >&2 && exit 2 ;;
  esac
done

# shellcheck source=benches/lib.sh
. "$(dirname "$0")/lib.sh"
need gzip awk
[ -x /usr/bin/time ] || die "needs GNU time (Debian package: time)"
[ -x "$reliquary" ] || die "build it first: cargo build --release --locked"

start_cluster
start_s3
psql() { "$pg_bin/psql" -Xq "$@"; }
target="postgresql://postgres@localhost/target?host=$scratch/pg"
export TARGET=$target
common="DIRECT_URL='$url' RELIQUARY__LOG__FORMAT=text RELIQUARY__POSTGRES__CLIENT_DIRS=$pg_bin"
to_s3="$common RELIQUARY__STORE__URL=s3://bench RELIQUARY__STORE__ENDPOINT=$s3_endpoint RELIQUARY__STORE__PATH_STYLE=true RELIQUARY__STORE__REGION=us-east-1"
to_dir="$common RELIQUARY__STORE__URL=file://$scratch/store"
fresh() {
  psql -d postgres -c 'set client_min_messages = error' -c "drop database if exists $1" -c "create database $1" -c checkpoint
}

row() { printf '%-34s %10s %10s %12s\n' "$@"; }
table=$scratch/table
row what 'dump MB' seconds 'peak MiB' >"$table"
take() {
  rm -f "$scratch/one.times"
  measure one "$2"
  row "$1" "$megabytes" "$(awk '{ print $1 }' "$scratch/one.times")" \
    "$(awk '{ printf "%.1f", $2 / 1024 }' "$scratch/one.times")" >>"$table"
}

for mb in $sizes; do
  say "loading about $mb MB"
  fresh bench
  psql -v mb="$mb" -f "$repo/benches/donations.sql"
  mkdir -p "$scratch/store"
  rm -rf "${scratch:?}/store/"* "${scratch:?}/s3/bench/database"
  megabytes='?'
  rm -f "$scratch/one.times"
  measure one "$pg_bin/pg_dump --no-owner --no-privileges | wc -c"
  megabytes=$(($(cat "$scratch/out") / 1000000))
  row 'pg_dump' "$megabytes" "$(awk '{ print $1 }' "$scratch/one.times")" \
    "$(awk '{ printf "%.1f", $2 / 1024 }' "$scratch/one.times")" >>"$table"
  take 'reliquary backup, s3' "$to_s3 exec $reliquary -q backup"
  rm -rf "${scratch:?}/s3/bench/database"
  take 'reliquary backup, directory' "$to_dir exec $reliquary -q backup"
  take 'reliquary verify' "$to_dir exec $reliquary -q verify --no-record"
  if [ -n "$restores" ]; then
    # Two copies of the largest database need more room than most machines have.
    psql -d postgres -c 'drop database bench' -c checkpoint
    archive=$(find "$scratch/store" -name '*.sql.gz')
    fresh target
    take 'gunzip | psql' "gunzip -c $archive | $pg_bin/psql -Xq -v ON_ERROR_STOP=1 '$target' > /dev/null"
    fresh target
    take 'reliquary restore --jobs 2' "$to_dir exec $reliquary -q restore --to env:TARGET --jobs 2"
    psql -d postgres -c 'drop database target' -c checkpoint
  fi
done

echo
versions
echo
cat "$table"
echo 'target: a backup takes at most 96 MiB, the same for 100 MB and for 10 GB'

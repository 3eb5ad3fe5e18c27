#!/usr/bin/env bash
# A backup, side by side with what people use today, on one machine and in one
# session: interleaved runs, medians, ratios. Read the ratios, not the seconds.
#
#   benches/backup.sh [--mb 1100] [--runs 3] [--only-others]
#
# --mb N          about how much plain dump the database makes (100 is quick)
# --runs N        runs of each
# --only-others   without reliquary, to see the other side
#
# Environment: RELIQUARY (default target/release/reliquary), PGBIN (the
# directory of PostgreSQL's programs), S3_SERVER (default
# target/release/examples/s3_server), AWS (default: the venv of tests/tools.sh,
# then PATH). Needs about 4 bytes of disk in TMPDIR for each byte of dump.
set -euo pipefail

mb=1100 runs=3 others=
while [ $# -gt 0 ]; do
  case $1 in
    --mb) mb=${2:?--mb needs a number} && shift 2 ;;
    --runs) runs=${2:?--runs needs a number} && shift 2 ;;
    --only-others) others=1 && shift ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    *) printf 'unknown argument %s; see --help\n' "$1" >&2 && exit 2 ;;
  esac
done

# shellcheck source=benches/lib.sh
. "$(dirname "$0")/lib.sh"
need gzip pigz sha256sum awk
[ -x /usr/bin/time ] || die "needs GNU time (Debian package: time)"
[ -n "$others" ] || [ -x "$reliquary" ] || die "build it first: cargo build --release --locked (or --only-others)"
aws=${AWS:-}
for candidate in "${RELIQUARY_TEST_TOOLS:-$repo/target/tools}/venv/bin/aws" "$(command -v aws || true)"; do
  [ -n "$aws" ] || [ ! -x "$candidate" ] || aws=$candidate
done
[ -n "$aws" ] || die "needs awscli: tests/tools.sh venv"

# The compressor that reliquary links, as a program (Debian package: isal): what a
# stream of pg_dump costs at least where its rows are compressed at all.
igzip=$(command -v igzip || true)

say "loading about $mb MB"
start_cluster
"$pg_bin/psql" -Xq -v mb="$mb" -f "$repo/benches/donations.sql"
start_s3
mkdir "$scratch/work" "$scratch/store" "$scratch/copies"

dump="$pg_bin/pg_dump --no-owner --no-privileges"
file=$scratch/work/backup.sql.gz
common="DIRECT_URL='$url' RELIQUARY__LOG__FORMAT=text"
to_s3="$common RELIQUARY__STORE__URL=s3://bench RELIQUARY__STORE__ENDPOINT=$s3_endpoint RELIQUARY__STORE__PATH_STYLE=true RELIQUARY__STORE__REGION=us-east-1"
to_dir="$common RELIQUARY__STORE__URL=file://$scratch/store"

one_round() {
  measure pg_dump "$dump > /dev/null"
  measure gzip "$dump | gzip > $file"
  cp "$file" "$scratch/gzip.gz"
  measure gzip-file "$dump | gzip > $file && sha256sum $file > $file.sha256 && cp $file $file.sha256 $scratch/copies/"
  measure gzip-s3 "$dump | gzip > $file && sha256sum $file > $file.sha256 && $aws --endpoint-url $s3_endpoint s3 cp --only-show-errors $file s3://bench/today/"
  [ -z "$igzip" ] || measure igzip "$dump | igzip -1 > $file"
  measure pigz "$dump | pigz > $file"
  cp "$file" "$scratch/pigz.gz"
  if [ -z "$others" ]; then
    rm -rf "${scratch:?}/store/"*
    measure reliquary-file "$to_dir exec $reliquary backup"
    find "$scratch/store" -name '*.sql.gz' -exec ln -f {} "$scratch/reliquary.gz" \;
    # Two backups in one second would share an id; each run has the bucket to itself.
    rm -rf "${scratch:?}/s3/bench/database"
    measure reliquary-s3 "$to_s3 exec $reliquary backup"
  fi
}

say "warming up"
bash -c "$dump > /dev/null"
plain=$(bash -c "$dump | wc -c")
for ((round = 1; round <= runs; round++)); do
  say "round $round of $runs"
  one_round
done

if [ -z "$others" ]; then
  say "checking that what was measured is a whole dump"
  restored=$(gunzip -c "$scratch/reliquary.gz" | grep -c '^[0-9]' || true)
  dumped=$(bash -c "$dump" | grep -c '^[0-9]' || true)
  [ "$restored" = "$dumped" ] || die "the archive holds $restored rows and the dump $dumped"
fi

row() { printf '%-46s %8s %10s %12s %12s %10s\n' "$@"; }

floor=$(seconds pg_dump)
echo
versions
printf 'plain dump %s MB, %s rounds, medians\n\n' "$((plain / 1000000))" "$runs"
row what seconds 'x pg_dump' 'today / it' processors 'peak MiB'
tool() { row "$2" "$(seconds "$1")" "$(ratio "$(seconds "$1")" "$floor")" "${3:--}" "$(processors "$1")" -; }
tool pg_dump 'pg_dump > /dev/null'
[ -z "$igzip" ] || tool igzip 'pg_dump | igzip -1'
tool gzip 'pg_dump | gzip'
tool pigz 'pg_dump | pigz'
tool gzip-file 'today: gzip, sha256sum, cp' 1.00
tool gzip-s3 'today: gzip, sha256sum, aws s3 cp' 1.00
if [ -z "$others" ]; then
  for kind in file s3; do
    today=$(seconds "gzip-$kind")
    mine=$(seconds "reliquary-$kind")
    row "reliquary backup, $kind" "$mine" "$(ratio "$mine" "$floor")" "$(ratio "$today" "$mine")" "$(processors "reliquary-$kind")" "$(peak "reliquary-$kind")"
  done
fi
size() { stat -c %s "$scratch/$1.gz"; }
printf '\nsize: gzip -6 %s bytes, pigz %s' "$(size gzip)" "$(size pigz)"
[ -n "$others" ] || printf ', reliquary %s = %s of gzip -6' "$(size reliquary)" "$(awk -v a="$(size reliquary)" -v b="$(size gzip)" 'BEGIN { printf "%.4f", a / b }')"
echo
[ -n "$others" ] || echo "targets: x pg_dump <= 1.15; today / it >= 4.5 (s3); size <= 1.01; peak <= 96 MiB"

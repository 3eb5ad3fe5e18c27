#!/usr/bin/env bash
# Reading an archive back, side by side with what stock tools offer: `gunzip -t`
# and `sha256sum -c`, on the same archive, in one session: interleaved runs,
# medians, ratios. Read the ratios, not the seconds.
#
#   benches/verify.sh [--mb 1100] [--runs 5]
#
# --mb N    about how much plain dump the database makes (100 is quick)
# --runs N  runs of each
#
# Environment: RELIQUARY (default target/release/reliquary), PGBIN (the
# directory of PostgreSQL's programs). Needs about 2 bytes of disk in TMPDIR for
# each byte of dump.
set -euo pipefail

# shellcheck source=benches/lib.sh
. "$(dirname "$0")/lib.sh"
mb=1100 runs=5
options mb runs -- "$@"
need gzip sha256sum awk
need_reliquary

start_source "$mb"
mkdir "$scratch/store"
common="DIRECT_URL='$url' RELIQUARY__LOG__FORMAT=text RELIQUARY__STORE__URL=file://$scratch/store"
say "taking the backup"
bash -c "$common exec $reliquary -q backup"
archive=$(find "$scratch/store" -name '*.sql.gz')
dump=$(gunzip -c "$archive" | wc -c)

one_round() {
  measure gunzip "gunzip -t $archive"
  measure sha256sum "cd $(dirname "$archive") && sha256sum -c $(basename "$archive").sha256"
  measure both "gunzip -t $archive && cd $(dirname "$archive") && sha256sum -c $(basename "$archive").sha256"
  measure verify "$common exec $reliquary verify --no-record"
  measure verify-1 "$common RELIQUARY__ARCHIVE__THREADS=1 exec $reliquary verify --no-record"
}

say "warming up"
cat "$archive" >/dev/null
for ((round = 1; round <= runs; round++)); do
  say "round $round of $runs"
  one_round
done

cpu() { awk '{ print $3 + $4 }' "$scratch/$1.times" | median; }
rate() { awk -v b="$dump" -v s="$1" 'BEGIN { printf "%.0f", b / s / 1e6 }'; }
row() { printf '%-34s %8s %8s %12s %14s %14s %9s\n' "$@"; }

echo
versions
printf 'dump %s MB in %s MB of archive, %s rounds, medians\n\n' \
  "$((dump / 1000000))" "$(($(stat -c %s "$archive") / 1000000))" "$runs"
row what seconds 'cpu s' 'today / it' 'dump MB/s' 'MB/s a core' 'peak MiB'
today=$(seconds both)
for name in gunzip sha256sum both verify verify-1; do
  case $name in
    gunzip) what='gunzip -t' ;;
    sha256sum) what='sha256sum -c' ;;
    both) what='today: gunzip -t && sha256sum -c' ;;
    verify) what='reliquary verify' ;;
    verify-1) what='reliquary verify, one inflating' ;;
  esac
  row "$what" "$(seconds "$name")" "$(cpu "$name")" "$(ratio "$today" "$(seconds "$name")")" \
    "$(rate "$(seconds "$name")")" "$(rate "$(cpu "$name")")" "$(printf '%.1f' "$(peak "$name")")"
done
echo 'target: at least 400 MB of dump a second a core'

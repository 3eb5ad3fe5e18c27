#!/usr/bin/env bash
# A restore, side by side with what people use today, into one server and in one
# session: interleaved runs, medians, ratios. Read the ratios, not the seconds.
#
#   benches/restore.sh [--mb 1100] [--runs 3] [--jobs 2]
#
# --mb N      about how much plain dump the database makes (100 is quick)
# --runs N    runs of each
# --jobs N    sessions of reliquary
#
# Both sides restore the same archive into an empty database of the same server,
# which has default settings, fsync and all: `gunzip | psql`, and `reliquary
# restore`, which also hashes the archive first, analyses every table and counts
# all rows. Beside the seconds stand those of the processors, of everything that
# ran: they say how much of a difference is work and how much is waiting. Then one
# small table alone: how much of the archive that reads, by the plan and by what
# the process read.
#
# Environment: RELIQUARY (default target/release/reliquary), PGBIN (the
# directory of PostgreSQL's programs). Needs about 8 bytes of disk in TMPDIR for
# each byte of dump.
set -euo pipefail

# shellcheck source=benches/lib.sh
. "$(dirname "$0")/lib.sh"
mb=1100 runs=3 jobs=2
options mb runs jobs -- "$@"
need gzip awk
need_reliquary

start_source "$mb"
mkdir "$scratch/store"
export DIRECT_URL=$url RELIQUARY__STORE__URL=file://$scratch/store RELIQUARY__LOG__FORMAT=text
export RELIQUARY__POSTGRES__CLIENT_DIRS=$pg_bin
"$reliquary" -q backup
archive=$(find "$scratch/store" -name '*.sql.gz')
start_default
export TARGET=$target

# Several sessions put the rows of a large table into another order.
dump() { "$pg_bin/pg_dump" "$1" | grep -av '^.\(un\)\?restrict' | LC_ALL=C sort | sha256sum; }
source_dump=$(dump "$url")
check() { [ "$(dump "$target")" = "$source_dump" ] || die "$1 restored another database"; }

one_round() {
  fresh_target
  measure gunzip-psql "gunzip -c $archive | $pg_bin/psql -Xq -v ON_ERROR_STOP=1 '$target' > /dev/null"
  [ "$round" -lt "$runs" ] || check 'gunzip | psql'
  fresh_target
  measure reliquary "exec $reliquary -q --json restore --to env:TARGET --jobs $jobs"
  cp "$scratch/out" "$scratch/report.json"
}

say "warming up"
cat "$archive" >/dev/null
for ((round = 1; round <= runs; round++)); do
  say "round $round of $runs"
  one_round
done

check 'reliquary'

say "one small table alone"
fresh_target
measure one-table "exec $reliquary -q --json restore --to env:TARGET --table public.churches"
cp "$scratch/out" "$scratch/table.json"

row() { printf '%-34s %8s %12s %12s %10s\n' "$@"; }
field() { sed -n "s/^ *\"$2\": \([0-9.]*\),*$/\1/p" "$scratch/$1.json" | head -1; }

today=$(seconds gunzip-psql)
mine=$(seconds reliquary)
echo
versions
printf 'archive %s bytes, %s rounds, medians, %s sessions\n\n' "$(stat -c %s "$archive")" "$runs" "$jobs"
row what seconds 'today / it' processors 'peak MiB'
row 'gunzip | psql' "$today" 1.00 "$(processors gunzip-psql)" -
row "reliquary restore --jobs $jobs" "$mine" "$(ratio "$today" "$mine")" "$(processors reliquary)" "$(peak reliquary)"
printf '\nits stages, in the last round:\n'
awk '{ gsub(/[",]/, "") } $1 == "seconds:" { seconds = $2 } $1 == "stage:" { printf "  %-13s %7.2f s\n", $2, seconds }' "$scratch/report.json"
printf '\none table of %s rows: %s s, %s bytes of the archive read, %s %% of it\n' "$(field table rows)" "$(seconds one-table)" \
  "$(field table archive_bytes)" "$(awk -v a="$(field table archive_bytes)" -v b="$(stat -c %s "$archive")" 'BEGIN { printf "%.3f", 100 * a / b }')"
echo "targets: today / it >= 1.5; a 1 % table < 2 % of the archive"

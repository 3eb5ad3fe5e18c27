#!/usr/bin/env bash
# A restore drill, from nothing to its verdict, side by side with what people do
# today to try a backup out, in one session: interleaved runs, medians, ratios.
# Read the ratios, not the seconds.
#
#   benches/drill.sh [--mb 1100] [--runs 3]
#
# --mb N      about how much plain dump the database makes (100 is quick)
# --runs N    runs of each
#
# Both sides restore the same archive. Today: `gunzip | psql` into an empty
# database of a server with default settings that is running already. It: a drill,
# which starts a server of its own, hashes the archive, restores it, counts every
# table's rows, looks at sequences, indexes and constraints, says what it thinks of
# the backup, and removes the server again; with `pg_amcheck` as well in a row of its
# own. Peak memory is that of the largest process: on the drill's side a server's.
#
# Environment: RELIQUARY (default target/release/reliquary), PGBIN (the
# directory of PostgreSQL's programs). Needs about 10 bytes of disk in TMPDIR for
# each byte of dump.
set -euo pipefail

# shellcheck source=benches/lib.sh
. "$(dirname "$0")/lib.sh"
mb=1100 runs=3
options mb runs -- "$@"
need gzip awk
need_reliquary

start_source "$mb"
mkdir "$scratch/store"
mkdir -m 711 "$scratch/drills"
export DIRECT_URL=$url RELIQUARY__STORE__URL=file://$scratch/store RELIQUARY__LOG__FORMAT=text
export RELIQUARY__POSTGRES__CLIENT_DIRS=$pg_bin RELIQUARY__DRILL__DIR=$scratch/drills
"$reliquary" -q backup
archive=$(find "$scratch/store" -name '*.sql.gz')

start_default

# Seconds of a stage of the drill.
stage() { awk -v name="$1" '{ gsub(/[",]/, "") } $1 == "seconds:" { seconds = $2 } $1 == "stage:" && $2 == name { print seconds }' "$scratch/drill.json"; }

one_round() {
  fresh_target
  measure gunzip-psql "gunzip -c $archive | $pg_bin/psql -Xq -v ON_ERROR_STOP=1 '$target' > /dev/null"
  RELIQUARY__DRILL__AMCHECK=false measure drill "exec $reliquary -q --json drill --no-record"
  cp "$scratch/out" "$scratch/drill.json"
  # What stands once its server is removed again.
  tail -1 "$scratch/drill.times" | awk -v after="$(stage teardown)" '{ $1 -= after; print }' >>"$scratch/verdict.times"
  measure drill-amcheck "exec $reliquary -q --json drill --no-record"
  cp "$scratch/out" "$scratch/amcheck.json"
}

say "warming up"
cat "$archive" >/dev/null
for ((round = 1; round <= runs; round++)); do
  say "round $round of $runs"
  one_round
done

field() { sed -n "s/^  \"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},*$/\1/p" "$scratch/$1.json" | head -1; }
for report in drill amcheck; do
  [ "$(field $report verdict)" = passed ] || die "the drill did not pass: $(cat "$scratch/$report.json")"
done

say "checking that both restored the same number of rows"
rows=$(psql -At "$target" -c "select sum((xpath('/row/c/text()', query_to_xml(format('select count(*) as c from %s', oid::regclass), false, true, '')))[1]::text::bigint) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace")
[ "$rows" = "$(field drill rows_compared)" ] || die "psql restored $rows rows, the drill $(field drill rows_compared)"

row() { printf '%-40s %8s %12s %12s %10s\n' "$@"; }

today=$(seconds gunzip-psql)
echo
versions
printf 'archive %s bytes, %s rows, %s rounds, medians\n\n' "$(stat -c %s "$archive")" "$rows" "$runs"
row what seconds 'today / it' processors 'peak MiB'
row 'gunzip | psql into a default server' "$today" 1.00 "$(processors gunzip-psql)" "$(peak gunzip-psql)"
row 'reliquary drill' "$(seconds drill)" "$(ratio "$today" "$(seconds drill)")" "$(processors drill)" "$(peak drill)"
row 'the same, to its verdict' "$(seconds verdict)" "$(ratio "$today" "$(seconds verdict)")" - -
row 'reliquary drill, with pg_amcheck' "$(seconds drill-amcheck)" "$(ratio "$today" "$(seconds drill-amcheck)")" "$(processors drill-amcheck)" "$(peak drill-amcheck)"
printf '\nits stages, in the last round:\n'
awk '{ gsub(/[",]/, "") } $1 == "seconds:" { seconds = $2 } $1 == "stage:" { printf "  %-22s %8.2f s\n", $2, seconds }' "$scratch/drill.json"
echo "target: today / it >= 1.5 from the sandbox's start to the verdict, without pg_amcheck"

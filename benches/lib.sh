# shellcheck shell=bash
# What the benchmark scripts share: a scratch directory, a PostgreSQL cluster
# on a unix socket, an S3 server, medians. Sourced, not run.
# shellcheck disable=SC2034 # the scripts that source this read url, target and s3_endpoint

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
reliquary=${RELIQUARY:-$repo/target/release/reliquary}

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

say() { printf '# %s\n' "$*" >&2; }

need() {
  local name
  for name in "$@"; do
    command -v "$name" >/dev/null || die "needs $name (Debian packages: postgresql time pigz curl; venv tools: tests/tools.sh)"
  done
}

# options NAME... -- ARGUMENT...: reads `--NAME NUMBER` into variables of these
# names; --help prints the head of the script.
options() {
  local names=() name
  while [ "$1" != -- ]; do
    names+=("$1")
    shift
  done
  shift
  while [ $# -gt 0 ]; do
    if [ "$1" = -h ] || [ "$1" = --help ]; then
      sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0"
      exit 0
    fi
    name=${1#--}
    [[ $1 = --* && " ${names[*]} " = *" $name "* ]] || die "unknown argument $1; see --help"
    printf -v "$name" %s "${2:?$1 needs a number}"
    shift 2
  done
}

# Everything is under one directory, and every child dies with the script.
scratch=$(mktemp -d "${TMPDIR:-/tmp}/reliquary-bench.XXXXXX")
chmod 755 "$scratch"
s3_pid=
finish() {
  local code=$?
  [ -z "$s3_pid" ] || kill "$s3_pid" 2>/dev/null || true
  local running
  for running in "$scratch"/*/data/postmaster.pid; do
    [ ! -e "$running" ] || as_server "$pg_bin/pg_ctl" -D "$(dirname "$running")" -m immediate -w stop >/dev/null 2>&1 || true
  done
  rm -rf "$scratch"
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# PostgreSQL refuses to run as root.
as_server() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

find_postgresql() {
  pg_bin=${PGBIN:-/usr/lib/postgresql/15/bin}
  if [ ! -x "$pg_bin/postgres" ]; then
    pg_bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -1)
  fi
  [ -x "${pg_bin:-}/postgres" ] || die "no PostgreSQL server found; set PGBIN to the directory with postgres and initdb"
}

# A default server, but for fsync: the tools that are compared only read from it.
start_cluster() {
  find_postgresql
  mkdir "$scratch/pg"
  [ "$(id -u)" != 0 ] || chown postgres "$scratch/pg"
  as_server "$pg_bin/initdb" --no-sync -A trust -E UTF8 --locale=C -U postgres -D "$scratch/pg/data" >/dev/null
  as_server "$pg_bin/pg_ctl" -D "$scratch/pg/data" -l "$scratch/pg/log" -w start \
    -o "-k $scratch/pg -c listen_addresses= -c fsync=off -c max_wal_size=8GB" >/dev/null
  export PGHOST=$scratch/pg PGUSER=postgres PGDATABASE=bench
  "$pg_bin/psql" -Xq -d postgres -c 'create database bench'
  url="postgresql://postgres@localhost/bench?host=$scratch/pg"
}

# A server as a package sets it up, fsync and all, in "$scratch/default": what a
# restore goes into. Sets target, the URL of a database of it.
start_default() {
  mkdir "$scratch/default"
  [ "$(id -u)" != 0 ] || chown postgres "$scratch/default"
  as_server "$pg_bin/initdb" -A trust -E UTF8 --locale=C -U postgres -D "$scratch/default/data" >/dev/null
  as_server "$pg_bin/pg_ctl" -D "$scratch/default/data" -l "$scratch/default/log" -w start \
    -o "-k $scratch/default -c listen_addresses=" >/dev/null
  target="postgresql://postgres@localhost/target?host=$scratch/default"
}

# That database, empty.
fresh_target() {
  psql -h "$scratch/default" -d postgres -c 'set client_min_messages = error' \
    -c 'drop database if exists target' -c 'create database target' -c checkpoint
}

# The same server for both sides; prints nothing, sets s3_endpoint.
start_s3() {
  local server=${S3_SERVER:-$repo/target/release/examples/s3_server}
  [ -x "$server" ] || die "build the S3 server first: cargo build --release --locked --example s3_server"
  mkfifo "$scratch/s3.in"
  "$server" "$scratch/s3" bench <"$scratch/s3.in" >"$scratch/s3.out" 2>"$scratch/s3.err" &
  s3_pid=$!
  exec 8>"$scratch/s3.in"
  local tries=0
  until [ -s "$scratch/s3.out" ]; do
    kill -0 "$s3_pid" 2>/dev/null || die "the S3 server ended: $(cat "$scratch/s3.err")"
    tries=$((tries + 1))
    [ "$tries" -lt 200 ] || die "the S3 server did not start"
    sleep 0.05
  done
  s3_endpoint=$(cat "$scratch/s3.out")
  export AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=bench-secret AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
}

# Reads numbers, prints their median.
median() { sort -n | awk '{ v[NR] = $1 } END { print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# What needs the product itself, and time's own measure.
need_reliquary() {
  [ -x /usr/bin/time ] || die "needs GNU time (Debian package: time)"
  [ -x "$reliquary" ] || die "build it first: cargo build --release --locked"
}

# start_source MB: a cluster with the donations, and psql to speak to it.
start_source() {
  say "loading about $1 MB"
  start_cluster
  psql -v mb="$1" -f "$repo/benches/donations.sql"
}
psql() { "$pg_bin/psql" -Xq "$@"; }

# measure NAME COMMAND: one timed run of a shell command; appends seconds, peak
# KiB, seconds of processor for user and system, and those of the whole machine:
# a server's are in no time of the command's own.
measure() {
  local name=$1 before
  shift
  before=$(busy)
  /usr/bin/time -f '%e %M %U %S' -o "$scratch/time" bash -o pipefail -c "$*" >"$scratch/out" 2>"$scratch/err" ||
    die "$name failed: $(tail -5 "$scratch/err")"
  printf '%s %s\n' "$(tail -1 "$scratch/time")" "$(awk -v a="$before" -v b="$(busy)" 'BEGIN { printf "%.1f", b - a }')" >>"$scratch/$name.times"
  say "$name: $(awk 'END { printf "%s s, peak %.1f MiB", $1, $2 / 1024 }' "$scratch/time")"
}

# For how many seconds all processors together have been at work since the start.
busy() { awk -v hz="$(getconf CLK_TCK)" '$1 == "cpu" { printf "%.2f", ($2 + $3 + $4 + $7 + $8) / hz }' /proc/stat; }

# Of all runs of NAME: the median of its seconds, that of the whole machine's
# seconds of processor, and its peak in MiB.
seconds() { awk '{ print $1 }' "$scratch/$1.times" | median; }
processors() { awk '{ print $5 }' "$scratch/$1.times" | median; }
peak() { awk '{ printf "%.1f\n", $2 / 1024 }' "$scratch/$1.times" | sort -n | tail -1; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; }

versions() {
  "$pg_bin/postgres" --version
  "$pg_bin/pg_dump" --version
  gzip --version | head -1
  { pigz --version 2>&1 || true; } | head -1
  if [ -x "$reliquary" ]; then "$reliquary" --version; fi
  printf '%s processors: %s\n' "$(nproc)" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1)"
}

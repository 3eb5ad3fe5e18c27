#!/usr/bin/env bash
# Builds the image, and runs a backup, a verify, a drill and the daemon in it as
# it is meant to run: not as root, with a read-only root and one volume.
#
#   bash tests/image.sh            takes target/release/reliquary; built if absent
#   bash tests/image.sh --whole    compiles in the image, as `docker build .` does
#
# It needs docker with an engine, or podman (on Debian: apt-get install podman
# runc buildah debootstrap), and says so and skips where neither is. Where the
# pinned bases cannot be fetched, debootstrap makes one of the same Debian; where
# PostgreSQL's own repository cannot be reached, Debian's packages are taken.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/prepare.sh
. deploy/prepare.sh

whole=
case ${1:-} in
  '') ;;
  --whole) whole=1 ;;
  *)
    printf 'usage: bash tests/image.sh [--whole]\n' >&2
    exit 2
    ;;
esac

image=localhost/reliquary:test
base=localhost/reliquary-base:trixie-slim
work=$(mktemp -d)
names="reliquary-test-$$"
engine=()

skip() {
  printf 'skipped: the image was not tested: %s\n' "$*"
  exit 0
}

# Podman's images are kept apart from the machine's own.
find_engine() {
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    engine=(docker)
  elif command -v podman >/dev/null; then
    local home=$PWD/target/image
    mkdir -p "$home"
    engine=(podman --log-level fatal --root "$home/storage" --runroot "$home/run" --cgroup-manager cgroupfs)
    [ "$(id -u)" != 0 ] || ! command -v runc >/dev/null || engine+=(--runtime runc)
  else
    skip "there is neither docker with an engine nor podman (apt-get install podman runc)"
  fi
  say "builder: ${engine[0]}"
}

cleanup() {
  [ ${#engine[@]} = 0 ] || "${engine[@]}" rm --force "$names" "$names-source" >/dev/null 2>&1 || true
  [ ${#engine[@]} = 0 ] || "${engine[@]}" volume rm --force "$names" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

build() {
  local options=(--network host)
  [ "${engine[0]}" = docker ] || options+=(--format docker --isolation chroot)
  "${engine[@]}" build "${options[@]}" "$@"
}

# base_image: the pinned base where it can be had, else one that debootstrap makes.
base_image() {
  local pinned
  pinned=$(sed -n 's/^ARG DEBIAN_IMAGE=//p' Dockerfile)
  if "${engine[@]}" pull --quiet "$pinned" >/dev/null 2>&1; then
    return
  fi
  say "the pinned base cannot be fetched: debootstrap makes one"
  arguments+=(--build-arg "DEBIAN_IMAGE=$base")
  if "${engine[@]}" image inspect "$base" >/dev/null 2>&1; then
    return
  fi
  command -v debootstrap >/dev/null || skip "the pinned base cannot be fetched, and there is no debootstrap"
  [ "$(id -u)" = 0 ] || skip "debootstrap needs root"
  debootstrap --variant=minbase trixie "$work/base" >"$work/debootstrap.log" 2>&1 ||
    skip "debootstrap failed: $(tail -1 "$work/debootstrap.log")"
  # As the slim one is: without what was fetched, documentation and translations.
  rm -rf "$work"/base/var/cache/apt/archives/*.deb "$work"/base/var/lib/apt/lists/* \
    "$work"/base/usr/share/{doc,man,info,locale}/*
  tar -C "$work/base" -c . | "${engine[@]}" import - "$base" >/dev/null
  rm -rf "$work/base"
}

# rust_image: where the base came from debootstrap, so does the compiler's, with
# this machine's own toolchain and certificates.
rust_image() {
  [ ${#arguments[@]} -gt 0 ] || return 0
  local sysroot context=$work/rust
  sysroot=$(rustc --print sysroot)
  mkdir -p "$context/rust" "$context/cargo"
  cp -a "$sysroot/bin" "$sysroot/lib" "$context/rust/"
  rm -rf "$context"/rust/lib/rustlib/src "$context"/rust/share
  cp /etc/ssl/certs/ca-certificates.crt "$context/cargo/"
  build --quiet --tag "$base-rust" --file - "$context" >/dev/null <<RUST
FROM $base
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev
COPY rust /usr/local
COPY cargo /usr/local/cargo
ENV CARGO_HOME=/usr/local/cargo CARGO_HTTP_CAINFO=/usr/local/cargo/ca-certificates.crt
RUST
  rm -rf "$context"
  arguments+=(--build-arg "RUST_IMAGE=$base-rust")
}

# in_image NAME [OPTION...] -- ARGUMENT...: as the image is meant to run.
in_image() {
  local name=$1 options=()
  shift
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  shift
  # The server that is backed up and the program share nothing but the volume,
  # which holds the socket; neither has a network.
  "${engine[@]}" run --name "$name" --network none --read-only --cap-drop ALL \
    --security-opt no-new-privileges --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    --volume "$names:/var/lib/reliquary" \
    --env DIRECT_URL='postgresql://postgres@/shop?host=/var/lib/reliquary' \
    --env RELIQUARY__STORE__URL=file:///var/lib/reliquary/store \
    --env RELIQUARY__DATABASES__MAIN__STALE_AFTER=40s \
    "${options[@]}" "$image" "$@"
}

once() { in_image "$names" --rm -- "$@"; }

expect() {
  local what=$1
  shift
  "$@" || die "$what"
  say "ok: $what"
}

find_engine
step "building"
arguments=()
base_image
if [ -n "$whole" ]; then
  rust_image
  # Older podmans take a stage that a variable names only from the command line.
  arguments+=(--build-arg BINARY=build)
else
  [ -x target/release/reliquary ] || cargo build --release --locked
  arguments+=(--build-arg BINARY=prebuilt)
fi
packages=pgdg
if ! curl --silent --fail --max-time 10 --output /dev/null https://apt.postgresql.org/pub/repos/apt/; then
  say "PostgreSQL's own repository cannot be reached: Debian's packages"
  packages=debian
fi
arguments+=(--build-arg "PACKAGES=$packages")
started=$SECONDS
build "${arguments[@]}" --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || true)" --tag "$image" . \
  >"$work/build.log" 2>&1 || { tail -30 "$work/build.log" >&2; die "the image does not build"; }
say "built in $((SECONDS - started)) s; $("${engine[@]}" image inspect --format '{{ .Size }}' "$image" | awk '{ printf "%.0f MB", $1 / 1e6 }')"

step "what it is"
inspect() { "${engine[@]}" image inspect --format "$1" "$image"; }
expect "it does not run as root" [ "$(inspect '{{ .Config.User }}')" = 10001:10001 ]
expect "its version is the program's" [ "reliquary $(inspect '{{ index .Config.Labels "org.opencontainers.image.version" }}')" = "$(once --version)" ]
field='.Config.Healthcheck'
[ "${engine[0]}" = docker ] || field='.HealthCheck'
read -ra check <<<"$(inspect "{{ range $field.Test }}{{ . }} {{ end }}")"
expect "its health check asks the daemon: ${check[*]}" [ "${check[*]}" = 'CMD reliquary status --live' ]
expect "its root is read-only" test -z "$(once --help >/dev/null; in_image "$names" --rm --entrypoint sh -- -c 'touch /x /usr/x /tmp/x 2>/dev/null && echo written')"
# shellcheck disable=SC2016 # expanded in the container
say "clients: $(in_image "$names" --rm --entrypoint sh -- -c 'cd /usr/lib/postgresql && for dir in */bin; do [ -x "$dir/pg_dump" ] && printf "%s " "${dir%%/*}"; done')"
say "server: $(in_image "$names" --rm --entrypoint sh -- -c 'ls /usr/lib/postgresql/*/bin/postgres')"

step "a database to back up, from the image's own server"
# shellcheck disable=SC2016 # expanded in the container
in_image "$names-source" --detach --entrypoint sh -- -c '
  bin=$(dirname /usr/lib/postgresql/*/bin/postgres)
  "$bin/initdb" --pgdata source --username postgres --auth trust --encoding UTF8 --locale C.UTF-8 >/dev/null &&
  exec "$bin/postgres" -D source -k /var/lib/reliquary -c listen_addresses=' >/dev/null
sql() {
  # shellcheck disable=SC2016
  "${engine[@]}" exec "$names-source" sh -c 'exec "$(ls -d /usr/lib/postgresql/*/bin/psql | tail -1)" -h /var/lib/reliquary -U postgres -qAt -v ON_ERROR_STOP=1 "$@"' sql "$@"
}
for _ in $(seq 60); do
  sql -c 'select 1' >/dev/null 2>&1 && break
  sleep 0.5
done
sql -c 'create database shop' || { "${engine[@]}" logs "$names-source" >&2; die "the source did not start"; }
sql -d shop -c "create table donors (id int primary key, name text, since timestamptz);
  insert into donors select i, 'donor ' || i, timestamptz '2020-01-01 12:00 America/New_York' + i * interval '1 hour' from generate_series(1, 20000) i;
  create view in_new_york as select id, since at time zone 'America/New_York' as since from donors;
  create index on donors (name)"

step "a backup, a verify, a drill"
once backup || die "the backup failed"
once verify || die "the verify failed"
once drill || die "the drill did not pass"

step "the daemon, and its health check"
# In a folder of its own there is no backup yet, so the daemon makes one at once.
in_image "$names" --detach --env RELIQUARY__DATABASES__MAIN__PREFIX=daemon/ -- run >/dev/null
until_health() {
  local wanted=$1 found
  for _ in $(seq 240); do
    if "${engine[@]}" exec "$names" "${check[@]:1}" >"$work/status" 2>/dev/null; then
      found=green
    else
      found=red
    fi
    [ "$found" != "$wanted" ] || return 0
    sleep 0.5
  done
  cat "$work/status" >&2
  "${engine[@]}" logs "$names" >&2
  return 1
}
expect "the health check is green when there is a fresh backup" until_health green
"${engine[@]}" stop --time 10 "$names-source" >/dev/null
expect "it turns red when the last backup is too old" until_health red
expect "and says why" grep -q '^stale' "$work/status"
cat "$work/status"
started=$SECONDS
"${engine[@]}" stop --time 40 "$names" >/dev/null
took=$((SECONDS - started))
expect "a stop is heeded, in $took s" [ "$took" -lt 30 ]
expect "and is no failure" [ "$("${engine[@]}" inspect --format '{{ .State.ExitCode }}' "$names")" = 0 ]

step "the image holds"

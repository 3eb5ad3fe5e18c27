# shellcheck shell=bash
# Installing what is missing on Debian and Ubuntu, without questions. Sourced
# by deploy/quickstart.sh and tests/run.sh, from the repository's root.

export DEBIAN_FRONTEND=noninteractive

step() { printf '\n== %s\n' "$*"; }
say() { printf '   %s\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --preserve-env=DEBIAN_FRONTEND "$@"
  else
    die "this needs root, and there is no sudo: $*"
  fi
}

# Once a run is enough.
apt_update() {
  [ -z "${apt_updated:-}" ] || return 0
  as_root apt-get update -qq
  apt_updated=1
}

apt_install() {
  command -v apt-get >/dev/null || die "install by hand, this is neither Debian nor Ubuntu: $*"
  apt_update
  say "installing $*"
  as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# install_packages PROGRAM:PACKAGE... installs the packages whose program is absent.
install_packages() {
  local pair missing=()
  for pair in "$@"; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

# What building needs; ISA-L, the compressor, is built from source.
install_build_tools() {
  install_packages gcc:gcc make:make autoconf:autoconf automake:automake libtoolize:libtool nasm:nasm pkg-config:pkg-config curl:curl gzip:gzip
  local file missing=()
  for file in /etc/ssl/certs/ca-certificates.crt:ca-certificates /usr/include/stdio.h:libc6-dev; do
    [ -e "${file%%:*}" ] || missing+=("${file#*:}")
  done
  [ ${#missing[@]} = 0 ] || apt_install "${missing[@]}"
}

# install_postgresql MAJOR|any: a server and its client. Only its programs are
# wanted, so the package is kept from making and starting a cluster of its own.
install_postgresql() {
  local wanted=$1 pattern=$1 found quiet=/etc/postgresql-common/createcluster.d/reliquary.conf
  [ "$wanted" != any ] || pattern='*'
  found=$(find /usr/lib/postgresql -path "*/$pattern/bin/postgres" 2>/dev/null | head -1)
  [ -z "$found" ] || return 0
  as_root mkdir -p "$(dirname "$quiet")"
  printf 'create_main_cluster = false\n' | as_root tee "$quiet" >/dev/null
  if [ "$wanted" = any ]; then
    apt_install postgresql postgresql-client
  else
    apt_update
    if ! apt-cache show "postgresql-$wanted" >/dev/null 2>&1; then
      say "this release has no PostgreSQL $wanted: adding PostgreSQL's own package repository"
      apt_install postgresql-common ca-certificates
      as_root /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y >/dev/null
    fi
    apt_install "postgresql-$wanted" "postgresql-client-$wanted"
  fi
  as_root rm -f "$quiet"
}

# fetch_prometheus DIR puts prometheus, promtool and amtool into DIR/bin without
# installing the packages, which would start daemons.
fetch_prometheus() {
  local work program complete=yes
  for program in prometheus promtool amtool; do
    [ -x "$1/bin/$program" ] || complete=
  done
  [ -z "$complete" ] || return 0
  command -v apt-get >/dev/null || return 0
  say "fetching prometheus, promtool and amtool"
  mkdir -p "$1/bin"
  work=$(mktemp -d)
  chmod 755 "$work"
  apt_update
  (
    cd "$work" || exit
    apt-get -o APT::Sandbox::User=root download -qq prometheus prometheus-alertmanager
    for package in *.deb; do dpkg -x "$package" unpacked; done
  )
  for program in prometheus promtool amtool; do
    mv "$work/unpacked/usr/bin/$program" "$1/bin/$program"
  done
  rm -rf "$work"
}

# A browser without a window, where the distribution has one as a package.
install_browser() {
  if command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null; then
    return
  fi
  command -v apt-get >/dev/null || return 0
  apt_update
  if apt-cache show chromium-headless-shell >/dev/null 2>&1; then
    apt_install chromium-headless-shell
  fi
}

# Rust, when there is none or it is older than Cargo.toml asks for.
install_rust() {
  local wanted have
  [ ! -f "$HOME/.cargo/env" ] || PATH=$HOME/.cargo/bin:$PATH
  wanted=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
  have=$(cargo --version 2>/dev/null | awk '{ print $2 }' || true)
  if [ -n "$have" ] && [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -1)" = "$wanted" ]; then
    return
  fi
  install_packages curl:curl
  if command -v rustup >/dev/null; then
    say "Rust ${have:-is absent}, $wanted or newer is needed: updating"
    rustup toolchain install stable --profile minimal --component rustfmt,clippy
    rustup default stable
  else
    say "Rust ${have:-is absent}, $wanted or newer is needed: installing with rustup"
    curl --proto '=https' --tlsv1.2 -fsSL https://sh.rustup.rs |
      sh -s -- -y --no-modify-path --profile minimal --component rustfmt,clippy
  fi
  PATH=$HOME/.cargo/bin:$PATH
  export PATH
  hash -r
}

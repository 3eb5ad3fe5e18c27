#!/usr/bin/env bash
# Every check of this repository, on a machine that may have nothing yet: on
# Debian or Ubuntu it installs what is missing, then runs format, lints, tests
# and documentation. Running it again installs nothing.
#
#   bash tests/run.sh              everything
#   bash tests/run.sh --no-install check only, touch nothing outside target/
#   bash tests/run.sh --image      the container's image, too (tests/image.sh)
#
# It needs root or sudo only where a package is missing. Environment:
# RELIQUARY_TEST_TOOLS (where fetched tools go, default target/tools).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}
# shellcheck source=deploy/prepare.sh
. deploy/prepare.sh

install=1 image=
for argument in "$@"; do
  case $argument in
    --no-install) install= ;;
    --image) image=1 ;;
    *)
      printf 'usage: bash tests/run.sh [--no-install] [--image]\n' >&2
      exit 2
      ;;
  esac
done

if [ -n "$install" ]; then
  step "what the machine must have"
  # nasm, autoconf and libtool build ISA-L; shellcheck and the server are what
  # the checks themselves call.
  install_build_tools
  install_packages python3:python3 openssl:openssl pgbouncer:pgbouncer flock:util-linux pigz:pigz time:time psql:postgresql-client shellcheck:shellcheck curl:curl
  python3 -c 'import ensurepip, venv' 2>/dev/null || apt_install python3-venv
  install_postgresql 15
  # Some distributions ship the extensions apart from the server.
  [ -e /usr/share/postgresql/15/extension/hstore.control ] || apt_install postgresql-contrib
  install_rust
fi

step "tools for the tests"
RELIQUARY_TEST_TOOLS=$(tests/tools.sh)
export RELIQUARY_TEST_TOOLS
if [ -n "$install" ]; then
  fetch_prometheus "$RELIQUARY_TEST_TOOLS"
  install_browser
fi
# Named here, they are no longer optional: a test that needs one does not skip.
for tool in prometheus promtool amtool; do
  declare -x "${tool^^}=$(command -v "$tool" || echo "$RELIQUARY_TEST_TOOLS/bin/$tool")"
done
if CHROMIUM=$(command -v chromium-headless-shell || command -v chromium); then
  export CHROMIUM
else
  unset CHROMIUM
  say "there is no browser; the tests of the status page in one are skipped"
fi

step "shell scripts"
if command -v shellcheck >/dev/null; then
  shellcheck -x deploy/*.sh tests/*.sh benches/*.sh .ci/run
else
  say "shellcheck is not installed; skipped"
fi

step "deployments"
bash tests/deployments.sh

step "format"
cargo fmt --check

step "lints"
cargo clippy --locked --all-targets -- -D warnings

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
  # Some tests wait for others' servers and clocks more than they work.
  cargo nextest run --locked --test-threads $(($(nproc) + 2))
else
  say "cargo-nextest is not installed; cargo test does the same, one process for all"
  # Each test starts servers of its own, so no more at once than there are processors.
  cargo test --locked --lib --bins --tests -- --test-threads "$(nproc)"
fi
cargo test --locked --doc

step "documentation"
RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps

if [ -n "$image" ]; then
  step "the image"
  [ -z "$install" ] || command -v docker >/dev/null || install_packages podman:podman runc:runc buildah:buildah debootstrap:debootstrap
  bash tests/image.sh
else
  say "the image was not asked for (--image), and not built"
fi

step "all checks passed"

# What people type; CI runs tests/run.sh, which does the same and more.

# List the recipes.
default:
    @just --list

# Every check, installing what is missing.
ci:
    bash tests/run.sh

# Format and lint, fast enough for every save.
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    shellcheck -x deploy/*.sh tests/*.sh benches/*.sh .ci/run

# Tests; arguments go to nextest, as in `just test -E 'test(nasty)'`.
test *args:
    cargo nextest run --locked {{ args }}

# Only what needs no PostgreSQL server.
unit:
    cargo nextest run --locked --lib

# A whole recovery, and the document that it leaves.
rehearse:
    cargo nextest run --locked --no-capture -E 'test(a_lost_source_comes_back)'

# Licences and advisories.
deny:
    cargo deny check

# A release build.
build:
    cargo build --release --locked

# The demo on a throwaway database.
demo *args: build
    target/release/reliquary demo {{ args }}

# Both sides of a backup, as in `just bench --mb 100`.
bench *args: build
    cargo build --release --locked --example s3_server
    tests/tools.sh venv
    benches/backup.sh {{ args }}

# Both sides of a restore.
bench-restore *args: build
    benches/restore.sh {{ args }}

# The daemon at rest.
bench-idle *args: build
    benches/idle.sh {{ args }}

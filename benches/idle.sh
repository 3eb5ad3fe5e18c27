#!/usr/bin/env bash
# The daemon at rest: time from its start to the first honest /healthz with
# 720 backups in a local store, then memory and processor time while it idles.
#
#   benches/idle.sh [--backups 720] [--seconds 30] [--starts 5]
#
# One real backup is taken; the others are that one under other names, an hour
# apart, each with its manifest and checksum file. Honest means: 200, status
# ok, and the last success is the newest backup's. It rests when it has read the
# manifests and made its first audit, which is when it has used no processor time
# for three seconds. MALLOC_ARENA_MAX is what the image and the unit set it to.
#
# Environment: RELIQUARY (default target/release/reliquary), PGBIN.
set -euo pipefail

backups=720 seconds=30 starts=5
while [ $# -gt 0 ]; do
  case $1 in
    --backups) backups=${2:?--backups needs a number} && shift 2 ;;
    --seconds) seconds=${2:?--seconds needs a number} && shift 2 ;;
    --starts) starts=${2:?--starts needs a number} && shift 2 ;;
    -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
    *) printf 'unknown argument %s; see --help\n' "$1" >&2 && exit 2 ;;
  esac
done

# shellcheck source=benches/lib.sh
. "$(dirname "$0")/lib.sh"
need curl python3 awk
[ -x "$reliquary" ] || die "build it first: cargo build --release --locked"

say "taking one backup"
start_cluster
"$pg_bin/psql" -Xq -v mb=1 -f "$repo/benches/donations.sql"
mkdir "$scratch/store"
# The daemon must have nothing to do while it is watched, so the whole run
# stays on one side of the hour's slot.
while [ "$(date -u +%-M)" -ge 55 ]; do
  say "waiting for the hour's slot to pass"
  sleep 20
done
export DIRECT_URL=$url RELIQUARY__STORE__URL=file://$scratch/store
"$reliquary" backup >"$scratch/out" 2>&1 || die "the backup failed: $(tail -5 "$scratch/out")"

say "making $backups of it"
# The newest keeps its own name; the others step back an hour each.
newest=$(python3 - "$scratch/store" "$backups" <<'PYTHON'
import datetime, json, pathlib, sys

store, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2])
manifest = next(store.rglob("*.manifest.json"))
ident = manifest.name.removesuffix(".manifest.json")
prefix = manifest.parents[2]
form = "%Y-%m-%dT%H-%M-%SZ"
taken = datetime.datetime.strptime(ident, form)
text = manifest.read_text()
archive = manifest.with_name(ident + ".sql.gz").read_bytes()
checksum = manifest.with_name(ident + ".sql.gz.sha256").read_text()
for step in range(1, wanted):
    at = taken - datetime.timedelta(hours=step)
    other = at.strftime(form)
    folder = prefix / at.strftime("%Y/%m")
    folder.mkdir(parents=True, exist_ok=True)
    # The id, the keys that hold it, and the instants all move together.
    moved = text.replace(f"/{taken:%Y/%m}/{ident}", f"/{at:%Y/%m}/{other}").replace(ident, other)
    for name in ("started", "finished"):
        moved = moved.replace(f'"{name}": "{taken:%Y-%m-%dT%H}', f'"{name}": "{at:%Y-%m-%dT%H}')
    (folder / (other + ".sql.gz")).write_bytes(archive)
    (folder / (other + ".sql.gz.sha256")).write_text(checksum.replace(ident, other))
    (folder / (other + ".manifest.json")).write_text(moved)
# Whichever of its instants health reports, to the second.
described = json.loads(text)
instants = {taken.strftime("%Y-%m-%dT%H:%M:%S")}
instants |= {described[name][:19] for name in ("started", "finished") if name in described}
print(",".join(sorted(instants)))
PYTHON
)
found=$("$reliquary" --json list --all | python3 -c 'import json, sys; d = json.load(sys.stdin); print(len(d if isinstance(d, list) else d["backups"]))')
[ "$found" = "$backups" ] || die "made $backups backups, but reliquary list shows $found"

# Ready is measured by asking all the time, in one process that is running already.
cat >"$scratch/start.py" <<'PYTHON'
import http.client, json, os, signal, socket, subprocess, sys, time

binary, newest, seconds = sys.argv[1], sys.argv[2].split(","), float(sys.argv[3])
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
env = dict(os.environ, RELIQUARY__HTTP__LISTEN=f"127.0.0.1:{port}")
log = open(os.environ["DAEMON_LOG"], "ab")
begun = time.monotonic()
daemon = subprocess.Popen([binary, "run"], env=env, stdout=log, stderr=log)
try:
    while True:
        if daemon.poll() is not None:
            sys.exit(f"the daemon ended with {daemon.returncode}")
        if time.monotonic() - begun > 30:
            sys.exit("no honest /healthz within 30 s")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status == 200 and json.loads(body)["status"] == "ok" and any(at in body for at in newest):
                break
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.002)
    ready = time.monotonic() - begun

    def ticks():
        with open(f"/proc/{daemon.pid}/stat") as stat:
            fields = stat.read().rsplit(") ", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    resident = share = 0.0
    if seconds:
        rest = time.monotonic()
        last = ticks()
        while time.monotonic() - rest < 3:
            if time.monotonic() - begun > 60:
                sys.exit("no rest within a minute")
            time.sleep(0.2)
            if ticks() != last:
                last, rest = ticks(), time.monotonic()
        before, since = ticks(), time.monotonic()
        time.sleep(seconds)
        share = 100 * (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - since)
        with open(f"/proc/{daemon.pid}/status") as status:
            resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
    print(f"{ready * 1000:.0f} {resident:.1f} {share:.3f}")
finally:
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
PYTHON
export DAEMON_LOG=$scratch/daemon.log MALLOC_ARENA_MAX=2

run_daemon() {
  python3 "$scratch/start.py" "$reliquary" "$newest" "$1" || die "the daemon's log ends: $(tail -5 "$DAEMON_LOG")"
}
for ((start = 1; start <= starts; start++)); do
  say "start $start of $starts"
  run_daemon 0 >>"$scratch/starts"
done
say "watching it idle for $seconds s"
read -r _ resident share < <(run_daemon "$seconds")

echo
versions
printf '%s backups in a local store\n\n' "$backups"
printf '%-34s %10s   %s\n' measure value target
printf '%-34s %7s ms   %s\n' "start to honest /healthz, median" "$(awk '{ print $1 }' "$scratch/starts" | median)" "< 300"
printf '%-34s %6s MiB   %s\n' "resident, idle" "$resident" "< 25"
printf '%-34s %8s %%   %s\n' "of a core, idle, over $seconds s" "$share" "< 0.2"

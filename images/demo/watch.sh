#!/usr/bin/env bash
# The whole loop on one machine: cfn-watch, and a guest that runs cfn-agent run.
# The guest's service is killed, and started again by the guest; the guest is
# killed, its heartbeat missed, its alarm goes to ALARM, and the action of the
# alarm starts the guest again.
#
# Everything is in namespaces of its own, and gone in the end. Not to be root is
# enough where the kernel lets users make those.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
bin=$(cd "$here/../../bin/demo" && pwd)

if [ -z "${DEMO_INSIDE:-}" ]; then
  as=()
  [ "$(id -u)" = 0 ] || as=(--user --map-root-user)
  # A network of its own, where ports are free, needs iproute2 to be used.
  if command -v ip >/dev/null; then as+=(--net); fi
  DEMO_INSIDE=1 exec unshare "${as[@]}" --mount --propagation private --pid --fork --kill-child --mount-proc "$0"
fi

if command -v ip >/dev/null; then ip link set lo up; fi
mount -t tmpfs -o mode=0755 tmpfs /mnt
cp "$bin/cfn-agent" "$bin/cfn-watch" /mnt/
PATH=/mnt:$PATH
export CFN_WATCH_CONFIG=/mnt/cfn-watch.conf

say() { printf '\n== %s\n' "$*"; }
now() { date +%s%N; }
since() { echo "$((($(now) - $1) / 100000000))" | sed 's/.$/.&/; s/^\./0./'; } # seconds, with a tenth
# until SECONDS COMMAND...: until the command succeeds
until_true() {
  local end=$(($(date +%s) + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$(date +%s)" -lt $end ] || { echo "demo: waited in vain for: $*" >&2; tail -n 20 /mnt/*.log >&2; exit 1; }
    sleep 0.1
  done
}
alarm_is() { cfn-watch alarms --state "$1" -o json | grep -q '"demo-Heartbeat"'; }

# What the operator has: a rule, and what to do when it fires.
mkdir /mnt/alarms.d
cat >/mnt/alarms.d/demo.yaml <<'END'
demo-Heartbeat:
  Project: demo
  Stack: demo
  Namespace: system/linux
  MetricName: Heartbeat
  Statistic: SampleCount
  ComparisonOperator: LessThanThreshold
  Threshold: 1
  Period: 10
  EvaluationPeriods: 1
  TreatMissingData: breaching
  Tolerance: 2s
  AlarmActions: ["cfnwatch:exec:start-guest"]
END
cat >/mnt/cfn-watch.conf <<'END'
[server]
admin = /mnt/admin.sock
[store]
path = /mnt/state.db
[alarms]
dir = /mnt/alarms.d
[exec start-guest]
argv = /mnt/start-guest
user = root
END
# Switches the guest on: a machine is a process tree with files of its own.
cat >/mnt/start-guest <<END
#!/bin/bash
setsid unshare --pid --fork --kill-child --mount-proc "$here/../e2e/room" /mnt/guest \
  bash -c '/mnt/cfn-agent run & wait' >>/mnt/guest.log 2>&1 </dev/null &
echo \$! >/mnt/guest.pid
END
chmod +x /mnt/start-guest

say "The server starts, with one rule: no heartbeat for 12 s starts the guest again"
cfn-watch serve 2>/mnt/watch.log &
until_true 10 cfn-watch status
cfn-watch alarms

# What the guest has: what Heat and the template would have left there.
mkdir -p /mnt/guest/etc/cfn /mnt/guest/etc/init.d /mnt/guest/var/cache/heat-cfntools /mnt/guest/var/lib/heat-cfntools
cfn-watch issue-key --project demo --stack demo >/mnt/guest/etc/cfn/cfn-credentials
chmod 600 /mnt/guest/etc/cfn/cfn-credentials
cat >/mnt/guest/etc/cfn/cfn-agent.conf <<'END'
[main]
stack = demo
resource = Guest
watch-url = http://127.0.0.1:8003/v1/

[heartbeat]
watch = demo-Heartbeat
interval = 2s
END
cat >/mnt/guest/var/cache/heat-cfntools/last_metadata_Guest <<'END'
{"AWS::CloudFormation::Init": {"config": {"services": {"sysvinit": {"web": {"ensureRunning": "true"}}}}}}
END
cat >/mnt/guest/etc/init.d/web <<'END'
#!/bin/bash
# A service as System V init has it.
case $1 in
  start) setsid sleep infinity >/dev/null 2>&1 </dev/null & echo $! >/run/web.pid ;;
  stop) kill "$(cat /run/web.pid)" ;;
  status) kill -0 "$(cat /run/web.pid)" 2>/dev/null || exit 3 ;;
esac
END
chmod +x /mnt/guest/etc/init.d/web

say "The guest starts, and its heartbeat arrives"
/mnt/start-guest
until_true 30 alarm_is OK
cfn-watch alarms

say "Its service is killed, and started again as the metadata have it"
# The guest's first process is the only child of what holds its namespaces.
in_guest() { nsenter -t "$(awk '{print $1}' "/proc/$(cat /mnt/guest.pid)/task/$(cat /mnt/guest.pid)/children")" --pid --mount "$@"; }
web() { cat /mnt/guest/run/web.pid; }
signal() { in_guest bash -c "kill -$1 $2"; }
runs() { signal 0 "$(web)"; }
in_guest /mnt/cfn-agent hup -f # as a crontab has it: the daemon looks at once
until_true 30 grep 'was started' /mnt/guest.log # the look at it has ended
first=$(web) start=$(now)
signal 9 "$first"
other() { in_guest /mnt/cfn-agent hup -f && [ "$(web)" != "$1" ]; }
until_true 30 other "$first"
service=$(since "$start")
echo "killed $first, now there is $(web), after $service s"

say "The guest is killed"
killed=$(now)
kill -9 "$(cat /mnt/guest.pid)"
until_true 40 alarm_is ALARM
alarm=$(since "$killed")
cfn-watch alarms
until_true 40 alarm_is OK
back=$(since "$killed")

say "What happened"
cfn-watch history demo-Heartbeat
say "Why"
cfn-watch explain demo-Heartbeat
restarts=$(cfn-watch history demo-Heartbeat | grep -c 'start-guest: begins') || true
[ "$restarts" = 1 ] || { echo "demo: the guest was started $restarts times, want once" >&2; exit 1; }
in_guest /mnt/cfn-agent hup -f
until_true 30 runs

say "Done: the service was back $service s after its end; the lost heartbeat was an alarm after $alarm s, 12 s of silence being allowed; the guest was back after $back s, started once"

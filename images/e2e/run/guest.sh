#!/bin/bash
# Runs inside the booted guest, as root; see run.sh. What the alarm server was sent is in /record.
set -euo pipefail
# shellcheck source=../lib.sh
. /lib.sh

main_pid() { systemctl show -p MainPID --value "$1"; }
# sent METRIC: how many datapoints of it the alarm server has had
sent() { cat /record/requests 2>/dev/null | grep -c "^datapoint system/linux $1 " || true; }
# of PATH: what cfn-agent status tells, by an expression of Python on it
of() { cfn-agent status -o json 2>/dev/null | python3 -c "import json, sys; s = json.load(sys.stdin); print($1)"; }
state() { of 's["checks"][0]["state"]'; }
paused() { of '" ".join(s["heartbeat"].get("paused") or [])'; }
# until_ WHAT COMMAND...: wait for it to succeed, for 60 s at most
until_() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || { fail "$what" "$(cfn-agent status 2>&1 || true)" "$(tail -n 20 /var/log/cfn-agent.log)"; return 0; }
    sleep 0.1
  done
  pass "$what"
}
says() { [ "$("${@:2}")" = "$1" ]; }
more() { [ "$(sent "$1")" -gt "$2" ]; }

mkdir -p /etc/cfn /var/lib/heat-cfntools /srv
printf 'AWSAccessKeyId=key\nAWSSecretKey=secret\n' | install -m 0400 /dev/stdin /etc/cfn/cfn-credentials
echo hello >/srv/index.html
# The server answers, or is there and hangs from its start on.
cat >/etc/systemd/system/web.service <<'END'
[Service]
ExecStartPre=sh -c 'echo >>/run/starts'
ExecStart=sh -c 'test ! -e /run/hang || exec sleep infinity; exec busybox httpd -f -p 127.0.0.1:80 -h /srv'
END
cat >/etc/systemd/system/cfn-agent.service <<'END'
[Service]
Type=notify
ExecStart=/usr/bin/cfn-agent run
WatchdogSec=5
END
cat >/etc/cfn/cfn-agent.conf <<'END'
[main]
stack = stack
resource = Guest
url = http://127.0.0.1:8000/v1/
watch-url = http://127.0.0.1:8003/v1/
[heartbeat]
watch = stack-HeartbeatFailureAlarm
interval = 1s
while = web
[check web]
probe = http://127.0.0.1/
interval = 1s
timeout = 1s
failures = 2
restart = web.service
report = stack-HttpFailureAlarm
END
cat >/etc/cfn/hooks.conf <<'END'
[told]
triggers = service.restarted
path = Resources.Guest.Metadata
action = echo $CFN_RESOURCE $CFN_SERVICE $CFN_SERVICE_RESULT >>/run/told
END
systemctl daemon-reload
systemctl start web
until_ "the server answers" busybox wget -q -O /dev/null http://127.0.0.1/
systemctl start cfn-agent

until_ "the check passes" says passing state
until_ "heartbeats come" more Heartbeat 1
is "no failure was reported" "$(sent ServiceFailure)" 0
cfn-agent status >/dev/null && pass "status exits 0" || fail "status exits 0"

before=$(main_pid web)
systemctl kill -s STOP web
is "the stopped server is active still for systemd" "$(systemctl is-active web)" active
until_ "its check sees that it does not answer, and the heartbeat pauses" says web paused
until_ "it is restarted and answers" says passing state
[ "$(main_pid web)" != "$before" ] && pass "as a new process" || fail "as a new process" "$before"
is "once" "$(wc -l </run/starts)" 2
until_ "the failure is reported" more ServiceFailure 0
is "to its alarm, as of now" "$(grep ' ServiceFailure ' /record/requests | sort -u)" \
  'datapoint system/linux ServiceFailure Counter 1 AlarmName=stack-HttpFailureAlarm InstanceId=7d2b6c5e-0000-4000-8000-000000000001'
until_ "and to the hooks" says "Guest web started" head -n 1 /run/told
until_ "the heartbeat goes on" more Heartbeat "$(sent Heartbeat)"

# Now it hangs after each start: of three restarts in ten minutes two are left.
touch /run/hang
systemctl kill -s STOP web
until_ "a service that never comes back is left alone" says 'left alone' state
beats=$(sent Heartbeat) reports=$(sent ServiceFailure)
is "after three restarts" "$(wc -l </run/starts)" 4
is "loudly, once" "$(grep -c '\[ERROR\].*web.service' /var/log/cfn-agent.log)" 1
cfn-agent status >/run/status 2>&1 && fail "status exits 1" || is "status exits 1" $? 1
has "and says which" "$(cat /run/status)" web
until_ "it is reported as down still" more ServiceFailure $((reports + 2))
is "the heartbeat pauses" "$(sent Heartbeat)" "$beats"
is "it is restarted no more" "$(wc -l </run/starts)" 4
# Hooks are told beside the reports, and not before them.
until_ "the hooks were told of each restart" says 3 grep -c '^Guest web started$' /run/told
limits() { [ "$(grep -c '^Guest web limit$' /run/told)" -gt 1 ]; }
until_ "and at each check after them" limits

rm /run/hang
systemctl restart web
until_ "once it answers again the check passes" says passing state
until_ "and the heartbeat goes on" more Heartbeat "$beats"
is "the daemon was never restarted" "$(systemctl show -p NRestarts --value cfn-agent) $(systemctl is-active cfn-agent)" "0 active"
summary

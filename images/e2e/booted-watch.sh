#!/usr/bin/env bash
# Runs inside a booted container, as root: cfn-watch as a unit of a real systemd,
# which tells it when it is ready, reloaded and stopping, and gives it a socket.
set -euo pipefail
passed=0 failed=0
ok() { # NAME COMMAND...
  local name=$1; shift
  if "$@"; then passed=$((passed + 1)); echo "ok - $name"; else failed=$((failed + 1)); echo "FAILED - $name"; fi
}
is() { [ "$1" = "$2" ] || { echo "-- $1, want $2"; false; }; }
show() { systemctl show -p "$1" --value watch; }
says() { "${@:2}" 2>&1 | grep -qF -- "$1" || { echo "-- ${*:2} does not say: $1"; false; }; }
reloads() { timeout 60 systemctl reload watch; }

conf=/etc/watch.conf
configure() { printf '[store]\npath = /var/lib/watch/state.db\n[server]\nadmin = /run/watch.sock\n[gates]\nstorm_count = %s\n' "$1" >$conf; }
unit=(-p Type=notify -p StateDirectory=watch -p WatchdogSec=6 /usr/bin/cfn-watch serve --config $conf)

configure 3
# shellcheck disable=SC2016  # systemd's
systemd-run -q --unit=watch -p 'ExecReload=/bin/kill -HUP $MAINPID' "${unit[@]}"
ok "systemd starts it, and knows when it is ready" says 'health   all is well' cfn-watch status --config $conf
before=$(show MainPID)
configure 4
ok "systemctl reload returns" reloads
ok "when it has read all again" is "$(show StatusText)" 'configuration read again'
configure many
ok "systemctl reload returns after a mistake too" reloads
ok "which systemctl status shows" is "$(show StatusText)" "configuration not read again: $conf:6: [gates] storm_count: \"many\" is not a whole number above 0"
sleep 10
ok "its ticks keep the watchdog quiet" is "$(show MainPID) $(show NRestarts) $(show ActiveState)" "$before 0 active"
configure 3
kill -STOP "$before"
for _ in $(seq 60); do [ "$(show ActiveState)" = failed ] && break; sleep 1; done
ok "one that stands still is killed by it" is "$(show Result)" watchdog
systemctl reset-failed watch

# A socket of systemd is there before the server is, and another than it would open.
systemd-run -q --unit=watch --socket-property=ListenStream=127.0.0.1:8103 "${unit[@]}"
ok "it is started by the first who comes" says 'nothing is here' curl -s --max-time 60 http://127.0.0.1:8103/none
ok "and listens where systemd does" says 'listens  at 127.0.0.1:8103' cfn-watch status --config $conf
systemctl stop watch.socket watch.service
ok "it stops cleanly" is "$(show Result) $(show ExecMainStatus)" 'success 0'

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]

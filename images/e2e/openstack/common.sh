# shellcheck shell=bash
# Shared by up, down, tls and stack; sourced, not run.
export OPENSTACK_DIR=${OPENSTACK_DIR:-/var/lib/openstack-test}
# Debian's OpenStack lives in the distribution's own Python; keep any other one out of PATH.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
ETC=$OPENSTACK_DIR/etc LOG=$OPENSTACK_DIR/log RUN=$OPENSTACK_DIR/run
PASS=test-only                      # every password here; all ports listen on loopback only
DB_PORT=13306 AMQP_PORT=15673 EPMD_PORT=14369 DIST_PORT=15674
REGION=RegionOne
KEYSTONE=http://127.0.0.1:5000/v3 CFN=http://127.0.0.1:8000 HEAT=http://127.0.0.1:8004

say() { printf '%(%T)T %s\n' -1 "$*" >&2; }
die() { say "error: $*"; exit 1; }

# A pid file holds "pid starttime", so a reused pid is never mistaken for ours.
starttime() { local s; s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; read -ra s <<<"${s##*) }"; echo "${s[19]}"; }
running() {
  local pid start
  [ -s "$RUN/$1.pid" ] && read -r pid start <"$RUN/$1.pid" && [ "$(starttime "$pid")" = "$start" ]
}

# daemon NAME PORT COMMAND...: start it in its own session unless it already runs. PORT is the
# port it will listen on (or 0); another program there is an error, not an answer to wait for.
daemon() {
  local name=$1 port=$2; shift 2
  running "$name" && return 0
  if [ "$port" != 0 ] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    die "$name: port $port is taken by another program: $(ss -Hltnp "sport = :$port" 2>/dev/null)"
  fi
  setsid "$@" >>"$LOG/$name.log" 2>&1 </dev/null &
  local pid=$! start
  start=$(starttime $pid) || die "$name did not start; see $LOG/$name.log"
  echo "$pid $start" >"$RUN/$name.pid"
  echo "$name" >>"$RUN/order"
}

# stop NAME: end the daemon and, after 20 s, whatever is left of its session.
stop() {
  local pid start i
  running "$1" || { rm -f "$RUN/$1.pid"; return 0; }
  read -r pid start <"$RUN/$1.pid"
  kill -TERM "$pid" 2>/dev/null || true
  for ((i = 0; i < 100; i++)); do running "$1" || break; sleep 0.2; done
  kill -KILL -- "-$pid" 2>/dev/null || true
  rm -f "$RUN/$1.pid"
}

# await NAME SECONDS COMMAND...: retry COMMAND until it succeeds.
await() {
  local name=$1 end=$((SECONDS + $2)); shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || die "$name not ready; see $LOG/"
    if [ -e "$RUN/$name.pid" ] && ! running "$name"; then
      tail -n 15 "$LOG/$name.log" >&2; die "$name exited"
    fi
    sleep 0.3
  done
}
answers() { curl -s -o /dev/null --max-time 5 "$1"; }

# install_packages NAME...: install with apt what is missing; no package may start its own service.
install_packages() {
  local missing=() p policy=/usr/sbin/policy-rc.d made='' rc=0
  for p; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing+=("$p")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${missing[*]}"
  # Everything is started by the scripts here, on loopback.
  if [ ! -e $policy ]; then printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; made=1; fi
  # apt unpacks below TMPDIR; in the common /tmp somebody's cleaning once took its files away.
  mkdir -p "$OPENSTACK_DIR/tmp" "$LOG"
  apt_install "${missing[@]}" >"$LOG/apt.log" 2>&1 </dev/null || rc=$?
  [ -z "$made" ] || rm -f $policy
  [ $rc = 0 ] || { tail -n 20 "$LOG/apt.log" >&2; die "apt failed; see $LOG/apt.log"; }
}
apt_install() {
  local -x TMPDIR=$OPENSTACK_DIR/tmp DEBIAN_FRONTEND=noninteractive
  dpkg --configure -a
  apt-get -o DPkg::Lock::Timeout=900 update &&
    apt-get -o DPkg::Lock::Timeout=900 -o Dpkg::Options::=--force-unsafe-io \
      -o Dpkg::Options::=--force-confold -y --no-install-recommends install "$@"
}

#!/bin/bash
# cfn-push-stats of Debian's heat-cfntools and ours, called alike: what a server gets of each is
# compared field by field. Then what only ours has: what is kept for later, and checks of real
# services. Needs root and Debian 12; all is on a loopback of its own.
#
#   push.sh
#
# Environment: UPDATE=1 rewrites testdata/push-differences.txt; CFN_AGENT is the binary that is
# tested (default bin/cfn-agent).
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
if [ -z "${CFN_PUSH:-}" ]; then
  [ "$(id -u)" = 0 ] || { echo 'push.sh: must be root' >&2; exit 1; }
  "$here/deps.sh"
  CFN_PUSH=$(mktemp -d)
  export CFN_PUSH
  trap 'rm -rf "$CFN_PUSH"' EXIT
  cp "${CFN_AGENT:-$root/bin/cfn-agent}" "$CFN_PUSH/cfn-agent"
  ln -s cfn-agent "$CFN_PUSH/cfn-push-stats"
  (cd "$root" && CGO_ENABLED=0 go build -o "$CFN_PUSH/recorder" ./images/e2e/push/recorder)
  "$here/guest/netns" unshare --mount --propagation private "$0" "$@"
  exit
fi

# Rooms are overlays, and an overlay's upper layer may not lie in its lower one.
work=/mnt
mount -t tmpfs -o mode=0700 tmpfs $work
# shellcheck source=lib.sh
. "$here/lib.sh"
bin=$work/bin record=$work/record
cp -a "$CFN_PUSH" $bin
cp "$here/push/sitecustomize.py" $work/
# Readings that do not move: the same memory for all, and a small disk of their own.
mount --bind "$here/push/meminfo" /proc/meminfo
mkdir $work/disk
mount -t tmpfs -o size=64m tmpfs $work/disk
head -c 10000000 /dev/zero >$work/disk/file

echo '{"uuid": "7d2b6c5e-0000-4000-8000-000000000001", "meta": {"metering.stack": "t4"}}' >$work/meta.json
$bin/recorder 127.0.0.1:8003 $work/meta.json $record &
background=($!)
trap 'kill "${background[@]}"' EXIT
answers() { curl -sf -o /dev/null "$1"; }
# await COMMAND...: until it succeeds, for a minute at most
await() {
  local end=$((SECONDS + 60))
  until "$@"; do
    [ $SECONDS -lt $end ] || { echo "push.sh: in vain: $*" >&2; exit 1; }
    sleep 0.05
  done
}
await answers http://127.0.0.1:8003/ready
await answers http://169.254.169.254/ready

found=$work/found.txt
cat >"$found" <<'END'
Where cfn-push-stats differs from that of heat-cfntools 1.4.2 (Debian 12), found by running both
alike: exit status, and every field that the alarm server gets, with datapoints and dimensions in the
order of their names. Values agree when they are the same after psutil's rounding
of percentages to one decimal. CPUUtilization is measured in two different seconds; only that it is
there, and a percentage, is compared. "+" before a call: heat-cfntools got back, by
push/sitecustomize.py, what Python 3 and psutil 3 took from it; it does not run there otherwise.
"images/e2e/push.sh" makes this file again; UPDATE=1 keeps the new one.
END

# compare WHY OPTION...: cfn-push-stats of both, each in a room that setup made. WHY is empty when
# what they send must not differ. $patience is added to our call only.
compare() {
  local why=$1 who room name
  shift
  cases=$((cases + 1))
  for who in old new; do
    room=$who-$cases
    mkdir -p "$work/rooms/$room/tmp"
    setup "$room"
    : >$record
    [ $who = old ] && tools=/usr/bin || tools=$bin
    run "$room" env ${revived:+PYTHONPATH="$work"} cfn-push-stats "$@" ${patience:+$([ $who = old ] || echo "$patience")}
    called "$@"
    { echo "exit status $status"
      echo "requests: $(grep -c '^request' $record || true)"
      grep -v '^\(request\|signature\|fields\)' $record | sort || true; } >"$work/$who.txt"
    head -3 $record >"$work/$who.head"
  done
  level
  name="${revived:++ }cfn-push-stats${*:+ $*}${situation:+, $situation}"
  judge "$name" "$why"
}
# level: a value of ours that agrees with that of the old tool is written as there
level() {
  awk 'function abs(x) { return x < 0 ? -x : x }
    function key(   i, k) { k = ""; for (i = 1; i <= NF; i++) if (i != 5) k = k " " $i; return k }
    FNR == NR { if ($1 == "datapoint") value[key()] = $5; next }
    $3 == "Latency" && !(key() in value) { $5 = "VALUE" } # it is the time that a check took
    $1 == "datapoint" && key() in value {
      old = value[key()]
      if ($3 == "CPUUtilization" ? $5 >= 0 && $5 <= 100 : abs(old - $5) <= ($4 == "Percent" ? 0.0501 : 1e-9 * abs(old))) $5 = old
    }
    { print }' $work/old.txt $work/new.txt >$work/level.txt
  mv $work/level.txt $work/new.txt
}
revived='' patience='' situation=''
declare -A seen
called() { local o; for o in "$@"; do [[ $o != --* ]] || seen[$o]=1; done; }

endpoint() { # ROOM [LINE]: what Heat 9 and older told the guest
  mkdir -p "$work/rooms/$1/var/lib"
  install -d -m 0700 "$work/rooms/$1/var/lib/heat-cfntools"
  printf '[Boto]\ndebug = 0\nis_secure = 0\nnum_retries = 0\ncfn_region_name = heat\ncfn_region_endpoint = 127.0.0.1\n%s\n' \
    "${2-cloudwatch_region_endpoint = 127.0.0.1}" | put "$1" /var/lib/heat-cfntools/cfn-boto-cfg
}
setup() {
  endpoint "$1"
  ACCESS_KEY=access SECRET_KEY=secret credentials "$1"
}

# ---------------------------------------------------------------- the request, once
compare '' --heartbeat --watch t4-Alarm-x
head="cfn-push-stats --heartbeat --watch t4-Alarm-x, the request but its datapoints"
cp $work/old.head $work/old.txt
cp $work/new.head $work/new.txt
judge "$head" 'ours names region and service as they are, where boto made them of the host; it covers all headers that say what the body is'

# ---------------------------------------------------------------- every option
compare '' --heartbeat
compare '' --service-failure --watch t4-Alarm-x
compare '' --heartb --wat t4-Alarm-x
compare '' -v --heartbeat
compare '' --verbose --heartbeat
one='ours sends all of a call in one request'
compare '' --disk-space-util --disk-path /mnt/disk
compare '' --disk-space-used --disk-path /mnt/disk
compare '' --disk-space-avail --disk-path /mnt/disk
for unit in bytes kilobytes megabytes gigabytes; do
  compare "$one" --disk-space-used --disk-space-avail --disk-path /mnt/disk --disk-units $unit
done
compare '' --cpu-util
compare '' --metric Foo --units Count --value 7
compare '' --metric Foo --units Count --value 0.125 --watch t4-Alarm-x
setup() {
  endpoint "$1"
  ACCESS_KEY=other SECRET_KEY=secret credentials "$1" /etc/keys
}
compare '' --heartbeat --credential-file /etc/keys
compare '' --heartbeat
setup() {
  endpoint "$1"
  ACCESS_KEY=access SECRET_KEY=secret credentials "$1"
}
compare "$one" --heartbeat --service-failure
compare "$one" --disk-space-util --disk-space-used --disk-space-avail --disk-path /mnt/disk --metric Foo --units None --value 1 --watch t4-Alarm-x

# ---------------------------------------------------------------- memory and swap
gone='heat-cfntools called a function that psutil 3 no longer has'
compare "$gone" --mem-util
compare "$gone" --mem-used
compare "$gone" --mem-avail
compare "$gone" --swap-util
compare "$gone" --swap-used
revived=1
free='heat-cfntools sent what is free without buffers and cache, against its own help'
compare 'psutil 3 counts as used what the kernel thinks it cannot get back; ours all but free memory, buffers and cache, as --mem-used' --mem-util
compare '' --swap-util
compare '' --mem-used
compare "$free" --mem-avail
compare '' --swap-used
for unit in bytes kilobytes megabytes gigabytes; do
  compare "$one" --mem-used --swap-used --memory-units $unit
done
revived=''

# ---------------------------------------------------------------- what is wrong with a call
compare 'nothing to send is an error'
compare 'nothing to send is an error' --watch t4-Alarm-x
compare 'a metric without unit or value is an error, not silence' --metric Foo --units Count
compare 'a wrong option is status 2' --disk-space-used --disk-units MB
compare '' --disk-space-used --disk-path /nosuch
compare 'what can be read is sent though something else cannot' --heartbeat --disk-space-used --disk-path /nosuch
compare '' --nosuch-option
compare '' --heartbeat --credential-file /nosuch
compare '' --metric Refused --units Count --value 1
compare 'a value that is no number is refused before it is sent' --metric Foo --units Count --value many

# ---------------------------------------------------------------- which server
setup() {
  endpoint "$1" ''
  ACCESS_KEY=access SECRET_KEY=secret credentials "$1"
  { cat /etc/hosts; echo '127.0.0.1 monitoring.us-east-1.amazonaws.com'; } | put "$1" /etc/hosts
}
situation='no alarm server is named'
compare 'where Heat named no alarm server, as Heat 10 and newer do not, boto sent signed data of the guest to a public cloud' --heartbeat
has 'heat-cfntools did so' "$(cat $work/old.head)" 'http://monitoring.us-east-1.amazonaws.com:8003/'
setup() {
  endpoint "$1" 'cloudwatch_region_endpoint = 127.0.0.9'
  ACCESS_KEY=access SECRET_KEY=secret credentials "$1"
}
patience='--retry-for 1s' situation='the server is away'
compare 'ours keeps what a server that is away did not get, and sends it later' --heartbeat
patience='' situation=''

# ---------------------------------------------------------------- HAProxy
# proxy NAME: HAProxy itself, its socket at $work/NAME.sock, once it has checked each server
proxy() {
  haproxy -db -f "$work/$1.cfg" >"$work/$1.log" 2>&1 &
  background+=($!)
  await checked "$work/$1.sock"
}
checked() { socat - "$1" <<<'show stat' 2>/dev/null | awk -F, '$37 == "INI" { bad = 1 } END { exit !NR || bad }'; }
config() { # NAME, then the proxies
  cat >"$work/$1.cfg"
  sed -i "1i global\n  stats socket $work/$1.sock level admin\n  max-spread-checks 1ms\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 5s\n  timeout server 5s\n  default-server inter 1h fall 1 rise 1" "$work/$1.cfg"
}
config one <<'END'
frontend web
  bind 127.0.0.1:8081
  http-request return status 404 if { path /none }
  default_backend servers
backend servers
  option httpchk GET /ready
  server up 127.0.0.1:8003 check
  server down 127.0.0.1:9 check
  server drain 127.0.0.1:8003 check
  server maintenance 127.0.0.1:8003 check disabled
END
config two <<'END'
frontend first
  bind 127.0.0.1:8082
  default_backend servers
frontend second
  bind 127.0.0.1:8083
  http-request return status 503
backend servers
  server checked 127.0.0.1:8003 check
  server unchecked 127.0.0.1:8003
END
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
proxy one
proxy two
socat - $work/one.sock <<<'set server servers/drain state drain' >/dev/null
for path in ready ready none refuse; do curl -s -o /dev/null "http://127.0.0.1:8081/$path"; done
for port in 8082 8083 8083; do curl -s -o /dev/null "http://127.0.0.1:$port/ready"; done
setup() {
  endpoint "$1"
  ACCESS_KEY=access SECRET_KEY=secret credentials "$1"
  ln -s "$work/$socket.sock" "$work/rooms/$1/tmp/.haproxy-stats"
}
socket=one
rotten='heat-cfntools took what socat prints for text, which it is not on Python 3'
compare "$rotten" --haproxy
compare "$rotten" --haproxy-latency
revived=1
compare "$one" --haproxy
compare "$one" --haproxy --watch t4-Alarm-x
compare '' --haproxy-latency
compare "$one; heat-cfntools left out all but HAProxy" --heartbeat --haproxy
socket=two
situation='two frontends'
compare "$one; heat-cfntools took the last frontend for all, and a server without checks for one that is down" --haproxy

# ---------------------------------------------------------------- what heat-cfntools had not
situation='' revived='' tools=$bin
mkdir -p $work/rooms/{later,checks}/tmp
setup later
endpoint later 'cloudwatch_region_endpoint = 127.0.0.9'
for _ in 1 2; do run later cfn-push-stats --heartbeat --watch t4-Alarm-x --retry-for 1s; done
: >$record
endpoint later
run later cfn-push-stats --service-failure
is 'what was kept comes after what is new, oldest first, with its times' "$(sed -n 's/ [^ ]*=[^ ]*//g; s/^datapoint //p' $record)" \
  $'system/linux ServiceFailure Counter 1\nsystem/linux Heartbeat Counter 1 Timestamp TIME\nsystem/linux Heartbeat Counter 1 Timestamp TIME'

# A service for each of the faults, all looked at in one call.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=other.example -days 1 -keyout $work/tls.key -out $work/tls.pem 2>/dev/null
cat $work/tls.key >>$work/tls.pem
config faults <<END
frontend secure
  bind 127.0.0.1:8443 ssl crt $work/tls.pem
frontend broken
  bind 127.0.0.1:8084
  http-request return status 500
END
config stopped <<'END'
frontend stopped
  bind 127.0.0.1:8085
END
proxy faults
proxy stopped
kill -STOP "${background[-1]}"
printf '#!/bin/sh\nprintf "HTTP/1.0 200 OK\\r\\n\\r\\n"\nexec sleep 8\n' >$work/slow
chmod +x $work/slow
socat TCP-LISTEN:8086,bind=127.0.0.1,reuseaddr,fork EXEC:$work/slow &
background+=($!)
await listens 8086
: >$record
start=${EPOCHREALTIME/./}
setup checks
run checks cfn-push-stats --heartbeat --watch t4-Alarm-x --check process:no-such-process --check tcp:127.0.0.1:9 \
  --check http://127.0.0.1:8084/ --check http://127.0.0.1:8085/ --check http://127.0.0.1:8086/ --check https://127.0.0.1:8443/
took=$(((${EPOCHREALTIME/./} - start) / 1000))
ends 'checks that fail are no failure of the call' 0
is 'each fault has a line of its own' "${err//cfn-push-stats: check failed: /}" "\
process:no-such-process: there is no process no-such-process
tcp:127.0.0.1:9: nobody listens: connection refused
http://127.0.0.1:8084/: HTTP 500 Internal Server Error
http://127.0.0.1:8085/: connected, but no answer within 5s
http://127.0.0.1:8086/: the answer was not complete within 5s
https://127.0.0.1:8443/: bad certificate: x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs"
# One after the other the two that are waited for would take ten.
if [ $took -lt 9900 ]; then pass "all are told within one time-out of five seconds, on a machine that may be busy"; else fail "telling the faults took $took ms"; fi
is 'the failure is sent in place of the heartbeat, to no alarm of heartbeats' "$(grep ^datapoint $record)" \
  'datapoint system/linux ServiceFailure Counter 1 InstanceId=7d2b6c5e-0000-4000-8000-000000000001 metering.stack=t4'
kill -CONT "${background[-2]}"

# ---------------------------------------------------------------- nothing was left out
for option in $(/usr/bin/cfn-push-stats --help | grep -o -- '--[a-z-]*' | sort -u); do
  [ "$option" = --help ] || is "$option was called" "${seen[$option]:-}" 1
done
golden push-differences.txt
summary

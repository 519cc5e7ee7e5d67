# shellcheck shell=bash disable=SC2034
# What the sections of keystone.sh share: people with keys, a server, signed requests. Sourced, not run.

cache=15 # seconds that the server may go on with what it read
url=http://127.0.0.1:18003/v1/
metrics=http://127.0.0.1:19303/metrics

people() { ( # shellcheck source=/dev/null
  . "$OPENSTACK_DIR/admin.sh" && "$here/keystone/people" "$run" "$@"); }
# person NAME:PROJECT:ROLE...: make such users; it sets NAME_access and NAME_secret
person() {
  people make "$@" >"$work/people.vars"
  # shellcheck source=/dev/null
  . "$work/people.vars"
}
# guest_of NAME: make a stack; it sets NAME_access, NAME_secret, NAME_stack
guest_of() {
  stack create "$run-$1" >"$work/$1.vars"
  printf -v "$1_access" %s "$(. "$work/$1.vars" && echo "$ACCESS_KEY")"
  printf -v "$1_secret" %s "$(. "$work/$1.vars" && echo "$SECRET_KEY")"
  printf -v "$1_stack" %s "$(. "$work/$1.vars" && echo "$STACK_ID")"
}

# prepare: two stacks of project demo, their owner, a reader, somebody of another project, and the server's logins
prepare() {
  echo "# users, projects and stacks"
  person owner:demo:member watcher:demo:reader stranger:other:member reader:service:reader,system-reader service:service:service
  guest_of web
  guest_of db
  local pair
  pair=$(people application service)
  (umask 077 && cat >"$work/clouds.yaml") <<END
clouds:
  reader:
    auth: {auth_url: "http://127.0.0.1:5000/v3", username: $run-reader, password: test-only, user_domain_id: default, system_scope: all}
  service:
    auth_type: v3applicationcredential
    auth: {auth_url: "http://127.0.0.1:5000/v3", application_credential_id: $(jq .id <<<"$pair"), application_credential_secret: $(jq .secret <<<"$pair")}
END
  printf '%s\n' "$owner_secret" "$watcher_secret" "$stranger_secret" "$web_secret" "$db_secret" "$(jq -r .secret <<<"$pair")" test-only >"$work/secrets"
}

# server yes|no: start cfn-watch anew with that lookup
server() {
  stop_server
  mkdir -p "$work/$1"
  cat >"$work/$1/conf" <<END
[server]
listen = 127.0.0.1:18003
metrics = 127.0.0.1:19303
admin = $work/$1/admin.sock
[store]
path = $work/$1/state.db
[keystone]
cloud = $([ "$1" = yes ] && echo reader || echo service)
lookup = $1
cache = ${cache}s
[alarms]
dir = $work/$1
END
  export CFN_WATCH_CONFIG=$work/$1/conf
  OS_CLIENT_CONFIG_FILE=$work/clouds.yaml "$root/bin/cfn-watch" serve >>"$work/log" 2>&1 &
  server=$!
  local end=$((SECONDS + 30))
  until curl -sf -o /dev/null "$metrics"; do
    [ $SECONDS -lt $end ] || { tail "$work/log"; exit 1; }
    sleep 0.2
  done
}
server=
stop_server() {
  [ -n "$server" ] || return 0
  kill "$server"
  wait "$server" || fail "cfn-watch ends well" "$(tail -n 3 "$work/log")"
  server=
}

# call WHO PARAMETERS: sign a POST with WHO's keys by curl; it sets $code and $answer, the answer without its request id
call() {
  local access=$1_access secret=$1_secret
  code=$(printf 'user = "%s:%s"\n' "${!access}" "${!secret}" |
    curl -sS -K - --aws-sigv4 aws:amz:heat:monitoring -o "$work/answer" -D "$work/head" -w '%{http_code}' -d "$2" "$url")
  answer=$(sed 's,<RequestId>[^<]*</RequestId>,,' "$work/answer")
}
# gets WHAT WHO PARAMETERS CODE [PART]: that call is answered with that code, and that part
gets() {
  call "$2" "$3"
  case $code$answer in
    "$4"*"${5:-}"*) pass "$1" ;;
    *) fail "$1" "got:  $code $answer" "want: $4 ${5:-}" ;;
  esac
}
# push ALARM, list ALARM, define ALARM STACK: the parameters of such a call
push() { echo "Action=PutMetricData&Namespace=system/linux&MetricData.member.1.MetricName=Heartbeat&MetricData.member.1.Value=1&MetricData.member.1.Unit=Count&MetricData.member.1.Dimensions.member.1.Name=AlarmName&MetricData.member.1.Dimensions.member.1.Value=$1"; }
list() { echo "Action=DescribeAlarms&AlarmNames.member.1=$1"; }
define() { echo "Action=PutMetricAlarm&AlarmName=$1&Namespace=system/linux&MetricName=Heartbeat&Statistic=SampleCount&Period=60&EvaluationPeriods=1&Threshold=1&ComparisonOperator=LessThanThreshold&TreatMissingData=breaching&Tags.member.1.Key=cfnwatch:Stack&Tags.member.1.Value=$2"; }
# state ALARM: all that the operator sees of it, times in seconds
state() { "$root/bin/cfn-watch" alarms -o json | jq -c --arg n "$1" '.[] | select(.name == $n) | if .arrived then .arrived |= .[:19] else . end'; }
arrived() { state "$1" | jq -r '.arrived // "never"'; }
# counted NAME: a metric of the server
counted() { curl -sS "$metrics" | sed -n "s/^cfn_watch_$1 //p"; }

# milliseconds since START, an EPOCHREALTIME
since() { echo $(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000)); }
# refused_within WHAT WHO SECONDS CODE: WHO's pushes are taken at first, and refused with CODE after at most SECONDS
refused_within() {
  local began=$EPOCHREALTIME took=0
  while call "$2" "$(push web-beat)" && took=$(since "$began") && [ "$code" = 200 ] && [ "$took" -lt $((($3 + 5) * 1000)) ]; do
    sleep 0.25
  done
  if [[ $code$answer == 403*$4* ]] && [ "$took" -le $(($3 * 1000)) ]; then
    pass "$1, after $took ms"
  else
    fail "$1" "after $took ms: $code $answer"
  fi
}

no_secrets() {
  is "no secret is in the server's log" "$(grep -cF -f "$work/secrets" "$work/log")" 0
}
cleanup() {
  local name
  [ -z "$server" ] || kill "$server" || true
  for name in web db; do
    [ ! -s "$work/$name.vars" ] || stack delete "$run-$name" >/dev/null 2>&1 &
  done
  people unmake || true
  wait
  [ -z "${KEEP:-}" ] || cp "$work/log" "/tmp/$run.log"
  rm -rf "$work"
}

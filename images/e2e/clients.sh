#!/bin/bash
# Foreign clients against cfn-watch: Amazon's SDK for Go as it was before it left the Query
# protocol, Debian's aws-cli and python-boto 2 (signature versions 2 and 4), curl with JSON by hand,
# and cfn-push-stats of Debian's heat-cfntools, unchanged. (The newest SDK is in the Go tests.)
# Needs root, Debian 12 and, for the old SDK, the Go module proxy.
#
#   clients.sh
#
# Environment: CFN_WATCH is the binary that is tested (default bin/cfn-watch).
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
root=$(cd "$here/../.." && pwd)
old_sdk=v1.52.6
if [ -z "${CFN_CLIENTS:-}" ]; then
  [ "$(id -u)" = 0 ] || { echo 'clients.sh: must be root' >&2; exit 1; }
  "$here/deps.sh"
  CFN_CLIENTS=$(mktemp -d)
  export CFN_CLIENTS
  trap 'rm -rf "$CFN_CLIENTS"' EXIT
  cd "$root"
  cp go.mod go.sum "$CFN_CLIENTS/"
  go mod edit -require=github.com/aws/aws-sdk-go-v2/service/cloudwatch@$old_sdk "$CFN_CLIENTS/go.mod"
  SDK_PROTOCOL=query go test -count=1 -mod=mod -modfile="$CFN_CLIENTS/go.mod" -run 'SDK' ./watch/api
  CGO_ENABLED=0 go build -o "$CFN_CLIENTS/recorder" ./images/e2e/push/recorder
  cp "${CFN_WATCH:-$root/bin/cfn-watch}" "$CFN_CLIENTS/cfn-watch"
  "$here/guest/netns" unshare --mount --propagation private "$0" "$@"
  exit
fi

work=/mnt
mount -t tmpfs -o mode=0700 tmpfs $work
# shellcheck source=lib.sh
. "$here/lib.sh"
bin=$work/bin
cp -a "$CFN_CLIENTS" $bin
background=()
trap 'kill "${background[@]}"' EXIT
await() { # COMMAND...: until it succeeds, for a minute at most
  local end=$((SECONDS + 60))
  until "$@"; do
    [ $SECONDS -lt $end ] || { echo "clients.sh: in vain: $*" >&2; cat $work/watch.log >&2; exit 1; }
    sleep 0.1
  done
}

# The server, and a metadata service for the guest.
mkdir $work/state
cd $work/state
$bin/cfn-watch serve >$work/watch.log 2>&1 &
background+=($!)
echo '{"uuid": "7d2b6c5e-0000-4000-8000-000000000001", "meta": {"metering.stack": "web", "empty": ""}}' >$work/meta.json
$bin/recorder 127.0.0.1:8004 $work/meta.json $work/record &
background+=($!)
answers() { curl -s -o /dev/null "$1"; }
await answers http://127.0.0.1:8003/
await answers http://169.254.169.254/ready

key() { # NAME OPTION...: issue a key; sets NAME_key and NAME_secret
  local name=$1 text
  shift
  text=$($bin/cfn-watch issue-key -o json "$@")
  printf -v "${name}_key" %s "$(jq -r .access <<<"$text")"
  printf -v "${name}_secret" %s "$(jq -r .secret <<<"$text")"
}
key member --project p
key guest --project p --stack web
key stranger --project other

# ---------------------------------------------------------------- aws-cli of Debian
export AWS_DEFAULT_REGION=heat AWS_MAX_ATTEMPTS=1 AWS_PAGER=
cw() { # KEY COMMAND...: aws cloudwatch, with the key of that name; sets $status, $out and $err
  local who=$1 key secret
  shift
  key=${who}_key secret=${who}_secret status=0
  AWS_ACCESS_KEY_ID=${!key} AWS_SECRET_ACCESS_KEY=${!secret} \
    /usr/bin/aws --endpoint-url http://127.0.0.1:8003/v1 cloudwatch "$@" >$work/out 2>$work/err || status=$?
  out=$(cat $work/out) err=$(cat $work/err)
}
cli="$(/usr/bin/aws --version | cut -d' ' -f1):"
cw member put-metric-alarm --alarm-name web-Heartbeat --namespace system/linux --metric-name Heartbeat --statistic SampleCount \
  --period 60 --evaluation-periods 1 --threshold 1 --comparison-operator LessThanThreshold --treat-missing-data breaching \
  --tags Key=cfnwatch:Stack,Value=web
ends "$cli put-metric-alarm" 0
cw member put-metric-alarm --alarm-name web-Load --namespace cli --metric-name Load --dimensions Name=d,Value=v --statistic Maximum \
  --period 60 --evaluation-periods 1 --threshold 2.5 --comparison-operator GreaterThanThreshold --unit Percent
ends "$cli put-metric-alarm with a dimension" 0
cw member describe-alarms --page-size 1 --query 'MetricAlarms[].[AlarmName,StateValue,Period,Threshold]' --output text
is "$cli describe-alarms, page by page" "$out" $'web-Heartbeat\tINSUFFICIENT_DATA\t60\t1.0\nweb-Load\tINSUFFICIENT_DATA\t60\t2.5'
cw member put-metric-data --namespace cli --metric-name Load --dimensions d=v --unit Percent --value 3
ends "$cli put-metric-data" 0
cw member put-metric-data --namespace cli --metric-data "$(printf '{"MetricName": "Load", "Dimensions": [{"Name": "d", "Value": "v"}], "Unit": "Percent", "Values": [1, 2], "Counts": [2, 1], "Timestamp": "%s"}' "$(date -u +%FT%TZ)")"
ends "$cli put-metric-data of several values" 0
state() { cw member describe-alarms --alarm-names "$1" --query 'MetricAlarms[].StateValue' --output text; }
in_state() { state "$1"; [ "$out" = "$2" ]; }
await in_state web-Load ALARM
pass "$cli the alarm fires"
cw member get-metric-statistics --namespace cli --metric-name Load --dimensions Name=d,Value=v --period 3600 --statistics Sum SampleCount Maximum \
  --start-time "$(date -u -d '-2 hours' +%FT%TZ)" --end-time "$(date -u -d '1 hour' +%FT%TZ)" --query 'Datapoints[0].[Sum,SampleCount,Maximum,Unit]' --output text
is "$cli get-metric-statistics" "$out" $'7.0\t4.0\t3.0\tPercent'
cw member get-metric-data --start-time "$(date -u -d '-2 hours' +%FT%TZ)" --end-time "$(date -u -d '1 hour' +%FT%TZ)" --metric-data-queries \
  '{"Id": "a", "MetricStat": {"Metric": {"Namespace": "cli", "MetricName": "Load", "Dimensions": [{"Name": "d", "Value": "v"}]}, "Period": 3600, "Stat": "Average"}}' \
  --query 'MetricDataResults[].[Id,Label,StatusCode,Values[0]]' --output text
is "$cli get-metric-data" "$out" $'a\tLoad\tComplete\t1.75'
cw member list-metrics --namespace cli --query 'Metrics[].[MetricName,Dimensions[0].Value]' --output text
is "$cli list-metrics" "$out" $'Load\tv'
cw member describe-alarms-for-metric --namespace cli --metric-name Load --dimensions Name=d,Value=v --query 'MetricAlarms[].AlarmArn' --output text
arn=$out
has "$cli describe-alarms-for-metric" "$arn" ':alarm:web-Load'
cw member tag-resource --resource-arn "$arn" --tags Key=owner,Value=ops
ends "$cli tag-resource" 0
cw member list-tags-for-resource --resource-arn "$arn" --query 'Tags[].[Key,Value]' --output text
is "$cli list-tags-for-resource" "$out" $'owner\tops'
cw member untag-resource --resource-arn "$arn" --tag-keys owner
ends "$cli untag-resource" 0
cw member disable-alarm-actions --alarm-names web-Load
ends "$cli disable-alarm-actions" 0
cw member enable-alarm-actions --alarm-names web-Load
ends "$cli enable-alarm-actions" 0
cw member set-alarm-state --alarm-name web-Heartbeat --state-value ALARM --state-reason 'a drill'
ends "$cli set-alarm-state" 0
cw member describe-alarm-history --alarm-name web-Heartbeat --history-item-type StateUpdate --query 'AlarmHistoryItems[].HistorySummary' --output text
has "$cli describe-alarm-history" "$out" 'to ALARM'
cw member delete-alarms --alarm-names none
has "$cli no such alarm" "$err" '(ResourceNotFound) when calling the DeleteAlarms operation'
cw stranger set-alarm-state --alarm-name web-Load --state-value OK --state-reason x
has "$cli another project's alarm" "$err" '(ResourceNotFound) when calling the SetAlarmState operation'
cw guest describe-alarms
has "$cli what a guest may not" "$err" '(AccessDenied) when calling the DescribeAlarms operation'
cw member put-composite-alarm --alarm-name c --alarm-rule TRUE
has "$cli a composite alarm" "$err" 'composite alarms are not served'
cw member put-dashboard --dashboard-name d --dashboard-body '{}'
has "$cli what is not served" "$err" '(InvalidAction) when calling the PutDashboard operation'
cw member delete-alarms --alarm-names web-Load
ends "$cli delete-alarms" 0

# ---------------------------------------------------------------- cfn-push-stats of heat-cfntools
mkdir -p $work/rooms/guest/var/lib $work/rooms/guest/tmp
install -d -m 0700 $work/rooms/guest/var/lib/heat-cfntools
printf '[Boto]\ndebug = 0\nis_secure = 0\ncfn_region_name = heat\ncfn_region_endpoint = 127.0.0.1\ncloudwatch_region_endpoint = 127.0.0.1\n' |
  put guest /var/lib/heat-cfntools/cfn-boto-cfg
ACCESS_KEY=$guest_key SECRET_KEY=$guest_secret credentials guest
# For a minute it is what it was set to; much may have passed of the one above.
cw member set-alarm-state --alarm-name web-Heartbeat --state-value ALARM --state-reason 'a drill'
is 'before the heartbeat' "$(state web-Heartbeat; echo "$out")" ALARM
tools=/usr/bin run guest cfn-push-stats --heartbeat --watch web-Heartbeat
ends "heat-cfntools: cfn-push-stats --heartbeat" 0
await in_state web-Heartbeat OK
pass 'heat-cfntools: its heartbeat ends the alarm'
tools=/usr/bin run guest cfn-push-stats --metric Sessions --units Counter --value 7
ends "heat-cfntools: cfn-push-stats --metric" 0
cw member get-metric-statistics --namespace system/linux --metric-name Sessions --period 3600 --statistics Sum \
  --dimensions Name=InstanceId,Value=7d2b6c5e-0000-4000-8000-000000000001 Name=metering.stack,Value=web \
  --start-time "$(date -u -d '-2 hours' +%FT%TZ)" --end-time "$(date -u -d '1 hour' +%FT%TZ)" --query 'Datapoints[0].[Sum,Unit]' --output text
is 'heat-cfntools: what it sent is kept, its unit as Count' "$out" $'7.0\tCount'

# ---------------------------------------------------------------- python-boto 2
for version in 2 4; do
  if /usr/bin/python3 "$here/clients/boto2.py" $version 127.0.0.1:8003 "$member_key" "$member_secret" "$guest_key" "$guest_secret" 2>$work/err; then
    pass "python-boto 2, signature version $version"
  else
    fail "python-boto 2, signature version $version" "$(cat $work/err)"
  fi
done

# ---------------------------------------------------------------- JSON 1.0 by hand
json() { # KEY ACTION BODY: sets $out to status and body
  local key=${1}_key secret=${1}_secret
  out=$(curl -s -w ' %{http_code}' --aws-sigv4 aws:amz:heat:monitoring -u "${!key}:${!secret}" http://127.0.0.1:8003/v1 \
    -H "X-Amz-Target: GraniteServiceVersion20100801.$2" -H 'Content-Type: application/x-amz-json-1.0' -d "$3")
}
json guest PutMetricData "{\"Namespace\": \"system/linux\", \"MetricData\": [{\"MetricName\": \"Heartbeat\", \"Value\": 1, \"Timestamp\": $(date +%s), \"Dimensions\": [{\"Name\": \"AlarmName\", \"Value\": \"web-Heartbeat\"}]}]}"
is 'JSON: PutMetricData' "$out" '{} 200'
json member DescribeAlarms '{"AlarmNames": ["web-Heartbeat"]}'
is 'JSON: DescribeAlarms' "$(jq -r '.MetricAlarms[0].StateValue' <<<"${out% *}") ${out##* }" 'OK 200'
json guest DescribeAlarms '{}'
is 'JSON: what a guest may not' "$out" '{"__type":"com.amazonaws.cloudwatch#AccessDenied","message":"a key of role guest may not call DescribeAlarms"} 403'

no_secret() { ! grep -F -e "$member_secret" -e "$guest_secret" $work/watch.log; }
if no_secret; then pass 'no secret is in the log'; else fail 'a secret is in the log'; fi
summary

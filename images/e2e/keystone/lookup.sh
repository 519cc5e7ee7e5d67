# shellcheck shell=bash disable=SC2154
# Keys that the server looks up in Keystone and verifies itself; who may feed and see what.

# others_alarms: nobody feeds or learns of an alarm that is not theirs
others_alarms() {
  local before answered
  gets "a guest feeds the alarm of its stack" web "$(push web-beat)" 200
  for _ in $(seq 50); do
    before=$(state web-beat)
    [ "$(jq -r .state <<<"$before")" != OK ] || break
    sleep 0.2
  done
  is "which has heard it" "$(jq -r .state <<<"$before")" OK

  gets "a guest may feed an alarm that is not there" web "$(push nothing)" 200
  answered=$answer
  gets "one of another stack" web "$(push db-beat)" 200
  is "with the same answer" "$answer" "$answered"
  is "and that alarm has heard nothing" "$(arrived db-beat)" never
  gets "a stranger may feed one of another project" stranger "$(push web-beat)" 200
  is "with the same answer" "$answer" "$answered"
  is "and that alarm has heard nothing" "$(state web-beat)" "$before"

  gets "a stranger sees no alarm of another project" stranger "$(list web-beat)" 200
  answered=$answer
  gets "as one that is not there" stranger "$(list nothing-x)" 200
  is "with the same answer" "$answer" "$answered"
  for action in "SetAlarmState&StateValue=OK&StateReason=x&AlarmName=" "DeleteAlarms&AlarmNames.member.1="; do
    call stranger "Action=${action}web-beat"
    answered=$code${answer//web-beat/NAME}
    call stranger "Action=${action}nothing"
    is "and gets the same for both of ${action%%&*}" "$code${answer//nothing/NAME}" "$answered"
  done
  is "and the alarm is as it was" "$(state web-beat)" "$before"
}

refusals() {
  local nobody_access=0123456789abcdef0123456789abcdef nobody_secret=x forger_access=$web_access forger_secret=$db_secret
  gets "a guest may list nothing" web "$(list web-beat)" 403 AccessDenied
  gets "nor define" web "$(define web-beat "$web_stack")" 403 AccessDenied
  gets "a reader lists" watcher "$(list web-beat)" 200 web-beat
  gets "and may not define" watcher "$(define web-beat "$web_stack")" 403 AccessDenied
  gets "nor push" watcher "$(push web-beat)" 403 AccessDenied
  gets "an unknown key" nobody "$(push web-beat)" 403 InvalidClientTokenId
  gets "another's secret" forger "$(push web-beat)" 403 SignatureDoesNotMatch
  is "no signature" "$(curl -sS -o /dev/null -w '%{http_code}' -d "$(push web-beat)" "$url")" 400
}

# boto VERSION: a push by python3-boto, which old guests have, with that version of signature
boto() {
  ACCESS=$web_access SECRET=$web_secret /usr/bin/python3 - "$1" <<'END'
import os, sys
from boto.ec2.cloudwatch import CloudWatchConnection
from boto.regioninfo import RegionInfo
class Connection(CloudWatchConnection):
    def _required_auth_capability(self):
        return ['ec2'] if sys.argv[1] == '2' else ['hmac-v4']
c = Connection(os.environ['ACCESS'], os.environ['SECRET'], is_secure=False, port=18003, path='/v1/', region=RegionInfo(name='heat', endpoint='127.0.0.1'))
assert c.put_metric_data('system/linux', 'Heartbeat', value=1, unit='Count', dimensions={'AlarmName': 'web-beat'})
END
}

server yes
gets "the owner's key defines an alarm for a stack" owner "$(define web-beat "$web_stack")" 200
gets "and one for another" owner "$(define db-beat "$db_stack")" 200
gets "the owner feeds an alarm" owner "$(push web-beat)" 200
others_alarms
refusals
for version in 4 2; do
  if boto $version; then pass "boto's signature of version $version"; else fail "boto's signature of version $version"; fi
done
before=$(counted keystone_calls_total)
for _ in $(seq 50); do call web "$(push web-beat)"; [ "$code" = 200 ] || fail "a known key" "$code $answer"; done
after=$(counted keystone_calls_total)
if [ $((after - before)) -le 6 ]; then pass "fifty pushes with a known key ask Keystone nothing"; else fail "fifty pushes with a known key" "$((after - before)) calls"; fi

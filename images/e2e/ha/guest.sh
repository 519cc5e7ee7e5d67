#!/bin/bash
# Runs inside the booted guest, as root; see ha.sh. What the alarm server was sent is in /record.
set -euo pipefail
# shellcheck source=../lib.sh
. /lib.sh

main_pid() { systemctl show -p MainPID --value httpd; }
reports() { cat /record/requests 2>/dev/null | grep -c ^datapoint || true; }
# await COUNT: until the alarm server has had so many datapoints, for 70 s at most: cron has minutes
await() {
  local end=$((SECONDS + 70))
  while [ "$(reports)" -lt "$1" ] && [ $SECONDS -lt $end ]; do sleep 0.2; done
}
# active WHAT UNIT
active() { is "$1" "$(systemctl is-active "$2")" active; }

cloud-init status --wait >/dev/null || true
is "the user data ran to their end" "$(tail -n 1 /var/log/heat-provision.log | sed 's/.*, //')" "status 0"
[ "$failed" = 0 ] || { cat /var/log/heat-provision.log; exit 1; }
is "they signalled once" "$(curl -s http://127.0.0.1:8000/counted/signals)" 1
for unit in mysqld httpd crond; do
  active "$unit runs" $unit
  is "$unit is enabled" "$(systemctl is-enabled $unit)" enabled
done
is "the web server serves WordPress" "$(curl -s http://127.0.0.1/wordpress/wp-config.php | sed -n "s/.*'DB_NAME', '\(.*\)'.*/\1/p")" wordpress
is "from the database of the template" "$(mysql -u admin --password=admin -Ne 'show databases like "wordpress"')" wordpress
is "the crontab is that of the metadata" "$(crontab -l)" "$(cat /tmp/cfn-hup-crontab.txt)"
is "no failure was reported yet" "$(reports)" 0

before=$(main_pid)
systemctl kill -s KILL httpd
await 1
active "after kill -9 of httpd cron's next cfn-hup starts it" httpd
[ "$(main_pid)" != "$before" ] && pass "as a new process" || fail "as a new process" "$before"
want='datapoint system/linux ServiceFailure Counter 1 AlarmName=wordpress-HttpFailureAlarm InstanceId=7d2b6c5e-0000-4000-8000-000000000001'
is "and the hook of the template reports it to the template's alarm" "$(grep ^datapoint /record/requests)" "$want"

# Apache cannot start with this. The alarm is for more than 2 failures in 300 s.
echo Nonsense >/etc/httpd/conf.d/broken.conf
systemctl kill -s KILL httpd
from=$SECONDS
await 2
await 3
is "a service that cannot start is reported at each pass of cron" "$(reports)" 3
[ $((SECONDS - from)) -lt 300 ] && pass "so that the alarm is reached" || fail "so that the alarm is reached" "$((SECONDS - from)) s"
for n in 4 5 6; do
  flock /run/cfn-hup.lock true # the pass of cron may not have ended yet
  /opt/aws/bin/cfn-hup -f || true
  is "pass $n reports it too, though the service is started no more" "$(reports)" $n
done
is "all of them alike" "$(grep ^datapoint /record/requests | sort -u)" "$want"
is "each in a signed request" "$(grep -c '^signature AWS4-HMAC-SHA256 by 0123456789abcdef0123456789abcdef/' /record/requests)" 6

rm /etc/httpd/conf.d/broken.conf
systemctl reset-failed httpd
systemctl start httpd
/opt/aws/bin/cfn-hup -f
is "once it runs nothing more is reported" "$(reports)" 6
summary

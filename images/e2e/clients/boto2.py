#!/usr/bin/python3
"""Drive an alarm server with python-boto 2, which old guests have.

    boto2.py 2|4 HOST:PORT MEMBER_KEY MEMBER_SECRET GUEST_KEY GUEST_SECRET

2 or 4 is the signature version. The alarm boto-N is made, fed and deleted.
Ends with status 0, or says what came back otherwise than expected.
"""
import datetime
import sys
import time

import boto.ec2.cloudwatch
from boto.ec2.cloudwatch.alarm import MetricAlarm
from boto.exception import BotoServerError
from boto.regioninfo import RegionInfo

version, server, member_key, member_secret, guest_key, guest_secret = sys.argv[1:]
host, port = server.split(":")
name = "boto-" + version


class Connection(boto.ec2.cloudwatch.CloudWatchConnection):
    def _required_auth_capability(self):
        return {"2": ["sign-v2"], "4": ["hmac-v4"]}[version]


def connect(key, secret):
    return Connection(aws_access_key_id=key, aws_secret_access_key=secret, is_secure=False, port=int(port),
                      path="/v1", region=RegionInfo(name="heat", endpoint=host))


def want(what, got, wanted):
    if got != wanted:
        sys.exit("%s: %r, want %r" % (what, got, wanted))


def refused(what, code, call, *args, **named):
    try:
        call(*args, **named)
    except BotoServerError as e:
        want(what, e.error_code, code)
        return
    sys.exit("%s: not refused, want %s" % (what, code))


member, guest = connect(member_key, member_secret), connect(guest_key, guest_secret)
member.put_metric_alarm(MetricAlarm(
    name=name, metric="Load", namespace="boto", statistic="Average", comparison=">=", threshold=2.5, period=60,
    evaluation_periods=1, unit="Count", description="by hand", dimensions={"InstanceId": ["i-" + version]},
    alarm_actions=["https://hooks.example/" + version]))
alarms = member.describe_alarms(alarm_names=[name])
want("alarms", [(a.name, a.period, a.threshold, a.state_value, a.dimensions, a.alarm_actions) for a in alarms],
     [(name, 60, 2.5, "INSUFFICIENT_DATA", {"InstanceId": ["i-" + version]}, ["https://hooks.example/" + version])])

want("push", guest.put_metric_data("boto", "Load", value=3, unit="Count", dimensions={"InstanceId": "i-" + version}), True)
want("push of statistics", member.put_metric_data(
    "boto", "Load", timestamp=datetime.datetime.utcnow(), unit="Count", dimensions={"InstanceId": "i-" + version},
    statistics={"maximum": 5, "minimum": 1, "samplecount": 2, "sum": 6}), True)
end = time.time() + 10
while member.describe_alarms(alarm_names=[name])[0].state_value != "ALARM":
    if time.time() > end:
        sys.exit("the alarm is not in ALARM, ten seconds after the push")
    time.sleep(0.2)

now = datetime.datetime.utcnow()
points = member.get_metric_statistics(60, now - datetime.timedelta(minutes=5), now + datetime.timedelta(minutes=2), "Load", "boto",
                                      ["Sum", "SampleCount"], {"InstanceId": ["i-" + version]})
want("statistics", (sum(p["Sum"] for p in points), sum(p["SampleCount"] for p in points)), (9.0, 3.0))
want("metrics", [(m.name, m.dimensions) for m in member.list_metrics(namespace="boto", dimensions={"InstanceId": ["i-" + version]})],
     [("Load", {"InstanceId": ["i-" + version]})])
want("alarms of the metric", [a.name for a in member.describe_alarms_for_metric("Load", "boto", dimensions={"InstanceId": ["i-" + version]})], [name])
want("disable", member.disable_alarm_actions([name]), True)
want("enable", member.enable_alarm_actions([name]), True)
member.set_alarm_state(name, "a drill", "OK")
items = member.describe_alarm_history(name, history_item_type="StateUpdate")
want("newest of the history", "from ALARM to OK" in items[0].summary, True)

refused("what a guest may not", "AccessDenied", guest.describe_alarms)
refused("no such alarm", "ResourceNotFound", member.delete_alarms, ["none"])
refused("a wrong secret", "SignatureDoesNotMatch", connect(member_key, "wrong").describe_alarms)
want("delete", member.delete_alarms([name]), True)
want("alarms at the end", len(member.describe_alarms(alarm_names=[name])), 0)

package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A server that starts while Keystone is away judges nobody silent whose key
// only Keystone knows.
func TestKeystoneThatIsAwayAtTheStart(t *testing.T) {
	r := prepare(t)
	r.put("clouds.yaml", `{clouds: {c: {auth: {auth_url: "http://127.0.0.1:1/v3", username: u, password: p, user_domain_id: d, system_scope: all}}}}`)
	t.Setenv("OS_CLIENT_CONFIG_FILE", filepath.Join(r.dir, "clouds.yaml"))
	r.put("rules/r.yaml", "beats: {Project: p, Namespace: n, MetricName: m, Statistic: SampleCount, ComparisonOperator: LessThanThreshold, Threshold: 1, Period: 60, EvaluationPeriods: 1, TreatMissingData: breaching}")
	r.write("[keystone]", "cloud = c", "lookup = yes")
	r.serve()
	r.engine.Put(time.Now(), watch.Caller{Project: "p", Role: watch.Member, Access: "K"}, []watch.Sample{{Namespace: "n", Metric: "m", Alarm: "beats", Count: 1}})
	r.await("the key is told to be not heard", func() bool {
		list := r.engine.Refused(time.Now())
		return len(list) == 1 && list[0].Access == "K"
	})
}

package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// valid are requests that a member's key is answered 200 for, in this order.
var valid = []step{
	{action: "PutMetricAlarm", in: obj{"AlarmName", "new", "Namespace", "n", "MetricName", "m", "Statistic", "Sum", "Period", 60, "EvaluationPeriods", 1, "Threshold", 1.0, "ComparisonOperator", "LessThanThreshold"}},
	{action: "PutMetricData", in: obj{"Namespace", "system/linux", "MetricData", arr{obj{"MetricName", "Heartbeat", "Value", 1.0, "Dimensions", arr{obj{"Name", "AlarmName", "Value", "there"}}}}}},
	{action: "DescribeAlarms", in: obj{}},
	{action: "DescribeAlarmsForMetric", in: obj{"Namespace", "n", "MetricName", "m"}},
	{action: "DescribeAlarmHistory", in: obj{}},
	{action: "ListMetrics", in: obj{}},
	{action: "GetMetricStatistics", in: append(obj{"StartTime", moment{bubble}, "EndTime", moment{bubble.Add(time.Hour)}, "Period", 60, "Statistics", arr{"Sum"}}, metricOfStory...)},
	{action: "GetMetricData", in: obj{"StartTime", moment{bubble}, "EndTime", moment{bubble.Add(time.Hour)}, "MetricDataQueries", arr{obj{"Id", "a", "MetricStat", obj{"Metric", metricOfStory, "Period", 60, "Stat", "Sum"}}}}},
	{action: "SetAlarmState", in: obj{"AlarmName", "there", "StateValue", "OK", "StateReason", "r"}},
	{action: "EnableAlarmActions", in: obj{"AlarmNames", arr{"there"}}},
	{action: "DisableAlarmActions", in: obj{"AlarmNames", arr{"there"}}},
	{action: "ListTagsForResource", in: obj{"ResourceARN", arn("p1", "there")}},
	{action: "TagResource", in: obj{"ResourceARN", arn("p1", "there"), "Tags", arr{obj{"Key", "k", "Value", "v"}}}},
	{action: "UntagResource", in: obj{"ResourceARN", arn("p1", "there"), "TagKeys", arr{"k"}}},
	{action: "DeleteAlarms", in: obj{"AlarmNames", arr{"there"}}},
}

// may says what each kind of caller is answered: the status of every action.
var may = map[string]func(action string) int{
	"GUEST":        guestMay,
	"FOREIGNGUEST": guestMay,
	"READER": func(action string) int {
		if reads.MatchString(action) {
			return 200
		}
		return 403
	},
	"MEMBER": func(string) int { return 200 },
	// A member of another project may do the same, to things of its own.
	"FOREIGN": func(action string) int {
		switch action {
		case "SetAlarmState", "EnableAlarmActions", "DisableAlarmActions", "ListTagsForResource", "TagResource", "UntagResource", "DeleteAlarms":
			return 404
		}
		return 200
	},
	"STRANGER": func(string) int { return 403 }, // no such key
	"FORGER":   func(string) int { return 403 }, // a known key, another secret
	"LATE":     func(string) int { return 403 }, // a known key and secret, an old signature
	"":         func(string) int { return 400 }, // not signed
}

var reads = regexp.MustCompile(`^(Describe|List|Get)`)

func guestMay(action string) int {
	if action == "PutMetricData" {
		return 200
	}
	return 403
}

func TestWhoMayDoWhat(t *testing.T) {
	var tested []string
	for _, s := range valid {
		tested = append(tested, s.action)
	}
	tested = append(tested, "PutCompositeAlarm") // refused to all
	if want := slices.Sorted(maps.Keys(actions)); !slices.Equal(slices.Sorted(slices.Values(tested)), want) {
		t.Fatalf("tested are %v, served %v", tested, want)
	}
	for _, p := range protocols {
		for access, status := range may {
			synctest.Test(t, func(t *testing.T) {
				w := unserved(t, Options{})
				w.heartbeat(t, "there", "web")
				for _, s := range valid {
					time.Sleep(time.Second)
					r, body := p.request(t, s)
					signAs(t, access, r, body)
					got := httptest.NewRecorder()
					before := w.state(t)
					w.handler.ServeHTTP(got, r)
					if want := status(s.action); got.Code != want {
						t.Errorf("%s of %q in %s: %d %s, want %d", s.action, access, p.name, got.Code, got.Body, want)
					}
					// Nothing has changed for who was refused, or is of elsewhere.
					if after := w.state(t); access != "MEMBER" && access != "GUEST" && after != before {
						t.Errorf("%s of %q in %s changed %s to %s", s.action, access, p.name, before, after)
					}
				}
			})
		}
	}
}

func signAs(t *testing.T, access string, r *http.Request, body []byte) {
	t.Helper()
	switch access {
	case "":
	case "FORGER":
		sign(t, "MEMBER", r, body, time.Now())
		auth := r.Header.Get("Authorization")
		last := len(auth) - 1
		r.Header.Set("Authorization", auth[:last]+strings.Map(func(c rune) rune {
			if c == '0' {
				return '1'
			}
			return '0'
		}, auth[last:]))
	case "LATE":
		sign(t, "MEMBER", r, body, time.Now().Add(-16*time.Minute))
	default:
		sign(t, access, r, body, time.Now())
	}
}

// state is all that project p1 has.
func (w *world) state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, v := range w.engine.Alarms(time.Now(), watch.Caller{Project: "p1", Role: watch.Member}, watch.AlarmQuery{}) {
		fmt.Fprintln(&b, v.Alarm, v.State, v.Number, v.Fed)
	}
	return b.String()
}

package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A step is one request of the story below, the same in each protocol.
type step struct {
	file, access, action string
	in                   obj
}

// A moment is a time in the form of each protocol.
type moment struct{ time.Time }

// The clock of a bubble begins at this time.
var bubble = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

var metricOfStory = obj{"Namespace", "system/linux", "MetricName", "Load", "Dimensions", arr{obj{"Name", "InstanceId", "Value", "i-1"}}}

// story goes through every action, and some of what is refused.
var story = []step{
	{"put-metric-alarm", "MEMBER", "PutMetricAlarm", obj{
		"AlarmName", "web-Heartbeat", "AlarmDescription", "a <guest> & its heart", "Namespace", "system/linux", "MetricName", "Heartbeat",
		"Statistic", "SampleCount", "Period", 60, "EvaluationPeriods", 1, "Threshold", 1.0, "ComparisonOperator", "LessThanThreshold",
		"TreatMissingData", "breaching", "AlarmActions", arr{"https://hooks.example/a?token=1"}, "OKActions", arr{},
		"Tags", arr{obj{"Key", "cfnwatch:Stack", "Value", "web"}, obj{"Key", "owner", "Value", "ops"}}}},
	{"put-metric-alarm-load", "MEMBER", "PutMetricAlarm", obj{
		"AlarmName", "web-Load", "Namespace", "system/linux", "MetricName", "Load", "Unit", "Counter", "Dimensions", arr{obj{"Name", "InstanceId", "Value", "i-1"}},
		"Statistic", "Average", "Period", 300, "EvaluationPeriods", 3, "DatapointsToAlarm", 2, "Threshold", 1.5, "ComparisonOperator", "GreaterThanThreshold",
		"ActionsEnabled", false}},
	{"describe-alarms", "MEMBER", "DescribeAlarms", obj{}},
	{"describe-alarms-page", "MEMBER", "DescribeAlarms", obj{"AlarmNamePrefix", "web-", "MaxRecords", 1}},
	{"describe-alarms-reader", "READER", "DescribeAlarms", obj{"AlarmNames", arr{"web-Heartbeat", "web-None"}, "AlarmTypes", arr{"MetricAlarm"}}},
	{"describe-alarms-foreign", "FOREIGN", "DescribeAlarms", obj{}},
	{"put-metric-data", "GUEST", "PutMetricData", obj{"Namespace", "system/linux", "MetricData", arr{
		obj{"MetricName", "Heartbeat", "Value", 1.0, "Unit", "Counter", "Dimensions", arr{obj{"Name", "AlarmName", "Value", "web-Heartbeat"}}},
		obj{"MetricName", "Load", "StatisticValues", obj{"SampleCount", 4.0, "Sum", 10.0, "Minimum", 1.0, "Maximum", 4.5}, "Timestamp", moment{bubble},
			"Unit", "Count", "Dimensions", arr{obj{"Name", "InstanceId", "Value", "i-1"}}},
		obj{"MetricName", "Load", "Values", arr{2.0, 3.0}, "Counts", arr{1.0, 2.0}, "Timestamp", moment{bubble.Add(-10 * time.Minute)},
			"Unit", "Count", "Dimensions", arr{obj{"Name", "InstanceId", "Value", "i-1"}}},
	}}},
	{"list-metrics", "READER", "ListMetrics", obj{"Namespace", "system/linux", "RecentlyActive", "PT3H"}},
	{"list-metrics-dimension", "READER", "ListMetrics", obj{"Dimensions", arr{obj{"Name", "InstanceId"}}}},
	{"get-metric-statistics", "READER", "GetMetricStatistics", append(obj{"StartTime", moment{bubble.Add(-time.Hour)}, "EndTime", moment{bubble.Add(time.Hour)},
		"Period", 300, "Statistics", arr{"Average", "SampleCount", "Sum", "Minimum", "Maximum"}, "Unit", "Count"}, metricOfStory...)},
	{"get-metric-data", "READER", "GetMetricData", obj{"StartTime", moment{bubble.Add(-time.Hour)}, "EndTime", moment{bubble.Add(time.Hour)},
		"MetricDataQueries", arr{obj{"Id", "m1", "MetricStat", obj{"Metric", metricOfStory, "Period", 60, "Stat", "Sum"}}}}},
	{"get-metric-data-page", "READER", "GetMetricData", obj{"StartTime", moment{bubble.Add(-time.Hour)}, "EndTime", moment{bubble.Add(time.Hour)}, "MaxDatapoints", 1,
		"MetricDataQueries", arr{obj{"Id", "m1", "Label", "load", "MetricStat", obj{"Metric", metricOfStory, "Period", 60, "Stat", "Sum"}}}}},
	{"describe-alarms-for-metric", "READER", "DescribeAlarmsForMetric", metricOfStory},
	{"set-alarm-state", "MEMBER", "SetAlarmState", obj{"AlarmName", "web-Load", "StateValue", "ALARM", "StateReason", "a drill", "StateReasonData", `{"by":"hand"}`}},
	{"describe-alarms-in-alarm", "MEMBER", "DescribeAlarms", obj{"StateValue", "ALARM"}},
	{"describe-alarm-history", "READER", "DescribeAlarmHistory", obj{"AlarmName", "web-Load"}},
	{"describe-alarm-history-page", "READER", "DescribeAlarmHistory", obj{"HistoryItemType", "ConfigurationUpdate", "ScanBy", "TimestampAscending", "MaxRecords", 1,
		"StartDate", moment{bubble.Add(-time.Hour)}, "EndDate", moment{bubble.Add(time.Hour)}}},
	{"enable-alarm-actions", "MEMBER", "EnableAlarmActions", obj{"AlarmNames", arr{"web-Load"}}},
	{"disable-alarm-actions", "MEMBER", "DisableAlarmActions", obj{"AlarmNames", arr{"web-Load"}}},
	{"tag-resource", "MEMBER", "TagResource", obj{"ResourceARN", arn("p1", "web-Load"), "Tags", arr{obj{"Key", "cfnwatch:Repeat", "Value", "5m"}, obj{"Key", "a", "Value", ""}}}},
	{"list-tags", "READER", "ListTagsForResource", obj{"ResourceARN", arn("p1", "web-Load")}},
	{"untag-resource", "MEMBER", "UntagResource", obj{"ResourceARN", arn("p1", "web-Load"), "TagKeys", arr{"a"}}},
	{"delete-alarms-unknown", "MEMBER", "DeleteAlarms", obj{"AlarmNames", arr{"web-Load", "web-None"}}},
	{"delete-alarms", "MEMBER", "DeleteAlarms", obj{"AlarmNames", arr{"web-Load"}}},

	{"no-percentiles", "MEMBER", "PutMetricAlarm", obj{"AlarmName", "a", "ExtendedStatistic", "p99"}},
	{"no-composites", "MEMBER", "PutCompositeAlarm", obj{"AlarmName", "a", "AlarmRule", "TRUE"}},
	{"no-expressions", "READER", "GetMetricData", obj{"StartTime", moment{bubble}, "EndTime", moment{bubble.Add(time.Hour)}, "MetricDataQueries", arr{obj{"Id", "e1", "Expression", "m1*2"}}}},
	{"no-such-field", "MEMBER", "PutMetricAlarm", obj{"AlarmName", "a", "Threshold", 1.0, "Tags", arr{obj{"Key", "cfnwatch:Stak", "Value", "web"}}}},
	{"all-mistakes", "MEMBER", "PutMetricAlarm", obj{"AlarmName", "a", "Threshold", 1.0, "Period", 7, "Statistic", "Mean"}},
	{"no-metric-name", "GUEST", "PutMetricData", obj{"Namespace", "n", "MetricData", arr{obj{"Value", 1.0}}}},
	{"two-values", "GUEST", "PutMetricData", obj{"Namespace", "n", "MetricData", arr{obj{"MetricName", "m", "Value", 1.0, "Values", arr{1.0}}}}},
	{"too-old", "GUEST", "PutMetricData", obj{"Namespace", "n", "MetricData", arr{obj{"MetricName", "m", "Value", 1.0}, obj{"MetricName", "m", "Value", 1.0, "Timestamp", moment{bubble.AddDate(0, 0, -15)}}}}},
	{"bad-token", "READER", "DescribeAlarms", obj{"NextToken", "bm9uZQ"}},
	{"unknown-action", "MEMBER", "PutDashboard", obj{"DashboardName", "d"}},
	{"denied", "GUEST", "DescribeAlarms", obj{}},
	{"unknown-key", "NOBODY", "DescribeAlarms", obj{}},
}

// Each golden file has the answers to one step in the three protocols.
func TestGolden(t *testing.T) {
	answers := make([]string, len(story))
	for _, p := range protocols {
		synctest.Test(t, func(t *testing.T) {
			w := unserved(t, Options{Conceal: func(string) string { return "https://hooks.example/..." }})
			for i, s := range story {
				time.Sleep(time.Second) // a signature of its own
				r, body := p.request(t, s)
				sign(t, s.access, r, body, time.Now())
				got := httptest.NewRecorder()
				w.handler.ServeHTTP(got, r)
				answers[i] += "-- " + p.name + " --\n" + show(t, got)
				if _, err := w.engine.Tick(t.Context(), time.Now()); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	for i, s := range story {
		golden(t, s.file+".txt", answers[i])
	}
}

// protocols write the same request in each.
var protocols = []struct {
	name    string
	request func(*testing.T, step) (*http.Request, []byte)
}{{"query", asQuery}, {"json", asJSON}, {"cbor", asCBOR}}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
	}
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// show is an answer as text: CBOR in its diagnostic notation.
func show(t *testing.T, res *httptest.ResponseRecorder) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", res.Code)
	for _, name := range slices.Sorted(maps.Keys(res.Header())) {
		fmt.Fprintf(&b, "%s: %s\n", name, res.Header().Get(name))
	}
	body := res.Body.String()
	if res.Header().Get("Content-Type") == "application/cbor" {
		var err error
		if body, err = cbor.Diagnose(res.Body.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	return uuids.ReplaceAllString(b.String()+"\n"+body+"\n", "REQUEST-ID")
}

func asQuery(t *testing.T, s step) (*http.Request, []byte) {
	form := url.Values{"Action": {s.action}, "Version": {version}}
	flatten(form, "", s.in)
	body := []byte(awsquery.Encode(form))
	r := post(t, "/v1/", body)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r, body
}

func flatten(form url.Values, prefix string, v any) {
	switch v := v.(type) {
	case obj:
		for i := 0; i < len(v); i += 2 {
			name := v[i].(string)
			if prefix != "" {
				name = prefix + "." + name
			}
			flatten(form, name, v[i+1])
		}
	case arr:
		if len(v) == 0 {
			form.Set(prefix, "")
		}
		for i, x := range v {
			flatten(form, prefix+".member."+strconv.Itoa(i+1), x)
		}
	case moment:
		form.Set(prefix, v.Format(time.RFC3339))
	default:
		form.Set(prefix, fmt.Sprint(v))
	}
}

func asJSON(t *testing.T, s step) (*http.Request, []byte) {
	body, err := json.Marshal(plainOf(s.in))
	if err != nil {
		t.Fatal(err)
	}
	r := post(t, "/v1", body)
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", service+"."+s.action)
	return r, body
}

func plainOf(v any) any {
	switch v := v.(type) {
	case obj:
		m := map[string]any{}
		for i := 0; i < len(v); i += 2 {
			m[v[i].(string)] = plainOf(v[i+1])
		}
		return m
	case arr:
		l := make([]any, len(v))
		for i := range v {
			l[i] = plainOf(v[i])
		}
		return l
	case moment:
		return v.Unix()
	}
	return v
}

func asCBOR(t *testing.T, s step) (*http.Request, []byte) {
	body := encode(t, s.in, true)
	r := post(t, "/v1/service/"+service+"/operation/"+s.action, body)
	r.Header.Set("Content-Type", "application/cbor")
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	return r, body
}

// MarshalCBOR writes tag 1.
func (c moment) MarshalCBOR() ([]byte, error) {
	return cbor.Marshal(cbor.Tag{Number: 1, Content: float64(c.Unix())})
}

// An unsigned, an unknown and a foreign caller learn nothing of an alarm by
// asking for it: the answers are the same, byte for byte.
func TestForeignAlarmIsLikeNone(t *testing.T) {
	w := unserved(t, Options{})
	w.heartbeat(t, "there", "web")
	for _, s := range []step{
		{"", "FOREIGN", "SetAlarmState", obj{"AlarmName", "X", "StateValue", "OK", "StateReason", "r"}},
		{"", "FOREIGN", "DeleteAlarms", obj{"AlarmNames", arr{"X"}}},
		{"", "FOREIGN", "EnableAlarmActions", obj{"AlarmNames", arr{"X"}}},
		{"", "FOREIGN", "DisableAlarmActions", obj{"AlarmNames", arr{"X"}}},
		{"", "FOREIGN", "DescribeAlarms", obj{"AlarmNames", arr{"X"}}},
		{"", "FOREIGN", "DescribeAlarmHistory", obj{"AlarmName", "X"}},
		{"", "FOREIGN", "DescribeAlarmsForMetric", obj{"Namespace", "system/linux", "MetricName", "Heartbeat"}},
		{"", "FOREIGN", "ListTagsForResource", obj{"ResourceARN", "arn:aws:cloudwatch::p1:alarm:X"}},
		{"", "FOREIGN", "TagResource", obj{"ResourceARN", "arn:aws:cloudwatch::p1:alarm:X", "Tags", arr{obj{"Key", "k", "Value", "v"}}}},
		{"", "FOREIGN", "UntagResource", obj{"ResourceARN", "arn:aws:cloudwatch::p1:alarm:X", "TagKeys", arr{"k"}}},
		{"", "FOREIGN", "PutMetricData", obj{"Namespace", "system/linux", "MetricData", arr{obj{"MetricName", "Heartbeat", "Value", 1.0, "Dimensions", arr{obj{"Name", "AlarmName", "Value", "X"}}}}}},
		{"", "FOREIGNGUEST", "PutMetricData", obj{"Namespace", "system/linux", "MetricData", arr{obj{"MetricName", "Heartbeat", "Value", 1.0, "Dimensions", arr{obj{"Name", "AlarmName", "Value", "X"}}}}}},
	} {
		for _, p := range protocols {
			answer := func(name string) string {
				named := s
				named.in = rename(s.in, name).(obj)
				r, body := p.request(t, named)
				sign(t, s.access, r, body, time.Now())
				res := httptest.NewRecorder()
				w.handler.ServeHTTP(res, r)
				return strings.ReplaceAll(show(t, res), name, "X")
			}
			if foreign, unknown := answer("there"), answer("nosuc"); foreign != unknown {
				t.Errorf("%s by %s of a foreign alarm:\n%s\nof none:\n%s", s.action, s.access, foreign, unknown)
			}
		}
	}
	if w.fed(t, "there") {
		t.Error("a push of another project or stack fed the alarm")
	}
}

// rename puts a name where the text has an X.
func rename(v any, name string) any {
	switch v := v.(type) {
	case obj:
		c := slices.Clone(v)
		for i := 1; i < len(c); i += 2 {
			c[i] = rename(c[i], name)
		}
		return c
	case arr:
		c := slices.Clone(v)
		for i := range c {
			c[i] = rename(c[i], name)
		}
		return c
	case string:
		if v == "X" || strings.HasSuffix(v, ":X") {
			return strings.TrimSuffix(v, "X") + name
		}
	}
	return v
}

package api

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// one is a request with one datum.
func one(d datum) *putMetricDataInput {
	return &putMetricDataInput{Namespace: "n", MetricData: []datum{d}}
}

func many[T any](n int, f func(i int) T) []T {
	l := make([]T, n)
	for i := range l {
		l[i] = f(i)
	}
	return l
}

func dims(n int) []dimension {
	return many(n, func(i int) dimension { return dimension{fmt.Sprintf("d%d", i), "v"} })
}

func TestSamplesOfAPush(t *testing.T) {
	when := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	// Old Heat's server took the first datum alone, gave its value to the alarm
	// that a later one named, and heeded neither time nor statistics.
	got, err := full.samples()
	if err != nil {
		t.Fatal(err)
	}
	want := []watch.Sample{
		{Namespace: "system/linux", Metric: "Heartbeat", Unit: "Count", Alarm: "st-Heartbeat", Time: when, Count: 1, Sum: 1, Min: 1, Max: 1,
			Dimensions: []watch.Dimension{{Name: "InstanceId", Value: "i-1"}}},
		{Namespace: "system/linux", Metric: "Load", Unit: "None", Count: 4, Sum: 10, Min: 1, Max: 4.5},
		{Namespace: "system/linux", Metric: "Latency", Unit: "None", Count: 6, Sum: -3, Min: -3, Max: 2.5},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("samples\n%+v, want\n%+v", got, want)
	}
	got, err = one(datum{MetricName: "m", Value: p(2.0), Dimensions: []dimension{{"b", "2"}, {"empty", ""}, {"a", "1"}}}).samples()
	if want := []watch.Dimension{{Name: "a", Value: "1"}, {Name: "b", Value: "2"}}; err != nil || !reflect.DeepEqual(got[0].Dimensions, want) {
		t.Errorf("dimensions %v, %v, want them sorted, and those without value left out: %v", got, err, want)
	}
}

func TestLimitsOfAPush(t *testing.T) {
	f := func(in *putMetricDataInput, want string) {
		t.Helper()
		_, err := in.samples()
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("samples: %.200s, want %s", got, want)
		}
	}
	value := func(v float64) *putMetricDataInput { return one(datum{MetricName: "m", Value: &v}) }
	f(&putMetricDataInput{Namespace: "n"}, "MissingParameter: the parameter MetricData is required")
	f(&putMetricDataInput{MetricData: []datum{{}}}, "MissingParameter: the parameter Namespace is required")
	f(&putMetricDataInput{Namespace: strings.Repeat("ä", 256), MetricData: []datum{{}}}, "InvalidParameterValue: Namespace has 1 to 255 characters")
	f(&putMetricDataInput{Namespace: "n", MetricData: many(1000, func(int) datum { return datum{MetricName: "m", Value: p(1.0)} })}, "")
	f(&putMetricDataInput{Namespace: "n", MetricData: many(1001, func(int) datum { return datum{} })}, "MetricData has 1001 members, and 1000 are the most")
	f(one(datum{Value: p(1.0)}), "MetricData.member.1: the parameter MetricName is required")
	f(one(datum{MetricName: "m", Value: p(1.0), Dimensions: dims(30)}), "")
	f(one(datum{MetricName: "m", Value: p(1.0), Dimensions: dims(31)}), "Dimensions has 31 members, and 30 are the most")
	f(one(datum{MetricName: "m", Value: p(1.0), Dimensions: []dimension{{"a", "1"}, {"b", "2"}, {"a", "3"}}}), `Dimensions has "a" twice`)
	f(one(datum{MetricName: "m", Value: p(1.0), Dimensions: []dimension{{"AlarmName", "1"}, {"AlarmName", "2"}}}), "Dimensions has AlarmName twice")
	f(one(datum{MetricName: "m", Value: p(1.0), Dimensions: []dimension{{"", "1"}}}), "Dimensions.member.1.Name is required")
	f(one(datum{MetricName: "m", Value: p(1.0), Dimensions: []dimension{{"a", strings.Repeat("v", 1025)}}}), "a value 1 to 1024")
	f(one(datum{MetricName: "m", Values: many(150, func(i int) float64 { return float64(i) })}), "")
	f(one(datum{MetricName: "m", Values: many(151, func(i int) float64 { return 1 })}), "Values has 151 members, and 150 are the most")
	f(one(datum{MetricName: "m", Values: []float64{1, 2}, Counts: []float64{1}}), "InvalidParameterCombination: MetricData.member.1: Counts has 1 members, and Values 2")
	f(one(datum{MetricName: "m", Values: []float64{1}, Counts: []float64{-1}}), "Counts.member.1 is not a number above 0")
	f(one(datum{MetricName: "m", Values: []float64{0x1p360, 0x1p360}}), "the sum of Values is not between")
	f(value(0x1p360), "")
	f(value(-0x1p360), "")
	f(value(0x1p361), "Value is not a number between -2^360 and 2^360")
	f(value(math.NaN()), "Value is not a number between -2^360 and 2^360")
	f(value(math.Inf(-1)), "Value is not a number between -2^360 and 2^360")
	f(one(datum{MetricName: "m", StatisticValues: &statisticSet{p(1.0), p(1.0), p(1.0), nil}}), "MissingParameter: MetricData.member.1: the parameter StatisticValues.Maximum is required")
	f(one(datum{MetricName: "m", StatisticValues: &statisticSet{p(0.0), p(1.0), p(1.0), p(1.0)}}), "StatisticValues.SampleCount is not above 0")
	f(one(datum{MetricName: "m", StatisticValues: &statisticSet{p(1.0), p(1.0), p(2.0), p(1.0)}}), "StatisticValues.Minimum is above Maximum")
	f(one(datum{MetricName: "m", StatisticValues: &statisticSet{p(1.0), p(math.NaN()), p(1.0), p(1.0)}}), "StatisticValues.Sum is not a number")
	f(one(datum{MetricName: "m", StatisticValues: &statisticSet{p(5e-324), p(1.0), p(1.0), p(1.0)}}), "StatisticValues: the average, Sum by SampleCount, is not a number")
}

// Fields of an alarm that CloudWatch does not have come as tags.
// A dimension without a value says nothing of a datum; an alarm without it would be
// one on another metric, which nothing may ever feed.
func TestDimensionsOfAnAlarmHaveValues(t *testing.T) {
	in := putMetricAlarmInput{AlarmName: "a", Threshold: p(1.0), Dimensions: []dimension{{"d", "v"}, {"InstanceId", ""}}}
	_, err := in.alarm()
	if e := (*Error)(nil); !errors.As(err, &e) || e.Code != watch.MissingParameter || !strings.Contains(e.Message, "Dimensions.member.2.Value") {
		t.Errorf("an alarm on a dimension without a value: %v, want it refused", err)
	}
}

func TestFieldsInTags(t *testing.T) {
	tags := map[string]string{
		"cfnwatch:Stack": "web", "cfnwatch:Ladder": "gentle", "cfnwatch:Target": "self", "cfnwatch:Match": "subset", "cfnwatch:Legacy": "true",
		"cfnwatch:Range": "4", "cfnwatch:Tolerance": "90s", "cfnwatch:StartAfter": "300", "cfnwatch:Repeat": "5m", "owner": "ops",
	}
	a := watch.Alarm{Tags: tags}
	if err := setFields(&a); err != nil {
		t.Fatal(err)
	}
	want := watch.Alarm{Tags: tags, Stack: "web", Ladder: "gentle", Target: "self", Match: watch.MatchSubset, Legacy: true, Range: 4,
		Tolerance: 90 * time.Second, StartAfter: 5 * time.Minute, Repeat: 5 * time.Minute}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("fields %+v, want %+v", a, want)
	}
	for value, field := range map[string]string{"yes": "Legacy", "many": "Range", "-5s": "Tolerance", "soon": "StartAfter", "often": "Repeat"} {
		err := setFields(&watch.Alarm{Tags: map[string]string{"cfnwatch:" + field: value}})
		if err == nil || !strings.Contains(err.Error(), "Tags: cfnwatch:"+field+": ") || !strings.Contains(err.Error(), value) {
			t.Errorf("%s = %s: %v, want it refused by name and value", field, value, err)
		}
	}
}

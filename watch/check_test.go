package watch

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	f := func(name string, change func(*Alarm), code string, fields ...string) {
		t.Helper()
		a := heartbeat("h")
		change(&a)
		err := a.Check()
		if len(fields) == 0 {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		invalid, ok := errors.AsType[*InvalidError](err)
		if !ok {
			t.Errorf("%s: error %v, want an InvalidError", name, err)
			return
		}
		var got []string
		for _, m := range invalid.Mistakes {
			got = append(got, m.Field)
		}
		if !slices.Equal(got, fields) || invalid.Code != code {
			t.Errorf("%s: %s of %q, want %s of %q: %v", name, invalid.Code, got, code, fields, err)
		}
	}
	letters := func(n int) string { return strings.Repeat("ä", n) } // characters are counted, not bytes
	five := []string{"cfnwatch:notify", "cfnwatch:notify", "cfnwatch:notify", "cfnwatch:notify", "cfnwatch:notify"}

	f("as it is", func(*Alarm) {}, "")
	f("longest name", func(a *Alarm) { a.Name = letters(255) }, "")
	f("name too long", func(a *Alarm) { a.Name = letters(256) }, InvalidValue, "AlarmName")
	f("no name", func(a *Alarm) { a.Name = "" }, MissingParameter, "AlarmName")
	f("control character", func(a *Alarm) { a.Name = "a\nb" }, InvalidValue, "AlarmName")
	f("not UTF-8", func(a *Alarm) { a.Name = "a\xff" }, InvalidValue, "AlarmName")
	f("description", func(a *Alarm) { a.Description = letters(1024) }, "")
	f("description too long", func(a *Alarm) { a.Description = letters(1025) }, InvalidValue, "AlarmDescription")
	f("five actions", func(a *Alarm) { a.OnAlarm, a.OnOK, a.OnNoData = five, five, five }, "")
	f("six actions", func(a *Alarm) { a.OnOK = append(five, "cfnwatch:notify") }, InvalidValue, "OKActions")
	f("empty action", func(a *Alarm) { a.OnNoData = []string{""} }, MissingParameter, "InsufficientDataActions[0]")
	f("long action", func(a *Alarm) { a.OnAlarm = []string{"x", letters(1025)} }, InvalidValue, "AlarmActions[1]")
	f("no metric", func(a *Alarm) { a.Metric = "" }, MissingParameter, "MetricName")
	f("namespace with a colon", func(a *Alarm) { a.Namespace = ":x" }, InvalidValue, "Namespace")
	f("dimensions twice", func(a *Alarm) { a.Dimensions = []Dimension{{"a", "1"}, {"a", "2"}} }, InvalidValue, "Dimensions")
	f("empty dimension", func(a *Alarm) { a.Dimensions = []Dimension{{"a", ""}} }, MissingParameter, "Dimensions[0].Value")
	f("31 dimensions", func(a *Alarm) {
		for i := range 31 {
			a.Dimensions = append(a.Dimensions, Dimension{string(rune('A' + i)), "1"})
		}
	}, InvalidValue, "Dimensions")
	f("unit", func(a *Alarm) { a.Unit = "Count/Second" }, "")
	f("no unit", func(a *Alarm) { a.Unit = "Parsecs" }, InvalidValue, "Unit")
	f("no statistic", func(a *Alarm) { a.Statistic = "" }, MissingParameter, "Statistic")
	f("percentile", func(a *Alarm) { a.Statistic = "p99" }, InvalidValue, "Statistic")
	f("comparison of bands", func(a *Alarm) { a.Comparison = "LessThanLowerThreshold" }, InvalidValue, "ComparisonOperator")
	f("treatment", func(a *Alarm) { a.Missing = "whatever" }, InvalidValue, "TreatMissingData")
	f("no threshold", func(a *Alarm) { a.Threshold = math.NaN() }, InvalidValue, "Threshold")
	f("threshold without end", func(a *Alarm) { a.Threshold = math.Inf(1) }, InvalidValue, "Threshold")
	for _, p := range []time.Duration{10, 20, 30, 60, 120, 86400} {
		f("period", func(a *Alarm) { a.Period = p * time.Second }, "")
	}
	for _, p := range []time.Duration{1, 15, 40, 61, 90, -60} {
		f("period", func(a *Alarm) { a.Period = p * time.Second }, InvalidValue, "Period")
	}
	f("a day", func(a *Alarm) { a.Periods = 1440 }, "")
	f("more than a day", func(a *Alarm) { a.Periods = 1441 }, InvalidCombination, "EvaluationPeriods")
	f("seven days", func(a *Alarm) { a.Period, a.Periods = time.Hour, 168 }, "")
	f("more than seven days", func(a *Alarm) { a.Period, a.Periods = time.Hour, 169 }, InvalidCombination, "EvaluationPeriods")
	f("more than can be counted", func(a *Alarm) { a.Periods = math.MaxInt }, InvalidCombination, "EvaluationPeriods")
	f("no periods", func(a *Alarm) { a.Periods = 0 }, MissingParameter, "EvaluationPeriods")
	f("M of N", func(a *Alarm) { a.Periods, a.Datapoints = 3, 3 }, "")
	f("M above N", func(a *Alarm) { a.Periods, a.Datapoints = 3, 4 }, InvalidCombination, "DatapointsToAlarm")
	f("range", func(a *Alarm) { a.Periods, a.Range = 3, 3 }, "")
	f("range below N", func(a *Alarm) { a.Periods, a.Range = 3, 2 }, InvalidCombination, "cfnwatch:Range")
	f("repeat", func(a *Alarm) { a.Repeat = time.Minute }, "")
	f("repeat too often", func(a *Alarm) { a.Repeat = 59 * time.Second }, InvalidValue, "cfnwatch:Repeat")
	f("tolerance", func(a *Alarm) { a.Tolerance = -1 }, InvalidValue, "cfnwatch:Tolerance")
	f("match", func(a *Alarm) { a.Match = "some" }, InvalidValue, "cfnwatch:Match")
	f("all at once", func(a *Alarm) { *a = Alarm{Name: "x"} }, MissingParameter,
		"MetricName", "Namespace", "Statistic", "ComparisonOperator", "Period", "EvaluationPeriods")
}

func TestUnit(t *testing.T) {
	for in, want := range map[string]string{"": "", "Count": "Count", "Counter": "Count", "megabytes": "Megabytes", "BYTES/second": "Bytes/Second"} {
		if got, known := Unit(in); got != want || !known {
			t.Errorf("Unit(%q) = %q, %t, want %q", in, got, known, want)
		}
	}
	if got, known := Unit("Parsecs"); got != "Parsecs" || known {
		t.Errorf("Unit(Parsecs) = %q, %t", got, known)
	}
}

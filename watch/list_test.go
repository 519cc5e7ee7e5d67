package watch

import (
	"fmt"
	"testing"
	"time"
)

// A list of alarms is made while no push is taken: what is long to work out, as
// the datapoints of each, is for who asks about one.
func TestListOfAlarmsHasNoDatapoints(t *testing.T) {
	e := New(Options{})
	now := time.Now()
	if err := e.Start(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	member := Caller{Project: "p", Role: Member}
	for i := range 20 {
		_, err := e.Define(t.Context(), now, member, Alarm{Name: fmt.Sprintf("a%02d", i), Namespace: "n", Metric: "m", Statistic: Sum, Origin: FromAPI,
			Period: 10 * time.Second, Periods: 1000, Comparison: Greater, OnAlarm: []string{"https://hooks.example/" + fmt.Sprint(i)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if v, ok := e.View(now, "p", "a07"); !ok || len(v.Points) == 0 {
		t.Errorf("one alarm has %d datapoints, want some", len(v.Points))
	}
	list := e.Alarms(now, member, AlarmQuery{Metric: "m"})
	if len(list) != 20 {
		t.Fatalf("%d alarms, want 20", len(list))
	}
	for _, v := range list {
		if v.Points != nil {
			t.Fatalf("%s of a list has %d datapoints", v.Name, len(v.Points))
		}
	}
	if list := e.Alarms(now, member, AlarmQuery{ActionPrefix: "https://hooks.example/7"}); len(list) != 1 || list[0].Name != "a07" {
		t.Errorf("by action: %d alarms, want a07", len(list))
	}
}

func BenchmarkListOfAlarms(b *testing.B) {
	e := New(Options{AlarmsPerProject: 1_000_000})
	now := time.Now()
	if err := e.Start(b.Context(), now); err != nil {
		b.Fatal(err)
	}
	member := Caller{Project: "p", Role: Member}
	for i := range 10_000 {
		_, err := e.Define(b.Context(), now, member, Alarm{Name: fmt.Sprint("a", i), Namespace: "n", Metric: "m", Statistic: Sum, Origin: FromAPI,
			Period: 10 * time.Second, Periods: 1000, Comparison: Greater})
		if err != nil {
			b.Fatal(err)
		}
	}
	for name, q := range map[string]AlarmQuery{"page": {Limit: 101}, "metric": {Metric: "m"}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				e.Alarms(now, member, q)
			}
		})
	}
}

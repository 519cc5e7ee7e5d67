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

// A list of many is made piece by piece. In between pushes are taken and alarms
// change: what is deleted, or matches no more, is not told.
func TestEachAlarmOfMany(t *testing.T) {
	e := New(Options{})
	now := time.Now()
	if err := e.Start(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	rules := func(project string) Caller { return Caller{Project: project, Role: Operator} }
	const many = 2*eachAtOnce + 7
	for i := range many {
		for _, project := range []string{"q", "p"} {
			_, err := e.Define(t.Context(), now, rules(project), Alarm{Project: project, Name: fmt.Sprintf("a%05d", i), Namespace: "n", Metric: "m", Statistic: Sum,
				Origin: FromRules, Period: time.Minute, Periods: 1, Comparison: Greater})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	last := fmt.Sprintf("a%05d", many-1)
	n, before := 0, ""
	for v := range e.Each(now, Caller{Role: Operator}, AlarmQuery{State: NoData}) {
		if n++; n == 1 {
			if err := e.Delete(t.Context(), now, rules("p"), []string{last}); err != nil {
				t.Fatal(err)
			}
			if err := e.SetState(t.Context(), now, rules("q"), last, OK, "", nil); err != nil {
				t.Fatal(err)
			}
		}
		if v.Name == last || v.Project+v.Name <= before {
			t.Fatalf("%s/%s after %s", v.Project, v.Name, before)
		}
		before = v.Project + v.Name
	}
	if n != 2*many-2 {
		t.Errorf("%d alarms, want %d", n, 2*many-2)
	}
	for _, limit := range []int{1, eachAtOnce, eachAtOnce + 1, many + 1} {
		if got := len(e.Alarms(now, Caller{Role: Operator}, AlarmQuery{Limit: limit})); got != limit {
			t.Errorf("%d alarms, want %d at most", got, limit)
		}
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

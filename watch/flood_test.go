package watch

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// flooded is a bench with alarms of a project that change their state with each
// push, one a second, and one of another project.
func flooded(t *testing.T, alarms int) (b *bench, push func()) {
	t.Helper()
	b = newBench(t, Options{})
	var samples []Sample
	for i := range alarms {
		a := cpuAlarm(fmt.Sprint("a", i))
		a.Period, a.Dimensions, a.Statistic = 10*time.Second, []Dimension{{"n", a.Name}}, Sum
		b.define(a)
		samples = append(samples, Sample{Namespace: a.Namespace, Metric: a.Metric, Dimensions: a.Dimensions, Count: 1})
	}
	if _, err := b.e.Define(t.Context(), b.now, Caller{Project: "q", Role: Member}, cpuAlarm("other")); err != nil {
		t.Fatal(err)
	}
	pushes := 0
	return b, func() {
		pushes++
		value := float64(pushes / 10 * 1000) // more than that which leaves the ten seconds, by turns up and down
		if pushes%2 == 1 {
			value = -value
		}
		for i := range samples {
			samples[i].Sum = value
		}
		b.e.Put(b.now, member, samples)
	}
}

// Each change of state is kept for a month, with all messages that it asks for: a
// project whose alarms change with each push once filled the disk of all.
func TestChangesOfAProjectAreBounded(t *testing.T) {
	b, push := flooded(t, 100)
	changes := 0
	for range 600 {
		b.now = b.now.Add(time.Second)
		push()
		for more := true; more; {
			res, err := b.e.Tick(t.Context(), b.now)
			if err != nil {
				t.Fatal(err)
			}
			changes, more = changes+len(res.Batch.Transitions), res.More
		}
	}
	if changes < 10_000 || changes > 12_000 {
		t.Errorf("%d changes of state in ten minutes, want 10,000 at once and 3 a second", changes)
	}
	events, _, err := b.e.Events(t.Context(), member, EventQuery{Kinds: []EventKind{Gate}})
	if err != nil || len(events) != 1 || !strings.Contains(events[0].Summary, "change their state too often") {
		t.Errorf("told %v, %v, want it once", events, err)
	}
	b.e.Put(b.now, Caller{Project: "q", Role: Member}, []Sample{{Namespace: "system/linux", Metric: "CPU", Count: 1, Sum: 99, Min: 99, Max: 99}})
	b.tick()
	if v, _ := b.e.View(b.now, "q", "other"); v.State != Firing {
		t.Errorf("the alarm of another project is %s, want ALARM", v.State)
	}
	b.pass(time.Hour) // in which it is forgiven
	b.e.Put(b.now, member, []Sample{{Namespace: "system/linux", Metric: "CPU", Dimensions: []Dimension{{"n", "a99"}}, Count: 1, Sum: 99}})
	b.tick()
	b.want("a99", Firing)
}

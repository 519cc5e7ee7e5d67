package watch

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"
)

// tickOnce is a tick of a server that has no time for a second one.
func (b *bench) tickOnce() Batch {
	b.t.Helper()
	res, err := b.e.Tick(b.t.Context(), b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.Batch
}

// inProject defines alarms of one project, as an operator.
func (b *bench) inProject(project string, n int, a Alarm) {
	b.t.Helper()
	base := a.Name
	for i := range n {
		a.Project, a.Name = project, fmt.Sprintf("%s%d", base, i)
		if _, err := b.e.Define(b.t.Context(), b.now, op, a); err != nil {
			b.t.Fatal(err)
		}
	}
}

// beats pushes a heartbeat of each guest of a project.
func (b *bench) beats(project string, n int) {
	for i := range n {
		b.e.Put(b.now, Caller{Project: project, Role: Member}, []Sample{{Metric: "Heartbeat", Alarm: fmt.Sprintf("h%d", i), Count: 1, Sum: 1, Min: 1, Max: 1}})
	}
}

// A project whose alarms change more often than they can be looked at takes
// nothing from another's: a guest of that is found dead in its time.
func TestNoProjectDelaysAnothers(t *testing.T) {
	b := newBench(t, Options{Store: &sink{Store: NewMemory()}})
	b.inProject("a", 2*slice, Alarm{Name: "x", Namespace: "n", Metric: "x", Statistic: Sum, Comparison: Greater, Period: 10 * time.Second, Periods: 1})
	b.inProject("b", 1, heartbeat("h"))
	b.beats("b", 1)
	died := b.now
	b.tick()
	const silence = 135 * time.Second
	b.pass(silence - 10*time.Second)
	changes := 0
	for value := 1.0; b.now.Sub(died) < silence+2*time.Second; value *= 3 {
		b.now = b.now.Add(time.Second)
		sum := value
		if b.now.Second()/2%2 == 0 { // and so is that of ten
			sum = -value
		}
		b.e.Put(b.now, Caller{Project: "a", Role: Member}, []Sample{{Namespace: "n", Metric: "x", Count: 1, Sum: sum, Min: sum, Max: sum}})
		for _, change := range b.tickOnce().Transitions {
			switch {
			case change.Project == "a":
				changes++
			case b.now.Sub(died) < silence:
				t.Errorf("the guest of b is %s %s after it died", change.To, b.now.Sub(died))
			}
		}
	}
	if v, _ := b.e.View(b.now, "b", "h0"); v.State != Firing {
		t.Errorf("the guest of b is %s 2m17s after it died, want ALARM", v.State)
	}
	if changes < 4*slice { // which is all it may; that others wait keeps it as busy
		t.Errorf("%d changes of a, which is not busy", changes)
	}
}

// Nor does a project of which more guests are silent at once than a tick looks
// at. All of them are overdue by then, so that who asks whether that is a storm
// does not see the first of them alone.
func TestManySilentAtOnce(t *testing.T) {
	const many = 3 * slice
	b := newBench(t, Options{Store: &sink{Store: NewMemory()}, AlarmsPerProject: many})
	a := heartbeat("h")
	a.Tolerance, a.Stack = time.Second, ""
	b.inProject("a", many, a)
	b.inProject("b", 1, a)
	for range 3 {
		b.beats("a", many)
		b.beats("b", 1)
		b.tick()
		b.now = b.now.Add(time.Minute)
		b.tick()
	}
	b.beats("a", many)
	b.beats("b", 1)
	b.tick()
	b.pass(60 * time.Second)
	if c := b.e.Census("a", b.now); c.Overdue != 0 {
		t.Fatalf("%d overdue before their time", c.Overdue)
	}
	b.now = b.now.Add(time.Second)
	found := map[string]int{}
	for _, change := range b.tickOnce().Transitions {
		found[change.Project]++
	}
	if found["b"] != 1 || found["a"] != slice-1 {
		t.Errorf("found silent in the first tick: %v, want the one of b, and as many of a as there is time for", found)
	}
	if c := b.e.Census("a", b.now); c.Overdue != many || c.Alive != many {
		t.Errorf("%d of %d overdue, want all %d", c.Overdue, c.Alive, many)
	}
	if c := b.e.Census(AllProjects, b.now); c.Overdue != many+1 {
		t.Errorf("%d of all overdue, want %d", c.Overdue, many+1)
	}
	b.tick()
	if got := b.e.Totals().Firing; got != many+1 {
		t.Errorf("%d silent after the last tick, want %d", got, many+1)
	}
}

// lines counts those of the log by alarm. Who writes them lets others go on.
type lines struct {
	slog.Handler
	b  *bench
	of map[string]int
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.b.e.Totals() // which waits for the engine
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "alarm" {
			l.of[a.Value.String()]++
		}
		return true
	})
	return nil
}

// Of many changes at once each has its line in the log, for which no push waits.
func TestEachChangeHasItsLine(t *testing.T) {
	log := &lines{of: map[string]int{}}
	b := newBench(t, Options{Log: slog.New(log)})
	log.b = b
	const many = 500
	a := heartbeat("h")
	a.Stack = ""
	b.inProject("a", many, a)
	b.beats("a", many)
	b.tick()
	b.pass(135 * time.Second)
	if err := b.e.SetState(t.Context(), b.now, Caller{Project: "a", Role: Member}, "h7", OK, "by hand", nil); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		name, want := fmt.Sprintf("h%d", i), 2 // to OK and to ALARM
		if i == 7 {
			want = 3
		}
		if log.of[name] != want {
			t.Fatalf("%s has %d lines, want %d", name, log.of[name], want)
		}
	}
}

// What a project has waiting takes room for what waits, also where it is never
// all looked at.
func TestTurnsDoNotGrow(t *testing.T) {
	var entries list[entry]
	turns := turns{entries: &entries}
	p := &project{}
	for range 10 {
		en := &entry{project: p}
		en.place = entries.add(en)
		turns.add(en)
	}
	for range 10_000 {
		turns.add(turns.next())
	}
	if got := len(p.dirty.places); got > 20 {
		t.Errorf("a queue of 10 has %d places", got)
	}
	for n := 10; turns.next() != nil; n-- {
		if n == 0 {
			t.Fatal("more than 10 came out")
		}
	}
	if !turns.empty() || len(p.dirty.places) != 0 {
		t.Errorf("%d are left", len(p.dirty.places))
	}
}

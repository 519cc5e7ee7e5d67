package watch

import (
	"fmt"
	"testing"
	"time"
)

// A bench is an engine with a clock that the test moves.
type bench struct {
	t     testing.TB
	e     *Engine
	store *Memory
	begun time.Time
	now   time.Time     // wall clock
	set   time.Duration // by which the wall clock was set since the start
	seen  int           // actions that the test has looked at
}

var (
	member = Caller{Access: "M", Project: "p", Role: Member}
	guest  = Caller{Access: "G", Project: "p", Stack: "web", Role: Guest}
	op     = Caller{Project: "p", Role: Operator}
)

func newBench(t testing.TB, o Options) *bench {
	t.Helper()
	b := &bench{t: t, begun: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.now = b.begun
	if o.Store == nil {
		b.store = NewMemory()
		o.Store = b.store
	}
	b.start(o)
	return b
}

// start starts an engine, as if the server had been started now.
func (b *bench) start(o Options) {
	b.t.Helper()
	o.Monotonic = func(now time.Time) time.Duration { return now.Sub(b.begun) - b.set }
	b.e = New(o)
	if err := b.e.Start(b.t.Context(), b.now); err != nil {
		b.t.Fatal(err)
	}
}

// tick ticks until nothing is due now.
func (b *bench) tick() {
	b.t.Helper()
	for {
		res, err := b.e.Tick(b.t.Context(), b.now)
		if err != nil {
			b.t.Fatal(err)
		}
		if !res.More {
			return
		}
	}
}

// pass lets time pass, with a tick each second, and does each second what is to be done.
func (b *bench) pass(d time.Duration, each ...func(now time.Time)) {
	b.t.Helper()
	for end := b.now.Add(d); b.now.Before(end); {
		b.now = b.now.Add(time.Second)
		for _, f := range each {
			f(b.now)
		}
		b.tick()
	}
}

func (b *bench) define(a Alarm) Alarm {
	b.t.Helper()
	a, err := b.e.Define(b.t.Context(), b.now, member, a)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *bench) want(name string, want State) {
	b.t.Helper()
	v, ok := b.e.View(b.now, "p", name)
	if !ok {
		b.t.Fatalf("no alarm %s", name)
	}
	if v.State != want {
		b.t.Fatalf("%s after %s: alarm %s is %s (%s), want %s", b.now.Format(time.TimeOnly), b.now.Sub(b.begun), name, v.State, v.Reason, want)
	}
}

// beat pushes one heartbeat to an alarm.
func (b *bench) beat(name string) {
	b.e.Put(b.now, guest, []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Unit: "Count", Alarm: name, Count: 1, Sum: 1, Min: 1, Max: 1}})
}

// heartbeat is the usual alarm of a heartbeat each minute.
func heartbeat(name string) Alarm {
	return Alarm{
		Name: name, Namespace: "system/linux", Metric: "Heartbeat", Statistic: SampleCount, Period: time.Minute, Periods: 1,
		Threshold: 1, Comparison: Less, Missing: MissingBreaching, ActionsEnabled: true, Stack: "web",
		OnAlarm: []string{"cfnwatch:restart:self"}, Origin: FromAPI,
	}
}

func TestLostHeartbeatFiresOnce(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	b.pass(10 * time.Minute)
	b.want("h", NoData) // never fed: absence does not count
	beat := func(now time.Time) {
		if now.Second() == 0 {
			b.beat("h")
		}
	}
	b.pass(10*time.Minute, beat)
	b.want("h", OK)
	b.pass(134 * time.Second)
	b.want("h", OK)
	b.pass(time.Second)
	b.want("h", Firing)
	b.pass(10 * time.Minute)
	b.want("h", Firing)
	if got := len(b.store.Wanted()); got != 1 {
		t.Errorf("%d actions wanted, want 1", got)
	}
	b.beat("h")
	b.tick()
	b.want("h", OK)
}

// What has counted does not count once more when a clock that was set back comes
// to its time again, whether the server ran then or not.
func TestSampleCountsOnceThoughTheClockIsSetBack(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		t.Run(fmt.Sprintf("stopped: %t", stopped), func(t *testing.T) {
			b := newBench(t, Options{})
			b.define(Alarm{Name: "a", Namespace: "n", Metric: "x", Statistic: Maximum, Comparison: Greater, Period: time.Minute, Periods: 1,
				Missing: MissingNotBreaching, ActionsEnabled: true, OnAlarm: []string{"cfnwatch:exec:x"}})
			b.pass(3 * time.Minute)
			b.e.Put(b.now, member, []Sample{{Namespace: "n", Metric: "x", Count: 1, Sum: 1, Min: 1, Max: 1}})
			b.pass(3 * time.Second)
			if stopped {
				if err := b.e.FlushAll(t.Context(), b.now); err != nil {
					t.Fatal(err)
				}
			}
			b.now, b.set = b.now.Add(-30*time.Minute), b.set-30*time.Minute
			if stopped {
				b.start(Options{Store: b.store})
			}
			b.pass(time.Hour)
			if got := len(b.store.Wanted()); got != 1 {
				t.Errorf("%d actions for one failure, want 1", got)
			}
		})
	}
}

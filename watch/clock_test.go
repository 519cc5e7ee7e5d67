package watch

import (
	"testing"
	"time"
)

// setClock sets the wall clock.
func (b *bench) setClock(by time.Duration) { b.now, b.set = b.now.Add(by), b.set+by }

// tell pushes one value.
func (b *bench) tell(value float64, at time.Time) {
	b.e.Put(b.now, member, []Sample{{Namespace: "n", Metric: "x", Count: 1, Sum: value, Min: value, Max: value, Time: at}})
}

// failures fires for a value above zero.
func failures(missing Missing) Alarm {
	return Alarm{Name: "a", Namespace: "n", Metric: "x", Statistic: Maximum, Comparison: Greater, Period: 5 * time.Minute, Periods: 1,
		Missing: missing, ActionsEnabled: true, OnAlarm: []string{"cfnwatch:exec:x"}}
}

// flushAll is what a server does before it stops.
func (b *bench) flushAll() {
	b.t.Helper()
	if err := b.e.FlushAll(b.t.Context(), b.now); err != nil {
		b.t.Fatal(err)
	}
}

// However the wall clock is set, a sample counts once, and for as long as it
// would have: three periods, less what had passed of its bucket of ten seconds,
// and as much again where the server was restarted.
func TestSampleKeepsItsAgeThoughTheClockIsSet(t *testing.T) {
	f := func(name string, steps ...time.Duration) {
		for _, restarts := range []int{0, 1} {
			t.Run(name, func(t *testing.T) {
				b := newBench(t, Options{})
				b.define(failures(MissingNotBreaching))
				b.pass(20*time.Minute + 3*time.Second)
				b.tell(1, time.Time{})
				began := b.elapsed()
				b.pass(time.Second)
				b.want("a", Firing)
				for _, by := range steps {
					b.setClock(by)
					b.pass(7 * time.Second)
					for range restarts {
						b.flushAll()
						b.restart()
						b.pass(time.Second)
					}
				}
				lasted := time.Duration(0)
				b.pass(6*time.Hour, func(time.Time) {
					if v, _ := b.e.View(b.now, "p", "a"); v.State == Firing {
						lasted = b.elapsed() - began
					}
				})
				least := 15*time.Minute - time.Duration(1+restarts*len(steps))*10*time.Second
				if lasted < least || lasted > 15*time.Minute {
					t.Errorf("%d restarts: counted for %s, want at least %s and no more than 15m", restarts, lasted, least)
				}
				if got := len(b.store.Wanted()); got != 1 {
					t.Errorf("%d restarts: %d actions for one failure, want 1", restarts, got)
				}
			})
		}
	}
	const second, hour = time.Second, time.Hour
	f("it is not")
	f("back by less than a bucket", -3*second)
	f("back by some", -47*second)
	f("back by more than the range", -17*time.Minute)
	f("back by hours", -5*hour)
	f("ahead by less than a bucket", 3*second)
	f("ahead by some", 47*second)
	f("ahead by hours", 5*hour)
	f("back twice", -47*second, -47*second)
	f("back and ahead", -hour, hour)
	f("ahead and back", 47*second, -47*second)
	f("back again and again", -3*second, -3*second, -3*second, -3*second, -3*second, -3*second, -3*second, -3*second)
	f("ahead again and again", 3*second, 3*second, 3*second, 3*second, 3*second, 3*second, 3*second, 3*second)
}

// Nor do samples age by restarts where the clock was not set: both clocks are
// read, one some nanoseconds after the other.
func TestSampleDoesNotAgeByRestarts(t *testing.T) {
	b := newBench(t, Options{})
	b.define(failures(MissingNotBreaching))
	b.pass(20 * time.Minute)
	b.tell(1, time.Time{})
	for range 80 {
		b.pass(10 * time.Second)
		b.setClock(-40)
		b.e.keepWindow(b.e.alarm(b.e.projects["p"], "a"))
		b.flushAll()
		b.restart()
	}
	if v, _ := b.e.View(b.now, "p", "a"); v.Points[2].Count != 1 {
		t.Errorf("periods %v, want the sample in the third", v.Points)
	}
}

// A failure that is over does not come up again because the clock is set back.
func TestWellStaysWellThoughTheClockIsSetBack(t *testing.T) {
	for _, by := range []time.Duration{-3 * time.Second, -2 * time.Minute, -10 * time.Minute, -time.Hour} {
		b := newBench(t, Options{})
		b.define(failures(MissingIgnore))
		well := func(now time.Time) {
			if now.Second()%10 == 0 {
				b.tell(0, time.Time{})
			}
		}
		b.pass(5*time.Minute, well)
		b.tell(1, time.Time{})
		b.pass(10*time.Minute, well)
		b.want("a", OK)
		b.setClock(by)
		b.tell(0, time.Time{}) // before the server has seen it
		b.pass(2*time.Hour, well)
		v, _ := b.e.View(b.now, "p", "a")
		if v.State != OK || v.Number != 3 {
			t.Errorf("clock set by %s: %s after %d changes, want OK after those to OK, to ALARM and back", by, v.State, v.Number)
		}
		if age := b.now.Sub(v.Points[0].Time); age < 0 || age > 5*time.Minute {
			t.Errorf("clock set by %s: the newest period began %s ago, want at most 5m", by, age)
		}
	}
}

// A sample that is ahead of the clock counts when it comes to its time, once,
// though the clock is set meanwhile; what its pusher meant is not known then.
func TestSampleAheadCountsOnceThoughTheClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{0, -3 * time.Minute, 3 * time.Minute, -2 * time.Hour} {
		b := newBench(t, Options{})
		b.define(failures(MissingNotBreaching))
		b.pass(20 * time.Minute)
		b.tell(1, b.now.Add(10*time.Minute))
		b.pass(time.Minute)
		b.setClock(by)
		fired := time.Duration(0)
		begun := b.elapsed()
		b.pass(4*time.Hour, func(time.Time) {
			if v, _ := b.e.View(b.now, "p", "a"); v.State == Firing && fired == 0 {
				fired = b.elapsed() - begun
			}
		})
		if fired < 9*time.Minute-10*time.Second || fired > 9*time.Minute+10*time.Second {
			t.Errorf("clock set by %s: counted %s later, want 9m", by, fired)
		}
		if got := len(b.store.Wanted()); got != 1 {
			t.Errorf("clock set by %s: %d actions for one failure, want 1", by, got)
		}
	}
}

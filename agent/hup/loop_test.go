package hup

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A recorder notes when passes begin, and takes a time for each.
type recorder struct {
	start   time.Time
	begun   []time.Duration
	asked   []bool
	takes   time.Duration
	next    time.Duration
	running int
	most    int
}

func (r *recorder) pass(ctx context.Context, asked bool) time.Duration {
	r.begun, r.asked = append(r.begun, time.Since(r.start)), append(r.asked, asked)
	r.running++
	r.most = max(r.most, r.running)
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
	}
	r.running--
	return r.next
}

// loop runs a loop of passes for so long.
func (r *recorder) loop(t *testing.T, l Loop, length time.Duration, during func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	r.start = time.Now()
	l.Pass, l.Log = r.pass, cmp.Or(l.Log, slog.New(slog.DiscardHandler))
	if during != nil {
		go during()
	}
	l.Run(ctx)
	if r.running != 0 {
		t.Errorf("a pass is still running after Run")
	}
	if r.most != 1 {
		t.Errorf("%d passes at once", r.most)
	}
}

func TestLoopSpreadsPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{next: 10 * time.Minute, takes: time.Second}
		r.loop(t, Loop{Interval: 10 * time.Minute}, 24*time.Hour, nil)
		if n := len(r.begun); n < 130 || n > 161 {
			t.Fatalf("%d passes in a day", n)
		}
		if r.begun[0] > time.Minute {
			t.Errorf("first pass after %v", r.begun[0])
		}
		spread := map[time.Duration]bool{}
		for i, at := range r.begun[1:] {
			gap := at - r.begun[i]
			spread[gap] = true
			if gap < 9*time.Minute || gap > 11*time.Minute {
				t.Errorf("pass after %v", gap)
			}
		}
		if len(spread) < 100 {
			t.Errorf("only %d different gaps", len(spread))
		}
	})
}

func TestPassThatOverrunsSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{next: time.Minute, takes: 150 * time.Second}
		r.loop(t, Loop{Interval: time.Minute}, time.Hour, nil)
		for i, at := range r.begun[1:] {
			if gap := at - r.begun[i]; gap < r.takes {
				t.Errorf("pass %v after another that takes %v", gap, r.takes)
			}
		}
		if n := len(r.begun); n < 17 || n > 24 {
			t.Errorf("%d passes in an hour", n)
		}
	})
}

func TestPassThatIsAskedForComesAtOnceOrNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{next: time.Hour, takes: 10 * time.Minute}
		now := make(chan struct{})
		r.loop(t, Loop{Interval: time.Hour, Now: now}, 50*time.Minute, func() {
			time.Sleep(20 * time.Minute) // the first pass is over by then
			now <- struct{}{}
			time.Sleep(time.Minute)
			now <- struct{}{}
			now <- struct{}{}
		})
		if n := len(r.begun); n != 3 || r.asked[0] || !r.asked[1] || !r.asked[2] || r.begun[1] != 20*time.Minute || r.begun[2] != 30*time.Minute {
			t.Errorf("passes at %v, asked for %v", r.begun, r.asked)
		}
	})
}

func TestPassThatIsAskedForBeforeOneIsDueIsNotCalledLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		r := &recorder{next: 10 * time.Minute, takes: time.Minute}
		now := make(chan struct{})
		l := Loop{Interval: 10 * time.Minute, Now: now, Log: slog.New(slog.NewTextHandler(&log, nil))}
		r.loop(t, l, time.Hour, func() { // the first is due within a minute
			for range 60 {
				now <- struct{}{}
				time.Sleep(time.Minute)
			}
		})
		if strings.Contains(log.String(), "takes longer than the interval") {
			t.Errorf("passes of %v at an interval of %v: %s", r.takes, l.Interval, log.String())
		}
	})
}

func TestIntervalOfConfigurationThatWasReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{next: time.Minute}
		r.loop(t, Loop{Interval: time.Hour}, 2*time.Hour, nil)
		if n := len(r.begun); n < 100 {
			t.Errorf("%d passes in two hours, want about 115", n)
		}
	})
}

// An action may take an hour: the watchdog is about the loop.
func TestWatchdogIsFedWhilePassRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{next: time.Minute, takes: time.Hour}
		alive := 0
		r.loop(t, Loop{Interval: time.Minute, Watchdog: 30 * time.Second, Alive: func() { alive++ }}, 10*time.Minute+time.Second, nil)
		if alive != 40 {
			t.Errorf("alive %d times in 10 minutes, want 40", alive)
		}
	})
}

func TestHeatThatDoesNotTellIsAskedLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b BackOff
		asked := map[string]int{}
		fails := errors.New("no answer")
		describe := b.Describe(func(_ context.Context, id string) (Resource, error) {
			asked[id]++
			if id == "bad" {
				return Resource{}, fails
			}
			return Resource{}, nil
		}, time.Minute)
		for range 24 * 60 {
			for _, id := range []string{"bad", "good"} {
				if _, err := describe(t.Context(), id); id == "good" && err != nil || id == "bad" && !errors.Is(err, fails) && !errors.Is(err, ErrNotAsked) {
					t.Fatalf("%s: %v", id, err)
				}
			}
			time.Sleep(time.Minute)
		}
		if asked["good"] != 24*60 || asked["bad"] < 48 || asked["bad"] > 62 {
			t.Errorf("asked %v times in a day", asked)
		}
		b.Reset()
		if _, err := describe(t.Context(), "bad"); !errors.Is(err, fails) {
			t.Errorf("after Reset: %v, want %v", err, fails)
		}
	})
}

func TestPassGoesOnQuietlyWhileHeatIsNotAsked(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told))
	g.applied("R", withServices)
	state := map[string]string{"httpd": "down"}
	g.serve(state)
	var b BackOff
	g.pass.Describe = b.Describe(g.pass.Describe, time.Hour)
	g.runFails("Heat does not tell of R")
	state["httpd"] = "down"
	g.wrote()
	if got, want := g.run(), "service.restarted R httpd started"; got != want || len(g.asked) != 1 {
		t.Errorf("told %q, asked for %q, want %q", got, g.asked, want)
	}
}

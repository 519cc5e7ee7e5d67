package hup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"
)

// A Loop makes passes, one at a time, until it is told to stop. All fields
// but Now and Watchdog must be set.
type Loop struct {
	// Pass makes a pass and returns the interval to go on with. Asked says
	// that somebody wants it now. It ends soon when its context is done.
	Pass     func(ctx context.Context, asked bool) time.Duration
	Interval time.Duration   // to begin with; each wait is up to 10 % more or less
	Now      <-chan struct{} // a pass is wanted at once, or after the one under way
	Watchdog time.Duration   // Alive is called twice in this time; 0: never
	Alive    func()
	Log      *slog.Logger
}

// Run makes passes until ctx is done and the pass under way has ended. The
// first comes at a random time within a tenth of the interval: many guests
// that boot at once do not ask at once. A pass that is due while another one
// is running is left out.
func (l *Loop) Run(ctx context.Context) {
	interval := l.Interval
	next := time.NewTimer(time.Duration(rand.Float64() * float64(interval) / 10))
	defer next.Stop()
	var watchdog <-chan time.Time
	if l.Watchdog > 0 {
		ticker := time.NewTicker(l.Watchdog / 2)
		defer ticker.Stop()
		watchdog = ticker.C
	}
	done := make(chan time.Duration, 1)
	running, wanted := false, false
	early := false // the pass under way stands for one that is not due yet
	begin := func(asked bool) {
		running, early = true, asked
		go func() { done <- l.Pass(ctx, asked) }()
	}
	for {
		select {
		case <-ctx.Done():
			if running {
				<-done
			}
			return
		case <-next.C:
			switch {
			case !running:
				begin(false)
			case early:
				early = false
			default:
				l.Log.Warn("pass takes longer than the interval: one was left out", "interval", interval)
			}
			next.Reset(jitter(interval))
		case <-l.Now:
			if wanted = running; !running {
				begin(true)
			}
		case d := <-done:
			running = false
			if d != interval {
				interval = d
				next.Reset(jitter(interval))
			}
			if wanted {
				wanted = false
				begin(true)
			}
		case <-watchdog:
			l.Alive()
		}
	}
}

// jitter is a time up to a tenth more or less than d.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

// ErrNotAsked says that Heat was not asked for a resource, since it did not
// tell of it before.
var ErrNotAsked = errors.New("heat is not asked yet")

// maxSilence is the longest time in which Heat is not asked.
const maxSilence = 30 * time.Minute

// A BackOff asks Heat less and less often for a resource that it does not
// tell of: after about 1, 2, 4... intervals, each at most half an hour. Passes go
// on meanwhile with what is known. The zero value is of use.
type BackOff struct{ resources map[string]silence }

type silence struct {
	failures int
	until    time.Time
}

// Reset has the next pass ask for everything.
func (b *BackOff) Reset() { b.resources = nil }

// Describe is describe with waits, for passes that come at an interval.
func (b *BackOff) Describe(describe Describe, interval time.Duration) Describe {
	return func(ctx context.Context, id string) (Resource, error) {
		s := b.resources[id]
		if time.Now().Before(s.until) {
			return Resource{}, fmt.Errorf("%w: resource %s", ErrNotAsked, id)
		}
		r, err := describe(ctx, id)
		if b.resources == nil {
			b.resources = map[string]silence{}
		}
		if err == nil || ctx.Err() != nil {
			delete(b.resources, id)
			return r, err
		}
		s.failures++
		// About a tenth less, so that a pass which comes a little early asks, and
		// that guests which lost Heat together do not come back together.
		s.until = time.Now().Add(jitter(wait(interval, s.failures, maxSilence)) * 17 / 20)
		b.resources[id] = s
		return r, err
	}
}

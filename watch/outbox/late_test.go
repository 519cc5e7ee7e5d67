package outbox_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A server that starts while its disk is full acts once there is room again.
func TestServerThatStartsWithAFullDiskActsLater(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		s := c.suspended()
		c.stop()
		c.disk.full.Store(true)
		c.serve()
		c.pass(time.Minute)
		c.disk.full.Store(false)
		c.pass(3 * time.Second)
		c.resume(s)
		c.pass(5 * time.Minute)
		c.wantRestarts("there is room again", "p1-0000")
	})
}

// A notice for which there is no room is tried again each second, and not at once
// for as long as the disk is full.
func TestNoticeThatCannotBeWrittenWaits(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.gates.HoldFor = 10 * time.Minute
		c.with(func(o *Options) { o.Actions[Notify] = told })
		c.add("p1", 10)
		c.pass(5 * time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(10 * time.Minute)
		const most = 1000 // which would be in no time
		var tries int
		c.store.mu.Lock()
		c.store.fail = func() error {
			if tries++; tries > most {
				return nil
			}
			return errNotWritten
		}
		c.store.mu.Unlock()
		c.pass(5 * time.Minute)
		c.store.mu.Lock()
		c.store.fail = nil
		c.store.mu.Unlock()
		if len(told.all()) > 0 || tries < 60 {
			t.Fatalf("tried %d times, told %q", tries, told.all())
		}
		c.pass(time.Minute)
		if got := told.all(); len(got) != 1 {
			t.Errorf("told %q when there is room, want of the storm", got)
		}
	})
}

// ahead is an engine that has not seen yet that the clock was set back.
type ahead struct {
	Engine
	on atomic.Bool
}

func (a *ahead) Listening() time.Time {
	if a.on.Load() {
		return time.Now().Add(time.Hour)
	}
	return a.Engine.Listening()
}

func TestClockSetBackHoldsForSecondsNotHours(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		var a *ahead
		c.with(func(o *Options) {
			a = &ahead{Engine: o.Engine}
			o.Engine = a
		})
		s := c.suspended()
		a.on.Store(true)
		c.resume(s)
		a.on.Store(false) // the next tick
		c.pass(time.Minute)
		c.wantRestarts("the clock was set back by an hour", "p1-0000")
	})
}

// An action that began by a clock that was ahead does not keep all others from
// beginning until that time has come.
func TestActionOfAClockThatWasAheadBlocksNobody(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		s := c.suspended()
		c.store.mu.Lock()
		c.store.set(Row{Key: "of tomorrow", Wanted: watch.Wanted{Transition: watch.Transition{Project: "p2"}}, Rough: true, Object: "other",
			Status: Done, Began: time.Now().Add(24 * time.Hour)})
		c.store.mu.Unlock()
		c.resume(s)
		c.pass(time.Minute)
		c.wantRestarts("the clock was ahead", "p1-0000")
	})
}

// Nor does one on the same target: it has its time to show its effect, and not
// until the clock is there again.
func TestTargetIsNotHeldByAClockThatWasAhead(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		s := c.suspended()
		v, _ := c.engine.View(c.now(), "p1", "p1-0001")
		c.store.mu.Lock()
		c.store.set(Row{Key: "alarm/p1/p1-0000|of tomorrow", Wanted: watch.Wanted{Transition: watch.Transition{Project: "p1", AlarmID: v.ID}, Span: time.Minute}, Rough: true,
			Object: "alarm/p1/p1-0000", Status: Done, Began: c.now().Add(24 * time.Hour), Born: c.now()})
		c.store.mu.Unlock()
		c.stop()
		c.serve()
		c.resume(s)
		c.pass(3 * time.Minute)
		c.wantRow("as if it had been done when the server began", c.rows("p1-0000")[0], Held, "g4", "may still take effect")
		c.pass(8 * time.Minute)
		c.wantRestarts("the clock was ahead", "p1-0000")
	})
}

// An endpoint that did not answer is tried again after its time, whatever the
// clock is set to.
func TestBreakerDoesNotFollowTheClock(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{fails: &Failure{Err: errors.New("HTTP 503"), Fate: Again, HTTP: 503}}
		c.with(func(o *Options) { o.Actions[Webhook] = told })
		c.add("p1", 1, "http://mail/")
		c.pass(5 * time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(20 * time.Minute)
		told.fails = nil
		c.set.Add(-int64(time.Hour))
		c.pass(10 * time.Minute)
		if rows := c.rows("p1-0000"); rows[0].Status != Done {
			t.Errorf("the message is %s (%s)", rows[0].Status, rows[0].Why)
		}
	})
}

// Who is silent when a storm is over waits for its silence, and not for a clock
// that was set back.
func TestStormThatIsOverDoesNotFollowTheClock(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 40)
		c.pass(5 * time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(7 * time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = false })
		c.each(c.guests[:1], func(g *guest) { g.up = false })
		c.pass(time.Minute)
		c.set.Add(-int64(time.Hour))
		c.pass(10 * time.Minute)
		c.wantRestarts("the storm is over", "p1-0000")
	})
}

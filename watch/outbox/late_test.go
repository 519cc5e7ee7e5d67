package outbox_test

import (
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
		c.full = new(atomic.Bool)
		c.full.Store(true)
		c.serve()
		c.pass(time.Minute)
		c.full.Store(false)
		c.pass(3 * time.Second)
		c.resume(s)
		c.pass(5 * time.Minute)
		c.wantRestarts("there is room again", "p1-0000")
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

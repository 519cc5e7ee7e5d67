package outbox_test

import (
	"errors"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Guests that were given up are in no storm, also after a restart of the server,
// which once forgot them: the first guest to die then was held by a storm of the
// dead, for ever.
func TestGivenUpGuestsAreNoStormAfterARestart(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.with(func(o *Options) { o.Actions[Exec] = &desk{fails: errors.New("no such guest")} })
		c.add("p1", 10)
		c.pass(5 * time.Minute)
		for _, g := range c.guests[:3] {
			c.fails(g)
			c.pass(5 * time.Minute)
		}
		if n := c.engine.Census(watch.AllProjects, c.now()); n.Overdue != 0 || n.Alive != 7 {
			t.Fatalf("census %+v, want none overdue of the 7 that were not given up", n)
		}
		c.stop()
		c.serve()
		c.pass(10 * time.Minute)
		if n := c.engine.Census(watch.AllProjects, c.now()); n.Overdue != 0 || n.Alive != 7 {
			t.Errorf("census %+v after a restart, want none overdue of 7", n)
		}
	})
}

// A guest that was given up and is back is in no storm while it is suspended, nor
// is one that came since.
func TestSuspendedGuestsAreNoStorm(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.with(func(o *Options) { o.Actions[Exec] = &desk{fails: errors.New("no such guest")} })
		c.add("p1", 10)
		c.pass(5 * time.Minute)
		c.fails(c.guests[0])
		if _, err := c.outbox.Suspend(t.Context(), Suspension{Scope: OfProject, Name: "p1", Owner: "uid 0"}); err != nil {
			t.Fatal(err)
		}
		c.each(c.guests[:1], func(g *guest) { g.up = true })
		c.pass(2 * time.Minute)
		c.add("p1", 12) // two more than there were
		c.pass(8 * time.Minute)
		if n := c.engine.Census(watch.AllProjects, c.now()); n.Alive != 0 || n.Overdue != 0 {
			t.Errorf("census %+v, want nobody: all are suspended", n)
		}
	})
}

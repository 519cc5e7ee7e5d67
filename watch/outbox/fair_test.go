package outbox_test

import (
	"testing"
	"time"
)

// A project of which many guests are to be restarted, one a second, keeps the one
// of another waiting for a moment, and not for all of its own: that once had its
// turn when fewer were left than may be worked on at once.
func TestProjectsTakeTurnsAtTheRate(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.gates.StormCount = 1_000_000
		c.with(nil)
		c.add("p1", 300)
		c.add("p2", 10)
		c.pass(5 * time.Minute)
		one := c.guests[305]
		c.each(c.guests[:300], func(g *guest) { g.up = false })
		c.pass(90 * time.Second)
		c.each(c.guests[305:306], func(g *guest) { g.up = false })
		died := time.Now()
		c.pass(15 * time.Minute)
		waited := time.Duration(-1)
		for _, r := range c.restarts {
			if r.guest == one.name {
				waited = r.at.Sub(r.heard) - silence
			}
		}
		if len(c.restarts) != 301 || waited < 0 || waited > 10*time.Second {
			t.Errorf("of %d restarts that of the other project waited %s after %s, want 301 and seconds", len(c.restarts), waited, died)
		}
	})
}

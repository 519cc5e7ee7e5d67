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
		c.add("p1", 150)
		c.add("p2", 10)
		c.pass(5 * time.Minute)
		one := c.guests[155]
		c.each(c.guests[:150], func(g *guest) { g.up = false })
		c.pass(90 * time.Second)
		c.each(c.guests[155:156], func(g *guest) { g.up = false })
		c.pass(7 * time.Minute)
		waited := time.Duration(-1)
		for _, r := range c.restarts {
			if r.guest == one.name {
				waited = r.at.Sub(r.heard) - silence
			}
		}
		if len(c.restarts) != 151 || waited < 0 || waited > 10*time.Second {
			t.Errorf("of %d restarts that of the other project waited %s, want 151 and seconds", len(c.restarts), waited)
		}
	})
}

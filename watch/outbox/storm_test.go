package outbox_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// explained is what there is to say of an alarm of p1 that wanted one action.
func (c *cloud) explained(alarm string) Explanation {
	c.t.Helper()
	x, err := c.outbox.ExplainAlarm(c.t.Context(), "p1", alarm)
	if err != nil || len(x.Actions) != 1 {
		c.t.Fatalf("%+v, %v, want one action", x.Actions, err)
	}
	return x
}

func TestLostHeartbeatRestartsOnce(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 5)
		c.pass(10 * time.Minute)
		c.each(c.guests[3:4], func(g *guest) { g.up = false })
		c.pass(10 * time.Minute)
		c.wantRestarts("one guest of five died", "p1-0003")
		c.wantStates("after its restart", map[watch.State]int{watch.OK: 5})
	})
}

// All guests' network is gone for ten minutes, and back: the history says why
// nothing was done, once for all of them; each guest is explained by it, while
// the storm goes on and afterwards.
func TestThousandGuestsSilentAtOnceAreNotRestarted(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 1000)
		c.pass(5 * time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(7 * time.Minute)
		c.wantStates("cut off", map[watch.State]int{watch.Firing: 1000})
		c.wantHistory(watch.EventQuery{Kinds: []watch.EventKind{watch.Gate}, Project: "p1"}, "storm: nothing rough is done: ")
		x := c.explained("p1-0999")
		if a := x.Actions[0]; a.Status != Held || a.Gate != "g3" || !strings.HasPrefix(a.Why, "storm in all projects: 1000 of 1000 guests of all projects overdue since ") {
			t.Errorf("action %+v, want it held by the storm, with its numbers", a)
		}
		if lines := c.history(watch.EventQuery{Alarm: "p1-0999", Kinds: []watch.EventKind{watch.Gate}}); len(lines) != 0 {
			t.Errorf("a guest among a thousand has entries of its own: %q", lines)
		}
		if got := c.outbox.Storms(); len(got) != 2 || got[0].Domain != "all" || got[1].Domain != "p1" || got[1].Overdue != 1000 {
			t.Errorf("storms %+v, want of 1000 in p1 and in all", got)
		}
		c.each(c.guests, func(g *guest) { g.cut = false })
		c.pass(8 * time.Minute)
		c.wantRestarts("a storm that passed")
		c.wantStates("back", map[watch.State]int{watch.OK: 1000})
		c.wantHistory(watch.EventQuery{Project: "p1", Kinds: []watch.EventKind{watch.Gate}}, "storm is over: ")
		c.wantHistory(watch.EventQuery{Alarm: "p1-0999"}, "cfnwatch:exec:restart: refused: g7: the alarm is no longer in that ALARM")
		x = c.explained("p1-0999")
		if s := x.Actions[0].Steps; len(s) != 2 || s[0].Status != Held || !strings.HasPrefix(s[0].Text, "g3: storm in all projects") || s[1].Status != Refused {
			t.Errorf("steps %+v, want that the storm held it, and the refusal", s)
		}
		var gates []string
		for _, e := range slices.Backward(x.Gates) {
			gates = append(gates, e.Summary)
		}
		for _, begins := range []string{"storm: nothing rough is done: ", "storm is over: "} {
			if !slices.ContainsFunc(gates, func(l string) bool { return strings.HasPrefix(l, begins) }) {
				t.Errorf("nothing in the explanation begins %q: %q", begins, gates)
			}
		}
	})
}

// Of a storm that lasts the operator is told once, however many actions it
// holds, and not once more when it pauses for a moment. That of all projects is
// told for those of each.
func TestStormThatLastsIsToldOnce(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.with(func(o *Options) { o.Actions[Notify] = told })
		c.add("p1", 20)
		c.add("p2", 60)
		c.pass(5 * time.Minute)
		c.each(c.guests[:12], func(g *guest) { g.cut = true })
		c.pass(30 * time.Minute)
		c.each(c.guests[:12], func(g *guest) { g.cut = false })
		c.pass(2 * time.Minute)
		c.each(c.guests[:12], func(g *guest) { g.cut = true })
		c.pass(20 * time.Minute)
		if got := told.all(); len(got) > 0 {
			t.Fatalf("told %q within the hour", got)
		}
		c.pass(3 * time.Hour)
		got := told.all()
		for _, part := range []string{"cfn-watch: storm in project p1: 12 actions are held since 2000-01-01T00:06:",
			", for 1h0m0s: 12 of 20 guests of project p1 overdue since ", `"cfn-watch resume --storm p1" lets them go`} {
			if len(got) != 1 || !strings.Contains(got[0], part) {
				t.Fatalf("told %q, want one line with %q", got, part)
			}
		}
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(3 * time.Hour)
		got = told.all()
		if len(got) != 2 || !strings.HasPrefix(got[1], "cfn-watch: storm in all projects: 80 actions are held since ") {
			t.Errorf("told %q, want of all projects last", got)
		}
		c.wantRestarts("storms")
	})
}

// What an operator let go is no news to him.
func TestStormThatWasResumedIsNotTold(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.gates.Rate = Budget{Count: 1, In: 24 * time.Hour}
		c.with(func(o *Options) { o.Actions[Notify], o.Gates.PerProject = told, 0 })
		c.add("p1", 6)
		c.add("p2", 30)
		c.pass(5 * time.Minute)
		c.each(c.guests[:4], func(g *guest) { g.up = false })
		c.pass(10 * time.Minute)
		if ok, err := c.outbox.ResumeStorm(t.Context(), "p1", "uid 0"); !ok || err != nil {
			t.Fatalf("ResumeStorm = %v, %v", ok, err)
		}
		c.pass(3 * time.Hour)
		want := []string{`cfnwatch:exec:restart: held for 1h0m0s: no more than 1 actions begin within 24h0m0s: "cfn-watch actions" lists what else is held`}
		if got := told.all(); len(got) != 1 || !strings.HasSuffix(got[0], want[0]) {
			t.Errorf("told %q, want that the rate holds them, once", got)
		}
	})
}

// Who is still silent when a storm is over gets the whole of its silence once
// more, and is then restarted, one a second.
func TestAfterStormTheDeadAreRestartedInTurn(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 40)
		c.pass(5 * time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(7 * time.Minute)
		back := time.Now()
		c.each(c.guests, func(g *guest) { g.cut = false })
		c.each(c.guests[:3], func(g *guest) { g.up = false })
		c.pass(2 * time.Minute)
		c.wantRestarts("within the silence after the storm")
		c.pass(4 * time.Minute)
		if len(c.restarts) != 3 {
			t.Fatalf("restarts %v, want 3", c.restarts)
		}
		for i, r := range c.restarts {
			if r.at.Sub(back) < 135*time.Second {
				t.Errorf("restarted %s after the storm: sooner than the silence", r.at.Sub(back))
			}
			if i > 0 && r.at.Sub(c.restarts[i-1].at) < time.Second {
				t.Errorf("restarts %s apart, want a second", r.at.Sub(c.restarts[i-1].at))
			}
		}
	})
}

// A thousand guests boot at once, and their first pushes come late.
func TestGuestsThatNeverPushedAreNotRestarted(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 300)
		c.each(c.guests, func(g *guest) { g.next = g.next.Add(10 * time.Minute) })
		c.pass(9 * time.Minute)
		c.wantStates("booting", map[watch.State]int{watch.NoData: 300})
		c.pass(4 * time.Minute)
		c.wantRestarts("first pushes that came late")
		c.wantStates("booted", map[watch.State]int{watch.OK: 300})
	})
}

// A template update restarts all guests: they are silent for four minutes, one
// group of ten after the other.
func TestRollingUpdateIsNoReasonToRestart(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 30)
		c.pass(5 * time.Minute)
		for i := 0; i < 30; i += 10 {
			group := c.guests[i : i+10]
			c.each(group, func(g *guest) { g.cut = true })
			c.pass(100 * time.Second)
			c.each(group, func(g *guest) { g.cut = false })
			c.pass(time.Minute)
		}
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(4 * time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = false })
		c.pass(5 * time.Minute)
		c.wantRestarts("an update")
		c.wantStates("updated", map[watch.State]int{watch.OK: 30})
	})
}

// One project stops its own guests while a guest of another dies: the other's
// is restarted.
func TestProjectCannotSwitchOffAnothers(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 50)
		c.add("p2", 10)
		c.pass(5 * time.Minute)
		c.each(c.guests[:50], func(g *guest) { g.cut = true })
		c.pass(2 * time.Minute)
		c.each(c.guests[57:58], func(g *guest) { g.up = false })
		c.pass(6 * time.Minute)
		c.wantRestarts("a storm in the other project", "p2-0007")
		c.wantStates("after it", map[watch.State]int{watch.OK: 10, watch.Firing: 50})
	})
}

// An operator who knows better lets the actions of a storm go.
func TestOperatorResumesStorm(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 6)
		c.add("p2", 30)
		c.pass(5 * time.Minute)
		c.each(c.guests[:4], func(g *guest) { g.up = false })
		c.pass(4 * time.Minute)
		c.wantRestarts("a storm")
		if ok, err := c.outbox.ResumeStorm(t.Context(), "p1", "uid 0"); !ok || err != nil {
			t.Fatalf("ResumeStorm = %v, %v", ok, err)
		}
		if ok, err := c.outbox.ResumeStorm(t.Context(), "p2", "uid 0"); ok || err != nil {
			t.Errorf("ResumeStorm where there is none = %v, %v", ok, err)
		}
		c.pass(time.Minute)
		if len(c.restarts) != 4 {
			t.Errorf("restarts %v, want 4", c.restarts)
		}
		c.wantHistory(watch.EventQuery{Project: "p1"}, "uid 0 lets actions go in the storm of project p1")
	})
}

// The server is killed while a storm goes on: what was held is held anew, for
// it has not listened long enough, and then it sees the storm again.
func TestStormOutlivesTheServer(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 20)
		c.pass(5 * time.Minute)
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(5 * time.Minute)
		c.stop()
		time.Sleep(time.Minute)
		c.serve()
		c.pass(10 * time.Minute)
		c.wantRestarts("a storm before and after a restart of the server")
		c.wantHistory(watch.EventQuery{Alarm: "p1-0000"}, "cfnwatch:exec:restart: held: g2: ")
		c.each(c.guests, func(g *guest) { g.cut = false })
		c.pass(8 * time.Minute)
		c.wantRestarts("its end")
		c.wantStates("back", map[watch.State]int{watch.OK: 20})
	})
}

// Silence that ends a hold is known to the gates at once, and to the count of
// storms with the next tick: until then nothing goes. A storm that was there
// before a restart of the server let one through.
func TestSilenceIsCountedBeforeItIsActedOn(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		s := c.suspended()
		for _, g := range c.guests {
			v, _ := c.engine.View(time.Now(), "p1", g.name)
			v.Tolerance = 1300 * time.Millisecond // silence ends between two ticks, and not after the guest is overdue
			if _, err := c.engine.Define(t.Context(), time.Now(), rules, v.Alarm); err != nil {
				t.Fatal(err)
			}
		}
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(5 * time.Minute)
		c.stop()
		c.serve()
		c.resume(s)
		time.Sleep(61500 * time.Millisecond)
		c.outbox.Wake()
		c.pass(5 * time.Minute)
		c.wantRestarts("a storm")
		c.wantStates("a storm", map[watch.State]int{watch.Firing: 10})
	})
}

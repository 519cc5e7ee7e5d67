package outbox_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Anybody who has seen a guest's key in a request can send pushes that are
// badly signed. That keeps the guest from being restarted, dead or alive; but
// for a day, however often the server is started meanwhile, and the operator is
// told when it begins and when it ends.
func TestBadSignaturesHoldARestartForADay(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.with(func(o *Options) { o.Actions[Notify] = told })
		c.add("p1", 1)
		c.pass(5 * time.Minute)
		c.refuse = func(g *guest) { c.engine.SignOfLife(c.now(), g.project) }
		for range 8 {
			c.pass(3*time.Hour - time.Minute)
			c.stop()
			time.Sleep(time.Minute) // which does not count
			c.serve()
		}
		c.wantRestarts("within a day of refused pushes")
		c.pass(20 * time.Minute)
		if len(c.restarts) == 0 {
			t.Error("no restart after a day of refused pushes, want one: the guest is dead for all that is known")
		}
		const refused = "pushes of access key p1 (p1/p1-0000) are refused or cannot be verified: "
		notices := slices.DeleteFunc(told.all(), func(text string) bool { return !strings.Contains(text, refused) })
		if len(notices) < 2 || !strings.Contains(notices[0], "for a day at most") || !strings.Contains(notices[len(notices)-1], "judged silent again") {
			t.Errorf("told %q, want when it begins and when it ends", notices)
		}
		c.wantHistory(watch.EventQuery{Alarm: "p1-0000", Kinds: []watch.EventKind{watch.Deafness}}, "not heard: pushes of key p1 are refused")
		c.wantHistory(watch.EventQuery{Alarm: "p1-0000", Kinds: []watch.EventKind{watch.Deafness}}, "judged silent again")
	})
}

// One notice tells of all keys that are refused at once, and none of a moment
// in which nobody could be verified.
func TestNoticeOfRefusedKeys(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.with(func(o *Options) { o.Actions[Notify] = told })
		for _, project := range []string{"p1", "p2", "p3", "p4", "p5"} {
			c.add(project, 2)
		}
		c.pass(5 * time.Minute)
		taken := "p5"
		refuse := func(g *guest) {
			if g.project != taken {
				c.engine.SignOfLife(c.now(), g.project)
				return
			}
			c.engine.Put(c.now(), watch.Caller{Project: g.project, Role: watch.Guest, Access: g.project}, []watch.Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: g.name, Count: 1}})
		}
		c.refuse = refuse
		c.pass(4 * time.Minute)
		c.refuse = nil
		c.pass(3 * time.Minute)
		if got := told.all(); len(got) != 0 {
			t.Errorf("told %q of a moment, want nothing", got)
		}
		c.refuse = refuse
		c.pass(30 * time.Minute)
		taken = ""
		c.pass(30 * time.Minute)
		const means = " are refused or cannot be verified: such alarms count as not heard, and nothing is restarted for their silence, for a day at most"
		want := []string{
			"cfn-watch: pushes of 4 access keys, such as p1 (p1/p1-0000, p1/p1-0001), p2 (p2/p2-0000, p2/p2-0001), p3 (p3/p3-0000, p3/p3-0001)," + means,
			"cfn-watch: pushes of access key p5 (p5/p5-0000, p5/p5-0001)" + means,
		}
		if got := told.all(); !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		c.wantRestarts("while nobody can be verified")
	})
}

// A guest that dies after one push that was refused, as in a moment of overload,
// is silent in its time and restarted: nobody is told that nothing is.
func TestNoNoticeOfOneRefusedPush(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.with(func(o *Options) { o.Actions[Notify] = told })
		c.add("p1", 1)
		c.pass(5 * time.Minute)
		once := false
		c.refuse = func(g *guest) {
			if !once {
				once = true
				c.engine.SignOfLife(c.now(), g.project)
				g.up = false
			}
		}
		c.pass(4 * time.Minute)
		if len(c.restarts) != 1 {
			t.Fatalf("%d restarts of a guest that is dead, want 1", len(c.restarts))
		}
		c.refuse = func(*guest) {}
		c.pass(20 * time.Minute)
		if got := slices.DeleteFunc(told.all(), func(text string) bool { return !strings.Contains(text, "refused") }); len(got) != 0 {
			t.Errorf("told %q, want nothing of refused pushes", got)
		}
	})
}

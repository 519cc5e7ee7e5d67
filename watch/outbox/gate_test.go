package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A desk is an Action that takes down what it is asked to do, and does that in
// a time.
type desk struct {
	takes time.Duration
	fails error
	mu    sync.Mutex
	acted []string
}

func (d *desk) Look(context.Context, Row) (Sight, error)   { return Sight{}, nil }
func (d *desk) Verify(context.Context, Row) (Sight, error) { return Sight{}, nil }

func (d *desk) Act(_ context.Context, r Row) (Answer, error) {
	d.mu.Lock()
	d.acted = append(d.acted, r.Alarm+": "+r.Notice)
	d.mu.Unlock()
	time.Sleep(d.takes)
	return Answer{}, d.fails
}

func (d *desk) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.acted)
}

// with serves anew with other options.
func (c *cloud) with(f func(*Options)) {
	c.stop()
	c.tweak = f
	c.serve()
}

// fails lets a guest die, and waits until it is restarted or known dead.
func (c *cloud) fails(g *guest) {
	c.each([]*guest{g}, func(g *guest) { g.up = false })
	c.pass(5 * time.Minute)
}

// rows are those of an alarm, oldest first.
func (c *cloud) rows(alarm string) []Row {
	c.t.Helper()
	v, ok := c.engine.View(time.Now(), "p1", alarm)
	if !ok {
		c.t.Fatalf("there is no alarm %s", alarm)
	}
	rows, err := c.store.Rows(c.t.Context(), RowQuery{AlarmID: v.ID})
	if err != nil {
		c.t.Fatal(err)
	}
	slices.Reverse(rows)
	return rows
}

func (c *cloud) wantRow(when string, r Row, status Status, gate, why string) {
	c.t.Helper()
	if r.Status != status || r.Gate != gate || !strings.Contains(r.Why, why) {
		c.t.Errorf("%s: %s by %q (%s), want %s by %q (... %s ...)", when, r.Status, r.Gate, r.Why, status, gate, why)
	}
}

// A budget is counted over time that slides, and no restart of the server gives
// another one. What it refuses is told.
func TestBudgetOfTarget(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.with(func(o *Options) { o.Actions[Notify] = told })
		c.add("p1", 10)
		g := c.guests[0]
		c.pass(5 * time.Minute)
		for range 3 {
			c.fails(g)
		}
		c.stop()
		c.serve()
		c.pass(5 * time.Minute)
		c.fails(g)
		c.wantRestarts("three in an hour", g.name, g.name, g.name)
		rows := c.rows(g.name)
		why := "alarm/p1/p1-0000 had 3 actions within 1h0m0s already"
		c.wantRow("the fourth", rows[3], Refused, "g5", why)
		if got, want := told.all(), []string{"p1-0000: cfnwatch:exec:restart: refused: " + why}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
		c.each([]*guest{g}, func(g *guest) { g.up = true })
		c.pass(45 * time.Minute)
		c.fails(g)
		if len(c.restarts) != 4 {
			t.Errorf("%d restarts when the hour was over, want 4", len(c.restarts))
		}
	})
}

func TestResetForgivesWhatWasDone(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 10)
		g := c.guests[0]
		c.pass(5 * time.Minute)
		for range 3 {
			c.fails(g)
		}
		if n, err := c.outbox.Reset(t.Context(), "alarm/p1/p1-0000", "uid 0"); n != 3 || err != nil {
			t.Errorf("Reset = %d, %v, want 3", n, err)
		}
		c.fails(g)
		c.wantRestarts("after a reset", g.name, g.name, g.name, g.name)
	})
}

func TestBudgetOfStackHolds(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.gates.PerStack = []Budget{{Count: 1, In: 30 * time.Minute}}
		c.with(nil)
		c.stack = "web"
		c.add("p1", 20)
		c.pass(5 * time.Minute)
		c.fails(c.guests[0])
		c.fails(c.guests[1])
		c.wantRestarts("one in half an hour", "p1-0000")
		c.wantRow("another", c.rows("p1-0001")[0], Held, "g5", "stack web had 1 actions within 30m0s already")
		c.pass(25 * time.Minute)
		c.wantRestarts("half an hour later", "p1-0000", "p1-0001")
	})
}

// However many projects there are, no more than so many actions are under way.
func TestBudgetOfAll(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		slow := &desk{takes: 20 * time.Minute}
		c.gates.All = 1
		c.with(func(o *Options) { o.Actions[Exec] = slow })
		c.add("p1", 10)
		c.add("p2", 10)
		c.pass(5 * time.Minute)
		c.each([]*guest{c.guests[0], c.guests[10]}, func(g *guest) { g.up = false })
		c.pass(10 * time.Minute)
		if got := slow.all(); len(got) != 1 {
			t.Errorf("acted for %q at once, want for one", got)
		}
		c.pass(20 * time.Minute)
		if got := slow.all(); len(got) != 2 {
			t.Errorf("acted for %q, want for both, one after the other", got)
		}
	})
}

// Other settings hold at once, for what is held too.
func TestSetAsksWhatIsHeldAnew(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		var s Settings
		c.gates.PerStack = []Budget{{Count: 1, In: 24 * time.Hour}}
		c.with(func(o *Options) { s = o.Settings })
		c.stack = "web"
		c.add("p1", 20)
		c.pass(5 * time.Minute)
		c.fails(c.guests[0])
		c.fails(c.guests[1])
		c.wantRow("another", c.rows("p1-0001")[0], Held, "g5", "stack web had 1 actions within 24h0m0s already")
		s.Gates.PerStack = nil
		if err := c.outbox.Set(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		c.pass(2 * time.Second)
		c.wantRestarts("without that budget", "p1-0000", "p1-0001")
		s.DryRun = true
		if err := c.outbox.Set(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		c.fails(c.guests[2])
		c.wantRow("dry run", c.rows("p1-0002")[0], Refused, "g1", "dry run: nothing is done")
	})
}

// fire defines an alarm with an action on a target, and lets it fire.
func (c *cloud) fire(name, target string) {
	c.t.Helper()
	_, err := c.engine.Define(c.t.Context(), time.Now(), rules, watch.Alarm{
		Project: "p1", Name: name, Namespace: "n", Metric: "m", Statistic: watch.Average, Period: time.Minute, Periods: 1,
		Comparison: watch.Greater, Missing: watch.MissingIgnore, ActionsEnabled: true, Target: target, OnAlarm: []string{"cfnwatch:exec:x"}, Origin: watch.FromRules,
	})
	if err == nil {
		err = c.engine.SetState(c.t.Context(), time.Now(), rules, name, watch.Firing, "", nil)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// twoFire lets two alarms of target web fire, first a and then b.
func (c *cloud) twoFire() {
	c.t.Helper()
	for _, name := range []string{"a", "b"} {
		c.fire(name, "web")
		c.pass(2 * time.Second) // the first begins first
	}
}

// Two alarms of one target: one action at a time, and the second only once the
// first has had the time to show its effect.
func TestOneActionOfTarget(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 1)
		slow := &desk{takes: 20 * time.Minute}
		c.with(func(o *Options) { o.Actions[Exec] = slow })
		c.pass(time.Minute)
		c.twoFire()
		c.pass(time.Minute)
		if got := slow.all(); !slices.Equal(got, []string{"a: "}) {
			t.Fatalf("acted for %q, want for a alone", got)
		}
		c.wantRow("while the other acts", c.rows("b")[0], Held, "g4", "another action on web is under way")
		c.pass(20 * time.Minute)
		if got := slow.all(); !slices.Equal(got, []string{"a: ", "b: "}) {
			t.Errorf("acted for %q, want for b too: the first had its time", got)
		}
	})
}

// An action that was done has the boot grace and what its alarm takes to see
// the target again, before another alarm's begins; also one of which nobody can
// tell what came of it.
func TestActionHasTimeToShowItsEffect(t *testing.T) {
	for _, fails := range []error{nil, errors.New("HTTP 502"), &Failure{Err: errors.New("it broke off"), Fate: Unsure}} {
		t.Run(fmt.Sprint(fails), func(t *testing.T) { hasTimeToShowItsEffect(t, &desk{fails: fails}) })
	}
}

func hasTimeToShowItsEffect(t *testing.T, quick *desk) {
	in(t, func(t *testing.T, c *cloud) {
		c.with(func(o *Options) { o.Actions[Exec] = quick })
		c.pass(time.Minute)
		c.twoFire()
		c.wantRow("after the first", c.rows("b")[0], Held, "g4", "cfnwatch:exec:x of ")
		c.pass(5 * time.Minute)
		if got := quick.all(); len(got) != 1 {
			t.Fatalf("acted for %q", got)
		}
		c.pass(2 * time.Minute)
		if got := quick.all(); len(got) != 2 {
			t.Errorf("acted for %q, want for both: boot grace and a period have passed", got)
		}
	})
}

// What an operator forgives a target keeps no other action waiting either.
func TestResetEndsTheWaitForAnEffect(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		quick := &desk{}
		c.with(func(o *Options) { o.Actions[Exec] = quick })
		c.pass(time.Minute)
		c.twoFire()
		if n, err := c.outbox.Reset(t.Context(), "web", "uid 0"); n != 1 || err != nil {
			t.Fatalf("Reset = %d, %v, want 1", n, err)
		}
		c.pass(time.Minute)
		if got := quick.all(); len(got) != 2 {
			t.Errorf("acted for %q, want for both", got)
		}
	})
}

// What only the cloud can say is asked of a witness, gate by gate in order; who
// is held for want of a second witness is given up in the end.
func TestWitness(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		var mu sync.Mutex
		var asked []string
		says := map[string]Reply{}
		told := &desk{}
		c.with(func(o *Options) {
			o.Actions[Notify] = told
			o.Witness = func(_ context.Context, gate string, r Row, v watch.View) (Reply, error) {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, gate)
				if gate == "g9" && says[gate].Cause == "away" {
					return Reply{}, errors.New("the cloud is away")
				}
				return says[gate], nil
			}
		})
		set := func(gate string, r Reply) {
			mu.Lock()
			defer mu.Unlock()
			r.Gate = gate
			says[gate], asked = r, nil
		}
		c.add("p1", 10)
		c.pass(5 * time.Minute)

		set("g9", Reply{Cause: "away"})
		c.fails(c.guests[0])
		c.wantRestarts("a cloud that cannot be asked")
		c.wantRow("a cloud that cannot be asked", c.rows("p1-0000")[0], Held, "g9", "the cloud is away")
		set("g9", Reply{})
		c.pass(time.Minute)
		c.wantRestarts("it can", "p1-0000")
		if want := []string{"g4", "g6", "g8", "g9", "g10"}; len(asked) < 5 || !slices.Equal(asked[:5], want) {
			t.Errorf("asked %q, want %q first", asked, want)
		}

		set("g6", Reply{Verdict: Hold, Cause: "stack web is UPDATE_IN_PROGRESS"})
		c.fails(c.guests[1])
		c.wantRow("an update", c.rows("p1-0001")[0], Held, "g6", "stack web is UPDATE_IN_PROGRESS")
		set("g6", Reply{})
		c.pass(time.Minute)
		c.wantRestarts("the update is over", "p1-0000", "p1-0001")
		c.wantHistory(watch.EventQuery{Alarm: "p1-0001"}, "cfnwatch:exec:restart: g6 lets it go")

		set("g8", Reply{Verdict: Hold, Cause: "nobody else says that it is dead"})
		c.fails(c.guests[2])
		c.pass(time.Hour)
		c.wantRow("no second witness", c.rows("p1-0002")[0], GaveUp, "g8", "nobody else says that it is dead")
		if got := told.all(); len(got) != 1 || !strings.HasPrefix(got[0], "p1-0002: cfnwatch:exec:restart: gave-up: ") {
			t.Errorf("told %q, want of the one that was given up", got)
		}
		if v, _ := c.engine.View(time.Now(), "p1", "p1-0002"); !v.LeftOut {
			t.Error("a guest that was given up counts for storms")
		}
		c.each(c.guests[2:3], func(g *guest) { g.up = true })
		c.pass(2 * time.Minute)
		if v, _ := c.engine.View(time.Now(), "p1", "p1-0002"); v.LeftOut {
			t.Error("a guest that is back does not count for storms")
		}
	})
}

func TestSuspensionsHoldAndEnd(t *testing.T) {
	for _, s := range []Suspension{
		{Scope: OfAll},
		{Scope: OfProject, Name: "p1"},
		{Scope: OfStack, Name: "web", Project: "p1"},
		{Scope: OfAlarm, Name: "p1-0003", Project: "p1"},
		{Scope: OfTarget, Name: "alarm/p1/p1-0003"},
	} {
		t.Run(string(s.Scope), func(t *testing.T) {
			in(t, func(t *testing.T, c *cloud) {
				c.stack = "web"
				c.add("p1", 10)
				c.pass(5 * time.Minute)
				s := s
				s.Owner, s.Reason = "uid 0", "moving racks"
				if _, err := c.outbox.Suspend(t.Context(), s); err != nil {
					t.Fatal(err)
				}
				c.fails(c.guests[3])
				c.wantRow("suspended", c.rows("p1-0003")[0], Held, "g1", "suspended by uid 0 (moving racks)")
				c.stop() // neither a restart of the server lifts it
				c.serve()
				c.pass(5 * time.Minute)
				c.wantRestarts("suspended")
				if v, _ := c.engine.View(time.Now(), "p1", "p1-0003"); !v.LeftOut {
					t.Error("a guest that is suspended counts for storms")
				}
				if n, err := c.outbox.Resume(t.Context(), s); n != 1 || err != nil {
					t.Fatalf("Resume = %d, %v", n, err)
				}
				c.pass(10 * time.Second)
				c.wantRestarts("resumed", "p1-0003")
				if v, _ := c.engine.View(time.Now(), "p1", "p1-0003"); v.LeftOut {
					t.Error("a guest that is resumed does not count for storms")
				}
			})
		})
	}
}

func TestSuspensionEndsInTime(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 10)
		c.pass(5 * time.Minute)
		if _, err := c.outbox.Suspend(t.Context(), Suspension{Scope: OfAll, Owner: "uid 0", Until: time.Now().Add(10 * time.Minute)}); err != nil {
			t.Fatal(err)
		}
		c.fails(c.guests[0])
		c.wantRestarts("suspended")
		c.pass(6 * time.Minute)
		c.wantRestarts("its time is over", "p1-0000")
	})
}

func TestSuspensionsThatMakeNoSense(t *testing.T) {
	s := newSite(t)
	o := New(s.opts)
	for _, bad := range []Suspension{
		{Scope: "hst", Name: "x"},
		{Scope: OfHost, Name: "x"},
		{Scope: OfAll, Name: "x"},
		{Scope: OfProject},
		{Scope: OfAll, Until: time.Now().Add(-time.Second)},
	} {
		if _, err := o.Suspend(t.Context(), bad); err == nil {
			t.Errorf("Suspend(%+v) succeeds", bad)
		}
	}
}

// A hold that lasts is told once.
func TestLongHoldIsTold(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.with(func(o *Options) {
			o.Actions[Notify] = told
			o.Witness = func(_ context.Context, gate string, _ Row, _ watch.View) (Reply, error) {
				if gate == "g6" {
					return Reply{Gate: gate, Verdict: Hold, Cause: "the server is locked"}, nil
				}
				return Reply{}, nil
			}
		})
		c.add("p1", 10)
		c.pass(5 * time.Minute)
		c.fails(c.guests[0])
		c.pass(50 * time.Minute)
		if got := told.all(); len(got) > 0 {
			t.Errorf("told %q within the hour", got)
		}
		c.pass(3 * time.Hour)
		if got, want := told.all(), []string{"p1-0000: cfnwatch:exec:restart: held for 1h0m0s: the server is locked"}; !slices.Equal(got, want) {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

// Of what holds many the operator is told once a day.
func TestHoldOfManyIsToldOnce(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.gates.PerStack = []Budget{{Count: 1, In: 4 * time.Hour}}
		c.with(func(o *Options) { o.Actions[Notify] = told })
		c.stack = "web"
		c.add("p1", 60)
		c.pass(5 * time.Minute)
		c.each(c.guests[:6], func(g *guest) { g.up = false })
		c.pass(3 * time.Hour)
		got := told.all()
		if len(got) != 1 || !strings.HasSuffix(got[0], `held for 1h0m0s: stack web had 1 actions within 4h0m0s already: "cfn-watch actions" lists what else is held`) {
			t.Errorf("told %q, want once", got)
		}
	})
}

// What is understood, but cannot be done here, is refused in one line.
func TestActionsThatNeedTheCloud(t *testing.T) {
	s := newSite(t)
	for i, c := range []struct{ action, why string }{
		{"cfnwatch:restart:self", "this server cannot do cfnwatch:restart:self: it does webhooks, signals, cfnwatch:exec and cfnwatch:notify"},
		{"cfnwatch:workflow:heal", "this server cannot do cfnwatch:workflow:heal: it does webhooks, signals, cfnwatch:exec and cfnwatch:notify"},
		{"cfnwatch:notify", "cfnwatch:notify has nobody to tell: [notify] url says whom"},
		{"cfnwatch:restrat:x", "action cfnwatch:restrat is unknown: cfnwatch:restart?"},
	} {
		key := s.set(s.alarm(fmt.Sprint("a", i), c.action), watch.Firing)[0]
		_, stop := s.start()
		r := s.ends(key)
		stop()
		if lines := s.history(key); r.Status != Refused || !slices.Equal(lines, []string{c.action + ": refused: " + c.why}) {
			t.Errorf("%s, history %q, want %q", r.Status, lines, c.why)
		}
	}
}

// suspended is one of ten guests that died while all was suspended.
func (c *cloud) suspended() Suspension {
	c.t.Helper()
	c.add("p1", 10)
	c.pass(5 * time.Minute)
	s := Suspension{Scope: OfAll, Owner: "uid 0"}
	if _, err := c.outbox.Suspend(c.t.Context(), s); err != nil {
		c.t.Fatal(err)
	}
	c.fails(c.guests[0])
	return s
}

func (c *cloud) resume(s Suspension) {
	c.t.Helper()
	if _, err := c.outbox.Resume(c.t.Context(), s); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
}

// heardAtOnce has the guest that died heard once more, and asks the gates in that
// very second, of which its alarm knows nothing yet.
func (c *cloud) heardAtOnce() {
	c.t.Helper()
	s := c.suspended()
	c.each(c.guests[:1], func(g *guest) { g.up, g.next = true, time.Now() })
	c.push(time.Now())
	c.resume(s)
	if v, _ := c.engine.View(time.Now(), "p1", "p1-0000"); v.State != watch.Firing {
		c.t.Fatalf("the alarm is %s already", v.State)
	}
	c.wantRow("heard", c.rows("p1-0000")[0], Held, "g7", "the guest is heard again")
}

func TestGuestThatIsHeardIsNotRestarted(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.heardAtOnce()
		c.pass(3 * time.Second)
		c.wantRow("its alarm is OK", c.rows("p1-0000")[0], Refused, "g7", "the alarm is no longer in that ALARM")
		c.wantRestarts("heard")
	})
}

// A guest that is heard once and dies with the server, before that its alarm is
// OK was stored, has fired no other transition: the action of this one is done.
func TestGuestThatDiesAgainWithTheServerIsRestarted(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.heardAtOnce()
		c.kill()
		c.each(c.guests[:1], func(g *guest) { g.up = false })
		c.serve()
		c.pass(10 * time.Minute)
		c.wantRestarts("dead again", "p1-0000")
	})
}

// An alarm that an operator sets lasts for a minute. A guest that falls silent in
// that time makes no other transition, and is restarted for this one.
func TestGuestThatDiesWhileItsAlarmIsSetIsRestarted(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 10)
		c.pass(5 * time.Minute)
		g := c.guests[0]
		c.each(c.guests[:1], func(g *guest) { g.up = false })
		c.pass(silence - 30*time.Second - time.Since(g.heard))
		if err := c.engine.SetState(t.Context(), c.now(), watch.Caller{Project: "p1", Role: watch.Operator}, g.name, watch.Firing, "by hand", nil); err != nil {
			t.Fatal(err)
		}
		c.pass(20 * time.Second)
		c.wantRow("not silent yet", c.rows(g.name)[0], Held, "g7", "the guest is heard again")
		c.pass(time.Minute)
		c.wantRestarts("silent", g.name)
	})
}

// A server that has just started knows nothing of silence: what it held is done
// once it has listened for long enough, and not dropped.
func TestServerListensBeforeItActs(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		s := c.suspended()
		c.stop()
		c.serve()
		c.resume(s)
		c.pass(time.Minute)
		c.wantRow("listening", c.rows("p1-0000")[0], Held, "g2", "not listened for long enough to know silence")
		c.pass(2 * time.Minute)
		c.wantRestarts("it has listened", "p1-0000")
	})
}

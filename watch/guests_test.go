package watch

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// guests push heartbeats, each at its own second of the minute.
type guests struct {
	b     *bench
	names []string
	dead  map[string]bool
	each  func(i int) Caller
}

func (b *bench) guests(n int) *guests {
	g := &guests{b: b, dead: map[string]bool{}, each: func(int) Caller { return guest }}
	for i := range n {
		name := fmt.Sprint("g", i)
		b.define(heartbeat(name))
		g.names = append(g.names, name)
	}
	return g
}

// push is what the guests do in a second of time by their own clocks.
func (g *guests) push(time.Time) {
	second := int(g.b.elapsed()/time.Second) % 60
	for i, name := range g.names {
		if i%60 == second && !g.dead[name] {
			g.b.e.Put(g.b.now, g.each(i), []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: name, Count: 1, Sum: 1, Min: 1, Max: 1}})
		}
	}
}

// elapsed is the time since the start, whatever the wall clock says.
func (b *bench) elapsed() time.Duration { return b.now.Sub(b.begun) - b.set }

// fired lists the alarms that ever asked for an action.
func (b *bench) fired() []string {
	var names []string
	for _, w := range b.store.Wanted() {
		names = append(names, w.Alarm)
	}
	return names
}

func (b *bench) noneFired(when string) {
	b.t.Helper()
	if fired := b.fired(); len(fired) > 0 {
		b.t.Fatalf("%s: actions wanted by %v, want none", when, fired)
	}
}

// A push each minute, ten seconds early or late, of which one in a hundred is
// lost, is a guest that lives: old Heat would have restarted it many times.
func TestAWeekOfJitterAndLossIsNoAlarm(t *testing.T) {
	b := newBench(t, Options{})
	rnd := rand.New(rand.NewPCG(1, 2))
	b.define(heartbeat("h"))
	next := b.now
	lost := 0
	for end := b.now.Add(7 * 24 * time.Hour); b.now.Before(end); b.now = b.now.Add(time.Second) {
		if !b.now.Before(next.Add(time.Duration(rnd.IntN(20001)-10000) * time.Millisecond)) {
			next = next.Add(time.Minute)
			if rnd.IntN(100) == 0 && lost == 0 { // two in a row are a silence of three minutes
				lost++
			} else {
				lost = 0
				b.beat("h")
			}
		}
		b.tick()
	}
	b.want("h", OK)
	b.noneFired("a week")
}

func TestNoFalseAlarms(t *testing.T) {
	f := func(name string, event func(b *bench, g *guests)) {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, Options{})
			g := b.guests(60)
			b.pass(10*time.Minute, g.push)
			event(b, g)
			b.pass(10*time.Minute, g.push)
			b.noneFired(name)
			for _, name := range g.names {
				b.want(name, OK)
			}
		})
	}
	stopped := func(d time.Duration) func(*bench, *guests) {
		return func(b *bench, _ *guests) { b.now = b.now.Add(d) } // no ticks, and no pushes that came
	}
	set := func(d time.Duration) func(*bench, *guests) {
		return func(b *bench, _ *guests) { b.now, b.set = b.now.Add(d), b.set+d }
	}
	f("stopped for 30 seconds", stopped(30*time.Second))
	f("stopped for 10 minutes", stopped(10*time.Minute))
	f("stopped for a day", stopped(24*time.Hour))
	f("clock set an hour ahead", set(time.Hour))
	f("clock set an hour back", set(-time.Hour))
	f("clock set and set back", func(b *bench, g *guests) {
		set(time.Hour)(b, g)
		b.pass(5*time.Second, g.push)
		set(-time.Hour)(b, g)
	})
	f("server restarted after 20 minutes", func(b *bench, g *guests) {
		if err := b.e.FlushAll(t.Context(), b.now); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(20 * time.Minute)
		b.restart()
	})
	f("server killed and started an hour back", func(b *bench, g *guests) {
		set(-time.Hour)(b, g)
		b.now = b.now.Add(time.Minute)
		b.restart()
	})
	f("killed and started again and again", func(b *bench, g *guests) {
		for range 20 {
			b.pass(100*time.Second, g.push)
			b.restart()
		}
	})
	f("deaf for a while", func(b *bench, g *guests) {
		for range 60 {
			b.pass(5 * time.Second)
			b.e.Deaf(b.now, "half of the requests were refused for overload")
		}
	})
	f("keys revoked for an hour", func(b *bench, g *guests) {
		b.pass(time.Hour, func(now time.Time) {
			if now.Second() == 0 {
				b.e.SignOfLife(now, guest.Access)
			}
		})
	})
	f("spools of 30 minutes replayed, before the live pushes", func(b *bench, g *guests) {
		b.now = b.now.Add(30 * time.Minute) // the server was stopped
		b.restart()
		b.pass(2*time.Minute, func(now time.Time) {
			second := int(b.elapsed()/time.Second) % 60
			name := g.names[second]
			var spool []Sample
			for i := range 30 {
				spool = append(spool, Sample{Namespace: "system/linux", Metric: "Heartbeat", Alarm: name, Count: 1, Sum: 1, Min: 1, Max: 1,
					Time: now.Add(-time.Duration(30-i) * time.Minute)})
			}
			b.e.Put(now, guest, spool)
		})
	})
	f("guests' clocks 20 minutes off", func(b *bench, g *guests) {
		b.pass(10*time.Minute, func(now time.Time) {
			for i, name := range g.names {
				if i == now.Second() {
					b.e.Put(now, guest, []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: name, Count: 1, Sum: 1, Min: 1, Max: 1,
						Time: now.Add(time.Duration(40*(i%2)-20) * time.Minute)}})
				}
			}
		})
	})
	f("store away for 10 minutes", func(b *bench, g *guests) {
		f := &flaky{Memory: b.store, down: true}
		b.e.Store = f
		b.pass2(10*time.Minute, g.push)
		f.down = false
	})
}

// restart starts the server anew on what is in the store.
func (b *bench) restart() {
	b.t.Helper()
	b.start(Options{Store: b.store})
}

// pass2 is pass with a store that may fail.
func (b *bench) pass2(d time.Duration, each func(time.Time)) {
	for end := b.now.Add(d); b.now.Before(end); {
		b.now = b.now.Add(time.Second)
		each(b.now)
		b.e.Tick(b.t.Context(), b.now)
	}
}

// After each of those a guest that dies is found in its time all the same.
func TestDeathIsFoundAfterDeafness(t *testing.T) {
	b := newBench(t, Options{})
	g := b.guests(3)
	b.pass(5*time.Minute, g.push)
	g.dead["g1"] = true
	b.now = b.now.Add(10 * time.Minute) // stopped
	b.pass(134*time.Second, g.push)
	b.noneFired("listened for less than the silence allowed")
	b.pass(3*time.Second, g.push)
	b.want("g1", Firing)
	if fired := b.fired(); len(fired) != 1 || fired[0] != "g1" {
		t.Errorf("actions wanted by %v, want g1", fired)
	}
}

// Who was silent when the server could not hear, or whose pushes were refused,
// is overdue once more when it has listened: storms are counted in such guests.
func TestSilentGuestsAreOverdueAgainAfterDeafness(t *testing.T) {
	for name, deafen := range map[string]func(b *bench){
		"deaf":    func(b *bench) { b.e.Deaf(b.now, "test") },
		"refused": func(b *bench) { b.e.SignOfLife(b.now, guest.Access) },
	} {
		b := newBench(t, Options{})
		g := b.guests(3)
		b.pass(5*time.Minute, g.push)
		g.dead["g0"], g.dead["g1"], g.dead["g2"] = true, true, true
		b.pass(5*time.Minute, g.push)
		deafen(b)
		if c := b.e.Census("p", b.now); c.Overdue != 0 {
			t.Errorf("%s: census %+v, want none overdue", name, c)
		}
		b.pass(5 * time.Minute)
		if c := b.e.Census("p", b.now); c.Overdue != 3 {
			t.Errorf("%s: census %+v, want three overdue", name, c)
		}
	}
}

// An alarm that was fired when the server stopped is not OK because nobody
// knows, and fires no second time.
func TestFiredAlarmStaysOverARestart(t *testing.T) {
	b := newBench(t, Options{})
	g := b.guests(1)
	b.pass(5*time.Minute, g.push)
	g.dead["g0"] = true
	b.pass(5*time.Minute, g.push)
	b.want("g0", Firing)
	if err := b.e.FlushAll(t.Context(), b.now); err != nil {
		t.Fatal(err)
	}
	b.restart()
	b.pass(10 * time.Minute)
	b.want("g0", Firing)
	if fired := b.fired(); len(fired) != 1 {
		t.Errorf("actions wanted by %v, want one", fired)
	}
	g.dead["g0"] = false
	b.pass(time.Minute, g.push)
	b.want("g0", OK)
}

// Nor by a clock that was set back while the server was stopped: what a guest
// pushed before it fell silent did not come just now.
func TestFiredAlarmStaysWhenTheClockWasSetBack(t *testing.T) {
	for _, back := range []time.Duration{4 * time.Minute, time.Hour} {
		b := newBench(t, Options{})
		g := b.guests(1)
		b.pass(5*time.Minute, g.push)
		g.dead["g0"] = true
		b.pass(5*time.Minute, g.push)
		if err := b.e.FlushAll(t.Context(), b.now); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(-back)
		b.restart()
		b.pass(10 * time.Minute)
		b.want("g0", Firing)
		if fired := b.fired(); len(fired) != 1 {
			t.Errorf("set back by %s: actions wanted by %v, want one", back, fired)
		}
	}
}

// Only an alarm that fell silent says that its guest was: one that was set by hand
// is judged anew, after a restart too.
func TestStateSetByHandSaysNothingOfSilence(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	b.beat("h")
	b.pass(2 * time.Second)
	if err := b.e.SetState(t.Context(), b.now, member, "h", Firing, "a trial", nil); err != nil {
		t.Fatal(err)
	}
	b.flushAll()
	b.restart()
	b.pass(2 * time.Second)
	b.want("h", OK)
}

// A guest whose first sample was not flushed when the server was killed is
// known by the state that the sample made.
func TestKilledBeforeTheFirstFlush(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	b.beat("h")
	b.pass(2 * time.Second)
	b.want("h", OK)
	b.restart()
	b.pass(134 * time.Second)
	b.want("h", OK)
	b.pass(2 * time.Second)
	b.want("h", Firing)
}

// Windows can be lost, with the power or their file. Who was silent is so still,
// and not somebody that was never heard: that would call off the action that is
// waiting. One that never was fed stays so.
func TestFiredAlarmOutlivesItsWindow(t *testing.T) {
	b := newBench(t, Options{})
	g := b.guests(1)
	b.define(heartbeat("never"))
	b.pass(5*time.Minute, g.push)
	g.dead["g0"] = true
	b.pass(5*time.Minute, g.push)
	b.want("g0", Firing)
	for id, k := range b.store.kept {
		k.Fed, k.Window = time.Time{}, nil
		b.store.kept[id] = k
	}
	b.restart()
	b.pass(10 * time.Minute)
	b.want("g0", Firing)
	b.want("never", NoData)
	if fired := b.fired(); len(fired) != 1 {
		t.Errorf("actions wanted by %v, want one", fired)
	}
	g.dead["g0"] = false
	b.pass(time.Minute, g.push)
	b.want("g0", OK)
}

// The clock was set, and then the server restarted: what is said of the last
// arrival is by the clock as it is.
func TestLastArrivalIsByTheClockAsItIs(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		b := newBench(t, Options{})
		b.define(heartbeat("h"))
		b.beat("h")
		arrived := b.now
		b.pass(2 * time.Minute)
		if err := b.e.Flush(t.Context(), b.now); err != nil {
			t.Fatal(err)
		}
		b.now, b.set = b.now.Add(step), b.set+step
		b.pass(2 * time.Minute)
		if err := b.e.Flush(t.Context(), b.now); err != nil {
			t.Fatal(err)
		}
		b.restart()
		if v, _ := b.e.View(b.now, "p", "h"); !v.Arrived.Equal(arrived.Add(step)) {
			t.Errorf("clock set by %s: the last arrival was %s ago, want 4m", step, b.now.Sub(v.Arrived))
		}
	}
}

// An alarm that was to begin by a time and was never fed says so.
func TestNeverFed(t *testing.T) {
	b := newBench(t, Options{})
	a := heartbeat("h")
	a.StartAfter = time.Minute
	b.define(a)
	b.pass(5 * time.Minute)
	b.want("h", Firing)
	if v, _ := b.e.View(b.now, "p", "h"); v.Reason != "nothing has ever arrived, though awaited for 2m15s" {
		t.Errorf("reason %q", v.Reason)
	}
}

// What a silent alarm says is kept in the history alone: its state says the same
// by its last arrival, also in a server that was started since, and says on what
// it was judged by when its definition changes.
func TestReasonOfSilence(t *testing.T) {
	b := newBench(t, Options{})
	a := b.define(heartbeat("h"))
	b.beat("h")
	b.pass(10 * time.Minute)
	const reason = "nothing arrived within 2m15s: the last sample at 2026-03-01T12:00:00Z"
	f := func(when string) {
		t.Helper()
		v, _ := b.e.View(b.now, "p", "h")
		if v.State != Firing || v.Reason != reason || !strings.Contains(string(v.Data), `"allowedSilence":135`) {
			t.Errorf("%s: %s, reason %q, data %s", when, v.State, v.Reason, v.Data)
		}
	}
	f("silent")
	if k := b.store.kept[a.ID]; k.State != Firing || k.Reason != "" || k.Data != nil {
		t.Errorf("kept %+v, want the state alone", k)
	}
	events, _, err := b.e.Events(t.Context(), member, EventQuery{Kinds: []EventKind{StateUpdate}, Limit: 1})
	if err != nil || len(events) != 1 || !strings.Contains(string(events[0].Data), `"stateReason":"`+reason) {
		t.Errorf("history %+v, %v, want the reason", events, err)
	}
	if err := b.e.FlushAll(t.Context(), b.now); err != nil {
		t.Fatal(err)
	}
	b.restart()
	f("after a start")
	a.Tolerance = time.Minute
	b.define(a)
	f("defined anew")
}

// Refused pushes are a sign of life for a day; they are not arrivals.
func TestRefusedPushesKeepNobodyAliveForEver(t *testing.T) {
	b := newBench(t, Options{})
	b.define(heartbeat("h"))
	b.define(heartbeat("other"))
	b.beat("h")
	b.e.Put(b.now, Caller{Access: "O", Project: "p", Stack: "web", Role: Guest}, []Sample{{Metric: "Heartbeat", Alarm: "other", Count: 1}})
	refuse := func(now time.Time) {
		if now.Second() == 0 {
			b.e.SignOfLife(now, guest.Access)
		}
	}
	b.pass(10*time.Minute, refuse)
	b.want("h", OK)
	b.want("other", Firing) // by another key
	b.pass(24*time.Hour, refuse)
	b.want("h", Firing)
	events, _, err := b.e.Events(t.Context(), member, EventQuery{Alarm: "h", Kinds: []EventKind{Deafness}})
	if err != nil || len(events) != 2 {
		t.Errorf("%d events, %v; want one that says why it is not heard, and one when that ends", len(events), err)
	}
}

func TestHears(t *testing.T) {
	b := newBench(t, Options{})
	if !b.e.Hears(b.now) {
		t.Fatal("deaf at the start")
	}
	b.pass(time.Hour)
	b.now = b.now.Add(9 * time.Minute)
	b.pass(time.Second)
	if !b.e.Hears(b.now) {
		t.Error("deaf for 9 minutes of 30 is too much")
	}
	b.now = b.now.Add(2 * time.Minute)
	b.pass(time.Second)
	if b.e.Hears(b.now) {
		t.Error("deaf for 11 minutes of 30 is not too much")
	}
	b.pass(25 * time.Minute)
	if !b.e.Hears(b.now) {
		t.Error("deaf long ago counts")
	}
	if since := b.now.Sub(b.e.Listening()); since != 25*time.Minute {
		t.Errorf("listening for %s, want 25m", since)
	}
}

func TestStormIsCountedBeforeTheFirstIsSilent(t *testing.T) {
	b := newBench(t, Options{})
	g := b.guests(120)
	b.pass(10*time.Minute, g.push)
	if c := b.e.Census("p", b.now); c.Overdue != 0 || c.Alive != 120 {
		t.Fatalf("census %+v, want none of 120 overdue", c)
	}
	for _, name := range g.names {
		g.dead[name] = true // their network is cut
	}
	for b.e.Totals().Firing == 0 {
		b.pass(time.Second, g.push)
	}
	c := b.e.Census("p", b.now)
	if c.Overdue < 110 || c.Alive != 120 || c.Since.IsZero() {
		t.Errorf("census %+v when the first fired, want nearly all of 120 overdue", c)
	}
	if all := b.e.Census(AllProjects, b.now); all != c {
		t.Errorf("census of all %+v, want %+v", all, c)
	}
	b.e.LeaveOut(1, true)
	if left := b.e.Census("p", b.now); left.Overdue != c.Overdue-1 {
		t.Errorf("census %+v with one left out, was %+v", left, c)
	}
	b.e.LeaveOut(1, false)
	clear(g.dead)
	b.pass(time.Minute, g.push)
	if c := b.e.Census("p", b.now); c.Overdue != 0 || c.Alive != 120 {
		t.Errorf("census %+v when all are back", c)
	}
}

// A project that stops its guests switches off nobody else's: it counts for at
// most half of the overdue of all.
func TestOneProjectIsHalfOfTheOverdueAtMost(t *testing.T) {
	b := newBench(t, Options{})
	for _, p := range []string{"p", "q"} {
		for i := range 50 {
			a := heartbeat(fmt.Sprint("h", i))
			a.Stack = AnyStack
			if _, err := b.e.Define(t.Context(), b.now, Caller{Project: p, Role: Member}, a); err != nil {
				t.Fatal(err)
			}
		}
	}
	push := func(project string, n int) {
		for i := range n {
			b.e.Put(b.now, Caller{Access: project, Project: project, Role: Guest}, []Sample{{Metric: "Heartbeat", Alarm: fmt.Sprint("h", i), Count: 1}})
		}
	}
	for range 10 {
		push("p", 50)
		push("q", 50)
		b.pass(time.Minute)
	}
	push("q", 49)
	b.pass(time.Minute)
	push("q", 49)
	b.pass(30 * time.Second)
	if c := b.e.Census(AllProjects, b.now); c.Overdue != 51 || c.Counted != 2 || c.Alive != 100 {
		t.Errorf("census %+v, want 51 overdue of 100, counted as 2", c)
	}
}

func TestUsualIntervalIsLearned(t *testing.T) {
	f := func(name string, gaps []time.Duration, least, most time.Duration) {
		b := newBench(t, Options{})
		b.define(heartbeat("h"))
		for i := range 200 {
			b.beat("h")
			b.pass(gaps[i%len(gaps)])
		}
		v, _ := b.e.View(b.now, "p", "h")
		if v.Usual < least || v.Usual > most {
			t.Errorf("%s: usual interval %s, want %s to %s", name, v.Usual, least, most)
		}
	}
	f("each minute", []time.Duration{time.Minute}, time.Minute, time.Minute)
	f("each 20 seconds", []time.Duration{20 * time.Second}, 20*time.Second, 21*time.Second)
	f("twice in one breath", []time.Duration{time.Second, 59 * time.Second}, 40*time.Second, time.Minute)
}

// One window that cannot be read is no reason not to start: samples may be lost.
func TestStartWithADamagedWindow(t *testing.T) {
	b := newBench(t, Options{})
	b.define(cpuAlarm("cpu"))
	b.define(heartbeat("h"))
	b.push("CPU", 35)
	b.beat("h")
	b.pass(20 * time.Second)
	for id, k := range b.store.kept {
		k.Window = append(k.Window, 0xff)
		b.store.kept[id] = k
	}
	b.start(Options{Store: b.store})
	b.want("cpu", Firing)
	b.want("h", OK)
	if v, _ := b.e.View(b.now, "p", "h"); !v.Fed {
		t.Error("the last arrival was lost with the window")
	}
	b.push("CPU", 1)
	b.pass(2 * time.Minute)
	b.push("CPU", 1)
	b.pass(2 * time.Second)
	b.want("cpu", OK)
}

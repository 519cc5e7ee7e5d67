package outbox_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A cloud is a simulated one, in the time of a bubble: guests that push a
// heartbeat each minute, each with an alarm whose action restarts it, and a
// server, which may be killed and started again.
type cloud struct {
	t      *testing.T
	dir    string
	store  *memory
	engine *watch.Engine
	outbox *Outbox
	gates  Gates
	stop   func()
	kill   func() // as kill -9
	tweak  func(*Options)
	refuse func(*guest) // is what becomes of pushes; nil: they are taken
	stack  string       // of the alarms of add
	post   *Post        // sends messages; nil: nothing does
	disk   disk
	random *rand.Rand    // lets commands fail; nil: they do not
	period time.Duration // between pushes; 0: a minute
	set    atomic.Int64  // by how much the wall clock was

	mu       sync.Mutex    // of what follows
	down     *watch.Engine // that takes no pushes any more
	guests   []*guest
	restarts []restart
}

// A guest pushes while it is up and reachable.
type guest struct {
	project, name string
	up, cut       bool
	sick          bool // a restart does not help
	failing       bool // its service is
	byHand        bool // its alarm was set by an operator since its last restart
	reboots       int  // by the API
	rebooted      time.Time
	well          time.Time // since when its service is, as the server has heard; zero: it is not
	next          time.Time
	heard         time.Time // when its last push arrived
	lull          time.Time // when it was last heard after more than the time between pushes
	reachable     time.Time // since when it is up and not cut off; zero: it is not
}

// A restart is one that was begun.
type restart struct {
	guest, key string
	at, heard  time.Time
	wall       time.Time // at, by the clock of the server
	reachable  time.Duration
	byHand     bool          // its alarm was set so, before it
	service    bool          // that is why
	well       time.Duration // for which the service was
	silent     bool          // its guest pushed no more, or again within the last tick
	waited     time.Duration // for what was written since: no state is seen before it is
	clocked    bool          // the wall clock was set since the one before
}

// silence is what the alarm of a guest that pushes each minute allows.
const silence = 135 * time.Second

// now is the time by the wall clock.
func (c *cloud) now() time.Time { return time.Now().Round(0).Add(time.Duration(c.set.Load())) }

// serve starts the server over the store.
func (c *cloud) serve() {
	c.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	st := session{memory: c.store, disk: &c.disk, dead: new(atomic.Bool)}
	begun := time.Now()
	engine := watch.New(watch.Options{Store: st, Log: quiet, OnBatch: func(b watch.Batch) { c.outbox.OnBatch(b) },
		Clock: c.now, Monotonic: func(time.Time) time.Duration { return time.Since(begun) }})
	commands := &Commands{Dir: filepath.Join(c.dir, "exec"), Run: c.run,
		ByName: map[string]Command{"restart": {Argv: []string{"restart"}, Timeout: time.Minute}}}
	actions := map[Kind]Action{Exec: commands}
	if c.post != nil {
		actions[Webhook] = c.post
	}
	opts := Options{
		Store: st, Engine: engine, Owner: fmt.Sprint(time.Now().UnixNano()), Log: quiet, Clock: c.now, Settings: Settings{
			Gates: c.gates, RetryFor: 15 * time.Minute, MessageFor: 24 * time.Hour, Actions: actions,
		},
	}
	if c.tweak != nil {
		c.tweak(&opts)
	}
	c.outbox = New(opts)
	if err := engine.Start(context.Background(), c.now()); err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	c.engine = engine
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { engine.Run(ctx) })
	running.Go(func() {
		if err := c.outbox.Run(ctx); err != nil {
			c.t.Error(err)
		}
	})
	c.stop = func() {
		c.hangUp()
		cancel()
		running.Wait()
	}
	c.kill = func() {
		st.dead.Store(true)
		c.stop()
	}
}

// hangUp has pushes get lost.
func (c *cloud) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = c.engine
	for _, g := range c.guests {
		g.well = time.Time{}
	}
}

// serviceSuffix ends the name of the alarm on a guest's service.
const serviceSuffix = "-service"

// run is what a restart of a guest does, now and then not as it should.
func (c *cloud) run(ctx context.Context, cmd sys.Cmd) (sys.Result, error) {
	vars := map[string]string{}
	for _, v := range cmd.Env {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	fate := 9
	if c.random != nil {
		c.mu.Lock()
		fate = c.random.IntN(12)
		c.mu.Unlock()
	}
	c.restart(vars["CFNWATCH_ALARM"], vars["CFNWATCH_KEY"], fate > 1)
	switch fate {
	case 0, 2:
		return sys.Result{Status: 1}, nil
	case 1, 3:
		select {
		case <-ctx.Done():
			return sys.Result{}, context.Cause(ctx)
		case <-time.After(cmd.Timeout):
			return sys.Result{}, sys.ErrTimeout
		}
	}
	return sys.Result{}, nil
}

// restart notes that a guest is restarted for an alarm, and brings it back if
// that has an effect.
func (c *cloud) restart(alarm, key string, effect bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	name, service := strings.CutSuffix(alarm, serviceSuffix)
	g := c.guests[slices.IndexFunc(c.guests, func(g *guest) bool { return g.name == name })]
	r := restart{guest: name, key: key, at: time.Now(), wall: c.now(), heard: g.heard, service: service, byHand: g.byHand}
	if !g.reachable.IsZero() {
		r.reachable = time.Since(g.reachable)
	}
	if !g.well.IsZero() {
		r.well, r.waited = time.Since(g.well), c.disk.waited(g.well)
	}
	r.silent = time.Since(g.heard) > c.every() || time.Since(g.lull) <= 2*time.Second
	if n := len(c.restarts); n > 0 {
		last := c.restarts[n-1]
		r.clocked = r.wall.Sub(last.wall) != r.at.Sub(last.at)
	}
	c.restarts = append(c.restarts, r)
	g.byHand = g.byHand && service
	if !effect {
		return
	}
	g.up = !g.sick
	g.failing = g.failing && g.sick
	g.reboots, g.rebooted = g.reboots+1, time.Now()
	g.next, g.reachable = time.Now().Add(c.every()/3), time.Time{}
	if g.settle(); !g.reachable.IsZero() {
		g.reachable = g.next
	}
}

// settle notes since when a guest can be heard.
func (g *guest) settle() {
	switch reachable := g.up && !g.cut; {
	case !reachable:
		g.reachable = time.Time{}
	case g.reachable.IsZero():
		g.reachable = time.Now()
		g.next = later(g.next, time.Now())
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// every is the time between pushes of a guest.
func (c *cloud) every() time.Duration { return cmp.Or(c.period, time.Minute) }

// add defines the alarms of guests that come up now, spread over a minute.
func (c *cloud) add(project string, n int, messages ...string) {
	c.t.Helper()
	for i := range n {
		g := &guest{project: project, name: fmt.Sprintf("%s-%04d", project, i), up: true}
		g.next = time.Now().Add(time.Duration(i) * c.every() / time.Duration(n))
		g.settle()
		c.mu.Lock()
		c.guests = append(c.guests, g)
		c.mu.Unlock()
		_, err := c.engine.Define(context.Background(), c.now(), rules, watch.Alarm{
			Project: project, Name: g.name, Namespace: "system/linux", Metric: "Heartbeat", Statistic: watch.SampleCount,
			Period: c.every(), Periods: 1, Threshold: 1, Comparison: watch.Less, Missing: watch.MissingBreaching,
			ActionsEnabled: true, OnAlarm: append(messages, "cfnwatch:exec:restart"), OnOK: messages, Origin: watch.FromRules, Stack: c.stack,
		})
		if err != nil {
			c.t.Fatal(err)
		}
	}
}

// pass lets time pass, second by second, in which guests push.
func (c *cloud) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(time.Second)
		c.push(time.Now())
	}
	synctest.Wait()
}

func (c *cloud) push(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.guests {
		if !g.up || now.Before(g.next) {
			continue
		}
		g.next = g.next.Add(c.every())
		if !g.cut && c.refuse != nil {
			c.refuse(g)
			continue
		}
		if !g.cut && c.down != c.engine {
			if now.Sub(g.heard) > c.every() {
				g.lull = now
			}
			g.heard = now
			c.engine.Put(c.now(), watch.Caller{Project: g.project, Role: watch.Guest, Access: g.project, Stack: c.stack},
				[]watch.Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: g.name, Count: 1, Sum: 1, Min: 1, Max: 1}})
			c.pushService(g, now)
		}
	}
}

// pushService tells whether the service of a guest has failed.
func (c *cloud) pushService(g *guest, now time.Time) {
	sample := watch.Sample{Namespace: "system/linux", Metric: "ServiceFailure", Alarm: g.name + serviceSuffix, Count: 1}
	switch {
	case g.failing:
		sample.Sum, sample.Min, sample.Max = 1, 1, 1
		g.well = time.Time{}
	case g.well.IsZero():
		g.well = now
	}
	c.engine.Put(c.now(), watch.Caller{Project: g.project, Role: watch.Guest, Access: g.project, Stack: c.stack}, []watch.Sample{sample})
}

// newCloud starts a server in a bubble.
func newCloud(t *testing.T) *cloud {
	c := &cloud{t: t, dir: t.TempDir(), store: newMemory(), gates: DefaultGates()}
	c.serve()
	return c
}

// history reads all pages.
func (c *cloud) history(q watch.EventQuery) []string {
	c.t.Helper()
	var lines []string
	for q.Limit = 1000; ; {
		events, next, err := c.store.Events(context.Background(), q)
		if err != nil {
			c.t.Fatal(err)
		}
		for _, e := range events {
			lines = append(lines, e.Summary)
		}
		if q.Next = next; next == "" {
			return lines
		}
	}
}

// in runs a test in a bubble, on a server of its own.
func in(t *testing.T, f func(t *testing.T, c *cloud)) {
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t)
		defer func() { c.stop() }() // of the server that is there then
		f(t, c)
	})
}

func (c *cloud) each(guests []*guest, f func(g *guest)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range guests {
		f(g)
		g.settle()
	}
}

func (c *cloud) wantRestarts(when string, names ...string) {
	c.t.Helper()
	var got []string
	for _, r := range c.restarts {
		got = append(got, r.guest)
	}
	if !slices.Equal(got, names) {
		c.t.Errorf("%s: restarts of %q, want of %q", when, got, names)
	}
}

// wantStates counts the alarms in a state.
func (c *cloud) wantStates(when string, want map[watch.State]int) {
	c.t.Helper()
	got := map[watch.State]int{}
	for _, v := range c.engine.Alarms(c.now(), rules, watch.AlarmQuery{}) {
		got[v.State]++
	}
	if !maps.Equal(got, want) {
		c.t.Errorf("%s: alarms %v, want %v", when, got, want)
	}
}

// wantHistory looks for a line that begins so.
func (c *cloud) wantHistory(q watch.EventQuery, begins string) {
	c.t.Helper()
	lines := c.history(q)
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, begins) }) {
		c.t.Errorf("nothing in the history of %q begins %q:\n%s", q.Alarm, begins, strings.Join(lines[:min(len(lines), 20)], "\n"))
	}
}

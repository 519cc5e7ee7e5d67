package outbox_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

var (
	seeds = flag.Uint64("seeds", histories, "how many histories TestRandomHistories plays")
	first = flag.Uint64("seed", 0, "the first of them")
)

// A history is a cloud to which random things happen. Its guests push each ten
// seconds, so that little time tells much.
type history struct {
	*cloud
	random    *rand.Rand
	mail      *mailbox
	api       nova
	suspended []Suspension
	settings  Settings
	told      []string // what happened, for who looks into a failure
}

// The guests of a history, half of which are restarted by a command and half by
// calls of an API, and what their alarms allow.
const (
	guestsOfOne    = 8
	guestsOfTwo    = 4
	pushes         = 10 * time.Second
	allowedSilence = pushes + pushes*5/4
)

// chance is true once in n.
func (h *history) chance(n int) bool { return h.random.IntN(n) == 0 }

// seconds is a time of less than n.
func (h *history) seconds(n int) time.Duration { return time.Duration(h.random.IntN(n)) * time.Second }

func (h *history) any() []*guest {
	i := h.random.IntN(len(h.guests))
	return h.guests[i : i+1]
}

// ofProject are the guests of one of the two projects.
func (h *history) ofProject() []*guest {
	if h.chance(2) {
		return h.guests[:guestsOfOne]
	}
	return h.guests[guestsOfOne:]
}

// A thing is what may happen in a history.
type thing struct {
	name   string
	weight int
	happen func(h *history)
}

// things are all of them.
var things = []thing{
	{"a guest dies", 4, func(h *history) { h.each(h.any(), func(g *guest) { g.up = false }) }},
	{"a guest dies for good", 1, func(h *history) { h.each(h.any(), func(g *guest) { g.up, g.sick = false, true }) }},
	{"a guest hangs for a moment", 2, func(h *history) {
		g := h.any()
		h.each(g, func(g *guest) { g.up = false })
		h.pass(h.seconds(40))
		h.each(g, func(g *guest) { g.up = true })
	}},
	{"a guest comes back by itself", 3, func(h *history) { h.each(h.any(), func(g *guest) { g.up, g.sick, g.failing = true, false, false }) }},
	{"a guest's service fails", 3, func(h *history) { h.each(h.any(), func(g *guest) { g.failing = true }) }},
	{"a guest's network is cut, or back", 2, func(h *history) { h.each(h.any(), func(g *guest) { g.cut = !g.cut }) }},
	{"a project's network is cut", 1, func(h *history) { h.each(h.ofProject(), func(g *guest) { g.cut = true }) }},
	{"all networks are well", 2, func(h *history) { h.each(h.guests, func(g *guest) { g.cut = false }) }},
	{"the server is killed", 2, func(h *history) { h.again(h.kill) }},
	{"the server is stopped", 1, func(h *history) { h.again(h.stop) }},
	{"the server dies at a write", 2, func(h *history) {
		h.disk.after.Store(h.chance(2))
		h.disk.doom.Store(1 + int64(h.random.IntN(12)))
		h.pass(h.seconds(60))
		h.again(h.kill)
		h.disk.doom.Store(0)
	}},
	{"the disk is full", 1, func(h *history) {
		h.disk.full.Store(true)
		h.pass(h.seconds(60))
		h.disk.full.Store(false)
	}},
	{"the disk is slow", 1, func(h *history) {
		h.disk.slow.Store(int64(h.random.IntN(8000)) * int64(time.Millisecond))
		h.pass(h.seconds(40))
		h.disk.slow.Store(0)
		h.pass(9 * time.Second) // the last write ends
	}},
	{"the clock is set", 1, func(h *history) {
		step := []time.Duration{time.Second, 3 * time.Second, time.Minute, time.Hour}[h.random.IntN(4)]
		if h.chance(2) {
			step = -step
		}
		h.set.Add(int64(step))
		h.told = append(h.told, "... by "+step.String())
	}},
	{"mail is down, or up", 1, func(h *history) { h.mail.down.Store(!h.mail.down.Load()) }},
	{"the API is away, or back", 1, func(h *history) { h.api.away.Store(!h.api.away.Load()) }},
	{"an operator suspends", 1, (*history).suspend},
	{"an operator resumes", 1, (*history).resume},
	{"an operator resumes storms", 1, (*history).resumeStorms},
	{"an operator resets", 1, func(h *history) {
		if _, err := h.outbox.Reset(h.t.Context(), h.any()[0].name, "test"); err != nil {
			h.t.Error(err)
		}
	}},
	{"an operator sets a state", 1, func(h *history) {
		g := h.any()[0]
		h.each([]*guest{g}, func(g *guest) { g.byHand = true })
		state := []watch.State{watch.OK, watch.Firing, watch.NoData}[h.random.IntN(3)]
		op := watch.Caller{Project: g.project, Role: watch.Operator}
		if err := h.engine.SetState(h.t.Context(), h.now(), op, g.name, state, "by hand", nil); err != nil {
			h.t.Error(err)
		}
	}},
	{"an operator reloads", 1, func(h *history) {
		if err := h.outbox.Set(h.t.Context(), h.settings); err != nil {
			h.t.Error(err)
		}
	}},
}

// step lets one thing happen.
func (h *history) step() {
	sum := 0
	for _, t := range things {
		sum += t.weight
	}
	n := h.random.IntN(sum)
	for _, t := range things {
		if n -= t.weight; n < 0 {
			h.told = append(h.told, fmt.Sprintf("%s %s", time.Now().Format(time.TimeOnly), t.name))
			t.happen(h)
			return
		}
	}
}

// again ends the server and starts another.
func (h *history) again(end func()) {
	end()
	time.Sleep(h.seconds(60))
	h.disk.doom.Store(0)
	h.serve()
}

func (h *history) suspend() {
	s := Suspension{Scope: OfProject, Name: "p1", Owner: "test"}
	if h.chance(2) {
		s = Suspension{Scope: OfAlarm, Project: "p2", Name: h.guests[guestsOfOne+1].name, Owner: "test", Until: h.now().Add(2 * time.Minute)}
	}
	if _, err := h.outbox.Suspend(h.t.Context(), s); err != nil {
		h.t.Error(err)
	}
	h.suspended = append(h.suspended, s)
}

func (h *history) resume() {
	for _, s := range h.suspended {
		if _, err := h.outbox.Resume(h.t.Context(), s); err != nil {
			h.t.Error(err)
		}
	} // none is forgotten: one that is over goes on when the clock is set back
}

func (h *history) resumeStorms() {
	for _, s := range h.outbox.Storms() {
		if _, err := h.outbox.ResumeStorm(h.t.Context(), s.Domain, "test"); err != nil {
			h.t.Error(err)
		}
	}
}

// open are the actions that have not ended.
func (h *history) open() []Row {
	rows, err := h.store.Rows(h.t.Context(), RowQuery{Open: true, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	return rows
}

// calm ends all that goes wrong, and lets what waits come to its end.
func (h *history) calm() {
	h.mail.down.Store(false)
	h.api.away.Store(false)
	h.mail.mu.Lock()
	h.mail.calm = true
	h.mail.mu.Unlock()
	h.resume()
	h.each(h.guests, func(g *guest) { g.cut = false })
	h.settle()
	// So many may be dead for good that it looks like a storm: what that holds
	// is told, and goes on when an operator knows better.
	for _, r := range h.open() {
		told := slices.ContainsFunc(slices.Collect(maps.Keys(h.store.rows)), func(key string) bool { return strings.HasPrefix(key, "notice|storm|") })
		if r.Status != Held || r.Gate != "g3" || !told {
			h.t.Errorf("%s is still %s by %s (%s), a storm was told: %v", r.Key, r.Status, r.Gate, r.Why, told)
		}
	}
	for range 5 {
		h.resumeStorms()
		if h.settle(); len(h.open()) == 0 {
			return
		}
	}
}

// settle lets time pass until nothing waits, or for as long as anything may.
func (h *history) settle() {
	h.pass(2 * allowedSilence)
	for range 40 {
		if len(h.open()) == 0 {
			return
		}
		h.pass(time.Minute)
	}
}

// Whatever happens, each failure is answered at most once, living guests are
// left alone, budgets are kept, and what was wanted comes to an end of which
// the history tells. A seed that fails is played alone by
// go test -run TestRandomHistories -args -seed N -seeds 1.
func TestRandomHistories(t *testing.T) {
	for seed := *first; seed < *first+*seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { playHistory(t, seed) })
		})
	}
}

func playHistory(t *testing.T, seed uint64) {
	h := &history{random: rand.New(rand.NewPCG(seed, 7))}
	h.mail = newMailbox(rand.New(rand.NewPCG(seed, 8)))
	gates := DefaultGates()
	gates.BootGrace, gates.HoldFor = 30*time.Second, 10*time.Minute
	gates.PerTarget = []Budget{{3, 10 * time.Minute}, {6, 4 * time.Hour}}
	h.cloud = &cloud{t: t, dir: t.TempDir(), store: newMemory(), gates: gates, random: rand.New(rand.NewPCG(seed, 9)), period: pushes,
		post: &Post{Access: Access{Transport: &http.Transport{DialContext: h.mail.dial, DisableKeepAlives: true}}},
		tweak: func(o *Options) {
			o.Actions[Notify] = &Operator{Post: h.post, URLs: []string{"http://mail/operator"}}
			o.Actions[Reboot] = &h.api
			h.settings = o.Settings
		}}
	h.api.h = h
	h.serve()
	h.add("p1", guestsOfOne, "http://mail/")
	h.add("p2", guestsOfTwo, "http://mail/")
	h.addServices()
	h.pass(time.Minute)
	for range 40 {
		h.step()
		h.pass(time.Second + h.seconds(30))
	}
	h.calm()
	h.stop()
	h.mail.close()
	h.checkRestarts()
	h.checkRows()
	h.checkDead()
	h.checkReplay()
	h.checkMail()
	if t.Failed() {
		t.Logf("seed %d:\n%s", seed, strings.Join(h.told, "\n"))
		for _, r := range h.restarts {
			t.Logf("restart %s of %s at %s", r.key, r.guest, r.at.Format(time.TimeOnly))
		}
	}
}

// addServices defines an alarm on the service of each guest, whose target is
// that of its heartbeats.
func (h *history) addServices() {
	for i, g := range h.guests {
		action := "cfnwatch:exec:restart"
		if i%2 == 1 {
			action = rebootOf(i)
		}
		base := watch.Alarm{Project: g.project, Namespace: "system/linux", Period: pushes, Periods: 1, Origin: watch.FromRules, Target: g.name,
			ActionsEnabled: true, OnAlarm: []string{"http://mail/", action}, OnOK: []string{"http://mail/"}}
		beats, service := base, base
		beats.Name, beats.Metric, beats.Statistic, beats.Threshold, beats.Comparison, beats.Missing = g.name, "Heartbeat", watch.SampleCount, 1, watch.Less, watch.MissingBreaching
		service.Name, service.Metric, service.Statistic, service.Comparison, service.Missing = g.name+serviceSuffix, "ServiceFailure", watch.Maximum, watch.Greater, watch.MissingIgnore
		for _, a := range []watch.Alarm{beats, service} {
			if _, err := h.engine.Define(h.t.Context(), h.now(), rules, a); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}

// rebootOf is the action that reboots a guest by the API.
func rebootOf(i int) string {
	return fmt.Sprintf("cfnwatch:reboot:%08d-0000-0000-0000-000000000000", i)
}

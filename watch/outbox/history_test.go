package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A session is a store as one process sees it: when the process is killed, or
// the disk is full, nothing is written any more.
type session struct {
	*memory
	dead *atomic.Bool
	full *atomic.Bool // the disk, for every process
}

var errNotWritten = errors.New("not written")

func (s session) err() error {
	if s.dead.Load() || s.full.Load() {
		return errNotWritten
	}
	return nil
}

func (s session) Record(ctx context.Context, b watch.Batch) error {
	return errors.Join(s.err(), s.then(func() error { return s.memory.Record(ctx, b) }))
}

// then does what a living process does.
func (s session) then(f func() error) error {
	if s.err() != nil {
		return nil
	}
	return f()
}

func (s session) Flush(ctx context.Context, kept []watch.Kept) error {
	return errors.Join(s.err(), s.then(func() error { return s.memory.Flush(ctx, kept) }))
}

func (s session) Claim(ctx context.Context, id int64, owner string, now, until time.Time) (Row, bool, error) {
	if err := s.err(); err != nil {
		return Row{}, false, err
	}
	return s.memory.Claim(ctx, id, owner, now, until)
}

func (s session) Update(ctx context.Context, changes ...Change) ([]string, error) {
	if err := s.err(); err != nil {
		return nil, err
	}
	return s.memory.Update(ctx, changes...)
}

func (s session) Renew(ctx context.Context, id int64, owner string, until time.Time) (bool, error) {
	if err := s.err(); err != nil {
		return false, err
	}
	return s.memory.Renew(ctx, id, owner, until)
}

func (s session) Release(ctx context.Context) error {
	if s.dead.Load() { // a process that was killed gives nothing back
		return nil
	}
	return s.memory.Release(ctx)
}

func (s session) Rouse(ctx context.Context, gate string, now time.Time) error {
	return errors.Join(s.err(), s.then(func() error { return s.memory.Rouse(ctx, gate, now) }))
}

// pipes are a network in a bubble: what is dialled is served.
type pipes struct {
	accept chan net.Conn
	down   atomic.Bool
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	if p.down.Load() {
		return nil, errors.New("no route to host")
	}
	ours, theirs := net.Pipe()
	select {
	case p.accept <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr implement net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	c, ok := <-p.accept
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p *pipes) Close() error   { return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// A mailbox is a receiver of messages behind pipes, which fails at random.
type mailbox struct {
	pipes
	server *http.Server

	mu     sync.Mutex
	random *rand.Rand
	calm   bool
	got    []string // keys, each time that one came
}

func newMailbox(random *rand.Rand) *mailbox {
	m := &mailbox{pipes: pipes{accept: make(chan net.Conn)}, random: random}
	m.server = &http.Server{Handler: m}
	go func() { _ = m.server.Serve(m) }()
	return m
}

func (m *mailbox) close() {
	close(m.accept)
	_ = m.server.Close()
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	m.mu.Lock()
	fate := m.random.IntN(10)
	calm := m.calm
	if calm || fate != 0 {
		m.got = append(m.got, req.Header.Get("Idempotency-Key"))
	}
	m.mu.Unlock()
	switch {
	case calm || fate > 2:
	case fate == 1: // it came, but the answer did not
		w.WriteHeader(http.StatusGatewayTimeout)
	case fate == 2:
		time.Sleep(40 * time.Second)
	default:
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// A history is a cloud to which random things happen.
type history struct {
	*cloud
	random    *rand.Rand
	mail      *mailbox
	full      atomic.Bool
	suspended []Suspension
}

// chance is true once in n.
func (h *history) chance(n int) bool { return h.random.IntN(n) == 0 }

func (h *history) any() []*guest {
	i := h.random.IntN(len(h.guests))
	return h.guests[i : i+1]
}

// ofProject are the guests of one of the two projects.
func (h *history) ofProject() []*guest {
	if h.chance(2) {
		return h.guests[:20]
	}
	return h.guests[20:]
}

// step lets one thing happen.
func (h *history) step() {
	set := func(guests []*guest, f func(g *guest)) { h.each(guests, f) }
	switch h.random.IntN(16) {
	case 0, 1, 2:
		set(h.any(), func(g *guest) { g.up = false })
	case 3:
		set(h.any(), func(g *guest) { g.up, g.sick = false, true })
	case 4, 5:
		set(h.any(), func(g *guest) { g.up, g.sick = true, false })
	case 6:
		set(h.any(), func(g *guest) { g.cut = !g.cut })
	case 7:
		set(h.ofProject(), func(g *guest) { g.cut = true })
	case 8, 9:
		set(h.guests, func(g *guest) { g.cut = false })
	case 10:
		h.kill()
		time.Sleep(time.Duration(h.random.IntN(300)) * time.Second)
		h.serve()
	case 11:
		h.full.Store(true)
		h.pass(time.Duration(h.random.IntN(240)) * time.Second)
		h.full.Store(false)
	case 12:
		h.mail.down.Store(!h.mail.down.Load())
	case 13:
		h.suspend()
	case 14:
		h.resume()
	case 15:
		if _, err := h.outbox.Reset(h.t.Context(), "alarm/p1/p1-0000", "test"); err != nil {
			h.t.Error(err)
		}
	}
}

func (h *history) suspend() {
	s := Suspension{Scope: OfProject, Name: "p1", Owner: "test"}
	if h.chance(2) {
		s = Suspension{Scope: OfAlarm, Project: "p2", Name: h.guests[21].name, Owner: "test", Until: time.Now().Add(10 * time.Minute)}
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
	}
	h.suspended = nil
}

// calm ends all that goes wrong, and lets what waits come to its end.
func (h *history) calm() {
	h.full.Store(false)
	h.mail.down.Store(false)
	h.mail.mu.Lock()
	h.mail.calm = true
	h.mail.mu.Unlock()
	h.resume()
	h.each(h.guests, func(g *guest) { g.cut = false })
	h.pass(90 * time.Minute)
	// So many may be dead for good that it looks like a storm: what that holds
	// is told, and goes on when an operator knows better.
	open, err := h.store.Rows(h.t.Context(), RowQuery{Open: true, Limit: 1000})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range open {
		told := slices.ContainsFunc(slices.Collect(maps.Keys(h.store.rows)), func(key string) bool { return strings.HasPrefix(key, "notice|storm|") })
		if r.Status != Held || r.Gate != "g3" || !told {
			h.t.Errorf("%s is still %s by %s (%s), a storm was told: %v", r.Key, r.Status, r.Gate, r.Why, told)
		}
	}
	for range 5 {
		for _, s := range h.outbox.Storms() {
			if _, err := h.outbox.ResumeStorm(h.t.Context(), s.Domain, "test"); err != nil {
				h.t.Error(err)
			}
		}
		h.pass(10 * time.Minute)
	}
}

// Whatever happens, each failure is answered at most once, living guests are
// left alone, budgets are kept, and what was wanted comes to an end of which
// the history tells.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(6 / each) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { playHistory(t, seed) })
		})
	}
}

func playHistory(t *testing.T, seed uint64) {
	h := &history{random: rand.New(rand.NewPCG(seed, 7))}
	h.mail = newMailbox(rand.New(rand.NewPCG(seed, 8)))
	h.cloud = &cloud{t: t, dir: t.TempDir(), store: newMemory(), gates: DefaultGates(), full: &h.full, random: rand.New(rand.NewPCG(seed, 9)),
		post:  &Post{Access: Access{Transport: &http.Transport{DialContext: h.mail.dial, DisableKeepAlives: true}}},
		tweak: func(o *Options) { o.Actions[Notify] = &Operator{Post: h.post, URLs: []string{"http://mail/operator"}} }}
	h.serve()
	h.add("p1", 20, "http://mail/")
	h.add("p2", 8, "http://mail/")
	h.pass(5 * time.Minute)
	for range 120 {
		h.step()
		h.pass(time.Duration(5+h.random.IntN(120)) * time.Second)
	}
	h.calm()
	h.stop()
	h.mail.close()
	h.checkRestarts()
	h.checkRows()
	h.checkReplay()
	h.checkMail()
	t.Logf("seed %d: %d restarts, %d messages", seed, len(h.restarts), len(h.mail.got))
}

// silence is what the guests' alarms allow.
const silence = 135 * time.Second

func (h *history) checkRestarts() {
	keys, last := map[string]bool{}, map[string]time.Time{}
	for i, r := range h.restarts {
		if keys[r.key] {
			h.t.Errorf("%s ran twice", r.key)
		}
		keys[r.key] = true
		if heard := r.at.Sub(r.heard); heard > 2*time.Second && heard < silence {
			h.t.Errorf("%s restarted at %s: heard %s before", r.guest, r.at, heard)
		}
		if r.reachable > silence {
			h.t.Errorf("%s restarted at %s: it pushed for %s", r.guest, r.at, r.reachable)
		}
		if before, ok := last[r.guest]; ok && !r.heard.After(before) {
			h.t.Errorf("%s restarted at %s again: not heard since the last at %s", r.guest, r.at, before)
		}
		last[r.guest] = r.at
		inHour := 0
		for _, other := range h.restarts[:i+1] {
			if other.guest == r.guest && r.at.Sub(other.at) < time.Hour {
				inHour++
			}
		}
		// The budgets of this guest were reset now and then.
		if inHour > 3 && r.guest != "p1-0000" {
			h.t.Errorf("%s restarted %d times within an hour", r.guest, inHour)
		}
		if i > 0 && r.at.Sub(h.restarts[i-1].at) < time.Second {
			h.t.Errorf("restarts %s apart", r.at.Sub(h.restarts[i-1].at))
		}
	}
}

// checkRows holds each row to its end, and to a line that tells of it.
func (h *history) checkRows() {
	ran := map[string]bool{}
	for _, r := range h.restarts {
		ran[r.key] = true
	}
	for key, r := range h.store.rows {
		lines := strings.Join(h.history(watch.EventQuery{Key: key}), "\n")
		switch {
		case !r.Status.Ended():
			h.t.Errorf("%s is still %s (%s)", key, r.Status, r.Why)
		case !strings.Contains(lines, string(r.Status)+": "):
			h.t.Errorf("%s is %s, and the history does not say so:\n%s", key, r.Status, lines)
		case r.Rough && (r.Status == Done || r.Status == GaveUp) != ran[key] && r.Status != Unknown:
			h.t.Errorf("%s is %s, ran: %v", key, r.Status, ran[key])
		}
	}
}

// checkReplay plays the history over, to the states there are.
func (h *history) checkReplay() {
	type item struct {
		New        struct{ StateValue watch.State } `json:"newState"`
		Transition int                              `json:"transition"`
	}
	for _, v := range h.engine.Alarms(time.Now(), rules, watch.AlarmQuery{}) {
		events, _, err := h.store.Events(h.t.Context(), watch.EventQuery{
			Project: v.Project, Alarm: v.Name, Kinds: []watch.EventKind{watch.StateUpdate}, OldestFirst: true, Limit: 10_000})
		if err != nil {
			h.t.Fatal(err)
		}
		state, n := watch.NoData, 0
		for _, e := range events {
			var i item
			if err := json.Unmarshal(e.Data, &i); err != nil || i.Transition != n+1 {
				h.t.Fatalf("transition %d of %s after %d: %v", i.Transition, v.Name, n, err)
			}
			state, n = i.New.StateValue, i.Transition
		}
		if state != v.State || n != v.Number {
			h.t.Errorf("%s: the history comes to %s (%d), it is %s (%d)", v.Name, state, n, v.State, v.Number)
		}
	}
}

// checkMail looks at what came: each message, and of an alarm in their order.
func (h *history) checkMail() {
	first, newest := map[string]bool{}, map[int64]int{}
	for _, key := range h.mail.got {
		r := h.store.rows[key]
		if r == nil {
			h.t.Fatalf("a message with key %s, of which there is no row", key)
		}
		if !first[key] && r.Number < newest[r.AlarmID] {
			h.t.Errorf("%s came after transition %d", key, newest[r.AlarmID])
		}
		first[key], newest[r.AlarmID] = true, max(newest[r.AlarmID], r.Number)
	}
	for key, r := range h.store.rows {
		if !r.Rough && r.Status == Done && !first[key] {
			h.t.Errorf("%s is done, and never came", key)
		}
	}
}

package outbox_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A nova is an API that reboots the guests of a history, and fails at random:
// its calls are refused, break off or are not answered, with their effect or
// without. What it has done can be seen.
type nova struct {
	h    *history
	away atomic.Bool
}

var (
	errAway    = errors.New("connection refused")
	errTimeout = errors.New("no answer in time")
)

// Look asks how often the server was rebooted: more often than when it was
// asked first means that it has happened.
func (n *nova) Look(ctx context.Context, r Row) (Sight, error) {
	if n.away.Load() {
		return Sight{}, errAway
	}
	g := n.h.guestOf(r)
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	var before int
	if r.Baseline == nil || r.Began.IsZero() {
		baseline, err := json.Marshal(g.reboots)
		return Sight{Baseline: baseline}, err
	}
	if err := json.Unmarshal(r.Baseline, &before); err != nil {
		return Sight{}, err
	}
	if g.reboots > before {
		return Sight{Verdict: Already, Text: "it was rebooted"}, nil
	}
	return Sight{}, nil
}

// Act reboots, and answers or not; or does not, and answers or not.
func (n *nova) Act(ctx context.Context, r Row) (Answer, error) {
	if n.away.Load() {
		return Answer{}, &Failure{Err: errAway, Fate: Again}
	}
	n.h.mu.Lock()
	fate := n.h.cloud.random.IntN(10)
	n.h.mu.Unlock()
	if fate < 4 { // with no effect
		fail := []*Failure{{Err: errors.New("HTTP 409"), Fate: Again, HTTP: 409, After: 10 * time.Second}, {Err: errors.New("HTTP 503"), Fate: Again, HTTP: 503},
			{Err: errTimeout, Fate: Again}, {Err: errors.New("HTTP 400"), HTTP: 400}}[fate]
		if fail.Err == errTimeout {
			rest(ctx, 30*time.Second)
		}
		return Answer{}, fail
	}
	n.h.restart(r.Alarm, r.Key, true)
	switch fate {
	case 4:
		return Answer{}, &Failure{Err: errors.New("HTTP 502"), Fate: Again, HTTP: 502}
	case 5:
		rest(ctx, 30*time.Second)
		return Answer{}, &Failure{Err: errTimeout, Fate: Again}
	}
	return Answer{HTTP: 202, Text: "accepted"}, nil
}

// Verify waits until the server has been up for a moment.
func (n *nova) Verify(_ context.Context, r Row) (Sight, error) {
	if n.away.Load() {
		return Sight{}, errAway
	}
	g := n.h.guestOf(r)
	n.h.mu.Lock()
	defer n.h.mu.Unlock()
	if time.Since(g.rebooted) < 5*time.Second {
		return Sight{Verdict: Wait, After: 2 * time.Second, Text: "REBOOT"}, nil
	}
	return Sight{Text: "ACTIVE"}, nil
}

// rest waits, or until nobody waits for the answer.
func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// guestOf is the one that a row acts on.
func (h *history) guestOf(r Row) *guest {
	i := slices.IndexFunc(h.guests, func(g *guest) bool { return cmp.Or(r.Target, r.Object) == g.name })
	return h.guests[i]
}

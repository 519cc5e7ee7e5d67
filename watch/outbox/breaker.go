package outbox

import (
	"maps"
	"sync"
	"time"
)

// A breaker opens after failuresToOpen failures on end: nothing is sent to the
// endpoint until it closes, which one message tries after openFirst, twice
// that after it failed, and so on up to openMost.
const (
	failuresToOpen = 5
	openFirst      = 5 * time.Second
	openMost       = time.Minute
	openForgotten  = time.Hour // after the last failure: alarms name ever new endpoints
)

// breakers keep endpoints that do not answer from taking the places of others.
type breakers struct {
	mu    sync.Mutex
	at    map[string]*breaker
	swept time.Time
}

type breaker struct {
	failures int
	until    time.Time // zero: closed
	wait     time.Duration
	last     time.Time // failure
}

// open says whether an endpoint is not to be called, and for how long. Its
// times, and those of report, are of a clock that nobody sets.
func (b *breakers) open(endpoint string, now time.Time) (left time.Duration, open bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.at[endpoint]
	if e == nil || !now.Before(e.until) {
		return 0, false
	}
	return e.until.Sub(now), true
}

// report tells how a call went: a status of an answer below 500 and other than
// 429 closes the breaker, all else, with 0 for no answer, counts as failure.
func (b *breakers) report(endpoint string, status int, now time.Time) {
	if endpoint == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if status != 0 && status < 500 && status != 429 {
		delete(b.at, endpoint)
		return
	}
	e := b.at[endpoint]
	if e == nil {
		b.sweep(now)
		e = &breaker{}
		if b.at == nil {
			b.at = map[string]*breaker{}
		}
		b.at[endpoint] = e
	}
	e.last = now
	if e.failures++; e.failures < failuresToOpen || now.Before(e.until) {
		return
	}
	e.wait = min(max(openFirst, 2*e.wait), openMost)
	e.until = now.Add(e.wait)
}

// sweep forgets endpoints that nothing was sent to for long, once in a while.
func (b *breakers) sweep(now time.Time) {
	if now.Sub(b.swept) < openMost {
		return
	}
	b.swept = now
	maps.DeleteFunc(b.at, func(_ string, e *breaker) bool { return now.Sub(e.last) > openForgotten })
}

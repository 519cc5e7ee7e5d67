package outbox

import (
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
)

// breakers keep endpoints that do not answer from taking the places of others.
type breakers struct {
	mu sync.Mutex
	at map[string]*breaker
}

type breaker struct {
	failures int
	until    time.Time // zero: closed
	wait     time.Duration
}

// open says whether an endpoint is not to be called now, and until when.
func (b *breakers) open(endpoint string, now time.Time) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.at[endpoint]
	if e == nil || !now.Before(e.until) {
		return time.Time{}, false
	}
	return e.until, true
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
		e = &breaker{}
		if b.at == nil {
			b.at = map[string]*breaker{}
		}
		b.at[endpoint] = e
	}
	if e.failures++; e.failures < failuresToOpen || now.Before(e.until) {
		return
	}
	e.wait = min(max(openFirst, 2*e.wait), openMost)
	e.until = now.Add(e.wait)
}

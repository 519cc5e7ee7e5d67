package auth

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// askFor is how long a request may wait for Keystone.
const askFor = 25 * time.Second

var errNoAnswer = fmt.Errorf("no answer in %s", askFor)

// share has f run once for all who ask under a name at a time. It has askFor,
// however soon who asked first gives up.
func share[T any](ctx context.Context, flights *singleflight.Group, name string, f func(context.Context) (T, error)) (T, error) {
	select {
	case answer := <-begin(ctx, flights, name, f):
		v, _ := answer.Val.(T)
		return v, answer.Err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// begin is share that waits for nothing.
func begin[T any](ctx context.Context, flights *singleflight.Group, name string, f func(context.Context) (T, error)) <-chan singleflight.Result {
	return flights.DoChan(name, func() (any, error) {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), askFor, errNoAnswer)
		defer cancel()
		return f(ctx)
	})
}

// How long a key counts as one that Keystone does not know, and of how many
// that is remembered; and of how many that it knows.
const (
	absentFor   = 30 * time.Second
	absentLimit = 10_000
	knownLimit  = 1_000_000
)

// A recall remembers access keys for a time; when they are too many, it begins
// anew.
type recall struct {
	last  time.Duration
	limit int

	mu    sync.Mutex
	since map[string]time.Time
}

func newAbsence() *recall { return &recall{last: absentFor, limit: absentLimit} }

func (r *recall) has(access string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, ok := r.since[access]
	return ok && time.Since(since) < r.last
}

func (r *recall) add(access string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.since) >= r.limit || r.since == nil {
		r.since = map[string]time.Time{}
	}
	r.since[access] = time.Now()
}

func (r *recall) remove(access string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.since, access)
}

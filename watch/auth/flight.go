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
// that is remembered.
const (
	absentFor   = 30 * time.Second
	absentLimit = 10_000
)

// An absence remembers keys that Keystone does not know.
type absence struct {
	mu    sync.Mutex
	since map[string]time.Time
}

func (a *absence) has(access string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	since, ok := a.since[access]
	return ok && time.Since(since) < absentFor
}

func (a *absence) add(access string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.since) >= absentLimit || a.since == nil {
		a.since = map[string]time.Time{}
	}
	a.since[access] = time.Now()
}

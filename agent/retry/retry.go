// Package retry does something again after a failure that may pass, with
// waits that grow and are spread at random, so that a thousand guests of one
// cloud do not come back in the same second. It knows no protocol: the caller
// says which errors are worth another try.
package retry

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// A Policy says how often and how long something is tried. The wait before
// try n+1 is a random part of First times Factor to the power n-1, at most
// Max ("full jitter" in Marc Brooker's "Exponential Backoff And Jitter").
// The zero value tries once.
type Policy struct {
	First  time.Duration // bound of the first wait
	Factor float64       // growth of the bound; below 1 counts as 1
	Max    time.Duration // largest bound; 0: none
	Total  time.Duration // no try runs longer than this after the first began; 0: no limit
	Tries  int           // how many tries in all; below 1 counts as 1
}

// Default is the policy for metadata and signals: 8 tries, waits of at most
// 20 seconds, 5 minutes in all.
func Default() Policy {
	return Policy{First: time.Second, Factor: 2, Max: 20 * time.Second, Total: 5 * time.Minute, Tries: 8}
}

// marked is an error that may pass, and the wait that the other side asked for.
type marked struct {
	error
	after time.Duration
}

func (m marked) Unwrap() error { return m.error }

// Temporary marks err as worth another try. It returns nil for nil.
func Temporary(err error) error { return After(err, 0) }

// After marks err as worth another try, but not before d has passed, as
// Retry-After asks. It returns nil for nil.
func After(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return marked{err, d}
}

// Do calls fn until it returns nil or an error that is not marked, or the
// policy has nothing left, or ctx is done. It returns fn's last error without
// the mark; if time ran out first, the cause too. A wait that would end after
// Total is not begun. The context given to fn ends at Total.
func (p Policy) Do(ctx context.Context, fn func(context.Context) error) error {
	start := time.Now()
	if p.Total > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.Total, fmt.Errorf("no time left after %v", p.Total))
		defer cancel()
	}
	var last error // of a try that was not cut short
	for bound, try := float64(p.First), 1; ; try++ {
		err := fn(ctx)
		m, temporary := errors.AsType[marked](err)
		if own, ok := err.(marked); ok {
			err = own.error
		}
		if ctx.Err() != nil && err != nil && last != nil {
			return fmt.Errorf("%w; %w", last, context.Cause(ctx))
		}
		last = err
		wait := m.after + p.jitter(bound)
		if !temporary || try >= p.Tries || p.Total > 0 && time.Since(start)+wait >= p.Total {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; %w", err, context.Cause(ctx))
		case <-time.After(wait):
		}
		bound *= max(p.Factor, 1)
	}
}

// jitter is a random wait below bound and Max.
func (p Policy) jitter(bound float64) time.Duration {
	if p.Max > 0 {
		bound = min(bound, float64(p.Max))
	}
	return time.Duration(rand.Float64() * bound)
}

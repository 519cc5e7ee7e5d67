package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// An Action does one kind of thing. It gets the row as it is in the store; its
// own notes are the row's Baseline.
type Action interface {
	// Look asks the outside, before the action and after a server that was
	// acting has died, whether it is still to be done. An error says that
	// nothing could be learned; it is asked again.
	Look(ctx context.Context, r Row) (Sight, error)

	// Act does it, once. The error is a *Failure where more is known than
	// that it failed for good.
	Act(ctx context.Context, r Row) (Answer, error)

	// Verify says whether what Act was promised has come about: Go when it has.
	Verify(ctx context.Context, r Row) (Sight, error)
}

// A Verdict is what a look ends in.
type Verdict int

// Verdicts of Look and Verify.
const (
	Go      Verdict = iota // Look: do it; Verify: it is done
	Already                // Look: it has happened
	Wait                   // look again later
	Drop                   // it is not wanted any more, or cannot be done here
	Spoiled                // Verify: it ran, and did not do what it should
	Lost                   // nobody can tell whether it ran
)

// A Sight is what Look or Verify saw.
type Sight struct {
	Verdict  Verdict
	Baseline json.RawMessage // nil: as it was
	After    time.Duration   // of Wait
	Text     string          // for people
}

// An Answer is what the other side said to Act.
type Answer struct {
	HTTP     int             // status; 0: not HTTP
	Request  string          // x-openstack-request-id
	Baseline json.RawMessage // nil: as it was
	Text     string
}

// A Fate is what becomes of an action that failed.
type Fate int

// Fates of a Failure.
const (
	Hopeless Fate = iota // it is given up
	Again                // it is tried again
	Unsure               // it broke off in the middle, and nobody can tell
	NotHere              // it is refused: not a failure of the other side
)

// A Failure is why Act did not succeed.
type Failure struct {
	Err   error
	Fate  Fate
	After time.Duration // of Again: not before, as Retry-After asks
	HTTP  int           // status of the answer; 0: none
}

// Error is that of Err.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// failureOf is err as a Failure: one that is none is hopeless.
func failureOf(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	return &Failure{Err: err}
}

var errStopping = errors.New("the server stopped")

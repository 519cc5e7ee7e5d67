package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

// KeystoneOptions say how Keystone is asked.
type KeystoneOptions struct {
	Cloud string // in clouds.yaml, where gophercloud looks for it
	// Lookup reads the secrets of EC2 credentials and verifies here; the login
	// needs a system scope and role reader. Without it each request is shown to
	// Keystone, for which role service is enough.
	Lookup      bool
	Cache       time.Duration     // how old what was read may get; 0: 5 min
	Stale       time.Duration     // the same, while Keystone does not answer; 0: 24 h
	Concurrency int               // requests shown at once; 0: 16
	StackDomain string            // name or id of the domain of Heat's stack users; empty: heat
	Log         *slog.Logger      // nil: none
	Transport   http.RoundTripper // nil: one for the cloud
}

// A Keystone knows who has which EC2 credential.
type Keystone struct {
	Load Load

	options   KeystoneOptions
	asker     *asker
	directory *directory // nil without Lookup
}

// Load counts what Keystone is asked.
type Load struct {
	Known atomic.Int64 // requests with a key of a listing, or read before
	Busy  atomic.Int64 // requests turned away because too many waited
	Calls atomic.Int64

	Strangers atomic.Int64 // requests turned away whose keys were not confirmed before, without Lookup
	Failed    atomic.Int64 // calls without an answer, or with a 5xx
	Waited    atomic.Int64 // nanoseconds, of all calls together
	Last      atomic.Int64 // nanoseconds, of the call that ended last
}

// OpenKeystone reads the login from clouds.yaml. It asks nobody: a Keystone
// that is away now may answer later. The error wraps fs.ErrNotExist where this
// user has no such file, in the working directory, their own or the machine's.
func OpenKeystone(o KeystoneOptions) (*Keystone, error) {
	defaultTo(&o.Cache, 5*time.Minute)
	defaultTo(&o.Stale, 24*time.Hour)
	defaultTo(&o.Concurrency, 16)
	defaultTo(&o.StackDomain, "heat")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s, err := openSession(o)
	if err != nil {
		return nil, err
	}
	k := &Keystone{options: o, asker: newAsker(s, o)}
	s.http.Transport = &meter{s.http.Transport, &k.Load}
	if o.Lookup {
		k.directory = newDirectory(s, o, &k.Load)
	}
	return k, nil
}

func defaultTo[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// run keeps what is known of Keystone's keys fresh until ctx is done.
func (k *Keystone) run(ctx context.Context) {
	if k.directory != nil {
		k.directory.run(ctx)
	}
}

// caller is who made s. An error that is no *Error says that it cannot be told.
func (k *Keystone) caller(ctx context.Context, r *http.Request, s *awsquery.Signature, body []byte) (watch.Caller, error) {
	if len(s.Access) > maxAccess {
		return watch.Caller{}, notKnown()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, askFor, errNoAnswer)
	defer cancel()
	c, err := watch.Caller{}, errDelegated
	if k.directory != nil {
		c, err = k.directory.caller(ctx, s)
	}
	if errors.Is(err, errDelegated) {
		c, err = k.asker.caller(ctx, r, s, body)
	}
	switch {
	case errors.Is(err, errBusy):
		k.Load.Busy.Add(1)
	case errors.Is(err, errStrangers):
		k.Load.Strangers.Add(1)
	}
	return c, err
}

// missing says that Keystone has told nothing since the start: not yet of all
// keys, or not when it was asked about one.
func (k *Keystone) missing() bool {
	if d := k.directory; d != nil {
		d.mu.RLock()
		defer d.mu.RUnlock()
		return d.listed.IsZero()
	}
	s := k.asker.session
	return s.away.Load() && !s.answered.Load()
}

// A meter counts calls and the time they take.
type meter struct {
	http.RoundTripper
	load *Load
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := m.RoundTripper.RoundTrip(r)
	took := int64(time.Since(began))
	m.load.Calls.Add(1)
	m.load.Waited.Add(took)
	m.load.Last.Store(took)
	if err != nil || resp.StatusCode >= http.StatusInternalServerError {
		m.load.Failed.Add(1)
	}
	return resp, err
}

// slow is a call of which three, as a new key can take, last longer than a
// request may wait.
const slow = askFor / 3

// A Status is what an operator is told of Keystone.
type Status struct {
	Lookup  bool          `json:"lookup"`
	Away    bool          `json:"away"`            // it did not answer when it was needed last
	Took    time.Duration `json:"took"`            // the call that ended last, answered or not
	Keys    int           `json:"keys"`            // known, with Lookup
	Listed  time.Time     `json:"listed,omitzero"` // when they were all read last; zero: never
	Waiting int           `json:"waiting"`         // requests being shown, or waiting for it
	Busy    int64         `json:"busy"`            // requests turned away, because too many waited

	Strangers int64 `json:"strangers"` // requests turned away since too many came with keys not confirmed before, without Lookup
}

// Status is how it stands with Keystone now.
func (k *Keystone) Status() Status {
	s := Status{Lookup: k.options.Lookup, Away: k.asker.session.away.Load(), Took: time.Duration(k.Load.Last.Load()),
		Waiting: k.asker.turns.count() + int(k.asker.strangers.Load()), Busy: k.Load.Busy.Load(), Strangers: k.Load.Strangers.Load()}
	if d := k.directory; d != nil {
		d.mu.RLock()
		defer d.mu.RUnlock()
		s.Keys, s.Listed, s.Away = len(d.entries), d.listed, s.Away || d.failing
	}
	return s
}

// String says it in a line.
func (s Status) String() string {
	text := fmt.Sprintf("it verifies each request, %d wait now", s.Waiting)
	if s.Lookup {
		text = fmt.Sprintf("%d keys are known", s.Keys)
		if !s.Listed.IsZero() {
			text += ", all read at " + s.Listed.Local().Format(time.DateTime)
		}
	}
	switch {
	case s.Busy > 0 && s.Lookup:
		text += fmt.Sprintf("; %d requests with unknown keys were turned away since the start", s.Busy)
	case s.Busy > 0:
		text += fmt.Sprintf("; %d were turned away since the start, which is too much for it: see lookup in cfn-watch.conf", s.Busy)
	}
	if s.Strangers > 0 {
		text += fmt.Sprintf("; %d with keys not confirmed before were turned away since the start", s.Strangers)
	}
	switch {
	case s.Away:
		text += "; it does not answer now"
	case s.Took >= slow:
		text += fmt.Sprintf("; it is slow, its last call took %s: who needs several of them is told to come later", s.Took.Round(time.Second))
	}
	return text
}

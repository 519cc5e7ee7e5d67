// Package auth says who sends a request to the alarm server: it verifies
// signatures of version 2 and 4 of the AWS General Reference against the keys
// of a key file, keys that the server issued, and the EC2 credentials of
// Keystone, and it knows requests that come again.
//
// It grants nothing: a Caller's role and stack are for others to heed.
package auth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

// MaxSkew is how far a signature's time may be from the server's, before or
// after: Keystone's auth_ttl by default.
const MaxSkew = 15 * time.Minute

// Codes of refusals, as CloudWatch and heat-api-cfn spell them, beside those
// of awsquery.ReadSignature.
const (
	InvalidClientTokenID  = "InvalidClientTokenId"  // 403: the key is not known, or has expired
	SignatureDoesNotMatch = "SignatureDoesNotMatch" // 403
	RequestExpired        = "RequestExpired"        // 403: the time is too far off; the answer's Date says the right one
	AccessDenied          = "AccessDenied"          // 403: Keystone refuses, or the key's user may do nothing here
	ServiceUnavailable    = "ServiceUnavailable"    // 503: it cannot be told who this is
)

// An Error is a refusal, or says that nobody could be asked. Its message is
// one line and holds no secret.
type Error struct {
	Status     int
	Code       string
	Message    string
	Access     string        // the key that the request names, known or not; empty: none
	RetryAfter time.Duration // of a 503
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// A Key is an access key and who has it. Its pointer should be kept as long as
// the key is: it remembers what was derived of the secret.
type Key struct {
	watch.Caller
	awsquery.Checker
	Expires time.Time // zero: never
}

// Options are where keys are looked up, in the order of the fields. Each may
// be nil.
type Options struct {
	File *KeyFile
	// Issued finds a key that the server itself issued; nil for one that it
	// does not know. An error means that it cannot be told.
	Issued   func(ctx context.Context, access string) (*Key, error)
	Keystone *Keystone
	Log      *slog.Logger // nil: none

	// NotHeard is told, again and again, of those access keys of Fed that only
	// Keystone knows, as long as it has not answered since the start: the guests
	// that had them may be those that nobody can verify now, with other keys.
	// Both may be nil.
	Fed      func() []string
	NotHeard func(access string)
}

// A Verifier verifies requests. It may be used by many at once.
type Verifier struct {
	Counters Counters

	options Options
	file    atomic.Pointer[KeyFile]
	seen    replay
}

// Counters count requests by what became of them.
type Counters struct {
	Accepted   atomic.Int64 // without the replayed
	Replayed   atomic.Int64
	Incomplete atomic.Int64 // no signature, or none that can be read
	Expired    atomic.Int64 // too far from the server's time
	Unknown    atomic.Int64 // of keys
	Mismatched atomic.Int64 // signatures
	Denied     atomic.Int64 // by Keystone or for the user's roles
	Unverified atomic.Int64 // Keystone or the store could not be asked
}

// New makes a Verifier.
func New(o Options) *Verifier {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{options: o, seen: replay{limit: replayLimit}}
	v.UseFile(o.File)
	return v
}

// UseFile has keys looked up in another file from now on; nil: in none.
func (v *Verifier) UseFile(f *KeyFile) { v.file.Store(f) }

// A Pass is a request whose signature is right.
type Pass struct {
	watch.Caller
	// Replayed says that the same signature was seen before and its request
	// answered well, or is being answered: what it asks for has been done.
	Replayed bool

	verifier *Verifier
	hash     uint64
}

// Done must be called once with whether the request was answered 2xx. One that
// was not may come again with the same signature.
func (p *Pass) Done(ok bool) {
	if !ok && !p.Replayed {
		p.verifier.seen.forget(p.hash)
	}
}

// Verify tells who signed a request that arrived at a time; body is the whole
// body as it came, compressed if it was. Errors are of type *Error. A key of
// Keystone that is not known yet may take up to 25 s, or until ctx is done.
func (v *Verifier) Verify(ctx context.Context, r *http.Request, body []byte, arrived time.Time) (*Pass, error) {
	s, err := awsquery.ReadSignature(r, body)
	if err != nil {
		v.Counters.Incomplete.Add(1)
		if e, ok := errors.AsType[*awsquery.Error](err); ok {
			return nil, &Error{Status: e.Status, Code: e.Code, Message: e.Message}
		}
		return nil, &Error{Status: http.StatusBadRequest, Code: awsquery.IncompleteSignature, Message: err.Error()}
	}
	caller, err := v.caller(ctx, r, s, body, arrived)
	if err != nil {
		e := *refusal(err)
		if len(s.Access) <= maxAccess {
			e.Access = s.Access
		}
		v.count(&e)
		return nil, &e
	}
	hash := binary.BigEndian.Uint64(s.Value[:])
	p := &Pass{Caller: caller, Replayed: v.seen.claim(hash, arrived), verifier: v, hash: hash}
	if p.Replayed {
		v.Counters.Replayed.Add(1)
	} else {
		v.Counters.Accepted.Add(1)
	}
	return p, nil
}

// maxAccess bounds what is passed on of a key's id that nobody may know;
// Keystone's have 32 characters.
const maxAccess = 128

func (v *Verifier) count(e *Error) {
	counter := map[string]*atomic.Int64{
		awsquery.IncompleteSignature: &v.Counters.Incomplete,
		RequestExpired:               &v.Counters.Expired,
		InvalidClientTokenID:         &v.Counters.Unknown,
		SignatureDoesNotMatch:        &v.Counters.Mismatched,
		AccessDenied:                 &v.Counters.Denied,
		ServiceUnavailable:           &v.Counters.Unverified,
	}[e.Code]
	counter.Add(1)
}

// caller is who made s.
func (v *Verifier) caller(ctx context.Context, r *http.Request, s *awsquery.Signature, body []byte, arrived time.Time) (watch.Caller, error) {
	if s.Time.IsZero() {
		return watch.Caller{}, &Error{Status: http.StatusBadRequest, Code: awsquery.IncompleteSignature, Message: "the request has no Timestamp"}
	}
	if skew := s.Time.Sub(arrived); skew.Abs() > MaxSkew {
		return watch.Caller{}, expired(skew)
	}
	key, err := v.find(ctx, s.Access)
	switch {
	case err != nil:
		return watch.Caller{}, err
	case key != nil && !key.Expires.IsZero() && !arrived.Before(key.Expires):
		return watch.Caller{}, unknown("the access key has expired")
	case key != nil && !key.Made(s):
		return watch.Caller{}, mismatch()
	case key != nil:
		return key.Caller, nil
	case v.options.Keystone == nil:
		return watch.Caller{}, unknown("the access key is not known")
	}
	return v.options.Keystone.caller(ctx, r, s, body)
}

// refusal is what a request is told of err: that it cannot be verified, where
// err is no refusal.
func refusal(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return unavailable("it cannot be told now whose the access key is")
}

// Run follows the key file and what Keystone knows until ctx is done.
func (v *Verifier) Run(ctx context.Context) {
	var keystone sync.WaitGroup
	defer keystone.Wait()
	if v.options.Keystone != nil {
		keystone.Go(func() { v.options.Keystone.run(ctx) })
	}
	tick, tell := time.NewTicker(time.Second), time.NewTicker(tellEvery)
	defer tick.Stop()
	defer tell.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tell.C:
			v.tellNotHeard(ctx)
		case <-tick.C:
			if f := v.file.Load(); f != nil {
				f.follow()
			}
		}
	}
}

// tellEvery is less than any silence that an alarm allows.
const tellEvery = 5 * time.Second

func (v *Verifier) tellNotHeard(ctx context.Context) {
	k := v.options.Keystone
	if k == nil || v.options.Fed == nil || v.options.NotHeard == nil || !k.missing() {
		return
	}
	for _, access := range v.options.Fed() {
		key, err := v.find(ctx, access)
		if err != nil {
			return
		}
		if key == nil {
			v.options.NotHeard(access)
		}
	}
}

// find looks a key up in what is at hand; nil: not there.
func (v *Verifier) find(ctx context.Context, access string) (*Key, error) {
	if f := v.file.Load(); f != nil {
		if key := f.find(access); key != nil {
			return key, nil
		}
	}
	if v.options.Issued == nil {
		return nil, nil
	}
	key, err := v.options.Issued(ctx, access)
	if err != nil {
		err = fmt.Errorf("look up an issued key: %w", err)
		v.options.Log.Error("request not verified", "err", err)
		return nil, err
	}
	return key, nil
}

func expired(skew time.Duration) *Error {
	direction := "behind"
	if skew > 0 {
		direction = "ahead of"
	}
	return &Error{Status: http.StatusForbidden, Code: RequestExpired, Message: fmt.Sprintf(
		"the request was signed by a clock %s %s the server's, more than %s: see the header Date", skew.Abs().Round(time.Second), direction, MaxSkew)}
}

func unknown(message string) *Error {
	return &Error{Status: http.StatusForbidden, Code: InvalidClientTokenID, Message: message}
}

func mismatch() *Error {
	return &Error{Status: http.StatusForbidden, Code: SignatureDoesNotMatch, Message: "the signature is not the one that the key's secret makes of this request"}
}

func denied(message string) *Error {
	return &Error{Status: http.StatusForbidden, Code: AccessDenied, Message: message}
}

// retryAfter is when to come again where nobody could be asked.
const retryAfter = 30 * time.Second

func unavailable(message string) *Error {
	return &Error{Status: http.StatusServiceUnavailable, Code: ServiceUnavailable, Message: message, RetryAfter: retryAfter}
}

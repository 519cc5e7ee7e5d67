// Package api serves the CloudWatch API (version 2010-08-01) over HTTP in the
// three protocols that its clients speak: AWS Query with XML answers, AWS JSON
// 1.0, and Smithy RPC v2 with CBOR. Whatever the protocol, an action gets the
// same request type, and its answer or error goes back in the protocol that
// was asked in.
//
// Metrics and alarms live in the engine of package watch; who calls is package
// auth's to say. Here are the wire forms, the limits on size and rate, and who
// may ask for what.
//
// Forms and limits follow the CloudWatch API reference and the Smithy
// specifications of awsQuery, awsJson1_0 and rpcv2Cbor with awsQueryCompatible.
// The dimension AlarmName, which old Heat's alarm server read, names the alarm
// that a datum is for.
package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// Verify says who sends a request: (*auth.Verifier).Verify. body is what was
// signed, arrived when the request came.
type Verify func(ctx context.Context, r *http.Request, body []byte, arrived time.Time) (*auth.Pass, error)

// Options of a Handler. The zero value of each is its default.
type Options struct {
	Log        *slog.Logger // nil: none
	RatePerKey float64      // requests a second of one access key [200]
	// May says what is wrong with an alarm's actions and target, for what its
	// origin may ask for; nil lets all pass.
	May func(watch.Alarm) error
	// Conceal is how an action is shown to those who may only read, and one of
	// the operator's rules to all: without what would let them run it. nil: as
	// it is.
	Conceal func(action string) string

	BurstPerKey    int     // of them at once [1,000]
	RatePerProject float64 // requests a second of all keys of a project [5,000]
}

// A Handler serves the API.
type Handler struct {
	Counters Counters

	engine  *watch.Engine
	verify  Verify
	log     *slog.Logger
	may     func(watch.Alarm) error
	conceal func(action string) string
	rates   *rates
	changes *rates // of what writes the history

	// changing is held by each change of alarms, from before it reads what is
	// there: of two at once none is lost. The engine stores one at a time as well.
	changing sync.Mutex

	pushes  *slots // apart from others: those wait for the store
	others  *slots
	bodies  *slots // large ones, while they come: before it is known whose they are
	hearing hearing
}

// Counters count pushes of known keys by what became of them; auth's Counters
// have the rest.
type Counters struct {
	Taken      atomic.Int64
	Refused    atomic.Int64 // what they say is wrong
	Throttled  atomic.Int64 // over the rate of their key or project
	Overloaded atomic.Int64 // the server had too much to do
}

// New makes a Handler for an engine.
func New(engine *watch.Engine, verify Verify, o Options) *Handler {
	h := &Handler{
		engine: engine, verify: verify, log: o.Log, may: o.May, conceal: o.Conceal,
		rates: newRates(o.requests()), changes: newRates(changeLimits), pushes: newSlots(atOnce()), others: newSlots(atOnce()), bodies: newSlots(maxBodies),
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.may == nil {
		h.may = func(watch.Alarm) error { return nil }
	}
	if h.conceal == nil {
		h.conceal = func(action string) string { return action }
	}
	return h
}

// Limit takes over RatePerKey, BurstPerKey and RatePerProject, and nothing else
// of o.
func (h *Handler) Limit(o Options) { h.rates.limit(o.requests()) }

// A call is one request on its way through the server.
type call struct {
	*http.Request
	protocol protocol
	id       string // that the client is told
	name     string // of the action
	arrived  time.Time
	body     []byte // as it came, and then plain
	caller   watch.Caller

	throttled error // of a push that is over its rate
	heard     bool  // the engine has had the samples of a push
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Request: r, protocol: protocolOf(r), id: newID(), arrived: time.Now()}
	out, done, err := h.serve(w, c)
	if err != nil {
		e := asError(err)
		// Who cannot be verified is told so push by push; the log has it once, from auth.
		if _, unverified := errors.AsType[*auth.Error](err); e.Status >= http.StatusInternalServerError && !unverified {
			h.log.Error("request not served", "action", c.name, "project", c.caller.Project, "id", c.id, "err", err)
		}
		c.protocol.refuse(w, c.id, e)
	} else {
		c.protocol.answer(w, c.name, c.id, out)
	}
	done(err == nil)
}

// serve does what a request asks for. done is to be told, once the answer is
// out, whether it was a success.
func (h *Handler) serve(w http.ResponseWriter, c *call) (out any, done func(ok bool), err error) {
	done = func(bool) {}
	if !served(c.URL.Path) {
		return nil, done, &Error{Status: 404, Code: "InvalidAction", Message: "nothing is here: the API is at / and at /v1"}
	}
	_, query := c.protocol.(*queryProtocol)
	if c.Method != http.MethodPost && (c.Method != http.MethodGet || !query) {
		w.Header().Set("Allow", http.MethodPost)
		return nil, done, &Error{Status: 405, Code: "InvalidAction", Message: "the method " + c.Method + " is not served: use POST"}
	}
	if c.body, err = h.bodyOf(w, c); err != nil {
		return nil, done, err
	}
	pass, err := h.verify(c.Context(), c.Request, c.body, c.arrived)
	if err != nil {
		if e, ok := errors.AsType[*auth.Error](err); ok && e.Access != "" && c.mayPush() {
			h.engine.SignOfLife(c.arrived, e.Access)
		}
		return nil, done, err
	}
	c.caller = pass.Caller
	out, err = h.do(c, pass)
	return out, pass.Done, err
}

// do does what a verified request asks for, once there is room to.
func (h *Handler) do(c *call, pass *auth.Pass) (any, error) {
	slots, push := h.others, c.mayPush()
	if push {
		slots = h.pushes
	}
	in, crowded := slots.enter(c.caller.Project)
	if in == nil {
		if push {
			h.Counters.Overloaded.Add(1)
			h.engine.SignOfLife(c.arrived, c.caller.Access)
		}
		if push && crowded {
			h.heard(false)
		}
		return nil, overloaded()
	}
	defer slots.leave(in)
	out, err := h.act(c, pass)
	if push {
		h.heard(true)
	}
	if push && !pass.Replayed && !c.caller.OfServer() {
		h.count(c, err)
	}
	return out, err
}

// act decodes a request and does it.
func (h *Handler) act(c *call, pass *auth.Pass) (any, error) {
	c.throttled = h.rates.take(c.caller, 1, time.Now())
	var err error
	if c.body, err = plain(c.Request, c.body); err != nil {
		return nil, err
	}
	if c.name, err = c.protocol.action(c.Request, c.body); err != nil {
		return nil, err
	}
	a, err := actionOf(c.name)
	switch {
	case err != nil:
		return nil, err
	case !a.allows(c.caller.Role):
		return nil, denied(c)
	case c.name == pushAction && pass.Replayed:
		return &nothing{}, nil // done already, when it came first
	case a.least == watch.Member && pass.Replayed:
		return nil, replayed()
	case c.name != pushAction && c.throttled != nil:
		return nil, c.throttled
	}
	return a.do(h, c)
}

// count counts a push by what became of it. One that is not taken is no datum,
// and still a sign that its sender lives.
func (h *Handler) count(c *call, err error) {
	switch {
	case !c.mayPush(): // it was compressed, and something else
	case err == nil:
		h.Counters.Taken.Add(1)
	case c.throttled != nil:
		h.Counters.Throttled.Add(1)
	default:
		h.Counters.Refused.Add(1)
	}
	if err != nil && !c.heard && c.mayPush() {
		h.engine.SignOfLife(c.arrived, c.caller.Access)
	}
}

// heard counts a push of a known key for whether the server can hear at all.
func (h *Handler) heard(ok bool) {
	now := time.Now()
	if h.hearing.count(ok, now) {
		h.engine.Deaf(now, "more than half of the pushes were refused for overload, for "+deafAfter.String())
	}
}

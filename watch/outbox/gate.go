package outbox

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Reply is what a gate says to a row.
type Reply struct {
	Gate    string  // g1 to g10, or what else holds messages
	Verdict Passage // may it go?
	Cause   string  // why not: the same words as long as it is the same cause
	Detail  string  // its numbers, which may change from look to look
	Until   time.Time
	Tell    bool // the operator, of a refusal
}

// A Passage is whether a gate lets a row go.
type Passage int

// Passages.
const (
	pass   Passage = iota
	hold           // not now; asked again at Until, or after recheck
	refuse         // never
)

// recheck is when a gate that cannot tell how long it holds is asked again.
const recheck = 30 * time.Second

// A lookout is what the gates know at one moment, asked for once for all rows
// that are due.
type lookout struct {
	o         *Outbox
	now       time.Time
	suspended []Suspension
}

func (o *Outbox) lookout(ctx context.Context, now time.Time) (*lookout, error) {
	s, err := o.Store.Suspensions(ctx, now)
	return &lookout{o: o, now: now, suspended: s}, err
}

// ask asks the gates of a row in their order until one does not let it go.
func (l *lookout) ask(ctx context.Context, r *Row) (Reply, error) {
	n, err := ParseName(r.Action)
	switch {
	case err != nil:
		return Reply{Verdict: refuse, Cause: err.Error(), Tell: true}, nil
	case l.o.Actions[n.Kind] == nil:
		return Reply{Verdict: refuse, Cause: noAction(r.Action), Tell: true}, nil
	case !r.Rough:
		return l.message(r), nil
	}
	for _, gate := range []func(context.Context, *Row) (Reply, error){l.switchedOff, l.target, l.budgets} {
		if reply, err := gate(ctx, r); err != nil || reply.Verdict != pass {
			return reply, err
		}
	}
	return Reply{}, nil
}

// message asks what a message passes: suspensions, and its endpoint's breaker.
func (l *lookout) message(r *Row) Reply {
	if s := l.suspension(r); s != nil {
		return s.hold()
	}
	if until, open := l.o.breakers.open(endpointOf(r.Action), l.now); open {
		return Reply{Gate: "breaker", Verdict: hold, Cause: endpointOf(r.Action) + " does not answer", Until: until}
	}
	return Reply{}
}

func (l *lookout) suspension(r *Row) *Suspension {
	for i := range l.suspended {
		if l.suspended[i].covers(r) {
			return &l.suspended[i]
		}
	}
	return nil
}

// switchedOff is g1.
func (l *lookout) switchedOff(_ context.Context, r *Row) (Reply, error) {
	if s := l.suspension(r); s != nil {
		return s.hold(), nil
	}
	if l.o.DryRun {
		return Reply{Gate: "g1", Verdict: refuse, Cause: "dry run: nothing is done"}, nil
	}
	return Reply{}, nil
}

// target is g4: one action in flight on a target.
func (l *lookout) target(ctx context.Context, r *Row) (Reply, error) {
	t, err := l.o.Store.Tally(ctx, TallyQuery{Object: r.Object, Since: l.now, Except: r.Key})
	if err == nil && t.InFlight > 0 {
		return Reply{Gate: "g4", Verdict: hold, Cause: "another action on " + r.Object + " is under way", Until: l.now.Add(deferral)}, nil
	}
	return Reply{}, err
}

// answered is what is written of a row that a gate did not let go.
func (o *Outbox) answered(now time.Time, r Row, a Reply) []Change {
	c := Change{Row: r, Owner: r.Claim}
	reason := strings.TrimSuffix(a.Cause+": "+a.Detail, ": ")
	changed := r.Gate != a.Gate || !strings.HasPrefix(r.Why, a.Cause) || a.Verdict == refuse
	c.Row.Claim, c.Row.Lease = "", time.Time{}
	c.Row.Gate, c.Row.Why = a.Gate, reason
	if changed {
		c.Row.Since, c.Row.Told = now, false
	}
	if a.Verdict == refuse {
		c.Row.Status = Refused
		c.Row.note(Step{At: now, Status: Refused, Text: named(a.Gate, reason)})
		c.Events = []watch.Event{event(c.Row, watch.Gate, now, "refused: "+named(a.Gate, reason))}
		if a.Tell {
			return append([]Change{c}, o.tell(c.Row, "refused", now, "refused: "+reason)...)
		}
		return []Change{c}
	}
	c.Row.Status = Held
	c.Row.Next = a.Until
	if !a.Until.After(now) {
		c.Row.Next = now.Add(recheck)
	}
	if changed {
		c.Row.note(Step{At: now, Status: Held, Text: named(a.Gate, reason)})
		c.Events = []watch.Event{event(c.Row, watch.Gate, now, "held: "+named(a.Gate, reason))}
	}
	return o.longHeld(now, c)
}

// longHeld tells the operator, once, of a rough action that is held for long.
func (o *Outbox) longHeld(now time.Time, c Change) []Change {
	if !c.Row.Rough || c.Row.Told || o.Gates.HoldFor == 0 || now.Sub(c.Row.Since) < o.Gates.HoldFor {
		return []Change{c}
	}
	c.Row.Told = true
	return append([]Change{c}, o.tell(c.Row, "held", now, fmt.Sprintf("held for %s: %s", now.Sub(c.Row.Since).Round(time.Minute), c.Row.Why))...)
}

func named(gate, reason string) string {
	if gate == "" {
		return reason
	}
	return gate + ": " + reason
}

// event is an entry of the history about a row.
func event(r Row, kind watch.EventKind, now time.Time, text string) watch.Event {
	summary := []rune(Shown(r.Action) + ": " + text)
	if len(summary) > 255 {
		summary = append(summary[:252], '.', '.', '.')
	}
	return watch.Event{At: now, Kind: kind, Project: r.Project, Alarm: r.Alarm, Target: r.Object, Key: r.Key, Summary: string(summary)}
}

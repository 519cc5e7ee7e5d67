package outbox

import (
	"context"
	"fmt"
	"iter"
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
	Shared  bool // of a hold: the cause is not the row's own, but of any number of rows
}

// reason is the cause and its numbers.
func (r Reply) reason() string { return strings.TrimSuffix(r.Cause+": "+r.Detail, ": ") }

// A Passage is whether a gate lets a row go.
type Passage int

// Passages.
const (
	Pass   Passage = iota
	Hold           // not now; asked again at Until, or after recheck
	Refuse         // never
)

// recheck is when a gate that cannot tell how long it holds is asked again.
const recheck = 30 * time.Second

// breakerGate holds messages to an endpoint that does not answer.
const breakerGate = "breaker"

// justDeaf is how long after it was deaf the server counts as deaf still: what
// was on its way then arrives in this time.
const justDeaf = 5 * time.Second

// An Engine is what the gates ask about alarms: a *watch.Engine.
type Engine interface {
	ViewID(now time.Time, id int64) (watch.View, bool)
	View(now time.Time, project, name string) (watch.View, bool)
	Each(now time.Time, c watch.Caller, q watch.AlarmQuery) iter.Seq[watch.View]
	Census(domain string, now time.Time) watch.Census
	Listening() time.Time
	Hears(now time.Time) bool
	Refused(now time.Time) []watch.Refused
	LeaveOut(id int64, out bool)
}

var _ Engine = (*watch.Engine)(nil)

// A Witness answers for gates that only the cloud can: g4 on the age of a
// server, g6, g8, g9 and g10. An error says that it could not be asked.
type Witness func(ctx context.Context, gate string, r Row, v watch.View) (Reply, error)

// A lookout is what the gates know at one moment, asked for once for all rows
// that are due.
type lookout struct {
	o         *Outbox
	*Settings // as they were then
	now       time.Time
	set       time.Time // when the clock was, or the outbox began
	suspended []Suspension
	stormy    map[string]storm // by domain
	events    []watch.Event    // of storms that were seen to begin or to end
	begun     int              // rough rows that it let go, and that do not say so yet
}

func (o *Outbox) lookout(ctx context.Context, now time.Time) (*lookout, error) {
	s, err := o.Store.Suspensions(ctx, now)
	o.mu.Lock()
	set := o.clockSet
	o.mu.Unlock()
	return &lookout{o: o, Settings: o.settings.Load(), now: now, set: set, suspended: s, stormy: map[string]storm{}}, err
}

// A candidate is a row before the gates.
type candidate struct {
	*Row
	view  watch.View
	known bool // the alarm is still there
}

// ask asks the gates of a row in their order until one does not let it go.
func (l *lookout) ask(ctx context.Context, r *Row) (Reply, error) {
	n, err := ParseName(r.Action)
	switch {
	case err != nil:
		return Reply{Verdict: Refuse, Cause: err.Error(), Tell: true}, nil
	case l.Actions[n.Kind] == nil:
		return Reply{Verdict: Refuse, Cause: noAction(r.Action), Tell: true}, nil
	}
	c := candidate{Row: r}
	c.view, c.known = l.o.Engine.ViewID(l.now, r.AlarmID)
	if !r.Rough {
		return l.message(c, n), nil
	}
	for _, gate := range l.gates(c) {
		reply, err := gate(ctx)
		if err != nil {
			return reply, err
		}
		if reply.Verdict == Pass {
			continue
		}
		// What is held though its alarm has changed would be refused in the end:
		// it is at once, so that what is held is what would be done.
		if late := l.outdated(c); reply.Verdict == Hold && late.Verdict == Refuse {
			return late, nil
		}
		return reply, nil
	}
	return Reply{}, nil
}

// gates are those of rough actions, g1 to g10.
func (l *lookout) gates(c candidate) []func(context.Context) (Reply, error) {
	own := func(f func(candidate) Reply) func(context.Context) (Reply, error) {
		return func(context.Context) (Reply, error) { return f(c), nil }
	}
	stored := func(f func(context.Context, candidate) (Reply, error)) func(context.Context) (Reply, error) {
		return func(ctx context.Context) (Reply, error) { return f(ctx, c) }
	}
	witness := func(gate string) func(context.Context) (Reply, error) {
		return func(ctx context.Context) (Reply, error) {
			if l.o.Witness == nil {
				return Reply{}, nil
			}
			reply, err := l.o.Witness(ctx, gate, *c.Row, c.view)
			if err != nil {
				return Reply{Gate: gate, Verdict: Hold, Shared: true, Cause: "the cloud cannot be asked", Detail: err.Error()}, nil
			}
			return reply, nil
		}
	}
	return []func(context.Context) (Reply, error){
		own(l.switchedOff), own(l.deaf), own(l.storm), stored(l.target), witness("g4"), stored(l.budgets),
		witness("g6"), own(l.wanted), witness("g8"), witness("g9"), witness("g10"),
	}
}

// message asks what a message passes: suspensions, its endpoint's breaker, and
// for a signal to a scaling policy whether it still says what is so: late, it
// would scale for nothing.
func (l *lookout) message(c candidate, n Name) Reply {
	if n.Kind == Signal && isPolicy(n.Argument) && !c.Trial {
		switch age := l.now.Sub(c.Born); {
		case !c.known || c.view.Number > c.Number:
			return Reply{Gate: "g7", Verdict: Refuse, Cause: "a signal to a policy comes too late: the alarm has changed"}
		case age > c.Span:
			return Reply{Gate: "g7", Verdict: Refuse, Cause: "a signal to a policy comes too late", Detail: fmt.Sprintf("after %s, of %s", age.Round(time.Second), c.Span)}
		}
	}
	if s := l.suspension(c); s != nil {
		return s.hold()
	}
	if left, open := l.o.breakers.open(c.endpoint(), time.Now()); open {
		return Reply{Gate: breakerGate, Verdict: Hold, Cause: endpointOf(c.Action) + " does not answer", Until: l.now.Add(left)}
	}
	return Reply{}
}

func (l *lookout) suspension(c candidate) *Suspension {
	for i := range l.suspended {
		if l.suspended[i].covers(c.Project, c.Alarm, c.Object, c.Stack, c.view.StackID) {
			return &l.suspended[i]
		}
	}
	return nil
}

// switchedOff is g1.
func (l *lookout) switchedOff(c candidate) Reply {
	if s := l.suspension(c); s != nil {
		return s.hold()
	}
	if l.DryRun {
		return Reply{Gate: "g1", Verdict: Refuse, Cause: "dry run: nothing is done"}
	}
	if c.known && !c.view.ActionsEnabled && !c.Trial {
		return Reply{Gate: "g1", Verdict: Refuse, Cause: "the alarm's actions are switched off"}
	}
	return Reply{}
}

// deaf is g2: what was not heard is no silence.
func (l *lookout) deaf(c candidate) Reply {
	if c.Trial {
		return Reply{}
	}
	since := l.o.Engine.Listening()
	if since.After(l.now) { // the clock was set back, which the engine has not seen yet
		since = l.now
	}
	if l.now.Sub(since) < justDeaf {
		return Reply{Gate: "g2", Verdict: Hold, Shared: true, Cause: "the server could not hear until now", Until: since.Add(justDeaf)}
	}
	if !c.ofSilence() {
		return Reply{}
	}
	if until := c.view.Heard.Add(c.view.Silence()); l.now.Before(until) {
		return Reply{Gate: "g2", Verdict: Hold, Shared: true, Until: until, Cause: "not listened for long enough to know silence",
			Detail: fmt.Sprintf("since %s, of %s", clock(c.view.Heard), c.view.Silence())}
	}
	if c.view.Silent && c.view.Fed && !c.view.Overdue { // storms are counted with each tick
		return Reply{Gate: "g2", Verdict: Hold, Shared: true, Until: l.now.Add(time.Second), Cause: "silent, and not yet counted with others"}
	}
	return Reply{}
}

// ofSilence says that the action is wanted because a guest is not heard.
func (c candidate) ofSilence() bool {
	return c.known && c.To == watch.Firing && c.view.Presence()
}

// target is g4: one action in flight on a target, and time for the last one to
// show its effect, which also one may have that failed. An action for which its
// own alarm fired anew came after the target was back.
func (l *lookout) target(ctx context.Context, c candidate) (Reply, error) {
	t, err := l.o.Store.Tally(ctx, TallyQuery{Object: c.Object, Since: l.now, Except: c.Key})
	if err != nil {
		return Reply{}, err
	}
	if t.InFlight > 0 {
		return Reply{Gate: "g4", Verdict: Hold, Cause: "another action on " + c.Object + " is under way", Until: l.now.Add(deferral)}, nil
	}
	last, err := l.o.Store.Rows(ctx, RowQuery{Object: c.Object, Begun: true, Limit: 20})
	if err != nil {
		return Reply{}, err
	}
	for _, r := range last {
		if r.Began.IsZero() || r.Forgiven || r.Key == c.Key {
			continue
		}
		if r.Began.After(l.now) { // by a clock that was set back since
			r.Began = l.set
		}
		if until := l.settled(r, c); l.now.Before(until) {
			return Reply{Gate: "g4", Verdict: Hold, Until: until, Cause: fmt.Sprintf("%s of %s may still take effect", Shown(r.Action), clock(r.Began))}, nil
		}
	}
	return Reply{}, nil
}

// settled is until when an action that began may take to show its effect:
// until its alarm is OK, or the boot grace and what its alarm needs to see it.
func (l *lookout) settled(done Row, c candidate) time.Time {
	v, known := l.o.Engine.ViewID(l.now, done.AlarmID)
	if !known || done.AlarmID == c.AlarmID && c.Number > done.Number || v.State == watch.OK && v.Since.After(done.Began) {
		return time.Time{}
	}
	sight := done.Span
	if v.Presence() {
		sight = v.Silence()
	}
	return done.Began.Add(l.Gates.BootGrace + sight)
}

// wanted is g7: the state that wanted the action is still the alarm's, and what
// it says still so. A guest that is heard again ends nothing before the store has
// that its alarm is OK: should the server die first, and the guest too, no other
// transition would ask for it.
func (l *lookout) wanted(c candidate) Reply {
	if reply := l.outdated(c); reply.Verdict != Pass || c.Trial || !c.ofSilence() || c.view.Silent {
		return reply
	}
	return Reply{Gate: "g7", Verdict: Hold, Cause: "the guest is heard again", Until: l.now.Add(time.Second)}
}

// outdated is the part of g7 that needs nothing but the alarm's number.
func (l *lookout) outdated(c candidate) Reply {
	no := func(cause string, tell bool) Reply {
		return Reply{Gate: "g7", Verdict: Refuse, Cause: cause, Tell: tell}
	}
	switch {
	case c.Trial:
		return Reply{}
	case !c.known:
		return no("the alarm was deleted", false)
	case c.view.Number < c.Number: // stored, and not visible yet
		return Reply{Gate: "g7", Verdict: Hold, Cause: "the state is being stored", Until: l.now.Add(time.Second)}
	case c.view.Number > c.Number:
		return no(fmt.Sprintf("the alarm is no longer in that %s", c.To), false)
	case c.view.Revision != c.Revision:
		return no("the alarm's definition was changed", c.view.State == watch.Firing)
	}
	return Reply{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// clock is a time for people.
func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// answered is what is written of a row that a gate did not let go.
func (o *Outbox) answered(now time.Time, r Row, a Reply) []Change {
	c := Change{Row: r, Owner: r.Claim}
	if a.Gate == breakerGate { // of the endpoint, and no news about the row
		c.Row.Status, c.Row.Gate, c.Row.Next, c.Row.Claim, c.Row.Lease = Held, a.Gate, a.Until, "", time.Time{}
		return []Change{c}
	}
	reason := a.reason()
	holdFor := o.settings.Load().Gates.HoldFor
	changed := r.Gate != a.Gate || !strings.HasPrefix(r.Why, a.Cause) || a.Verdict == Refuse
	c.Row.Claim, c.Row.Lease = "", time.Time{}
	if a.Gate != stormGate {
		c.Row.noteStorm()
	}
	c.Row.Gate, c.Row.Why = a.Gate, reason
	if changed {
		c.Row.Since, c.Row.Told = now, false
	}
	if a.Gate == "g8" && a.Verdict == Hold && c.Row.Gate == r.Gate && holdFor > 0 && now.Sub(c.Row.Since) >= holdFor {
		return o.gaveUp(now, c)
	}
	if a.Verdict == Refuse {
		c.Row.Status = Refused
		c.Row.note(Step{At: now, Status: Refused, Text: named(a.Gate, reason)})
		c.Events = []watch.Event{event(c.Row, watch.Gate, now, "refused: "+named(a.Gate, reason))}
		if a.Tell {
			return append([]Change{c}, o.tell(c.Row, "refused", now, "refused: "+reason)...)
		}
		return []Change{c}
	}
	c.Row.Status = Held
	c.Row.Next = now.Add(recheck)
	if !a.Until.IsZero() {
		c.Row.Next = later(a.Until, now.Add(time.Millisecond))
	}
	if a.Gate == stormGate {
		return heldByStorm(r, c)
	}
	if changed {
		c.Row.note(Step{At: now, Status: Held, Text: named(a.Gate, reason)})
		c.Events = []watch.Event{event(c.Row, watch.Gate, now, "held: "+named(a.Gate, reason))}
	}
	return o.longHeld(now, c, a)
}

// gaveUp ends a row for which no second witness came.
func (o *Outbox) gaveUp(now time.Time, c Change) []Change {
	text := fmt.Sprintf("held for %s: %s", now.Sub(c.Row.Since).Round(time.Minute), c.Row.Why)
	c.Row.Status = GaveUp
	c.Row.note(Step{At: now, Status: GaveUp, Text: text})
	c.Events = []watch.Event{event(c.Row, watch.Gate, now, "gave up: "+text)}
	return append([]Change{c}, o.tellOfEnd(c.Row)...)
}

// longHeld tells the operator, once, of a rough action that is held for long.
// Of a cause that holds many he is told once a day.
func (o *Outbox) longHeld(now time.Time, c Change, a Reply) []Change {
	holdFor := o.settings.Load().Gates.HoldFor
	if !c.Row.Rough || c.Row.Told || holdFor == 0 {
		return []Change{c}
	}
	if long := c.Row.Since.Add(holdFor); now.Before(long) {
		if long.Before(c.Row.Next) {
			c.Row.Next = long
		}
		return []Change{c}
	}
	c.Row.Told = true
	text := fmt.Sprintf("held for %s: %s", now.Sub(c.Row.Since).Round(time.Minute), c.Row.Why)
	if !a.Shared {
		return append([]Change{c}, o.tell(c.Row, "held", now, text)...)
	}
	notice := o.tell(c.Row, "held", now, text+": \"cfn-watch actions\" lists what else is held")
	for i := range notice {
		notice[i].Row.Key = strings.Join([]string{"notice|held", a.Gate, a.Cause, now.UTC().Format(time.DateOnly)}, "|")
	}
	return append([]Change{c}, notice...)
}

func named(gate, reason string) string {
	if gate == "" {
		return reason
	}
	return gate + ": " + reason
}

// event is an entry of the history about a row.
func event(r Row, kind watch.EventKind, now time.Time, text string) watch.Event {
	return watch.Event{At: now, Kind: kind, Project: r.Project, Alarm: r.Alarm, Target: r.Object, Key: r.Key, Summary: clip(Shown(r.Action) + ": " + text)}
}

// clip bounds a line of the history.
func clip(text string) string {
	if line := []rune(text); len(line) > 255 {
		return string(line[:252]) + "..."
	}
	return text
}

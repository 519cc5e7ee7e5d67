package outbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Scope is what kind of thing a suspension is of.
type Scope string

// Scopes of suspensions.
const (
	OfAlarm   Scope = "alarm"   // Name in Project
	OfTarget  Scope = "target"  // Name is a row's Object
	OfStack   Scope = "stack"   // Name or id, in Project if that is set
	OfProject Scope = "project" // Name
	OfHost    Scope = "host"    // Name
	OfAll     Scope = "all"
)

// A Suspension holds actions until an operator resumes or its time is over.
type Suspension struct {
	ID      int64     `json:"id"`
	Scope   Scope     `json:"scope"`
	Project string    `json:"project,omitempty"` // of an alarm or a stack; empty: any
	Name    string    `json:"name,omitempty"`
	Owner   string    `json:"owner"` // who asked for it
	Reason  string    `json:"reason,omitempty"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // zero: until resumed
}

// covers says that a suspension holds the actions of an alarm on an object.
// Stack is what the alarm has as its stack.
func (s Suspension) covers(project, alarm, object string, stacks ...string) bool {
	if s.Scope != OfProject && s.Project != "" && s.Project != project {
		return false
	}
	switch s.Scope {
	case OfAll:
		return true
	case OfProject:
		return s.Name == project
	case OfAlarm:
		return s.Name == alarm
	case OfTarget:
		return s.Name == object
	case OfStack:
		return s.Name != "" && slices.Contains(stacks, s.Name)
	}
	return false
}

// hold is what g1 says of a suspended row.
func (s Suspension) hold() Reply {
	cause := "suspended by " + s.Owner
	if s.Reason != "" {
		cause += " (" + s.Reason + ")"
	}
	if !s.Until.IsZero() {
		cause += " until " + s.Until.UTC().Format(time.RFC3339)
	}
	return Reply{Gate: "g1", Verdict: Hold, Shared: true, Cause: cause, Until: s.Until}
}

// Suspend holds actions, of messages too, until Resume or Until.
func (o *Outbox) Suspend(ctx context.Context, s Suspension) (Suspension, error) {
	s.Since = o.now()
	if err := s.check(); err != nil {
		return s, err
	}
	until := "until resumed"
	if !s.Until.IsZero() {
		until = "until " + s.Until.UTC().Format(time.RFC3339)
	}
	return o.Store.Suspend(ctx, s, s.event(s.Since, fmt.Sprintf("%s suspended %s %s: %s", s.Owner, s, until, s.Reason)))
}

// Resume ends the suspensions of one scope and name, and returns how many there
// were. An empty project ends those of all.
func (o *Outbox) Resume(ctx context.Context, s Suspension) (int, error) {
	now := o.now()
	all, err := o.Store.Suspensions(ctx, now)
	if err != nil {
		return 0, err
	}
	var ids []int64
	for _, one := range all {
		if one.Scope == s.Scope && one.Name == s.Name && (s.Project == "" || one.Project == s.Project) {
			ids = append(ids, one.ID)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	if err := o.Store.Resume(ctx, ids, s.event(now, fmt.Sprintf("%s resumed %s", s.Owner, s))); err != nil {
		return 0, err
	}
	err = o.Store.Rouse(ctx, "g1", now)
	o.Wake()
	return len(ids), err
}

// check says what is wrong with a suspension.
func (s Suspension) check() error {
	switch {
	case !slices.Contains([]Scope{OfAlarm, OfTarget, OfStack, OfProject, OfHost, OfAll}, s.Scope):
		return fmt.Errorf("%q cannot be suspended: alarm, target, stack, project, host or all can", s.Scope)
	case s.Scope == OfHost: // nothing would be held
		return fmt.Errorf("suspend %s: this server does not know which guests a host has: suspend their stacks, their projects, or all", s)
	case (s.Name == "") != (s.Scope == OfAll):
		return fmt.Errorf("suspend %s: %q is no name for it", s.Scope, s.Name)
	case !s.Until.IsZero() && !s.Until.After(s.Since):
		return fmt.Errorf("suspend %s: its time is over already", s)
	}
	return nil
}

// String is the scope and the name.
func (s Suspension) String() string {
	switch {
	case s.Scope == OfAll:
		return "all"
	case s.Project != "":
		return fmt.Sprintf("%s %s of project %s", s.Scope, s.Name, s.Project)
	}
	return fmt.Sprintf("%s %s", s.Scope, s.Name)
}

func (s Suspension) event(now time.Time, text string) watch.Event {
	e := watch.Event{At: now, Kind: watch.Suspension, Project: s.Project, Summary: clip(text)}
	switch s.Scope {
	case OfAlarm:
		e.Alarm = s.Name
	case OfTarget:
		e.Target = s.Name
	case OfProject:
		e.Project = s.Name
	}
	return e
}

// operator sees the alarms of all projects.
var operator = watch.Caller{Role: watch.Operator}

// countOut leaves guests out of the counts of storms whose silence is known to
// have another cause: those that are suspended, and those that were given up
// and not heard since. It looks at all alarms when the suspensions are others
// than before, and now and then for those that came since.
func (o *Outbox) countOut(ctx context.Context, now time.Time) error {
	all, err := o.Store.Suspensions(ctx, now)
	if err != nil {
		return err
	}
	ids := make([]int64, len(all))
	for i, s := range all {
		ids[i] = s.ID
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if passed := now.Sub(o.counted); slices.Equal(ids, o.suspended) && (len(ids) == 0 || passed >= 0 && passed < stormRecheck) {
		return nil
	}
	for v := range o.Engine.Each(now, operator, watch.AlarmQuery{}) {
		if !v.Presence() {
			continue
		}
		out := slices.ContainsFunc(all, func(s Suspension) bool {
			return s.covers(v.Project, v.Name, objectOf(v.Project, v.Name, v.Target), v.Stack, v.StackID)
		})
		o.Engine.LeaveOut(v.ID, out || o.hopeless[v.ID])
	}
	o.suspended, o.counted = ids, now
	return nil
}

// OnBatch is for watch.Options: it takes note of guests that are back, and
// wakes the outbox for what is wanted.
func (o *Outbox) OnBatch(b watch.Batch) {
	o.mu.Lock()
	for _, t := range b.Transitions {
		if t.To == watch.OK && o.hopeless[t.AlarmID] {
			delete(o.hopeless, t.AlarmID)
			o.Engine.LeaveOut(t.AlarmID, false)
			o.counted = time.Time{} // it may be suspended
		}
	}
	o.mu.Unlock()
	if len(b.Wanted) > 0 {
		o.Wake()
	}
}

package outbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Storms lists those that go on, by domain.
func (o *Outbox) Storms() []Storm {
	var all []Storm
	for domain, st := range o.storms.under() {
		all = append(all, Storm{domain, st.census.Overdue, st.census.Alive, st.since, st.waived})
	}
	slices.SortFunc(all, func(a, b Storm) int { return strings.Compare(a.Domain, b.Domain) })
	return all
}

// ResumeStorm lets actions of a domain go until its storm is over: the owner
// takes that on himself. False: there is no storm. Budgets bound them still.
func (o *Outbox) ResumeStorm(ctx context.Context, domain, owner string) (bool, error) {
	if !o.storms.waive(domain) {
		return false, nil
	}
	now := o.now()
	if err := o.record(ctx, []watch.Event{*stormEvent(domain, now, owner+" lets actions go in the storm of "+domainName(domain))}); err != nil {
		return true, err
	}
	o.Store.Standstill(nil)
	err := o.Store.Rouse(ctx, stormGate, now)
	o.Wake()
	return true, err
}

func (s *storms) waive(domain string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.in[domain]
	if st == nil || !st.ended.IsZero() {
		return false
	}
	st.waived = true
	return true
}

// Reset forgives what was done about an object: budgets count it no more. It
// returns how many actions that were.
func (o *Outbox) Reset(ctx context.Context, object, owner string) (int, error) {
	now := o.now()
	n, err := o.Store.Forgive(ctx, object, watch.Event{At: now, Kind: watch.Suspension, Target: object, Summary: clip(owner + " reset " + object)})
	for _, gate := range []string{"g4", "g5"} { // what was forgiven holds nothing any more
		if err == nil {
			err = o.Store.Rouse(ctx, gate, now)
		}
	}
	o.Wake()
	return n, err
}

// TestAction tries the actions that an alarm has for ALARM, and returns their
// keys: messages go, marked as a test, and rough actions pass the gates that
// ask about anything but the alarm's state, are looked at, and stop there.
func (o *Outbox) TestAction(ctx context.Context, project, alarm, owner string) ([]string, error) {
	now := o.now()
	v, ok := o.Engine.View(now, project, alarm)
	if !ok {
		return nil, fmt.Errorf("%w: %s", watch.ErrNotFound, alarm)
	}
	var keys []string
	var changes []Change
	for i, action := range v.OnAlarm {
		w := watch.Wanted{
			Transition: watch.Transition{
				AlarmID: v.ID, Project: v.Project, Alarm: v.Name, Revision: v.Revision, Number: v.Number,
				From: v.State, To: watch.Firing, At: now, Reason: "a test, asked for by " + owner,
			},
			Index: i, Action: action, Origin: v.Origin, Stack: v.Stack, Target: v.Target, Span: v.Period * time.Duration(v.Periods),
		}
		r := RowOf(w, now)
		r.Key = fmt.Sprintf("%s|test.%d", r.Key, now.UnixNano())
		r.Trial = true
		keys = append(keys, r.Key)
		changes = append(changes, Change{Row: r, New: true, Events: []watch.Event{event(r, watch.Action, now, "a test, asked for by "+owner)}})
	}
	_, err := o.Store.Update(ctx, changes...)
	o.Wake()
	return keys, err
}

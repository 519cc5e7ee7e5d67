package outbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// An Explanation is the chain from samples to actions, as it stands: what
// arrived, what was decided, what the gates said, what was called, and what
// comes next.
type Explanation struct {
	Alarm       *AlarmState   `json:"alarm,omitempty"` // nil: of a target
	Target      string        `json:"target,omitempty"`
	Transitions []watch.Event `json:"transitions,omitempty"` // newest first
	Actions     []Explained   `json:"actions,omitempty"`     // newest first
	Gates       []watch.Event `json:"gates,omitempty"`       // answers that changed, and storms that held it, newest first
	Suspended   []Suspension  `json:"suspended,omitempty"`   // that cover it
	Storms      []Storm       `json:"storms,omitempty"`      // that hold it
	Next        string        `json:"next,omitempty"`        // one line
}

// An AlarmState is what there is to know of an alarm's samples and rule.
type AlarmState struct {
	Project   string            `json:"project"`
	Name      string            `json:"name"`
	Origin    watch.Origin      `json:"origin"`
	File      string            `json:"file,omitempty"`
	Rule      string            `json:"rule"`
	Enabled   bool              `json:"actions_enabled"`
	State     watch.State       `json:"state"`
	Number    int               `json:"number"` // of the last transition
	Since     time.Time         `json:"since"`
	Reason    string            `json:"reason"`
	Points    []watch.Datapoint `json:"points,omitempty"`     // newest first; none of a presence alarm
	Arrived   time.Time         `json:"arrived,omitzero"`     // last, of a presence alarm
	SilentFor time.Duration     `json:"silent_for,omitempty"` // since that
	Allowed   time.Duration     `json:"allowed,omitempty"`    // silence
	Usual     time.Duration     `json:"usual,omitempty"`      // interval of its pushes
	Heard     time.Time         `json:"heard"`                // listening since
	NextLook  time.Time         `json:"next_look,omitzero"`
	Silent    bool              `json:"silent,omitempty"`
	Overdue   bool              `json:"overdue,omitempty"`
}

// An Explained is an action without its secrets.
type Explained struct {
	Key     string      `json:"key"`
	Project string      `json:"project"`
	Alarm   string      `json:"alarm"`
	State   watch.State `json:"state"` // that asked for it
	Action  string      `json:"action"`
	Target  string      `json:"target,omitempty"` // of a rough action
	Status  Status      `json:"status"`
	Born    time.Time   `json:"born"`
	Next    time.Time   `json:"next,omitzero"` // when it is looked at again
	Gate    string      `json:"gate,omitempty"`
	Why     string      `json:"why,omitempty"`
	Tries   int         `json:"tries,omitempty"`
	Steps   []Step      `json:"steps,omitempty"`
}

// Explain is a row without its secrets.
func Explain(r Row) Explained {
	e := Explained{
		Key: r.Key, Project: r.Project, Alarm: r.Alarm, State: r.To, Action: Shown(r.Action), Target: r.Object, Status: r.Status,
		Born: r.Born, Gate: r.Gate, Why: r.Why, Tries: r.Tries, Steps: r.Steps,
	}
	if !r.Status.Ended() {
		e.Next = r.Next
	}
	return e
}

// ExplainAlarm explains an alarm; watch.ErrNotFound when it is not there.
func (o *Outbox) ExplainAlarm(ctx context.Context, project, name string) (Explanation, error) {
	now := o.now()
	v, ok := o.Engine.View(now, project, name)
	if !ok {
		return Explanation{}, fmt.Errorf("%w: %s", watch.ErrNotFound, name)
	}
	x := Explanation{Alarm: alarmState(v, now)}
	if err := o.explain(ctx, &x, watch.EventQuery{Project: project, Alarm: name}, RowQuery{AlarmID: v.ID}); err != nil {
		return x, err
	}
	x.Next = next(x, v, now)
	return x, o.holds(ctx, &x, now, project, name, objectOf(v.Project, v.Name, v.Target), v.Stack, v.StackID)
}

// ExplainTarget explains what was done about a target, by the name that rows
// have as their Object.
func (o *Outbox) ExplainTarget(ctx context.Context, object string) (Explanation, error) {
	now := o.now()
	x := Explanation{Target: object}
	if err := o.explain(ctx, &x, watch.EventQuery{Target: object}, RowQuery{Object: object}); err != nil {
		return x, err
	}
	if len(x.Actions) == 0 && len(x.Gates) == 0 {
		return x, fmt.Errorf("nothing was ever wanted of %s", object)
	}
	x.Next = nextOf(x.Actions, now)
	return x, o.holds(ctx, &x, now, "", "", object)
}

// shownActions is how many of them an explanation has, shownEvents of which
// kinds of events, and shownStorms of what was told of storms.
const (
	shownActions = 20
	shownEvents  = 50
	shownStorms  = 10
)

func (o *Outbox) explain(ctx context.Context, x *Explanation, q watch.EventQuery, rows RowQuery) error {
	rows.Limit, q.Limit = shownActions, shownEvents
	actions, err := o.Store.Rows(ctx, rows)
	if err != nil {
		return err
	}
	for _, r := range actions {
		x.Actions = append(x.Actions, Explain(r))
	}
	q.Kinds = []watch.EventKind{watch.StateUpdate}
	if x.Alarm != nil {
		if x.Transitions, _, err = o.Store.Events(ctx, q); err != nil {
			return err
		}
	}
	q.Kinds = []watch.EventKind{watch.Gate, watch.Suspension}
	if x.Gates, _, err = o.Store.Events(ctx, q); err != nil {
		return err
	}
	return o.explainStorms(ctx, x, actions)
}

// explainStorms adds the storms of the domains in which a storm held an action.
func (o *Outbox) explainStorms(ctx context.Context, x *Explanation, actions []Row) error {
	i := slices.IndexFunc(actions, func(r Row) bool { return r.metStorm() })
	if i < 0 {
		return nil
	}
	for _, domain := range []string{actions[i].Project, watch.AllProjects} {
		storms, _, err := o.Store.Events(ctx, watch.EventQuery{Key: stormKey(domain), Limit: shownStorms})
		if err != nil {
			return err
		}
		x.Gates = append(x.Gates, storms...)
	}
	slices.SortStableFunc(x.Gates, func(a, b watch.Event) int { return b.At.Compare(a.At) })
	return nil
}

// holds adds what holds all actions of an alarm or a target.
func (o *Outbox) holds(ctx context.Context, x *Explanation, now time.Time, project, alarm, object string, stacks ...string) error {
	all, err := o.Store.Suspensions(ctx, now)
	for _, s := range all {
		if s.covers(project, alarm, object, stacks...) {
			x.Suspended = append(x.Suspended, s)
		}
	}
	for _, st := range o.Storms() {
		if st.Domain == watch.AllProjects || st.Domain == project {
			x.Storms = append(x.Storms, st)
		}
	}
	return err
}

func alarmState(v watch.View, now time.Time) *AlarmState {
	s := &AlarmState{
		Project: v.Project, Name: v.Name, Origin: v.Origin, File: v.File, Enabled: v.ActionsEnabled,
		State: v.State, Number: v.Number, Since: v.Since, Reason: v.Reason, Points: v.Points,
		Heard: v.Heard, NextLook: v.NextLook, Silent: v.Silent, Overdue: v.Overdue,
		Rule: fmt.Sprintf("%s of %s %s %g over %d × %s", v.Statistic, v.Metric, v.Comparison, v.Threshold, v.Periods, v.Period),
	}
	if v.Presence() {
		s.Allowed, s.Arrived, s.Usual = v.Silence(), v.Arrived, v.Usual
		if !v.Arrived.IsZero() {
			s.SilentFor = now.Sub(v.Arrived).Round(time.Second)
		}
	}
	return s
}

// next is what happens to an alarm next, and when.
func next(x Explanation, v watch.View, now time.Time) string {
	if text := nextOf(x.Actions, now); text != "" {
		return text
	}
	switch {
	case v.Presence() && !v.Fed && v.StartAfter == 0:
		return "nothing ever arrived: absence counts from the first sample"
	case v.Presence() && v.State == watch.OK:
		return fmt.Sprintf("if nothing arrives, it is silent at %s", clock(v.NextLook))
	case !v.NextLook.IsZero():
		return "judged again at " + clock(v.NextLook)
	}
	return "judged again with the next sample"
}

// nextOf is what happens to the newest action that has not ended.
func nextOf(actions []Explained, now time.Time) string {
	for _, a := range actions {
		switch {
		case a.Status.Ended():
			continue
		case a.Status.InFlight():
			return fmt.Sprintf("%s is %s", a.Action, a.Status)
		case a.Gate != "":
			return fmt.Sprintf("%s is held by %s (%s), asked again at %s", a.Action, a.Gate, a.Why, clock(a.Next))
		case a.Next.After(now):
			return fmt.Sprintf("%s is tried again at %s (%s)", a.Action, clock(a.Next), a.Why)
		}
		return a.Action + " is about to begin"
	}
	return ""
}

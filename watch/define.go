package watch

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"
	"unicode/utf8"
)

// Define stores an alarm, and returns it as it is stored. A new one begins in
// NoData; an existing one is replaced and keeps its state, and its window where
// that is of the same samples. The project of a caller that is no operator is
// the alarm's. Mistakes are told by an InvalidError, all at once.
func (e *Engine) Define(ctx context.Context, now time.Time, c Caller, a Alarm) (Alarm, error) {
	if c.Role != Operator {
		a.Project = c.Project
	}
	a = a.tidy()
	if err := a.Check(); err != nil {
		return Alarm{}, err
	}
	e.change.Lock()
	defer e.change.Unlock()
	before, err := e.replaces(&a)
	if err != nil {
		return Alarm{}, err
	}
	if before != nil && sameDefinition(*before, a) {
		return *before, nil
	}
	kind := "Create"
	a.ID, a.Revision, a.Created, a.Updated = 0, 1, wallOf(now), wallOf(now)
	if before != nil {
		kind = "Update"
		a.ID, a.Revision, a.Created = before.ID, before.Revision+1, before.Created
	}
	stored, err := e.Store.PutAlarm(ctx, a, []Event{configured(a, kind, now)})
	if err != nil {
		return Alarm{}, fmt.Errorf("store alarm %s: %w", a.Name, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.settle(stored, now)
	return stored, nil
}

// replaces returns the alarm of that name, if there is one; an error if there
// is no room for another.
func (e *Engine) replaces(a *Alarm) (*Alarm, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.projects[a.Project]
	if p == nil {
		p = &project{}
	}
	en := e.alarm(p, a.Name)
	if a.Origin == FromAPI {
		if err := e.room(p, en, a); err != nil {
			return nil, err
		}
	}
	if en == nil {
		return nil, nil
	}
	before := en.alarm()
	return &before, nil
}

// bucketsOfAlarm is how many buckets the windows of a project may have for each
// alarm that it may have: more than those of most have.
const bucketsOfAlarm = 500

// room says what limit of its project an alarm of the API is beyond; en is the
// one that it replaces, or nil.
func (e *Engine) room(p *project, en *entry, a *Alarm) error {
	if en == nil && p.api >= e.AlarmsPerProject {
		return Invalid(LimitExceeded, "AlarmName", fmt.Sprintf("the project has %d alarms, which is the most: delete one first", p.api))
	}
	r, had := newRule(a), 0
	if en != nil && en.kind.alarm.Origin == FromAPI {
		had = en.kind.rule.buckets()
	}
	if needs := r.buckets(); needs > had && p.buckets-had+needs > e.AlarmsPerProject*bucketsOfAlarm {
		return Invalid(LimitExceeded, "EvaluationPeriods", fmt.Sprintf(
			"the project's alarms would keep samples of %d moments, and %d are the most: take fewer or longer periods", p.buckets-had+needs, e.AlarmsPerProject*bucketsOfAlarm))
	}
	return nil
}

// limited counts an alarm for the limits of its project, which are for those
// of the API.
func (en *entry) limited(by int) {
	if en.kind.alarm.Origin == FromAPI {
		en.project.api += by
		en.project.buckets += by * en.kind.rule.buckets()
	}
}

// sameDefinition says whether two alarms differ in nothing that was defined.
func sameDefinition(a, b Alarm) bool {
	a.ID, a.Revision, a.Created, a.Updated = b.ID, b.Revision, b.Created, b.Updated
	return reflect.DeepEqual(a, b)
}

// settle puts a stored definition into its place.
func (e *Engine) settle(a Alarm, now time.Time) {
	en := e.ofID(a.ID)
	if en == nil {
		en = e.insert(a)
		e.begin(en, now)
		return
	}
	old := en.alarm()
	e.removeRoute(en)
	e.totals.count(en, -1)
	en.limited(-1)
	e.setOverdue(en, false)
	e.alive(en, -1)
	reason, data := e.said(en, now)
	e.set(en, a)
	en.limited(1)
	if old.Repeat != a.Repeat {
		en.skipRepeats(e.instant(now))
	}
	if !fedAlike(&old, &a) {
		en.clear()
	}
	if again, _ := e.said(en, now); again != reason {
		en.told = &told{reason, data}
	}
	e.addRoute(en)
	e.totals.count(en, 1)
	e.begin(en, now)
	e.keepWindow(en)
}

// fedAlike says whether what was fed to one alarm may be judged as another.
func fedAlike(a, b *Alarm) bool {
	ra, rb := newRule(a), newRule(b)
	return a.Namespace == b.Namespace && a.Metric == b.Metric && a.Unit == b.Unit && ra.width == rb.width &&
		ra.presence == rb.presence && (ra.need > 1) == (rb.need > 1) && slices.Equal(a.Dimensions, b.Dimensions) &&
		(a.Match == MatchSubset) == (b.Match == MatchSubset) && a.Stack == b.Stack && a.StackID == b.StackID
}

// begin has an alarm judged in the next tick, and counts it.
func (e *Engine) begin(en *entry, now time.Time) {
	en.cell, en.held = -1, 0
	if start := en.kind.rule.start; start != 0 && !en.beats.fed {
		en.beats.from = e.instant(now).plus(timeOf(en.created).Add(start).Sub(wallOf(now)))
	}
	e.alive(en, 1)
	e.again(en)
}

func configured(a Alarm, kind string, now time.Time) Event {
	data, _ := json.Marshal(struct {
		Version  string `json:"version"`
		Type     string `json:"type"`
		Revision int    `json:"revision"`
		Origin   Origin `json:"origin"`
	}{"1.0", kind, a.Revision, a.Origin}) // strings and a number: it cannot fail
	verb := map[string]string{"Create": "created", "Update": "updated", "Delete": "deleted"}[kind]
	return Event{At: wallOf(now), Kind: ConfigurationUpdate, Project: a.Project, Alarm: a.Name,
		Summary: fmt.Sprintf("Alarm %q %s", clip(a.Name, 200), verb), Data: data}
}

// clip cuts a text at a character.
func clip(s string, most int) string {
	for len(s) > most {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// find returns the alarms of a caller by name: all of them, or ErrNotFound.
func (e *Engine) find(c Caller, project string, names []string) ([]*entry, error) {
	if c.Role != Operator {
		project = c.Project
	}
	p := e.projects[project]
	found := make([]*entry, 0, len(names))
	for _, name := range names {
		en := e.alarm(p, name)
		if en == nil {
			return nil, fmt.Errorf("%w: %s", ErrNotFound, name)
		}
		if !slices.Contains(found, en) {
			found = append(found, en)
		}
	}
	return found, nil
}

// Delete forgets alarms: all that are named, or none and ErrNotFound. An
// operator's caller has the project of the alarms.
func (e *Engine) Delete(ctx context.Context, now time.Time, c Caller, names []string) error {
	e.change.Lock()
	defer e.change.Unlock()
	e.mu.Lock()
	found, err := e.find(c, c.Project, names)
	var ids []int64
	var events []Event
	for _, en := range found {
		ids = append(ids, en.id)
		events = append(events, configured(en.alarm(), "Delete", now))
	}
	e.mu.Unlock()
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := e.Store.DeleteAlarms(ctx, ids, events); err != nil {
		return fmt.Errorf("delete %d alarms: %w", len(ids), err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, en := range found {
		e.remove(en)
	}
	return nil
}

// Bounds of what SetAlarmState says.
const (
	mostReason = 1_023 // characters
	mostData   = 4_000
)

// SetState puts an alarm into a state, and runs the actions of that state if it
// was in another. The next evaluation may change it again: with the next
// sample, or within a minute, ten seconds for periods below one.
func (e *Engine) SetState(ctx context.Context, now time.Time, c Caller, name string, to State, reason string, data json.RawMessage) error {
	switch {
	case to != OK && to != Firing && to != NoData:
		return Invalid(InvalidValue, "StateValue", fmt.Sprintf("%q is no state: OK, ALARM or INSUFFICIENT_DATA", clip(string(to), 40)))
	case utf8.RuneCountInString(reason) > mostReason:
		return Invalid(InvalidValue, "StateReason", fmt.Sprintf("longer than %d characters", mostReason))
	case len(data) > mostData:
		return Invalid(InvalidValue, "StateReasonData", fmt.Sprintf("longer than %d characters", mostData))
	case len(data) > 0 && !json.Valid(data):
		return &InvalidError{Code: "InvalidFormat", Mistakes: []Mistake{{"StateReasonData", "not JSON"}}}
	}
	b, err := e.setState(ctx, now, c, name, to, reason, byHand(data))
	e.logChanges(ctx, b.Transitions)
	if err == nil && e.OnBatch != nil {
		e.OnBatch(b)
	}
	return err
}

func (e *Engine) setState(ctx context.Context, now time.Time, c Caller, name string, to State, reason string, data json.RawMessage) (Batch, error) {
	e.change.Lock()
	defer e.change.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	found, err := e.find(c, c.Project, []string{name})
	if err != nil {
		return Batch{}, err
	}
	en := found[0]
	b := Batch{At: wallOf(now)}
	l := look{entry: en, change: e.transition(en, to, reason, data, now)}
	if en.state() != to {
		e.collect([]look{l}, now, &b)
	} else { // nothing to do, but it was asked
		t := *l.change
		t.Number = int(en.number)
		b.Events = append(b.Events, t.Event())
	}
	en.pending = true
	e.mu.Unlock()
	err = e.Store.Record(ctx, b)
	e.mu.Lock()
	en.pending = false
	if err != nil {
		return Batch{}, fmt.Errorf("record the state of alarm %s: %w", name, err)
	}
	if en.state() != to {
		e.apply(l, now)
	}
	en.held = e.instant(now).plus(en.kind.rule.evaluatedEach())
	e.looks.set(en, min(en.next, en.held))
	return b, nil
}

// evaluatedEach is how long a state that was set lasts, unless a sample comes:
// it is how often CloudWatch evaluates.
func (r *rule) evaluatedEach() time.Duration {
	if r.period < time.Minute {
		return 10 * time.Second
	}
	return time.Minute
}

// EnableActions switches the actions of alarms on or off.
func (e *Engine) EnableActions(ctx context.Context, now time.Time, c Caller, names []string, on bool) error {
	e.change.Lock()
	defer e.change.Unlock()
	e.mu.Lock()
	found, err := e.find(c, c.Project, names)
	e.mu.Unlock()
	if err != nil {
		return err
	}
	for _, en := range found {
		a := en.alarm()
		if a.ActionsEnabled == on {
			continue
		}
		a.ActionsEnabled = on
		a.Revision++
		a.Updated = wallOf(now)
		stored, err := e.Store.PutAlarm(ctx, a, []Event{configured(a, "Update", now)})
		if err != nil {
			return fmt.Errorf("store alarm %s: %w", a.Name, err)
		}
		e.mu.Lock()
		e.settle(stored, now)
		e.mu.Unlock()
	}
	return nil
}

package watch

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// slice is how many alarms a tick looks at, so that none takes long.
const slice = 5_000

// TickResult is what a tick did.
type TickResult struct {
	Looked int
	Batch  Batch         // what was stored
	Late   time.Duration // by which the tick came later than a second after the one before
	More   bool          // more is due: tick again at once
}

// A look is what one alarm comes to in a tick.
type look struct {
	entry  *entry
	change *Transition // nil: a repeat
	repeat int
}

// Tick judges the alarms that are due, and those that were fed or changed,
// 5,000 at most, by turns of their projects. What changes is visible once the
// store has it; while it fails nothing changes, and the alarms are judged anew in
// the next tick.
func (e *Engine) Tick(ctx context.Context, now time.Time) (TickResult, error) {
	res, err := e.tick(ctx, now)
	e.logChanges(ctx, res.Batch.Transitions)
	return res, err
}

func (e *Engine) tick(ctx context.Context, now time.Time) (TickResult, error) {
	e.change.Lock()
	defer e.change.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	var res TickResult
	res.Late = e.hear(now)
	looks := e.judgeDue(now, &res)
	e.collect(looks, now, &res.Batch)
	told := e.told
	e.told = nil
	res.Batch.At = wallOf(now)
	res.Batch.Events = append(res.Batch.Events, told...)
	if res.Batch.Empty() {
		return res, nil
	}
	e.mu.Unlock()
	err := e.Store.Record(ctx, res.Batch)
	e.mu.Lock()
	if err != nil {
		e.told = append(told, e.told...)
		for _, l := range looks {
			l.entry.pending = false
			if l.change != nil {
				l.entry.project.unchanged()
			}
			e.again(l.entry)
		}
		return TickResult{Looked: res.Looked, Late: res.Late}, fmt.Errorf("record %d state changes: %w", len(res.Batch.Transitions), err)
	}
	for _, l := range looks {
		e.apply(l, now)
	}
	return res, nil
}

// hear finds out whether the server could hear since the last tick.
func (e *Engine) hear(now time.Time) (late time.Duration) {
	at, wall := e.instant(now), wallOf(now)
	cause, stepped := e.hearing.heard(at, wall)
	last := e.hearing.tick
	e.hearing.tick, e.hearing.wall = at, wall
	late = max(0, time.Duration(at-last)-tickEvery)
	if cause == "" {
		return late
	}
	e.deafen(last, now, cause)
	if stepped {
		e.stepped()
	}
	return late
}

// stepped is what a wall clock that was set changes: what is stored of samples
// and arrivals is by the clock as it was. It is stored anew, and soon: a server
// that dies before could not know how old they are.
func (e *Engine) stepped() {
	e.flushed = time.Time{}
	for en := range e.entries.each() {
		switch {
		case en.beats.fed:
			e.keepArrival(en)
		case en.window != nil && len(en.window.buckets) > 0:
			e.keepWindow(en)
		}
	}
}

// due has the alarms that are due take their turns. Guests that are late are
// counted as overdue, all of them before the first is judged silent: who asks
// whether that is a storm must not see a slice of it. Of very many, some are
// taken at a time, so that pushes do not wait for all.
func (e *Engine) due(at instant) {
	for taken := 1; ; taken++ {
		en := e.looks.due(at)
		if en == nil {
			return
		}
		if !e.calm(en, at) {
			e.looks.take(en)
			e.turns.add(en)
		}
		if taken%dueAtOnce == 0 {
			e.mu.Unlock()
			e.mu.Lock()
		}
	}
}

// calm says whether nothing changes with a presence alarm that is due, but that its
// guest may be overdue: most are looked at because they were fed since.
func (e *Engine) calm(en *entry, at instant) bool {
	r := en.kind.rule
	if !r.presence || !en.beats.fed {
		return false
	}
	h := e.listened(en)
	next := e.overdueAt(en, h)
	if next <= at {
		e.setOverdue(en, true)
		next = r.silentAt(h)
	}
	if next <= at || en.state() != OK || en.repeats() {
		return false
	}
	e.looks.set(en, next)
	return true
}

// dueAtOnce is how many alarms that are due are taken while no push is.
const dueAtOnce = 50_000

// judgeDue judges a slice, and returns the alarms of which something is to be
// stored.
func (e *Engine) judgeDue(now time.Time, res *TickResult) []look {
	var looks []look
	e.due(e.instant(now))
	for res.Looked < slice {
		en := e.turns.next()
		if en == nil {
			break
		}
		res.Looked++
		if l, changed := e.judge(en, now); changed {
			en.pending = true
			looks = append(looks, l)
		}
	}
	res.More = !e.turns.empty()
	return looks
}

// judge looks at one alarm, says when to look again, and whether something
// changes: its state, or a message is to be repeated.
func (e *Engine) judge(en *entry, now time.Time) (look, bool) {
	at := e.instant(now)
	l := look{entry: en}
	v, next := e.evaluate(en, now, at)
	if at < en.held {
		v.state, next = en.state(), min(next, en.held)
	}
	e.looks.set(en, min(next, en.repeatAt(at)))
	if v.state != en.state() {
		if !e.mayChange(en.project, now) {
			e.looks.set(en, at.plus(tickEvery))
			return l, false
		}
		l.change = e.transition(en, v.state, v.reason, v.data, now)
		l.change.Derived = v.derived
		return l, true
	}
	l.repeat = en.repeatDue(at)
	return l, l.repeat != 0
}

// evaluate is what an alarm's samples say, and when that can change.
func (e *Engine) evaluate(en *entry, now time.Time, at instant) (verdict, instant) {
	if !en.kind.rule.presence {
		if en.fresh {
			en.cell, en.fresh = cellOf(en.kind.rule, at), false
		}
		v := judge(en.kind.rule, en.window, e.hearing.since, en.state(), at, now)
		return v, max(v.next, nextCell(en.kind.rule, at))
	}
	h := e.listened(en)
	state, next := judgePresence(en.kind.rule, h, en.state(), at)
	if late := e.overdueAt(en, h); late > at {
		next = min(next, late)
	} else {
		e.setOverdue(en, true)
	}
	v := verdict{state: state}
	if state != en.state() {
		v.reason, v.data = en.derived(state, h, now, at)
		v.derived = state == OK || en.kind.rule.need <= 1 // of more, some may arrive that are not enough
	}
	return v, next
}

func (e *Engine) transition(en *entry, to State, reason string, data json.RawMessage, now time.Time) *Transition {
	return &Transition{
		AlarmID: en.id, Project: en.project.id, Alarm: en.name, Revision: int(en.revision),
		Number: int(en.number) + 1, From: en.state(), To: to, At: wallOf(now), Reason: reason, Data: data,
	}
}

// collect adds what looks come to to a batch: changes with their actions, and
// repeats. In a storm they are thousands: there is room for all at once, and they
// are in the order in which a store has them.
func (e *Engine) collect(looks []look, now time.Time, b *Batch) {
	slices.SortFunc(looks, func(a, b look) int { return cmp.Compare(a.entry.id, b.entry.id) })
	b.Transitions = make([]Transition, 0, len(looks))
	b.Wanted = make([]Wanted, 0, len(looks))
	for i := range looks {
		l := &looks[i]
		if l.change == nil {
			b.Wanted = l.entry.wants(b.Wanted, e.current(l.entry, now), l.repeat)
			continue
		}
		t := *l.change
		b.Transitions = append(b.Transitions, t)
		wanted := l.entry.wanted(t.To)
		if len(wanted) > 0 && !l.entry.kind.alarm.ActionsEnabled {
			b.Events = append(b.Events, Event{At: t.At, Kind: Gate, Project: t.Project, Alarm: t.Alarm,
				Summary: fmt.Sprintf("%d actions of %s not taken: ActionsEnabled is false", len(wanted), t.To)})
			continue
		}
		b.Wanted = l.entry.wants(b.Wanted, t, 0)
	}
}

// current is the transition into the present state.
func (e *Engine) current(en *entry, now time.Time) Transition {
	reason, data := e.said(en, now)
	return Transition{
		AlarmID: en.id, Project: en.project.id, Alarm: en.name, Revision: int(en.revision),
		Number: int(en.number), From: en.state(), To: en.state(), At: time.Unix(0, en.since), Reason: reason, Data: data,
	}
}

// wants adds the actions of a transition to a list, or the messages among them
// that are repeated.
func (en *entry) wants(list []Wanted, t Transition, repeat int) []Wanted {
	actions := en.wanted(t.To)
	if len(actions) == 0 {
		return list
	}
	a := en.alarm()
	t.Derived = false // an action outlives what it was derived from
	for i, action := range actions {
		if repeat == 0 || IsMessage(action) {
			list = append(list, Wanted{
				Transition: t, Index: i, Repeat: repeat, Action: action,
				Origin: a.Origin, Stack: cmp.Or(a.Stack, a.StackID), Target: a.Target, Span: a.Period * time.Duration(a.Periods),
			})
		}
	}
	return list
}

// IsMessage says whether an action only tells, and touches no machine: a
// webhook, a signal, a notification or a workflow.
func IsMessage(action string) bool {
	for _, prefix := range []string{"https://", "http://", "cfnwatch:workflow:"} {
		if strings.HasPrefix(action, prefix) {
			return true
		}
	}
	return action == "cfnwatch:notify"
}

// apply makes visible what the store has.
func (e *Engine) apply(l look, now time.Time) {
	en := l.entry
	en.pending = false
	if l.change == nil {
		en.repeated = int32(l.repeat)
		return
	}
	t := l.change
	e.totals.count(en, -1)
	at := e.instant(now)
	en.enter(*t, at)
	e.totals.count(en, 1)
	e.looks.set(en, min(en.next, en.repeatAt(at)))
}

// logChanges has a line for each change. It is called without the lock: in a storm
// they are thousands.
func (e *Engine) logChanges(ctx context.Context, transitions []Transition) {
	for i := range transitions {
		t := &transitions[i]
		e.Log.LogAttrs(ctx, slog.LevelInfo, "state changed", slog.String("alarm", t.Alarm), slog.String("project", t.Project),
			slog.String("from", string(t.From)), slog.String("to", string(t.To)), slog.String("reason", t.Reason))
	}
}

// enter makes a transition the present state.
func (en *entry) enter(t Transition, at instant) {
	en.in, en.number, en.since, en.entered, en.repeated = codeOf(t.To), int32(t.Number), t.At.UnixNano(), at, 0
	if en.told = nil; !t.Derived {
		en.told = &told{t.Reason, t.Data}
	}
}

// repeats says whether messages are repeated in the present state.
func (en *entry) repeats() bool {
	if en.kind.alarm.Repeat == 0 || !en.kind.alarm.ActionsEnabled || en.number == 0 {
		return false
	}
	for _, action := range en.wanted(en.state()) {
		if IsMessage(action) {
			return true
		}
	}
	return false
}

// repeatDue is the number of the repeat that is due; 0: none.
func (en *entry) repeatDue(at instant) int {
	if !en.repeats() {
		return 0
	}
	if n := en.repeatsUntil(at); n > int(en.repeated) {
		return n
	}
	return 0
}

// repeatsUntil is how many repeats were due by then, since the state began.
func (en *entry) repeatsUntil(at instant) int {
	return int(time.Duration(at-en.entered) / en.kind.alarm.Repeat)
}

// skipRepeats has none made up for that were due before.
func (en *entry) skipRepeats(at instant) {
	if en.repeats() {
		en.repeated = int32(en.repeatsUntil(at))
	}
}

// repeatAt is when the next repeat is due.
func (en *entry) repeatAt(at instant) instant {
	if !en.repeats() {
		return never
	}
	return en.entered.plus(time.Duration(en.repeatsUntil(at)+1) * en.kind.alarm.Repeat)
}

// cellOf numbers the times of which an alarm is looked at once at most.
func cellOf(r *rule, at instant) int64 { return at.bucket(r.cadence()) }

// nextCell is when the next of them begins.
func nextCell(r *rule, at instant) instant { return instant((cellOf(r, at) + 1) * int64(r.cadence())) }

// mark has an alarm that was fed looked at in the next tick; one that was looked
// at for a sample of this bucket already, when the next begins.
func (e *Engine) mark(en *entry, at instant) {
	if !en.kind.rule.presence && en.cell == cellOf(en.kind.rule, at) {
		if next := nextCell(en.kind.rule, at); next < en.next {
			e.looks.set(en, next)
		}
		return
	}
	e.again(en)
}

// again has an alarm looked at in the next tick.
func (e *Engine) again(en *entry) { e.turns.add(en) }

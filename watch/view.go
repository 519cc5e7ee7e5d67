package watch

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"time"
)

// A View is an alarm and how it stands.
type View struct {
	Alarm
	State  State
	Number int       // of the last transition; 0: none yet
	Since  time.Time // of that transition, or of the definition
	Reason string
	Data   json.RawMessage

	Fed      bool          // a sample ever arrived, of a presence alarm; else one is in the window
	Arrived  time.Time     // last arrival, of a presence alarm; zero: none yet
	Heard    time.Time     // since when a sample would have been heard: listening, and no sign of life was refused
	Silent   bool          // a presence alarm that would fire now
	Overdue  bool          // a presence alarm whose push is late
	LeftOut  bool          // of the counts of storms
	Usual    time.Duration // interval of its pushes, of a presence alarm
	NextLook time.Time     // zero: with the next sample
	Instance string        // InstanceId of the newest sample that had one
	Mixed    bool          // samples of several instances came, within the range or the silence
	Points   []Datapoint   // of the range, newest first, with Count 0 where missing; none of a presence alarm, nor in a list of alarms
}

// AlarmQuery asks for alarms of a caller's project; an operator's, of Project,
// or of all.
type AlarmQuery struct {
	Project      string
	Names        []string                              // empty: all
	Prefix       string                                // of names
	State        State                                 // empty: any
	Origin       Origin                                // empty: any
	ActionPrefix string                                // of an action of any state, as Shown has it
	Shown        func(of Origin, action string) string // nil: as it is
	Namespace    string                                // empty: any
	Metric       string                                // empty: any
	After        View                                  // from the page before: only the Project and Name are read
	Limit        int                                   // 0: all
}

// Alarms lists alarms by project and name.
func (e *Engine) Alarms(now time.Time, c Caller, q AlarmQuery) []View {
	return slices.AppendSeq([]View{}, e.Each(now, c, q))
}

// eachAtOnce is how many alarms Each looks at while no push is taken.
const eachAtOnce = 1000

// Each is Alarms, of which it holds few at a time: a site may have a million.
// Those of a project that are defined meanwhile are left out.
func (e *Engine) Each(now time.Time, c Caller, q AlarmQuery) iter.Seq[View] {
	return func(yield func(View) bool) {
		left, some := q.Limit, eachAtOnce
		if q.Limit > 0 {
			some = min(some, q.Limit)
		}
		for _, id := range e.ids(c, q.Project) {
			for part := range slices.Chunk(e.matching(id, &q), some) {
				for _, v := range e.views(part, &q, now) {
					if left--; !yield(v) || left == 0 {
						return
					}
				}
			}
		}
	}
}

// ids are those of the projects that a caller sees, in order.
func (e *Engine) ids(c Caller, named string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var ids []string
	for _, p := range e.seen(c, named) {
		ids = append(ids, p.id)
	}
	slices.Sort(ids)
	return ids
}

// A named entry is found by its name while it may be changed.
type named struct {
	name string
	*entry
}

// matching are the alarms of a project that match now, by name.
func (e *Engine) matching(project string, q *AlarmQuery) []named {
	found := e.unsorted(project, q)
	slices.SortFunc(found, func(a, b named) int { return cmp.Compare(a.name, b.name) })
	return slices.CompactFunc(found, func(a, b named) bool { return a.entry == b.entry })
}

func (e *Engine) unsorted(project string, q *AlarmQuery) (found []named) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.projects[project]
	switch {
	case p == nil:
	case len(q.Names) > 0:
		for _, name := range q.Names {
			if en := e.alarm(p, name); en != nil && q.matches(en) {
				found = append(found, named{name, en})
			}
		}
	default:
		for _, at := range p.alarms {
			if en := e.entries.at(at); q.matches(en) {
				found = append(found, named{en.name, en})
			}
		}
	}
	return found
}

// views are those of alarms that are still there and still match.
func (e *Engine) views(list []named, q *AlarmQuery, now time.Time) []View {
	e.mu.Lock()
	defer e.mu.Unlock()
	views := make([]View, 0, len(list))
	for _, n := range list {
		if !n.gone && q.matches(n.entry) {
			views = append(views, e.view(n.entry, now))
		}
	}
	return views
}

// matches is asked of every alarm while no push is taken: it copies nothing.
func (q *AlarmQuery) matches(en *entry) bool {
	if after := &q.After; after.Name != "" && cmp.Or(cmp.Compare(en.project.id, after.Project), cmp.Compare(en.name, after.Name)) <= 0 {
		return false
	}
	a := &en.kind.alarm
	return strings.HasPrefix(en.name, q.Prefix) && (q.Namespace == "" || q.Namespace == a.Namespace) && (q.Metric == "" || q.Metric == a.Metric) && (q.State == "" || q.State == en.state()) &&
		(q.Origin == "" || q.Origin == a.Origin) &&
		(q.ActionPrefix == "" || slices.ContainsFunc(en.actions.list, func(action string) bool {
			if q.Shown != nil {
				action = q.Shown(a.Origin, action)
			}
			return strings.HasPrefix(action, q.ActionPrefix)
		}))
}

// View returns an alarm by name.
func (e *Engine) View(now time.Time, project, name string) (View, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if en := e.alarm(e.projects[project], name); en != nil {
		return e.whole(en, now), true
	}
	return View{}, false
}

// ViewID returns an alarm by its ID.
func (e *Engine) ViewID(now time.Time, id int64) (View, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if en := e.ofID(id); en != nil {
		return e.whole(en, now), true
	}
	return View{}, false
}

// Events returns a page of the history of a caller's project; an operator's is
// of the query's.
func (e *Engine) Events(ctx context.Context, c Caller, q EventQuery) ([]Event, string, error) {
	if c.Role != Operator {
		q.Project = c.Project
	}
	return e.Store.Events(ctx, q)
}

func (e *Engine) view(en *entry, now time.Time) View {
	v := View{
		Alarm: en.alarm(), State: en.state(), Number: int(en.number), Since: timeOf(en.created),
		LeftOut: en.leftOut, Overdue: en.overdue, Instance: en.instance, NextLook: e.wall(en.next, now),
	}
	v.Reason, v.Data = e.said(en, now)
	if en.number > 0 {
		v.Since = time.Unix(0, en.since)
	}
	at := e.instant(now)
	within := time.Duration(en.kind.rule.r) * en.kind.rule.period
	v.Heard = e.hearing.at
	if en.kind.rule.presence {
		h := e.listened(en)
		within = en.kind.rule.silence
		v.Fed, v.Usual, v.Heard, v.Silent = h.fed, en.usual, e.wall(h.from, now), at >= en.kind.rule.silentAt(h)
		if h.fed {
			v.Arrived = e.wall(h.last, now)
		}
	} else {
		v.Fed = len(en.window.buckets) > 0
	}
	v.Mixed = en.mixed != 0 && at-en.mixed < instant(within)
	return v
}

// whole is a view with datapoints, which take long to work out.
func (e *Engine) whole(en *entry, now time.Time) View {
	v := e.view(en, now)
	if !en.kind.rule.presence {
		v.Points = en.kind.rule.periods(en.window, e.instant(now), now)
	}
	return v
}

// periods are those of the range, newest first.
func (r *rule) periods(w *window, at instant, now time.Time) []Datapoint {
	per := int64(r.period / r.width)
	end := at.bucket(r.width) + 1
	all := make([]Datapoint, min(r.r, mostPeriods))
	for i := range all {
		from := end - int64(i+1)*per
		all[i] = Datapoint{Time: beginOf(from, r.width, at, now), Stat: w.between(uint32(from), uint32(from+per))}
	}
	return all
}

// mostPeriods bounds those of a View.
const mostPeriods = 100

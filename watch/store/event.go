package store

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

const (
	defaultLimit = 100 // entries of a page

	// pruneStep is how many entries of the history one transaction deletes.
	pruneStep = 1000
)

const newEvents = "INSERT OR FAIL INTO event (at, project, alarm, home, place, data, kind, target, row_key, summary) VALUES "

func (t *tx) putEvents(events []watch.Event) error {
	return t.execAll(many{newEvents, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", ""}, len(events), func(a *args, i int) {
		e := &events[i]
		home, place := places(e.Project, e.Alarm)
		a.add(nanos(e.At), e.Project, e.Alarm, home, place, string(e.Data), string(e.Kind), e.Target, e.Key, e.Summary)
	})
}

// putTransitions adds the entries of transitions to the history, as short as
// they can be: in a storm they are a million.
func (t *tx) putTransitions(transitions []watch.Transition) error {
	return t.execAll(many{newEvents, "(?, ?, ?, ?, ?, ?, 'StateUpdate', '', '', '')", ""}, len(transitions), func(a *args, i int) {
		tr := &transitions[i]
		home, place := places(tr.Project, tr.Alarm)
		a.add(nanos(tr.At), tr.Project, tr.Alarm, home, place, shortOf(tr))
	})
}

// unit parts what a transition said: JSON cannot hold it.
const unit = "\x1f"

// shortOf is what there is of a transition beside its alarm and its time.
func shortOf(t *watch.Transition) string {
	return strconv.Itoa(t.Revision) + unit + strconv.Itoa(t.Number) + unit + string(t.From) + unit + string(t.To) + unit + string(t.Data) + unit + t.Reason
}

// lengthen makes the entry of a transition what watch says of it.
func lengthen(e watch.Event) watch.Event {
	p := strings.SplitN(string(e.Data), unit, 6)
	if e.Kind != watch.StateUpdate || len(p) < 6 {
		return e
	}
	t := watch.Transition{Project: e.Project, Alarm: e.Alarm, At: e.At, From: watch.State(p[2]), To: watch.State(p[3]), Reason: p[5]}
	t.Revision, _ = strconv.Atoi(p[0])
	t.Number, _ = strconv.Atoi(p[1])
	if p[4] != "" {
		t.Data = json.RawMessage(p[4])
	}
	whole := t.Event()
	whole.ID = e.ID
	return whole
}

// places are where the history has what is of a project, and the share that an
// alarm's is in; see the schema.
func places(project, alarm string) (home, place int64) {
	h := fnv.New32a()
	h.Write([]byte(project))
	home = int64(h.Sum32())
	h.Write([]byte(alarm))
	return home, int64(h.Sum32() % 512)
}

// PutEvents adds entries to the history, durably.
func (s *Store) PutEvents(ctx context.Context, events ...watch.Event) error {
	return s.wrap("record events", write(ctx, s.writer, func(t *tx) error { return t.putEvents(events) }))
}

// Events returns entries of the history, the newest first unless asked
// otherwise, and where to go on, which is empty after the last.
func (s *Store) Events(ctx context.Context, q watch.EventQuery) (events []watch.Event, next string, err error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	query, args, err := eventQuery(q)
	if err != nil {
		return nil, "", err
	}
	events, err = list(ctx, s.history, readEvent, query, args...)
	if len(events) > q.Limit {
		events = events[:q.Limit]
		next = strconv.FormatInt(events[q.Limit-1].ID, 10)
	}
	return events, next, s.wrap("read the history", err)
}

func readEvent(r *row) watch.Event {
	return lengthen(watch.Event{ID: r.number(), At: r.time(), Kind: watch.EventKind(r.text()), Project: r.text(), Alarm: r.text(),
		Target: r.text(), Key: r.text(), Summary: r.text(), Data: r.raw()})
}

// eventQuery makes the statement of a query. It asks for one entry more than
// the limit, which tells whether there are more.
func eventQuery(q watch.EventQuery) (string, []any, error) {
	var which conditions
	which.equal("project", q.Project)
	which.equal("alarm", q.Alarm)
	switch home, place := places(q.Project, q.Alarm); {
	case q.Project != "" && q.Alarm != "":
		which.and("place = ?", place)
	case q.Project != "":
		which.and("home = ?", home)
	}
	for column, value := range map[string]string{"target": q.Target, "row_key": q.Key} {
		if value != "" {
			which.and(column+" = ? AND "+column+" <> ''", value) // as their indexes have it
		}
	}
	order, after := "DESC", "id < ?"
	if q.OldestFirst {
		order, after = "ASC", "id > ?"
	}
	if q.Next != "" {
		id, err := strconv.ParseInt(q.Next, 10, 64)
		if err != nil {
			return "", nil, watch.Invalid(watch.InvalidNextToken, "NextToken", "none that a page of the history gave")
		}
		which.and(after, id)
	}
	if !q.From.IsZero() {
		which.and("at >= ?", nanos(q.From))
	}
	if !q.To.IsZero() {
		which.and("at < ?", nanos(q.To))
	}
	if len(q.Kinds) > 0 {
		var kinds []any
		for _, k := range q.Kinds {
			kinds = append(kinds, string(k))
		}
		which.and("kind IN (?"+strings.Repeat(", ?", len(kinds)-1)+")", kinds...)
	}
	query := "SELECT id, at, kind, project, alarm, target, row_key, summary, data FROM event WHERE " +
		which.String() + " ORDER BY id " + order + fmt.Sprintf(" LIMIT %d", q.Limit+1)
	return query, which.args, nil
}

const (
	// Entries are in the order of time but where the clock was set back: what
	// is younger than one that is not old goes a little later.
	pruneEvents = `DELETE FROM event WHERE id < coalesce(
		(SELECT min(id) FROM (SELECT id, at FROM event ORDER BY id LIMIT ?1) WHERE at >= ?2),
		(SELECT max(id) + 1 FROM (SELECT id FROM event ORDER BY id LIMIT ?1)))`

	pruneSuspensions = `DELETE FROM suspension WHERE id IN (SELECT id FROM suspension WHERE until > 0 AND until < ?2 LIMIT ?1)`

	pruneRows = `DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE stage = 2 AND next < ?2 AND born < ?2 LIMIT ?1)`
)

// Prune deletes what of the history, and of actions and suspensions that have
// ended, is older than a time, in steps that are short enough for other
// writers to wait for.
func (s *Store) Prune(ctx context.Context, before time.Time) error {
	for _, q := range []string{pruneEvents, pruneRows, pruneSuspensions} {
		for deleted := int64(pruneStep); deleted == pruneStep; {
			err := write(ctx, s.writer, func(t *tx) (err error) {
				deleted, err = t.exec(q, pruneStep, nanos(before))
				return err
			})
			if err != nil {
				return s.wrap("prune the history", err)
			}
		}
	}
	return nil
}

package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// conditions collects what a query asks for.
type conditions struct {
	where []string
	args  []any
}

// and adds a condition, with its arguments.
func (c *conditions) and(condition string, args ...any) {
	c.where = append(c.where, condition)
	c.args = append(c.args, args...)
}

// equal adds a condition unless the value is empty.
func (c *conditions) equal(column, value string) {
	if value != "" {
		c.and(column+" = ?", value)
	}
}

// String is what follows WHERE.
func (c *conditions) String() string {
	if len(c.where) == 0 {
		return "1"
	}
	return strings.Join(c.where, " AND ")
}

// Tally implements outbox.Store.
func (s *Store) Tally(ctx context.Context, q outbox.TallyQuery) (t outbox.Tally, err error) {
	begun, flying := tallyQueries(q)
	err = each(ctx, s.readers, func(r *row) error {
		t.Begun, t.Oldest = int(r.number()), r.time()
		return nil
	}, "SELECT count(*), coalesce(min(began), 0) FROM outbox WHERE "+begun.String(), begun.args...)
	if err != nil {
		return t, s.wrap("count actions", err)
	}
	err = each(ctx, s.readers, func(r *row) error {
		t.InFlight = int(r.number())
		return nil
	}, "SELECT count(*) FROM outbox WHERE "+flying.String(), flying.args...)
	return t, s.wrap("count actions", err)
}

func tallyQueries(q outbox.TallyQuery) (begun, flying conditions) {
	begun.and("began >= ? AND began > 0", nanos(q.Since))
	if !q.Until.IsZero() {
		begun.and("began <= ?", nanos(q.Until))
	}
	if q.Object != "" { // what is forgiven an object still counts for all
		begun.and("NOT forgiven")
	}
	flying.and("stage = 0")
	for _, which := range []*conditions{&begun, &flying} {
		which.and("rough")
		which.equal("object", q.Object)
		which.equal("project", q.Project)
		which.equal("stack", q.Stack)
		if q.Except != "" {
			which.and("row_key <> ?", q.Except)
		}
	}
	return begun, flying
}

// Held implements outbox.Store.
func (s *Store) Held(ctx context.Context, gate, project string) (held int, err error) {
	var which conditions
	which.and("stage = 1 AND status = 'held' AND gate = ?", gate)
	which.equal("project", project)
	err = each(ctx, s.readers, func(r *row) error {
		held = int(r.number())
		return nil
	}, "SELECT count(*) FROM outbox WHERE "+which.String(), which.args...)
	return held, s.wrap("count actions", err)
}

// Rows implements outbox.Store.
func (s *Store) Rows(ctx context.Context, q outbox.RowQuery) ([]outbox.Row, error) {
	query, args := rowQuery(q)
	rows, err := list(ctx, s.readers, readRow, query, args...)
	return rows, s.wrap("read actions", err)
}

func rowQuery(q outbox.RowQuery) (string, []any) {
	var which conditions
	const open = "stage IN (0, 1)"
	if q.Key != "" {
		which.and("(row_key = ? AND made OR row_key = ? AND "+open+")", q.Key, q.Key)
	}
	which.equal("project", q.Project)
	if q.AlarmID != 0 {
		which.and("alarm_id / 4096 = ? / 4096 AND alarm_id = ?", q.AlarmID, q.AlarmID)
	}
	switch {
	case q.Begun:
		which.and("object = ? AND rough AND began > 0", q.Object)
	case q.Object != "":
		which.and("rough AND (object = ? AND began > 0 OR object = ? AND "+open+")", q.Object, q.Object)
	}
	if q.Open {
		which.and(open)
	}
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	return "SELECT " + rowColumns + " FROM outbox WHERE " + which.String() + fmt.Sprintf(" ORDER BY id DESC LIMIT %d", q.Limit), which.args
}

const givenUp = "SELECT alarm_id, max(number) FROM outbox WHERE rough AND status = 'gave-up' AND alarm_id > 0 GROUP BY alarm_id"

// GivenUp implements outbox.Store.
func (s *Store) GivenUp(ctx context.Context) (map[int64]int, error) {
	given := map[int64]int{}
	err := each(ctx, s.readers, func(r *row) error {
		alarm := r.number()
		given[alarm] = int(r.number())
		return nil
	}, givenUp)
	return given, s.wrap("read which actions were given up", err)
}

const suspensionColumns = "scope, project, name, owner, reason, since, until"

func readSuspension(r *row) outbox.Suspension {
	return outbox.Suspension{ID: r.number(), Scope: outbox.Scope(r.text()), Project: r.text(), Name: r.text(),
		Owner: r.text(), Reason: r.text(), Since: r.time(), Until: r.time()}
}

// Suspend implements outbox.Store.
func (s *Store) Suspend(ctx context.Context, p outbox.Suspension, e watch.Event) (outbox.Suspension, error) {
	err := write(ctx, s.writer, func(t *tx) error {
		var err error
		p.ID, err = t.insert("INSERT INTO suspension ("+suspensionColumns+") VALUES (?, ?, ?, ?, ?, ?, ?)",
			string(p.Scope), p.Project, p.Name, p.Owner, p.Reason, nanos(p.Since), nanos(p.Until))
		if err != nil {
			return err
		}
		return t.putEvents([]watch.Event{e})
	})
	return p, s.wrap("suspend", err)
}

// Resume implements outbox.Store.
func (s *Store) Resume(ctx context.Context, ids []int64, e watch.Event) error {
	return s.wrap("resume", write(ctx, s.writer, func(t *tx) error {
		for _, id := range ids {
			if _, err := t.exec("DELETE FROM suspension WHERE id = ?", id); err != nil {
				return err
			}
		}
		return t.putEvents([]watch.Event{e})
	}))
}

// Suspensions implements outbox.Store.
func (s *Store) Suspensions(ctx context.Context, now time.Time) ([]outbox.Suspension, error) {
	all, err := list(ctx, s.readers, readSuspension, "SELECT id, "+suspensionColumns+
		" FROM suspension WHERE until = 0 OR until >= ? ORDER BY id", nanos(now))
	return all, s.wrap("read suspensions", err)
}

// OpenRows is how many actions that have not ended are in a status, and held
// by a gate.
type OpenRows struct {
	Status outbox.Status
	Gate   string // empty: of none
	Rows   int
}

// OpenRows counts the actions that have not ended.
func (s *Store) OpenRows(ctx context.Context) ([]OpenRows, error) {
	all, err := list(ctx, s.readers, func(r *row) OpenRows {
		return OpenRows{Status: outbox.Status(r.text()), Gate: r.text(), Rows: int(r.number())}
	}, "SELECT status, gate, count(*) FROM outbox WHERE stage IN (0, 1) GROUP BY status, gate")
	return all, s.wrap("count actions", err)
}

package store

import (
	"context"
	"fmt"
	"hash/crc32"
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

func (t *tx) putEvents(events []watch.Event) error {
	return t.execAll("INSERT OR FAIL INTO event (at, kind, project, alarm, place, target, row_key, summary, data) VALUES ", len(events), func(i int) ([]any, error) {
		e := &events[i]
		return []any{nanos(e.At), string(e.Kind), e.Project, e.Alarm, place(e.Project, e.Alarm), e.Target, e.Key, e.Summary, string(e.Data)}, nil
	}, "")
}

// place is the share of the history that an alarm's is in; see the schema.
func place(project, alarm string) int64 {
	h := crc32.ChecksumIEEE([]byte(project + "/" + alarm))
	return int64(h % 512)
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
	events, err = list(ctx, s.readers, readEvent, query, args...)
	if len(events) > q.Limit {
		events = events[:q.Limit]
		next = strconv.FormatInt(events[q.Limit-1].ID, 10)
	}
	return events, next, s.wrap("read the history", err)
}

func readEvent(r *row) watch.Event {
	return watch.Event{ID: r.number(), At: r.time(), Kind: watch.EventKind(r.text()), Project: r.text(), Alarm: r.text(),
		Target: r.text(), Key: r.text(), Summary: r.text(), Data: r.raw()}
}

// eventQuery makes the statement of a query. It asks for one entry more than
// the limit, which tells whether there are more.
func eventQuery(q watch.EventQuery) (string, []any, error) {
	var which conditions
	which.equal("project", q.Project)
	which.equal("alarm", q.Alarm)
	if q.Project != "" && q.Alarm != "" {
		which.and("place = ?", place(q.Project, q.Alarm))
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

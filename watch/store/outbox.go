package store

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Stages of a row: see the schema.
const (
	inFlight = iota
	open
	ended
)

func stageOf(s outbox.Status) int {
	switch {
	case s.InFlight():
		return inFlight
	case s.Ended():
		return ended
	}
	return open
}

// notes are what no query asks for. A row that nobody has worked on has none.
type notes struct {
	Why      string          `json:",omitempty"`
	Since    time.Time       `json:",omitzero"`
	Told     bool            `json:",omitempty"`
	Tries    int             `json:",omitempty"`
	Baseline json.RawMessage `json:",omitempty"`
	Trial    bool            `json:",omitempty"`
	Notice   string          `json:",omitempty"`
	Steps    []outbox.Step   `json:",omitempty"`
}

func notesOf(r *outbox.Row) (string, error) {
	n := notes{r.Why, r.Since, r.Told, r.Tries, r.Baseline, r.Trial, r.Notice, r.Steps}
	if reflect.ValueOf(n).IsZero() {
		return "", nil
	}
	text, err := json.Marshal(n)
	return string(text), err
}

const (
	rowColumns = "row_key, rough, object, wanted, born, status, next, claim, lease, began, gate, forgiven, notes"

	newRows = `INSERT OR FAIL INTO outbox (row_key, alarm_id, number, repeated, project, stack, rough, object, wanted, born,
		status, stage, next, claim, lease, began, gate, forgiven, notes) VALUES `
	unlessThere = " ON CONFLICT (row_key) DO NOTHING"

	setRow = `UPDATE outbox SET status = ?, stage = ?, next = ?, claim = ?, lease = ?, began = ?, gate = ?, forgiven = ?, notes = ?
		WHERE row_key = ? AND claim = ?`

	dueRows = "SELECT " + rowColumns + ` FROM outbox AS o
		WHERE stage IN (0, 1) AND next <= ?1 AND (claim = '' OR lease <= ?1) AND (rough OR NOT EXISTS (
			SELECT 1 FROM outbox AS e WHERE e.alarm_id = o.alarm_id AND e.stage < 2 AND NOT e.rough
				AND (e.number, e.repeated) < (o.number, o.repeated)))
		ORDER BY stage, next LIMIT ?2`
)

func readRow(r *row) (o outbox.Row) {
	o.Key, o.Rough, o.Object = r.text(), r.yes(), r.text()
	r.json(&o.Wanted)
	if string(o.Data) == "null" { // which is how JSON says that there is none
		o.Data = nil
	}
	o.Born, o.Status, o.Next, o.Claim, o.Lease, o.Began = r.time(), outbox.Status(r.text()), r.time(), r.text(), r.time(), r.time()
	o.Gate, o.Forgiven = r.text(), r.yes()
	var n notes
	r.json(&n)
	o.Why, o.Since, o.Told, o.Tries = n.Why, n.Since, n.Told, n.Tries
	o.Baseline, o.Trial, o.Notice, o.Steps = n.Baseline, n.Trial, n.Notice, n.Steps
	return o
}

func rowValues(r outbox.Row) ([]any, error) {
	wanted, err := json.Marshal(r.Wanted)
	if err != nil {
		return nil, err
	}
	notes, err := notesOf(&r)
	return []any{r.Key, r.AlarmID, r.Number, r.Repeat, r.Project, r.Stack, r.Rough, r.Object, string(wanted), nanos(r.Born),
		string(r.Status), stageOf(r.Status), nanos(r.Next), r.Claim, nanos(r.Lease), nanos(r.Began), r.Gate, r.Forgiven, notes}, err
}

// putRow writes a row that is not there yet.
func (t *tx) putRow(r outbox.Row) (written bool, err error) {
	values, err := rowValues(r)
	if err != nil {
		return false, err
	}
	n, err := t.exec(newRows+"(?"+strings.Repeat(", ?", len(values)-1)+")"+unlessThere, values...)
	return n > 0, err
}

// setRow writes what changes of a row that an owner claims.
func (t *tx) setRow(r outbox.Row, owner string) (written bool, err error) {
	notes, err := notesOf(&r)
	if err != nil {
		return false, err
	}
	n, err := t.exec(setRow, string(r.Status), stageOf(r.Status), nanos(r.Next), r.Claim, nanos(r.Lease), nanos(r.Began),
		r.Gate, r.Forgiven, notes, r.Key, owner)
	return n > 0, err
}

// Due implements outbox.Store.
func (s *Store) Due(ctx context.Context, now time.Time, n int) ([]outbox.Row, error) {
	rows, err := list(ctx, s.readers, readRow, dueRows, nanos(now), n)
	return rows, s.wrap("read actions", err)
}

// Claim implements outbox.Store.
func (s *Store) Claim(ctx context.Context, key, owner string, now, until time.Time) (r outbox.Row, ours bool, err error) {
	err = write(ctx, s.writer, func(t *tx) error {
		n, err := t.exec(`UPDATE outbox SET claim = ?, lease = ?, status = CASE WHEN status IN ('wanted', 'held', 'failed') THEN 'claimed' ELSE status END
			WHERE row_key = ? AND stage < 2 AND next <= ?4 AND (claim = '' OR lease <= ?4)`, owner, nanos(until), key, nanos(now))
		if err != nil || n == 0 {
			return err
		}
		ours = true
		return t.each(func(row *row) error {
			r = readRow(row)
			return nil
		}, "SELECT "+rowColumns+" FROM outbox WHERE row_key = ?", key)
	})
	return r, ours && err == nil, s.wrap("claim an action", err)
}

// Renew implements outbox.Store.
func (s *Store) Renew(ctx context.Context, key, owner string, until time.Time) (ours bool, err error) {
	err = write(ctx, s.writer, func(t *tx) error {
		n, err := t.exec("UPDATE outbox SET lease = ? WHERE row_key = ? AND claim = ? AND stage < 2", nanos(until), key, owner)
		ours = n > 0
		return err
	})
	return ours && err == nil, s.wrap("renew a claim", err)
}

// Update implements outbox.Store.
func (s *Store) Update(ctx context.Context, changes ...outbox.Change) (lost []string, err error) {
	err = write(ctx, s.writer, func(t *tx) error {
		var events []watch.Event
		for _, c := range changes {
			written, err := t.change(c)
			if err != nil {
				return err
			}
			if !written {
				if !c.New {
					lost = append(lost, c.Row.Key)
				}
				continue
			}
			events = append(events, c.Events...)
		}
		return t.putEvents(events)
	})
	if err != nil {
		return nil, s.wrap("record what was done", err)
	}
	return lost, nil
}

func (t *tx) change(c outbox.Change) (written bool, err error) {
	switch {
	case c.Row.Key == "":
		return true, nil
	case c.New:
		return t.putRow(c.Row)
	}
	return t.setRow(c.Row, c.Owner)
}

// Release implements outbox.Store.
func (s *Store) Release(ctx context.Context) error {
	return s.wrap("end claims", write(ctx, s.writer, func(t *tx) error {
		_, err := t.exec("UPDATE outbox SET claim = '', lease = 0 WHERE stage IN (0, 1) AND claim <> ''")
		return err
	}))
}

// Rouse implements outbox.Store.
func (s *Store) Rouse(ctx context.Context, gate string, now time.Time) error {
	return s.wrap("wake what is held", write(ctx, s.writer, func(t *tx) error {
		_, err := t.exec("UPDATE outbox SET next = ?1 WHERE stage IN (0, 1) AND next > ?1 AND (?2 = '' OR status = 'held' AND gate = ?2)", nanos(now), gate)
		return err
	}))
}

// Forgive implements outbox.Store.
func (s *Store) Forgive(ctx context.Context, object string, e watch.Event) (forgiven int, err error) {
	err = write(ctx, s.writer, func(t *tx) error {
		n, err := t.exec("UPDATE outbox SET forgiven = 1 WHERE object = ? AND rough AND NOT forgiven", object)
		if err != nil {
			return err
		}
		forgiven = int(n)
		return t.putEvents([]watch.Event{e})
	})
	return forgiven, s.wrap("forgive "+object, err)
}

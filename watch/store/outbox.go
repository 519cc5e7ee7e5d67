package store

import (
	"context"
	"encoding/json"
	"math"
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
	Told     bool            `json:",omitempty"`
	Tries    int             `json:",omitempty"`
	PutOff   time.Duration   `json:",omitempty"`
	Baseline json.RawMessage `json:",omitempty"`
	Trial    bool            `json:",omitempty"`
	Notice   string          `json:",omitempty"`
	Steps    []outbox.Step   `json:",omitempty"`
}

func notesOf(r *outbox.Row) (string, error) {
	n := notes{r.Told, r.Tries, r.PutOff, r.Baseline, r.Trial, r.Notice, r.Steps}
	if reflect.ValueOf(n).IsZero() {
		return "", nil
	}
	text, err := json.Marshal(n)
	return string(text), err
}

const (
	asked = `row_key, rough, object, alarm_id, project, alarm, revision, number, was, state, at, reason, data,
		position, repeated, action, origin, stack, target, span, born`

	rowColumns = "id, " + asked + ", status, next, claim, lease, began, gate, why, since, forgiven, notes"

	// Nobody has worked on what a transition wants.
	wantedRows  = "INSERT OR FAIL INTO outbox (" + asked + ", stage, claim, lease, began, forgiven, notes, made, status, next, gate, why, since) VALUES "
	wantedRow   = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, '', 0, 0, 0, '', 0, ?, ?, ?, ?, ?)"
	newRow      = "INSERT OR FAIL INTO outbox (" + asked + ", status, next, gate, why, since, stage, claim, lease, began, forgiven, notes, made) VALUES (?"
	unlessThere = ") ON CONFLICT (row_key) WHERE made DO NOTHING"

	setRow = `UPDATE outbox SET status = ?, stage = ?, next = ?, claim = ?, lease = ?, began = ?, gate = ?, why = ?, since = ?, forgiven = ?, notes = ?
		WHERE id = ? AND claim = ?`

	holdRows = `UPDATE OR FAIL outbox SET (status, next, gate, why, since) = ('held', column2, column3, column4, column5) FROM (VALUES `
	ifFree   = ") WHERE id = column1 AND stage = 1 AND claim = ''"

	dueRows = "SELECT " + rowColumns + ` FROM outbox AS o
		WHERE stage IN (0, 1) AND next <= ?1 AND (claim = '' OR lease <= ?1) AND (rough OR NOT EXISTS (
			SELECT 1 FROM outbox AS e WHERE e.alarm_id = o.alarm_id AND e.stage < 2 AND NOT e.rough
				AND (e.number, e.repeated) < (o.number, o.repeated)))
		ORDER BY stage, next LIMIT ?2`

	// A message behind others of its alarm is put off until they have ended:
	// looked at with what is due again and again, the many of a receiver that
	// is away keep all others waiting.
	parkRows = `UPDATE outbox SET next = ?1 WHERE id IN (SELECT id FROM outbox AS o
		WHERE stage = 1 AND next <= ?2 AND claim = '' AND NOT rough AND EXISTS (
			SELECT 1 FROM outbox AS e WHERE e.alarm_id = o.alarm_id AND e.stage < 2 AND NOT e.rough
				AND (e.number, e.repeated) < (o.number, o.repeated)) LIMIT ?3)`
	unparkRows = `UPDATE outbox SET next = 0 WHERE alarm_id = ?1 AND NOT rough AND stage < 2 AND next = ?2 AND (number, repeated) = (
		SELECT number, repeated FROM outbox WHERE alarm_id = ?1 AND NOT rough AND stage < 2 ORDER BY number, repeated LIMIT 1)`
)

// parked is the next of a message that waits for others, and parkStep how many
// are put off at once.
const (
	parked   = math.MaxInt64
	parkStep = 1000
)

func readRow(r *row) (o outbox.Row) {
	o.ID, o.Key, o.Rough, o.Object = r.number(), r.text(), r.yes(), r.text()
	o.AlarmID, o.Project, o.Alarm, o.Revision, o.Number = r.number(), r.text(), r.text(), int(r.number()), int(r.number())
	o.From, o.To, o.At, o.Reason, o.Data = watch.State(r.text()), watch.State(r.text()), r.time(), r.text(), r.raw()
	o.Index, o.Repeat, o.Action, o.Origin = int(r.number()), int(r.number()), r.text(), watch.Origin(r.text())
	o.Stack, o.Target, o.Span, o.Born = r.text(), r.text(), r.duration(), r.time()
	o.Status = outbox.Status(r.text())
	if next := r.number(); next != parked {
		o.Next = fromNanos(next)
	}
	o.Claim, o.Lease, o.Began = r.text(), r.time(), r.time()
	o.Gate, o.Why, o.Since, o.Forgiven = r.text(), r.text(), r.time(), r.yes()
	n := decode[notes](r)
	o.Told, o.Tries, o.PutOff, o.Baseline, o.Trial, o.Notice, o.Steps = n.Told, n.Tries, n.PutOff, n.Baseline, n.Trial, n.Notice, n.Steps
	return o
}

// wantedValues are those of a row in the order of asked, and of what a gate says.
func wantedValues(r *outbox.Row) []any {
	return []any{r.Key, r.Rough, r.Object, r.AlarmID, r.Project, r.Alarm, r.Revision, r.Number, string(r.From), string(r.To), nanos(r.At), r.Reason, string(r.Data),
		r.Index, r.Repeat, r.Action, string(r.Origin), r.Stack, r.Target, r.Span.Nanoseconds(), nanos(r.Born),
		string(r.Status), nanos(r.Next), r.Gate, r.Why, nanos(r.Since)}
}

// putRow writes a row that is not there yet.
func (t *tx) putRow(r outbox.Row) (written bool, err error) {
	notes, err := notesOf(&r)
	if err != nil {
		return false, err
	}
	values := append(wantedValues(&r), stageOf(r.Status), r.Claim, nanos(r.Lease), nanos(r.Began), r.Forgiven, notes, true)
	n, err := t.exec(newRow+strings.Repeat(", ?", len(values)-1)+unlessThere, values...)
	return n > 0, err
}

// setRow writes what changes of a row that an owner claims.
func (t *tx) setRow(r outbox.Row, owner string) (written bool, err error) {
	notes, err := notesOf(&r)
	if err != nil {
		return false, err
	}
	n, err := t.exec(setRow, string(r.Status), stageOf(r.Status), nanos(r.Next), r.Claim, nanos(r.Lease), nanos(r.Began),
		r.Gate, r.Why, nanos(r.Since), r.Forgiven, notes, r.ID, owner)
	return n > 0, err
}

// Due implements outbox.Store.
func (s *Store) Due(ctx context.Context, now time.Time, n int) ([]outbox.Row, error) {
	rows, err := list(ctx, s.readers, readRow, dueRows, nanos(now), n)
	if err != nil || len(rows) == n {
		return rows, s.wrap("read actions", err)
	}
	err = write(ctx, s.writer, func(t *tx) error {
		_, err := t.exec(parkRows, int64(parked), nanos(now), parkStep)
		return err
	})
	if err != nil {
		s.log.Warn("messages that wait are not put off", "err", err) // which costs time, and nothing else
	}
	return rows, nil
}

// Claim implements outbox.Store.
func (s *Store) Claim(ctx context.Context, id int64, owner string, now, until time.Time) (r outbox.Row, ours bool, err error) {
	err = write(ctx, s.writer, func(t *tx) error {
		n, err := t.exec(`UPDATE outbox SET claim = ?, lease = ?, status = CASE WHEN status IN ('wanted', 'held', 'failed') THEN 'claimed' ELSE status END
			WHERE id = ? AND stage < 2 AND next <= ?4 AND (claim = '' OR lease <= ?4)`, owner, nanos(until), id, nanos(now))
		if err != nil || n == 0 {
			return err
		}
		ours = true
		return t.each(func(row *row) error {
			r = readRow(row)
			return nil
		}, "SELECT "+rowColumns+" FROM outbox WHERE id = ?", id)
	})
	return r, ours && err == nil, s.wrap("claim an action", err)
}

// Renew implements outbox.Store.
func (s *Store) Renew(ctx context.Context, id int64, owner string, until time.Time) (ours bool, err error) {
	err = write(ctx, s.writer, func(t *tx) error {
		n, err := t.exec("UPDATE outbox SET lease = ? WHERE id = ? AND claim = ? AND stage < 2", nanos(until), id, owner)
		ours = n > 0
		return err
	})
	return ours && err == nil, s.wrap("renew a claim", err)
}

// Update implements outbox.Store.
func (s *Store) Update(ctx context.Context, changes ...outbox.Change) (lost []string, err error) {
	err = write(ctx, s.writer, func(t *tx) error {
		var events []watch.Event
		var held []*outbox.Row
		for i := range changes {
			c := &changes[i]
			if c.Hold {
				held, events = append(held, &c.Row), append(events, c.Events...)
				continue
			}
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
		if err := t.hold(held); err != nil {
			return err
		}
		return t.putEvents(events)
	})
	if err != nil {
		return nil, s.wrap("record what was done", err)
	}
	return lost, nil
}

// hold writes of rows that a gate holds nothing but that: in a storm they are a
// million.
func (t *tx) hold(rows []*outbox.Row) error {
	return t.execAll(many{holdRows, "(?, ?, ?, ?, ?)", ifFree}, len(rows), func(a *args, i int) {
		r := rows[i]
		a.add(r.ID, nanos(r.Next), r.Gate, r.Why, nanos(r.Since))
	})
}

// Standstill implements outbox.Store.
func (s *Store) Standstill(p *outbox.Standstill) { s.standstill.Store(p) }

func (t *tx) change(c *outbox.Change) (written bool, err error) {
	switch {
	case c.Row.Key == "":
		return true, nil
	case c.New:
		return t.putRow(c.Row)
	}
	written, err = t.setRow(c.Row, c.Owner)
	if r := c.Row; err == nil && written && r.Status.Ended() && !r.Rough && r.AlarmID != 0 {
		_, err = t.exec(unparkRows, r.AlarmID, int64(parked))
	}
	return written, err
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
		_, err := t.exec("UPDATE outbox SET next = ?1 WHERE stage IN (0, 1) AND next > ?1 AND next < ?3 AND (?2 = '' OR status = 'held' AND gate = ?2)", nanos(now), gate, int64(parked))
		return err
	}))
}

// Forgive implements outbox.Store.
func (s *Store) Forgive(ctx context.Context, object string, e watch.Event) (forgiven int, err error) {
	err = write(ctx, s.writer, func(t *tx) error {
		n, err := t.exec("UPDATE outbox SET forgiven = 1 WHERE NOT forgiven AND rough AND object = ? AND began > 0", object)
		if err != nil {
			return err
		}
		forgiven = int(n)
		return t.putEvents([]watch.Event{e})
	})
	return forgiven, s.wrap("forgive "+object, err)
}

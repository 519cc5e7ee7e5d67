package store

import (
	"context"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// alarmColumns are the columns of alarm but its id, in the order of
// alarmValues and readAlarm.
const alarmColumns = `revision, project, name, namespace, metric, dimensions, statistic, period, periods, threshold, comparison,
	missing, actions_enabled, on_alarm, stack, matching, origin, file, created, updated, more`

var (
	alarmMarks = "(?" + strings.Repeat(", ?", strings.Count(alarmColumns, ",")) + ")"
	newAlarm   = "INSERT INTO alarm (" + alarmColumns + ") VALUES " + alarmMarks
	setAlarm   = "UPDATE alarm SET (" + alarmColumns + ") = " + alarmMarks + " WHERE id = ?"
)

const newState = "INSERT INTO state (alarm_id, state, number, since, reason, data) VALUES (?, ?, 0, 0, '', '')"

// more are the fields that few alarms have.
type more struct {
	Description string            `json:",omitempty"`
	Unit        string            `json:",omitempty"`
	Datapoints  int               `json:",omitempty"`
	OnOK        []string          `json:",omitempty"`
	OnNoData    []string          `json:",omitempty"`
	StackID     string            `json:",omitempty"`
	Legacy      bool              `json:",omitempty"`
	Tolerance   time.Duration     `json:",omitempty"`
	Range       int               `json:",omitempty"`
	StartAfter  time.Duration     `json:",omitempty"`
	Ladder      string            `json:",omitempty"`
	Target      string            `json:",omitempty"`
	Repeat      time.Duration     `json:",omitempty"`
	Tags        map[string]string `json:",omitempty"`
}

func alarmValues(a *watch.Alarm) []any {
	rare := more{a.Description, a.Unit, a.Datapoints, a.OnOK, a.OnNoData, a.StackID, a.Legacy, a.Tolerance, a.Range,
		a.StartAfter, a.Ladder, a.Target, a.Repeat, a.Tags}
	return []any{a.Revision, a.Project, a.Name, a.Namespace, a.Metric, asJSON(a.Dimensions), string(a.Statistic),
		int64(a.Period), a.Periods, a.Threshold, string(a.Comparison), string(a.Missing), a.ActionsEnabled, asJSON(a.OnAlarm),
		a.Stack, string(a.Match), string(a.Origin), a.File, nanos(a.Created), nanos(a.Updated), asJSON(rare)}
}

// readAlarm reads an alarm whose words that many alarms have are shared.
func readAlarm(r *row, w *words) (a watch.Alarm) {
	a.ID, a.Revision, a.Project, a.Name = r.number(), int(r.number()), w.share(r), r.text()
	a.Namespace, a.Metric = w.share(r), w.share(r)
	a.Dimensions = decode[[]watch.Dimension](r)
	a.Statistic, a.Period, a.Periods = watch.Statistic(w.share(r)), r.duration(), int(r.number())
	a.Threshold, a.Comparison, a.Missing = r.real(), watch.Comparison(w.share(r)), watch.Missing(w.share(r))
	a.ActionsEnabled = r.yes()
	a.OnAlarm = w.list(r)
	a.Stack, a.Match, a.Origin, a.File = w.share(r), watch.Match(w.share(r)), watch.Origin(w.share(r)), r.text()
	a.Created, a.Updated = r.time(), r.time()
	rare := decode[more](r)
	a.Description, a.Unit, a.Datapoints, a.OnOK, a.OnNoData = rare.Description, rare.Unit, rare.Datapoints, rare.OnOK, rare.OnNoData
	a.StackID, a.Legacy, a.Tolerance, a.Range, a.StartAfter = rare.StackID, rare.Legacy, rare.Tolerance, rare.Range, rare.StartAfter
	a.Ladder, a.Target, a.Repeat, a.Tags = rare.Ladder, rare.Target, rare.Repeat, rare.Tags
	return a
}

// words are texts that many alarms have: a million alarms share a few
// namespaces, and memory holds each once. Most have those of the alarm before.
type words struct {
	known  map[string]string
	before []string // by column

	text    string // of actions
	actions []string
}

func (w *words) share(r *row) string {
	column, text := r.next, r.text()
	for column >= len(w.before) {
		w.before = append(w.before, "")
	}
	if w.before[column] == text {
		return w.before[column]
	}
	known, ok := w.known[text]
	if !ok {
		known = text
		w.known[text] = text
	}
	w.before[column] = known
	return known
}

// list takes a column of actions, which is not to be changed.
func (w *words) list(r *row) []string {
	text, ok := r.values[r.next].(string)
	if ok && text == w.text {
		r.next++
		return w.actions
	}
	w.text, w.actions = text, decode[[]string](r)
	return w.actions
}

// PutAlarm defines an alarm, with the events that tell of it, durably. One
// whose ID is 0 is new, and gets an id that no alarm had before; else the
// definition of that id is replaced, and its state and window are untouched.
// The error is watch.ErrNotFound when there is no alarm of that id.
func (s *Store) PutAlarm(ctx context.Context, a watch.Alarm, events []watch.Event) (watch.Alarm, error) {
	err := write(ctx, s.writer, func(t *tx) error {
		var err error
		if a.ID, err = t.putAlarm(&a); err != nil {
			return err
		}
		return t.putEvents(events)
	})
	return a, s.wrap("define the alarm "+a.Name, err)
}

func (t *tx) putAlarm(a *watch.Alarm) (id int64, err error) {
	if a.ID != 0 {
		n, err := t.exec(setAlarm, append(alarmValues(a), a.ID)...)
		if err == nil && n == 0 {
			err = watch.ErrNotFound
		}
		return a.ID, err
	}
	if id, err = t.insert(newAlarm, alarmValues(a)...); err != nil {
		return 0, err
	}
	_, err = t.exec(newState, id, string(watch.NoData))
	return id, err
}

// DeleteAlarms deletes alarms with their states, windows and who fed them,
// durably, with the events that tell of it. Their history stays. Alarms that
// are not there are deleted already.
func (s *Store) DeleteAlarms(ctx context.Context, ids []int64, events []watch.Event) error {
	err := write(ctx, s.writer, func(t *tx) error {
		for _, id := range ids {
			for _, q := range []string{
				"DELETE FROM alarm WHERE id = ?",
				"DELETE FROM state WHERE alarm_id = ?",
				"DELETE FROM key_alarm WHERE alarm_id = ?",
			} {
				if _, err := t.exec(q, id); err != nil {
					return err
				}
			}
		}
		return t.putEvents(events)
	})
	if err != nil {
		return s.wrap("delete alarms", err)
	}
	if err := s.deleteWindows(ctx, ids); err != nil {
		// The alarms are gone, and Load forgets windows of none.
		s.log.Warn("windows of deleted alarms stay until the next start", "err", err)
	}
	return nil
}

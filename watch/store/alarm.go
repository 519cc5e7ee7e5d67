package store

import (
	"context"
	"strings"

	"github.com/cfn-agent/cfn-agent/watch"
)

// alarmColumns are the columns of alarm but its id, in the order of
// alarmValues and readAlarm.
const alarmColumns = `revision, project, name, description, namespace, metric, unit, dimensions, statistic,
	period, periods, datapoints, threshold, comparison, missing, actions_enabled, on_alarm, on_ok, on_no_data,
	stack, stack_id, legacy, tolerance, evaluation_range, start_after, ladder, target, matching, repeat_every,
	origin, file, tags, created, updated`

var (
	alarmMarks = "(?" + strings.Repeat(", ?", strings.Count(alarmColumns, ",")) + ")"
	newAlarm   = "INSERT INTO alarm (" + alarmColumns + ") VALUES " + alarmMarks
	setAlarm   = "UPDATE alarm SET (" + alarmColumns + ") = " + alarmMarks + " WHERE id = ?"
)

const newState = "INSERT INTO state (alarm_id, state, number, since, reason, data) VALUES (?, ?, 0, 0, '', '')"

func alarmValues(a *watch.Alarm) []any {
	return []any{a.Revision, a.Project, a.Name, a.Description, a.Namespace, a.Metric, a.Unit,
		asJSON(a.Dimensions, len(a.Dimensions)), string(a.Statistic),
		int64(a.Period), a.Periods, a.Datapoints, a.Threshold, string(a.Comparison), string(a.Missing), a.ActionsEnabled,
		asJSON(a.OnAlarm, len(a.OnAlarm)), asJSON(a.OnOK, len(a.OnOK)), asJSON(a.OnNoData, len(a.OnNoData)),
		a.Stack, a.StackID, a.Legacy, int64(a.Tolerance), a.Range, int64(a.StartAfter), a.Ladder, a.Target,
		string(a.Match), int64(a.Repeat), string(a.Origin), a.File, asJSON(a.Tags, len(a.Tags)), nanos(a.Created), nanos(a.Updated)}
}

// readAlarm reads an alarm whose words that many alarms have are shared.
func readAlarm(r *row, w words) (a watch.Alarm) {
	a.ID, a.Revision, a.Project, a.Name, a.Description = r.number(), int(r.number()), w.share(r), r.text(), r.text()
	a.Namespace, a.Metric, a.Unit = w.share(r), w.share(r), w.share(r)
	r.json(&a.Dimensions)
	a.Statistic, a.Period, a.Periods, a.Datapoints = watch.Statistic(w.share(r)), r.duration(), int(r.number()), int(r.number())
	a.Threshold, a.Comparison, a.Missing = r.real(), watch.Comparison(w.share(r)), watch.Missing(w.share(r))
	a.ActionsEnabled = r.yes()
	r.json(&a.OnAlarm)
	r.json(&a.OnOK)
	r.json(&a.OnNoData)
	a.Stack, a.StackID, a.Legacy = w.share(r), w.share(r), r.yes()
	a.Tolerance, a.Range, a.StartAfter = r.duration(), int(r.number()), r.duration()
	a.Ladder, a.Target, a.Match, a.Repeat = w.share(r), r.text(), watch.Match(w.share(r)), r.duration()
	a.Origin, a.File = watch.Origin(w.share(r)), r.text()
	r.json(&a.Tags)
	a.Created, a.Updated = r.time(), r.time()
	return a
}

// words are texts that many alarms have: a million alarms share a few
// namespaces, and memory holds each once.
type words map[string]string

func (w words) share(r *row) string {
	text := r.text()
	known, ok := w[text]
	if !ok {
		w[text] = text
		return text
	}
	return known
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

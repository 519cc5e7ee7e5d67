package store

import (
	"context"
	"slices"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Record keeps what a tick decided, all of it or nothing, durably: the states
// that transitions lead to, the history, and the actions wanted. A transition
// of an alarm that was deleted meanwhile changes nothing.
func (s *Store) Record(ctx context.Context, b watch.Batch) error {
	err := write(ctx, s.writer, func(t *tx) error {
		if err := t.setStates(b.Transitions); err != nil {
			return err
		}
		standstill := s.standstill.Load() // in the transaction: whoever ends one rouses in a later one
		wanted, err := t.newsOf(b.Wanted)
		if err != nil {
			return err
		}
		err = t.execAll(many{wantedRows, wantedRow, ""}, len(wanted), func(a *args, i int) {
			r := standstill.Hold(outbox.RowOf(wanted[i], b.At))
			a.add(wantedValues(&r)...)
		})
		if err != nil {
			return err
		}
		if err := t.putTransitions(b.Transitions); err != nil {
			return err
		}
		return t.putEvents(b.Events)
	})
	return s.wrap("record transitions", err)
}

// stillOpen finds a message of an alarm that waits to be delivered.
const stillOpen = "SELECT 1 FROM outbox WHERE alarm_id = ? AND NOT rough AND stage < 2 AND position = ? LIMIT 1"

// newsOf is what is wanted without the repeats of messages that are not
// delivered yet: those of a receiver that is away would be ever more, and say no
// more than the first.
func (t *tx) newsOf(wanted []watch.Wanted) ([]watch.Wanted, error) {
	if !slices.ContainsFunc(wanted, func(w watch.Wanted) bool { return w.Repeat > 0 }) {
		return wanted, nil // nearly always
	}
	var list []watch.Wanted
	for _, w := range wanted {
		open := false
		if w.Repeat > 0 {
			err := t.each(func(*row) error { open = true; return nil }, stillOpen, w.AlarmID, w.Index)
			if err != nil {
				return nil, err
			}
		}
		if !open {
			list = append(list, w)
		}
	}
	return list, nil
}

func (t *tx) setStates(transitions []watch.Transition) error {
	return t.execAll(many{"UPDATE OR FAIL state SET (state, number, since, reason, data) = (column2, column3, column4, column5, column6) FROM (VALUES ",
		"(?, ?, ?, ?, ?, ?)", ") WHERE alarm_id = column1"}, len(transitions), func(a *args, i int) {
		tr := &transitions[i]
		a.add(tr.AlarmID, string(tr.To), tr.Number, nanos(tr.At))
		if tr.Derived {
			a.add("", "")
			return
		}
		a.add(tr.Reason, string(tr.Data))
	})
}

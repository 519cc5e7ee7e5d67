package store

import (
	"context"

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
		err := t.execAll(many{wantedRows, wantedRow, ""}, len(b.Wanted), func(a *args, i int) {
			r := standstill.Hold(outbox.RowOf(b.Wanted[i], b.At))
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

package store

import (
	"context"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

const setState = "UPDATE state SET state = ?, number = ?, since = ?, reason = ?, data = ? WHERE alarm_id = ?"

// Record keeps what a tick decided, all of it or nothing, durably: the states
// that transitions lead to, the history, and the actions wanted. A transition
// of an alarm that was deleted meanwhile changes nothing.
func (s *Store) Record(ctx context.Context, b watch.Batch) error {
	err := write(ctx, s.writer, func(t *tx) error {
		for i := range b.Transitions {
			tr := &b.Transitions[i]
			if _, err := t.exec(setState, string(tr.To), tr.Number, nanos(tr.At), tr.Reason, string(tr.Data), tr.AlarmID); err != nil {
				return err
			}
		}
		for _, w := range b.Wanted {
			if _, err := t.putRow(outbox.RowOf(w, b.At)); err != nil {
				return err
			}
		}
		return t.putEvents(b.Events)
	})
	return s.wrap("record transitions", err)
}

package store

import (
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Queries that run while the server works read by an index what they return,
// and no whole table: a history of a month is millions of entries. The few
// actions of one alarm or object may be sorted.
func TestQueriesUseIndexes(t *testing.T) {
	s := fresh(t)
	f := func(what, query string, args ...any) {
		t.Helper()
		var plan []string
		err := each(t.Context(), s.readers, func(r *row) error {
			r.next = 3
			plan = append(plan, r.text())
			return nil
		}, "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range plan {
			if strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") && !strings.HasPrefix(what, "actions, ") {
				t.Errorf("%s: %q", what, plan)
				break
			}
		}
	}
	for what, q := range map[string]watch.EventQuery{
		"history of an alarm":  {Project: "p", Alarm: "a", From: now},
		"history of a project": {Project: "p"},
		"history of a target":  {Target: "t"},
		"history of a row":     {Key: "k"},
		"next page":            {Project: "p", Alarm: "a", Next: "7"},
	} {
		query, args, err := eventQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		f(what, query, args...)
	}
	f("given up", givenUp)
	f("still open", stillOpen, 1, 0)
	f("due", dueRows, 0, 10)
	f("put off", parkRows, int64(parked), 0, 10)
	f("no longer put off", unparkRows, 1, int64(parked))
	for what, q := range map[string]outbox.TallyQuery{"all": {Since: now}, "object": {Since: now, Object: "o"}, "stack": {Since: now, Project: "p", Stack: "s"}} {
		begun, flying := tallyQueries(q)
		f("begun, "+what, "SELECT count(*) FROM outbox WHERE "+begun.String(), begun.args...)
		f("in flight, "+what, "SELECT count(*) FROM outbox WHERE "+flying.String(), flying.args...)
	}
	for what, q := range map[string]outbox.RowQuery{"row": {Key: "k"}, "alarm": {AlarmID: 1}, "object": {Object: "o"}, "object that was acted on": {Object: "o", Begun: true}} {
		query, args := rowQuery(q)
		f("actions, "+what, query, args...)
	}
}

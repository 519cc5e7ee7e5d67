package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// memory is a Store for bubbles of synctest, which files and their locks would
// break; the store of SQLite is held to the same rules by its own tests.
type memory struct {
	mu        sync.Mutex
	rows      map[string]Row
	suspended []Suspension
	events    []watch.Event
	ids       int64
	writes    int                   // that were durable
	fail      func(write int) error // before a write; nil: none fails
}

func newMemory() *memory { return &memory{rows: map[string]Row{}} }

// durable is a row as it comes back from a store.
func durable(r Row) Row {
	data, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	var back Row
	if err := json.Unmarshal(data, &back); err != nil {
		panic(err)
	}
	return back
}

// write begins a write.
func (m *memory) write() error {
	if m.fail != nil {
		if err := m.fail(m.writes + 1); err != nil {
			return err
		}
	}
	m.writes++
	return nil
}

// want is what watch.Store's Record does of an action.
func (m *memory) want(at time.Time, wanted ...watch.Wanted) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for _, w := range wanted {
		r := RowOf(w, at)
		if _, ok := m.rows[r.Key]; !ok {
			m.rows[r.Key] = durable(r)
		}
		keys = append(keys, r.Key)
	}
	return keys
}

func (m *memory) row(t testing.TB, key string) Row {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[key]
	if !ok {
		t.Fatalf("there is no row %s", key)
	}
	return r
}

func (m *memory) summaries(key string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s []string
	for _, e := range m.events {
		if e.Key == key {
			s = append(s, e.Summary)
		}
	}
	return s
}

func (m *memory) due(r Row, now time.Time) bool {
	if r.Status.Ended() || r.Next.After(now) || r.Claim != "" && r.Lease.After(now) {
		return false
	}
	if r.Rough || r.Notice != "" {
		return true
	}
	for _, other := range m.rows {
		earlier := cmp.Or(cmp.Compare(other.Number, r.Number), cmp.Compare(other.Repeat, r.Repeat)) < 0
		if other.AlarmID == r.AlarmID && !other.Rough && other.Notice == "" && !other.Status.Ended() && earlier {
			return false
		}
	}
	return true
}

func (m *memory) Due(_ context.Context, now time.Time, n int) ([]Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []Row
	for _, r := range m.rows {
		if m.due(r, now) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int {
		if a.Status.InFlight() != b.Status.InFlight() {
			if a.Status.InFlight() {
				return -1
			}
			return 1
		}
		return cmp.Or(a.Next.Compare(b.Next), cmp.Compare(a.Key, b.Key))
	})
	return rows[:min(n, len(rows))], nil
}

func (m *memory) Claim(_ context.Context, key, owner string, now, until time.Time) (Row, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[key]
	if !ok || !m.due(r, now) {
		return Row{}, false, nil
	}
	if err := m.write(); err != nil {
		return Row{}, false, err
	}
	if r.Status == Wanted || r.Status == Held || r.Status == Failed {
		r.Status = Claimed
	}
	r.Claim, r.Lease = owner, until
	m.rows[key] = durable(r)
	return m.rows[key], true, nil
}

func (m *memory) Renew(_ context.Context, key, owner string, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.rows[key]
	if !ok || r.Claim != owner {
		return false, nil
	}
	r.Lease = until
	m.rows[key] = r
	return true, nil
}

func (m *memory) Update(_ context.Context, changes ...Change) (lost []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.write(); err != nil {
		return nil, err
	}
	for _, c := range changes {
		old, ok := m.rows[c.Row.Key]
		switch {
		case c.New && ok:
			continue
		case !c.New && (!ok || old.Claim != c.Owner):
			lost = append(lost, c.Row.Key)
			continue
		}
		m.rows[c.Row.Key] = durable(c.Row)
		m.keep(c.Events...)
	}
	return lost, nil
}

func (m *memory) keep(events ...watch.Event) {
	for _, e := range events {
		m.ids++
		e.ID = m.ids
		m.events = append(m.events, e)
	}
}

func (m *memory) Release(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.rows {
		r.Claim, r.Lease = "", time.Time{}
		m.rows[key] = r
	}
	return nil
}

func (m *memory) Rouse(_ context.Context, gate string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.rows {
		if r.Status == Held && (gate == "" || r.Gate == gate) {
			r.Next = now
			m.rows[key] = r
		}
	}
	return nil
}

func (m *memory) Tally(_ context.Context, q TallyQuery) (Tally, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var t Tally
	for _, r := range m.rows {
		if !r.Rough || r.Key == q.Except || q.Object != "" && r.Object != q.Object || q.Project != "" && r.Project != q.Project || q.Stack != "" && r.Stack != q.Stack {
			continue
		}
		if r.Status.InFlight() {
			t.InFlight++
		}
		if !r.Forgiven && !r.Began.IsZero() && !r.Began.Before(q.Since) {
			if t.Begun++; t.Oldest.IsZero() || r.Began.Before(t.Oldest) {
				t.Oldest = r.Began
			}
		}
	}
	return t, nil
}

func (m *memory) Rows(_ context.Context, q RowQuery) ([]Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []Row
	for _, r := range m.rows {
		if (q.Key == "" || r.Key == q.Key) && (q.AlarmID == 0 || r.AlarmID == q.AlarmID) && (q.Project == "" || r.Project == q.Project) &&
			(q.Object == "" || r.Object == q.Object) && (!q.Open || !r.Status.Ended()) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Or(b.Born.Compare(a.Born), cmp.Compare(b.Key, a.Key)) })
	return rows[:min(len(rows), cmp.Or(q.Limit, 100))], nil
}

func (m *memory) Forgive(_ context.Context, object string, e watch.Event) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for key, r := range m.rows {
		if r.Object == object && !r.Forgiven {
			r.Forgiven = true
			m.rows[key] = r
			n++
		}
	}
	m.keep(e)
	return n, m.write()
}

func (m *memory) Suspend(_ context.Context, s Suspension, e watch.Event) (Suspension, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids++
	s.ID = m.ids
	m.suspended = append(m.suspended, s)
	m.keep(e)
	return s, m.write()
}

func (m *memory) Resume(_ context.Context, ids []int64, e watch.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended = slices.DeleteFunc(m.suspended, func(s Suspension) bool { return slices.Contains(ids, s.ID) })
	m.keep(e)
	return m.write()
}

func (m *memory) Suspensions(_ context.Context, now time.Time) ([]Suspension, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.suspended), func(s Suspension) bool {
		return !s.Until.IsZero() && s.Until.Before(now)
	}), nil
}

func (m *memory) Events(_ context.Context, q watch.EventQuery) ([]watch.Event, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var events []watch.Event
	for _, e := range slices.Backward(m.events) {
		if (q.Project == "" || e.Project == q.Project) && (q.Alarm == "" || e.Alarm == q.Alarm) && (q.Target == "" || e.Target == q.Target) && (q.Key == "" || e.Key == q.Key) {
			events = append(events, e)
		}
	}
	return events[:min(len(events), cmp.Or(q.Limit, 100))], "", nil
}

package outbox_test

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// memory is a store for the tests that let hours pass in a bubble. The store of
// SQLite is held to the same rules by its own tests, and by those here that run
// in real time.
type memory struct {
	*watch.Memory // alarms, states and the history

	mu         sync.Mutex
	rows       map[string]*Row
	keys       []string        // of rows: their ids are the places in it, from 1
	open       map[string]*Row // those that have not ended
	rough      map[string]*Row
	suspended  []Suspension
	ids        int64
	standstill *Standstill
	fail       func() error // of a write that is asked for now; nil: none fails
}

func newMemory() *memory {
	return &memory{Memory: watch.NewMemory(), rows: map[string]*Row{}, open: map[string]*Row{}, rough: map[string]*Row{}}
}

// set keeps a row as it would come back from a file.
func (m *memory) set(r Row) {
	r = durable(r)
	if r.ID == 0 {
		m.keys = append(m.keys, r.Key)
		r.ID = int64(len(m.keys))
	}
	m.rows[r.Key] = &r
	if r.Rough {
		m.rough[r.Key] = &r
	}
	delete(m.open, r.Key)
	if !r.Status.Ended() {
		m.open[r.Key] = &r
	}
}

// durable is a row as it comes back from a store.
func durable(r Row) Row {
	for _, at := range []*time.Time{&r.At, &r.Born, &r.Next, &r.Lease, &r.Began, &r.Since} {
		*at = at.Round(0)
	}
	r.Data, r.Baseline, r.Steps = slices.Clone(r.Data), slices.Clone(r.Baseline), slices.Clone(r.Steps)
	return r
}

// write fails when it shall.
func (m *memory) write() error {
	if m.fail == nil {
		return nil
	}
	return m.fail()
}

// Record adds rows for what is wanted, in the batch that wants it.
func (m *memory) Record(ctx context.Context, b watch.Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.write(); err != nil {
		return err
	}
	for _, w := range b.Wanted {
		if r := RowOf(w, b.At); m.rows[r.Key] == nil {
			m.set(m.standstill.Hold(r))
		}
	}
	return m.Memory.Record(ctx, b)
}

func (m *memory) due(r Row, now time.Time) bool {
	if r.Status.Ended() || r.Next.After(now) || r.Claim != "" && r.Lease.After(now) {
		return false
	}
	if r.Rough || r.Notice != "" {
		return true
	}
	for _, other := range m.open {
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
	for _, r := range m.open {
		if m.due(*r, now) {
			rows = append(rows, *r)
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

// openRow is a row that has not ended, or nil.
func (m *memory) openRow(id int64) *Row {
	return m.open[m.keys[id-1]]
}

func (m *memory) Claim(_ context.Context, id int64, owner string, now, until time.Time) (Row, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.openRow(id)
	if known == nil || !m.due(*known, now) {
		return Row{}, false, nil
	}
	if err := m.write(); err != nil {
		return Row{}, false, err
	}
	r := *known
	if r.Status == Wanted || r.Status == Held || r.Status == Failed {
		r.Status = Claimed
	}
	r.Claim, r.Lease = owner, until
	m.set(r)
	return *m.rows[r.Key], true, nil
}

func (m *memory) Renew(_ context.Context, id int64, owner string, until time.Time) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.openRow(id)
	if r == nil || r.Claim != owner {
		return false, nil
	}
	r.Lease = until
	return true, nil
}

func (m *memory) Update(ctx context.Context, changes ...Change) (lost []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.write(); err != nil {
		return nil, err
	}
	for _, c := range changes {
		old := m.rows[c.Row.Key]
		switch {
		case c.Row.Key == "":
		case c.New && old != nil:
			continue
		case !c.New && (old == nil || old.Claim != c.Owner):
			lost = append(lost, c.Row.Key)
			continue
		default:
			m.set(c.Row)
		}
		if err := m.keep(ctx, c.Events...); err != nil {
			return nil, err
		}
	}
	return lost, nil
}

func (m *memory) keep(ctx context.Context, events ...watch.Event) error {
	return m.Memory.Record(ctx, watch.Batch{Events: events})
}

func (m *memory) Release(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.open {
		r.Claim, r.Lease = "", time.Time{}
	}
	return nil
}

func (m *memory) Rouse(_ context.Context, gate string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.open {
		if r.Next.After(now) && (gate == "" || r.Status == Held && r.Gate == gate) {
			r.Next = now
		}
	}
	return nil
}

func (m *memory) Tally(_ context.Context, q TallyQuery) (Tally, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var t Tally
	for _, r := range m.rough {
		if r.Key == q.Except || q.Object != "" && r.Object != q.Object || q.Project != "" && r.Project != q.Project || q.Stack != "" && r.Stack != q.Stack {
			continue
		}
		if r.Status.InFlight() {
			t.InFlight++
		}
		if (q.Object == "" || !r.Forgiven) && !r.Began.IsZero() && !r.Began.Before(q.Since) && (q.Until.IsZero() || !r.Began.After(q.Until)) {
			if t.Begun++; t.Oldest.IsZero() || r.Began.Before(t.Oldest) {
				t.Oldest = r.Began
			}
		}
	}
	return t, nil
}

func (m *memory) Held(_ context.Context, gate, project string) (held int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.open {
		if r.Status == Held && r.Gate == gate && (project == "" || r.Project == project) {
			held++
		}
	}
	return held, nil
}

func (m *memory) Standstill(s *Standstill) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.standstill = s
}

func (m *memory) Rows(_ context.Context, q RowQuery) ([]Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var rows []Row
	for _, r := range m.rows {
		if (q.Key == "" || r.Key == q.Key) && (q.AlarmID == 0 || r.AlarmID == q.AlarmID) && (q.Project == "" || r.Project == q.Project) &&
			(q.Object == "" || r.Object == q.Object) && (!q.Begun || !r.Began.IsZero()) && (!q.Open || !r.Status.Ended()) {
			rows = append(rows, *r)
		}
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Or(b.Born.Compare(a.Born), cmp.Compare(b.Key, a.Key)) })
	return rows[:min(len(rows), cmp.Or(q.Limit, 100))], nil
}

func (m *memory) GivenUp(context.Context) (map[int64]int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	given := map[int64]int{}
	for _, r := range m.rough {
		if r.Status == GaveUp {
			given[r.AlarmID] = max(given[r.AlarmID], r.Number)
		}
	}
	return given, nil
}

func (m *memory) Forgive(ctx context.Context, object string, e watch.Event) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, r := range m.rows {
		if r.Object == object && r.Rough && !r.Forgiven && !r.Began.IsZero() {
			r.Forgiven = true
			n++
		}
	}
	return n, m.keep(ctx, e)
}

func (m *memory) Suspend(ctx context.Context, s Suspension, e watch.Event) (Suspension, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids++
	s.ID = m.ids
	m.suspended = append(m.suspended, s)
	return s, m.keep(ctx, e)
}

func (m *memory) Resume(ctx context.Context, ids []int64, e watch.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.suspended = slices.DeleteFunc(m.suspended, func(s Suspension) bool { return slices.Contains(ids, s.ID) })
	return m.keep(ctx, e)
}

func (m *memory) Suspensions(_ context.Context, now time.Time) ([]Suspension, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.suspended), func(s Suspension) bool {
		return !s.Until.IsZero() && s.Until.Before(now)
	}), nil
}

package watch

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Memory is a Store that lasts as long as the process: for tests of rules,
// and for tests of whatever needs an Engine.
type Memory struct {
	mu     sync.Mutex
	last   int64
	alarms map[int64]Alarm
	kept   map[int64]Kept
	fed    map[string][]int64
	refuse map[string]time.Duration
	wanted []Wanted
	events []Event
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	return &Memory{alarms: map[int64]Alarm{}, kept: map[int64]Kept{}, fed: map[string][]int64{}, refuse: map[string]time.Duration{}}
}

// PutAlarm stores a definition.
func (m *Memory) PutAlarm(_ context.Context, a Alarm, events []Event) (Alarm, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.ID == 0 {
		m.last++
		a.ID = m.last
		m.kept[a.ID] = Kept{AlarmID: a.ID}
	}
	m.alarms[a.ID] = a
	m.add(events)
	return a, nil
}

// DeleteAlarms forgets alarms.
func (m *Memory) DeleteAlarms(_ context.Context, ids []int64, events []Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		delete(m.alarms, id)
		delete(m.kept, id)
	}
	m.add(events)
	return nil
}

// Record stores a batch.
func (m *Memory) Record(_ context.Context, b Batch) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range b.Transitions {
		k := m.kept[t.AlarmID]
		k.State, k.Number, k.Since, k.Reason, k.Data = t.To, t.Number, t.At, t.Reason, t.Data
		if t.Derived {
			k.Reason, k.Data = "", nil
		}
		m.kept[t.AlarmID] = k
		m.add([]Event{t.Event()})
	}
	m.wanted = append(m.wanted, b.Wanted...)
	m.add(b.Events)
	return nil
}

// Flush stores windows.
func (m *Memory) Flush(_ context.Context, kept []Kept) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range kept {
		if was, ok := m.kept[k.AlarmID]; ok {
			was.Fed, was.Window = k.Fed, k.Window
			m.kept[k.AlarmID] = was
		}
	}
	return nil
}

// SaveFed adds alarms to those that keys have fed.
func (m *Memory) SaveFed(_ context.Context, fed map[string][]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for access, ids := range fed {
		m.fed[access] = append(m.fed[access], ids...)
	}
	return nil
}

// ForgetFed forgets the alarms that keys have fed.
func (m *Memory) ForgetFed(_ context.Context, access []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range access {
		delete(m.fed, a)
		delete(m.refuse, a)
	}
	return nil
}

// LoadFed returns the alarms that each key has fed.
func (m *Memory) LoadFed(context.Context) (map[string][]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.fed), nil
}

// SaveRefused keeps how long keys have been refused.
func (m *Memory) SaveRefused(_ context.Context, refused map[string]time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for access, lasted := range refused {
		if m.refuse[access] = lasted; lasted == 0 {
			delete(m.refuse, access)
		}
	}
	return nil
}

// LoadRefused returns how long each key has been refused.
func (m *Memory) LoadRefused(context.Context) (map[string]time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.refuse), nil
}

// Load calls f for each alarm.
func (m *Memory) Load(_ context.Context, f func(Alarm, Kept) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, a := range m.alarms {
		if err := f(a, m.kept[id]); err != nil {
			return err
		}
	}
	return nil
}

// Wanted lists all actions that were ever wanted, in order.
func (m *Memory) Wanted() []Wanted {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.wanted)
}

// mostEvents bounds the history of a Memory.
const mostEvents = 100_000

func (m *Memory) add(events []Event) {
	for _, event := range events {
		event.ID = 1
		if n := len(m.events); n > 0 {
			event.ID = m.events[n-1].ID + 1
		}
		m.events = append(m.events, event)
	}
	if len(m.events) > 2*mostEvents { // seldom: it moves all that stay
		m.events = slices.Delete(m.events, 0, len(m.events)-mostEvents)
	}
}

// Events returns a page of the history.
func (m *Memory) Events(_ context.Context, q EventQuery) ([]Event, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := int64(0)
	if q.Next != "" {
		var err error
		if after, err = strconv.ParseInt(q.Next, 10, 64); err != nil || after <= 0 {
			return nil, "", Invalid(InvalidNextToken, "NextToken", "not one that was given")
		}
	}
	ordered := slices.Clone(m.events)
	if !q.OldestFirst {
		slices.Reverse(ordered)
	}
	var page []Event
	for _, event := range ordered {
		passed := q.OldestFirst && event.ID <= after || !q.OldestFirst && event.ID >= after
		if after != 0 && passed || !q.Matches(event) {
			continue
		}
		if len(page) == orElse(q.Limit, 100) {
			return page, strconv.FormatInt(page[len(page)-1].ID, 10), nil
		}
		page = append(page, event)
	}
	return page, "", nil
}

// Matches says whether an event is asked for.
func (q EventQuery) Matches(event Event) bool {
	is := func(wanted, got string) bool { return wanted == "" || wanted == got }
	return is(q.Project, event.Project) && is(q.Alarm, event.Alarm) && is(q.Target, event.Target) && is(q.Key, event.Key) &&
		(len(q.Kinds) == 0 || slices.Contains(q.Kinds, event.Kind)) &&
		(q.From.IsZero() || !event.At.Before(q.From)) && (q.To.IsZero() || event.At.Before(q.To))
}

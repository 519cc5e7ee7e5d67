package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

var now = time.Date(2026, 11, 28, 12, 0, 0, 123456789, time.UTC)

func opened(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func fresh(t testing.TB) *Store {
	t.Helper()
	return opened(t, filepath.Join(t.TempDir(), "state.db"))
}

func alarmNamed(name string) watch.Alarm {
	return watch.Alarm{Revision: 1, Project: "p1", Name: name, Namespace: "system/linux", Metric: "Heartbeat",
		Statistic: watch.SampleCount, Period: time.Minute, Periods: 1, Threshold: 1, Comparison: watch.Less,
		Missing: watch.MissingBreaching, ActionsEnabled: true, OnAlarm: []string{"cfnwatch:restart:self"},
		Stack: "web", Origin: watch.FromRules, File: "/etc/cfn-watch/alarms.d/web.yaml:12", Created: now, Updated: now}
}

// put defines an alarm of that name and returns its id.
func put(t testing.TB, s *Store, name string) int64 {
	t.Helper()
	a, err := s.PutAlarm(context.Background(), alarmNamed(name), nil)
	if err != nil {
		t.Fatal(err)
	}
	return a.ID
}

type loaded struct {
	Alarm watch.Alarm
	Kept  watch.Kept
}

// loadAll returns all alarms by name.
func loadAll(t testing.TB, s *Store) map[string]loaded {
	t.Helper()
	all := map[string]loaded{}
	err := s.Load(context.Background(), func(a watch.Alarm, k watch.Kept) error {
		all[a.Name] = loaded{a, k}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// filled returns a value in which no field is zero, each different, so that
// a field that is not kept, or in another's column, shows.
func filled[T any](t *testing.T) (v T) {
	t.Helper()
	n := 0
	fill(t, reflect.ValueOf(&v).Elem(), &n)
	return v
}

func fill(t *testing.T, v reflect.Value, n *int) {
	t.Helper()
	*n++
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(now.Add(time.Duration(*n) * time.Second)))
		return
	case json.RawMessage:
		v.Set(reflect.ValueOf(json.RawMessage(fmt.Sprintf(`{"n":%d}`, *n))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("é\x00'%d", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) + 0.5)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), n)
		fill(t, v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"a": "b", "c": ""}))
	default:
		t.Fatalf("no value for a %s", v.Type())
	}
}

func TestAlarmsKeepEveryField(t *testing.T) {
	s := fresh(t)
	a := filled[watch.Alarm](t)
	a.ID = 0
	first, err := s.PutAlarm(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	a.ID = first.ID
	bare := watch.Alarm{Name: "bare", Project: "p"}
	if bare, err = s.PutAlarm(t.Context(), bare, nil); err != nil {
		t.Fatal(err)
	}
	all := loadAll(t, s)
	if got := all[a.Name].Alarm; !reflect.DeepEqual(got, a) {
		t.Errorf("loaded %+v,\nwant %+v", got, a)
	}
	if got := all["bare"].Alarm; !reflect.DeepEqual(got, bare) {
		t.Errorf("loaded %+v,\nwant %+v", got, bare)
	}
	if got, want := all["bare"].Kept, (watch.Kept{AlarmID: bare.ID, State: watch.NoData}); !reflect.DeepEqual(got, want) {
		t.Errorf("a new alarm has %+v, want %+v", got, want)
	}
}

func TestPutAlarmKeepsIdAndState(t *testing.T) {
	s := fresh(t)
	id := put(t, s, "a")
	if err := s.Record(t.Context(), watch.Batch{Transitions: []watch.Transition{{AlarmID: id, Number: 1, To: watch.Firing, At: now}}}); err != nil {
		t.Fatal(err)
	}
	changed := alarmNamed("a")
	changed.ID, changed.Threshold = id, 7
	if got, err := s.PutAlarm(t.Context(), changed, nil); err != nil || got.ID != id {
		t.Errorf("PutAlarm = %v, %v, want the id %d", got.ID, err, id)
	}
	if got := loadAll(t, s)["a"]; got.Alarm.Threshold != 7 || got.Kept.State != watch.Firing {
		t.Errorf("after it was defined anew it is %+v, want its state kept", got)
	}
	if _, err := s.PutAlarm(t.Context(), alarmNamed("a"), nil); err == nil {
		t.Error("a second alarm of one name was taken")
	}
	changed.ID = 99
	if _, err := s.PutAlarm(t.Context(), changed, nil); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("PutAlarm of an id that is gone = %v, want %v", err, watch.ErrNotFound)
	}
}

// The window of an alarm that was deleted must never become that of another.
func TestIdsAreNotUsedAgain(t *testing.T) {
	s := fresh(t)
	id := put(t, s, "a")
	if err := s.DeleteAlarms(t.Context(), []int64{id}, nil); err != nil {
		t.Fatal(err)
	}
	if again := put(t, s, "a"); again <= id {
		t.Errorf("the next alarm has the id %d, after %d was deleted", again, id)
	}
}

func TestRecord(t *testing.T) {
	s := fresh(t)
	id := put(t, s, "a")
	tr := watch.Transition{AlarmID: id, Project: "p1", Alarm: "a", Revision: 1, Number: 3, From: watch.OK, To: watch.Firing, At: now,
		Reason: "nothing arrived", Data: json.RawMessage(`{"version":"1.0"}`)}
	gone := tr
	gone.AlarmID = 99
	w := watch.Wanted{Transition: tr, Action: "https://example.com/hook"}
	e := watch.Event{At: now, Kind: watch.Gate, Project: "p1", Alarm: "a", Summary: "nothing is done"}
	b := watch.Batch{At: now, Transitions: []watch.Transition{tr, gone}, Wanted: []watch.Wanted{w}, Events: []watch.Event{e}}
	if err := s.Record(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	got := loadAll(t, s)
	want := watch.Kept{AlarmID: id, State: watch.Firing, Number: 3, Since: now, Reason: tr.Reason, Data: tr.Data}
	if len(got) != 1 || !reflect.DeepEqual(got["a"].Kept, want) {
		t.Errorf("kept %+v, want %+v alone", got, want)
	}
	e.ID = 3
	told := []watch.Event{tr.Event(), gone.Event(), e}
	told[0].ID, told[1].ID = 1, 2
	if events, _, err := s.Events(t.Context(), watch.EventQuery{OldestFirst: true}); err != nil || !reflect.DeepEqual(events, told) {
		t.Errorf("Events = %+v, %v, want %+v", events, err, told)
	}
	if due, err := s.Due(t.Context(), now, 10); err != nil || len(due) != 1 || !reflect.DeepEqual(due[0].Wanted, w) {
		t.Errorf("Due = %+v, %v, want %+v", due, err, w)
	}
}

// A batch that cannot be stored whole is not stored in part.
func TestRecordIsAllOrNothing(t *testing.T) {
	s := fresh(t)
	id := put(t, s, "a")
	tr := watch.Transition{AlarmID: id, Number: 1, To: watch.Firing, At: now}
	if _, err := s.writer.Exec("CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END"); err != nil {
		t.Fatal(err)
	}
	wanted := watch.Wanted{Transition: tr, Action: "cfnwatch:notify"}
	err := s.Record(t.Context(), watch.Batch{At: now, Transitions: []watch.Transition{tr}, Wanted: []watch.Wanted{wanted}})
	if got := loadAll(t, s)["a"].Kept.State; err == nil || got != watch.NoData {
		t.Errorf("Record = %v and the state %s, want an error and %s", err, got, watch.NoData)
	}
}

func TestEvents(t *testing.T) {
	s := fresh(t)
	var events []watch.Event
	for i := range 10 {
		e := filled[watch.Event](t)
		e.ID, e.At = int64(i+1), now.Add(time.Duration(i)*time.Minute)
		e.Alarm = []string{"even", "odd"}[i%2]
		if i == 3 {
			e.Kind, e.Project, e.Target, e.Key = watch.Gate, "p3", "t3", "k3"
		}
		events = append(events, e)
	}
	if err := s.PutEvents(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	f := func(why string, q watch.EventQuery, want ...int64) {
		t.Helper()
		var got []int64
		for {
			page, next, err := s.Events(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page {
				got = append(got, e.ID)
				if want := events[e.ID-1]; !reflect.DeepEqual(e, want) {
					t.Errorf("%s: %+v, want %+v", why, e, want)
				}
			}
			if q.Next = next; next == "" {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: events %v, want %v", why, got, want)
		}
	}
	f("all, the newest first", watch.EventQuery{}, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
	f("pages", watch.EventQuery{Limit: 3}, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
	f("a page that is just full", watch.EventQuery{Limit: 5, OldestFirst: true}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	f("of an alarm", watch.EventQuery{Alarm: "odd", Limit: 2}, 10, 8, 6, 4, 2)
	f("of a time, its end left out", watch.EventQuery{From: now.Add(time.Minute), To: now.Add(3 * time.Minute)}, 3, 2)
	f("of all time, as clients spell its ends", watch.EventQuery{From: time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC), To: time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC), OldestFirst: true},
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	f("of a project", watch.EventQuery{Project: "p3"}, 4)
	f("of a target", watch.EventQuery{Target: "t3"}, 4)
	f("of a row", watch.EventQuery{Key: "k3"}, 4)
	f("of kinds", watch.EventQuery{Kinds: []watch.EventKind{watch.Deafness, watch.Gate}}, 4)
	f("of none", watch.EventQuery{Project: "none"})
	var invalid *watch.InvalidError
	if _, _, err := s.Events(t.Context(), watch.EventQuery{Next: "x' OR 1"}); !errors.As(err, &invalid) || invalid.Code != watch.InvalidNextToken {
		t.Errorf("Events with a token of our own = %v, want %s", err, watch.InvalidNextToken)
	}
}

func TestPrune(t *testing.T) {
	s := fresh(t)
	var events []watch.Event
	for i := range 2*pruneStep + 10 {
		events = append(events, watch.Event{At: now.Add(time.Duration(i) * time.Second), Alarm: "a"})
	}
	if err := s.PutEvents(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	f := func(before time.Time, want int64) {
		t.Helper()
		if err := s.Prune(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		oldest, _, err := s.Events(t.Context(), watch.EventQuery{OldestFirst: true, Limit: 1})
		if err != nil || want == 0 && len(oldest) > 0 || want > 0 && (len(oldest) != 1 || oldest[0].ID != want) {
			t.Errorf("after pruning what is before %s the oldest is %+v, %v, want %d", before, oldest, err, want)
		}
	}
	f(now, 1)
	f(now.Add(3*time.Second), 4)
	f(now.Add((2*pruneStep+5)*time.Second), 2*pruneStep+6)
	f(now.Add(24*time.Hour), 0)
	f(now.Add(24*time.Hour), 0)
}

func TestWindows(t *testing.T) {
	s := fresh(t)
	a, b, c := put(t, s, "a"), put(t, s, "b"), put(t, s, "c")
	err := s.Flush(t.Context(), []watch.Kept{
		{AlarmID: a, Fed: now, State: watch.Firing}, {AlarmID: b, Window: []byte{0, 1, 255}}, {AlarmID: 99, Fed: now}, {AlarmID: c, Fed: now}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Flush(t.Context(), []watch.Kept{{AlarmID: b, Fed: now, Window: []byte{7}}}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteAlarms(t.Context(), []int64{c}, []watch.Event{{At: now, Kind: watch.ConfigurationUpdate}}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first load forgets the windows of alarms that are gone
		got := loadAll(t, s)
		if k := got["a"].Kept; !k.Fed.Equal(now) || len(k.Window) != 0 || k.State != watch.NoData {
			t.Errorf("of a is kept %+v, want its arrival alone", k)
		}
		if k := got["b"].Kept; !k.Fed.Equal(now) || !slices.Equal(k.Window, []byte{7}) {
			t.Errorf("of b is kept %+v, want its newest window", k)
		}
		if len(got) != 2 {
			t.Errorf("loaded %v, want a and b", got)
		}
	}
	var left int
	if err := s.windows.QueryRow("SELECT count(*) FROM window").Scan(&left); err != nil || left != 2 {
		t.Errorf("%d windows are left, %v, want 2", left, err)
	}
}

func TestLoadStopsWithTheErrorOfItsCaller(t *testing.T) {
	s := fresh(t)
	for i := range 10 {
		put(t, s, fmt.Sprint(i))
	}
	enough, calls := errors.New("enough"), 0
	err := s.Load(t.Context(), func(watch.Alarm, watch.Kept) error {
		if calls++; calls > 2 {
			return enough
		}
		return nil
	})
	if err != enough || calls > 2+loaders {
		t.Errorf("Load = %v after %d calls, want %v after 3", err, calls, enough)
	}
}

// Whoever has the history searched, as any project may again and again, keeps no
// action waiting: a search took a second, and eight of them had what is due take
// seven.
func TestHistoryKeepsNothingElseWaiting(t *testing.T) {
	s := fresh(t)
	var searches []*sql.Conn
	for range historyConnections {
		c, err := s.history.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		searches = append(searches, c)
	}
	if _, err := s.Due(t.Context(), now, 10); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := s.Events(ctx, watch.EventQuery{Project: "p"}); err == nil {
		t.Error("the history has more connections than its own")
	}
	for _, c := range searches {
		c.Close()
	}
}

package store

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// message is a row of an alarm's transition, wanted now.
func message(alarm int64, number, repeat int) outbox.Row {
	return outbox.RowOf(watch.Wanted{Transition: watch.Transition{AlarmID: alarm, Number: number, Project: "p1"}, Repeat: repeat, Action: "https://example.com/"}, now)
}

// rough is a row of an action on a target, wanted now.
func rough(target string, number int) outbox.Row {
	return outbox.RowOf(watch.Wanted{Transition: watch.Transition{AlarmID: 1, Number: number, Project: "p1"}, Stack: "web", Target: target, Action: "cfnwatch:exec:x"}, now)
}

// add stores new rows.
func add(t *testing.T, s *Store, rows ...outbox.Row) {
	t.Helper()
	for _, r := range rows {
		if lost, err := s.Update(t.Context(), outbox.Change{Row: r, New: true}); err != nil || lost != nil {
			t.Fatal(lost, err)
		}
	}
}

// idOf is the id of a row; 0: it is not there.
func idOf(t *testing.T, s *Store, key string) (id int64) {
	t.Helper()
	if err := s.readers.QueryRow("SELECT coalesce(max(id), 0) FROM outbox WHERE row_key = ?", key).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id
}

func claim(t *testing.T, s *Store, key, owner string, at time.Time) (outbox.Row, bool) {
	t.Helper()
	r, ours, err := s.Claim(t.Context(), idOf(t, s, key), owner, at, at.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return r, ours
}

// want compares the keys of the rows that are due at a time.
func wantDue(t *testing.T, s *Store, why string, at time.Time, want ...outbox.Row) {
	t.Helper()
	due, err := s.Due(t.Context(), at, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got, keys []string
	for _, r := range due {
		got = append(got, r.Key)
	}
	for _, r := range want {
		keys = append(keys, r.Key)
	}
	if !slices.Equal(got, keys) {
		t.Errorf("%s: due are %q, want %q", why, got, keys)
	}
}

func TestRowsKeepEveryField(t *testing.T) {
	s := fresh(t)
	r := filled[outbox.Row](t)
	r.ID, r.Derived = 1, false // which is for states
	add(t, s, r)
	f := func(want ...outbox.Row) {
		t.Helper()
		if got, err := s.Rows(t.Context(), outbox.RowQuery{}); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Rows = %+v, %v,\nwant %+v", got, err, want)
		}
	}
	f(r)
	bare := message(7, 1, 0)
	add(t, s, bare)
	changed := filled[outbox.Row](t)
	changed.ID = 2
	changed.Key, changed.Wanted, changed.Rough, changed.Object, changed.Born = bare.Key, bare.Wanted, bare.Rough, bare.Object, bare.Born
	if lost, err := s.Update(t.Context(), outbox.Change{Row: changed}); err != nil || lost != nil {
		t.Fatal(lost, err)
	}
	f(changed, r)
}

func TestDue(t *testing.T) {
	s := fresh(t)
	early, late, never := rough("early", 1), rough("late", 1), rough("never", 1)
	early.Next, late.Next, never.Next = now.Add(-time.Hour), now.Add(time.Second), now.Add(time.Hour)
	flying, over := rough("flying", 1), rough("over", 1)
	flying.Status, over.Status = outbox.Acting, outbox.Done
	add(t, s, late, never, over, early, flying)
	wantDue(t, s, "in flight first, then the earliest", now.Add(time.Minute), flying, early, late)
	wantDue(t, s, "not before its time", now, flying, early)
	if _, ours := claim(t, s, early.Key, "a", now); !ours {
		t.Error("a row that is due was not to be claimed")
	}
	wantDue(t, s, "not what is claimed", now, flying)
	wantDue(t, s, "a claim ends by itself", now.Add(time.Minute), flying, early, late)
}

// A message that must be tried again holds back the later ones of its alarm,
// not those of others, and no rough action.
func TestMessagesKeepTheirOrder(t *testing.T) {
	s := fresh(t)
	first, repeated, second, other := message(1, 1, 0), message(1, 1, 1), message(1, 2, 0), message(2, 5, 0)
	action := rough("srv", 9)
	add(t, s, second, repeated, first, other, action)
	wantDue(t, s, "the first of each alarm", now, first, other, action)
	first.ID, first.Status, first.Next = idOf(t, s, first.Key), outbox.Failed, now.Add(time.Hour)
	if _, err := s.Update(t.Context(), outbox.Change{Row: first}); err != nil {
		t.Fatal(err)
	}
	wantDue(t, s, "a message that failed holds the others back", now, other, action)
	first.Status = outbox.GaveUp
	if _, err := s.Update(t.Context(), outbox.Change{Row: first}); err != nil {
		t.Fatal(err)
	}
	wantDue(t, s, "until it has ended", now, repeated, other, action)
}

// Messages that wait for another are looked at once, not with each look at what
// is due: those of a receiver that is away for a day are many.
func TestMessagesThatWaitCostNothing(t *testing.T) {
	s := fresh(t)
	const waiting = parkStep/2 + 50
	var rows []outbox.Change
	for i := range waiting {
		for _, index := range []int{0, 1} {
			r := message(1, i+1, 0)
			r.Index = index
			r.Key += fmt.Sprint("/", index)
			rows = append(rows, outbox.Change{Row: r, New: true})
		}
	}
	if lost, err := s.Update(t.Context(), rows...); err != nil || lost != nil {
		t.Fatal(lost, err)
	}
	lookedAt := func() (n int) {
		t.Helper()
		if err := s.readers.QueryRow("SELECT count(*) FROM outbox WHERE stage < 2 AND next <= ?", nanos(now)).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range 3 {
		wantDue(t, s, "the first transition", now, rows[0].Row, rows[1].Row)
	}
	if n := lookedAt(); n != 2 {
		t.Errorf("%d messages are looked at, want 2", n)
	}
	if err := s.Rouse(t.Context(), "", now); err != nil {
		t.Fatal(err)
	}
	if n := lookedAt(); n != 2 {
		t.Errorf("%d messages are looked at when all are roused, want 2", n)
	}
	for i := range 6 { // two of a transition at a time, then those of the next
		r := rows[i].Row
		r.ID, r.Status = idOf(t, s, r.Key), outbox.Done
		if _, err := s.Update(t.Context(), outbox.Change{Row: r}); err != nil {
			t.Fatal(err)
		}
		want := []outbox.Row{rows[i+1].Row}
		if i%2 == 1 {
			want = append(want, rows[i+2].Row)
		}
		wantDue(t, s, "what is first now", now, want...)
	}
	waits, err := s.Rows(t.Context(), outbox.RowQuery{Key: rows[waiting].Row.Key})
	if err != nil || len(waits) != 1 || !waits[0].Next.IsZero() {
		t.Errorf("one that waits is shown as %+v, %v, want it without a time", waits, err)
	}
}

func TestClaims(t *testing.T) {
	s := fresh(t)
	r, flying, over := rough("srv", 1), rough("flying", 1), rough("over", 1)
	flying.Status, over.Status = outbox.Acted, outbox.Done
	add(t, s, r, flying, over)
	if got, ours := claim(t, s, r.Key, "a", now); !ours || got.Status != outbox.Claimed || got.Claim != "a" || !got.Lease.Equal(now.Add(time.Minute)) {
		t.Errorf("Claim = %+v, %t, want it claimed by a for a minute", got, ours)
	}
	if got, ours := claim(t, s, flying.Key, "a", now); !ours || got.Status != outbox.Acted {
		t.Errorf("Claim of a row in flight = %s, %t, want its status kept", got.Status, ours)
	}
	for _, key := range []string{r.Key, over.Key, "none"} {
		if _, ours := claim(t, s, key, "b", now.Add(59*time.Second)); ours {
			t.Errorf("%s was claimed by a second one", key)
		}
	}
	if ours, err := s.Renew(t.Context(), idOf(t, s, r.Key), "a", now.Add(2*time.Minute)); err != nil || !ours {
		t.Errorf("Renew = %t, %v, want its owner to have it on", ours, err)
	}
	if _, ours := claim(t, s, r.Key, "b", now.Add(90*time.Second)); ours {
		t.Error("a claim that was renewed was lost")
	}
	if _, ours := claim(t, s, r.Key, "b", now.Add(2*time.Minute)); !ours {
		t.Error("a lease that is over was kept")
	}
	if ours, err := s.Renew(t.Context(), idOf(t, s, r.Key), "a", now.Add(time.Hour)); err != nil || ours {
		t.Errorf("Renew of a claim that another has = %t, %v", ours, err)
	}
}

// What the owner of a lost claim has to say is not written, nor are the events
// that tell of it; the rest of the transaction is.
func TestUpdateOfALostClaim(t *testing.T) {
	s := fresh(t)
	mine, lost := rough("mine", 1), rough("lost", 1)
	add(t, s, mine, lost)
	mine, _ = claim(t, s, mine.Key, "a", now)
	stale, _ := claim(t, s, lost.Key, "a", now)
	claim(t, s, lost.Key, "b", now.Add(time.Hour))
	mine.Status, stale.Status = outbox.Done, outbox.Done
	event := func(text string) []watch.Event { return []watch.Event{{At: now, Summary: text}} }
	got, err := s.Update(t.Context(), outbox.Change{Row: stale, Owner: "a", Events: event("lost")}, outbox.Change{Row: mine, Owner: "a", Events: event("mine")},
		outbox.Change{Row: mine, New: true, Events: event("again")}, outbox.Change{Events: event("of no row")})
	if err != nil || !slices.Equal(got, []string{lost.Key}) {
		t.Errorf("Update lost %q, %v, want %s", got, err, lost.Key)
	}
	rows, err := s.Rows(t.Context(), outbox.RowQuery{Open: true})
	if err != nil || len(rows) != 1 || rows[0].Claim != "b" || rows[0].Status != outbox.Claimed {
		t.Errorf("open rows %+v, %v, want the one that b has", rows, err)
	}
	events, _, err := s.Events(t.Context(), watch.EventQuery{})
	if err != nil || len(events) != 2 || events[0].Summary != "of no row" || events[1].Summary != "mine" {
		t.Errorf("events %+v, %v, want those of mine and of no row alone", events, err)
	}
}

// A hold writes what the gate said and nothing else: a row that was claimed, is
// in flight or has ended meanwhile stays as it is.
func TestHold(t *testing.T) {
	s := fresh(t)
	free, tried, taken, flying, over := rough("free", 1), rough("tried", 1), rough("taken", 1), rough("flying", 1), rough("over", 1)
	tried.Status, tried.Tries, tried.Steps = outbox.Failed, 3, []outbox.Step{{At: now, Status: outbox.Failed, Text: "no answer"}}
	flying.Status, over.Status = outbox.Acting, outbox.Done
	add(t, s, free, tried, taken, flying, over)
	before, err := s.Rows(t.Context(), outbox.RowQuery{})
	if err != nil {
		t.Fatal(err)
	}
	taken, _ = claim(t, s, taken.Key, "a", now)
	var changes []outbox.Change
	for _, r := range before {
		r.Gate, r.Why, r.Since, r.Next = "g3", "12 of 40", now.Add(time.Second), now.Add(time.Minute)
		changes = append(changes, outbox.Change{Row: r, Hold: true})
	}
	changes = append(changes, outbox.Change{Events: []watch.Event{{At: now, Summary: "storm"}}})
	if lost, err := s.Update(t.Context(), changes...); err != nil || lost != nil {
		t.Fatal(lost, err)
	}
	for i, want := range before { // the newest first
		switch want.Key {
		case free.Key, tried.Key:
			want = changes[i].Row
			want.Status = outbox.Held
		case taken.Key:
			want = taken
		}
		got, err := s.Rows(t.Context(), outbox.RowQuery{Key: want.Key})
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%+v, %v,\nwant %+v", got, err, want)
		}
	}
	if events, _, err := s.Events(t.Context(), watch.EventQuery{}); err != nil || len(events) != 1 {
		t.Errorf("events %+v, %v, want that of the storm", events, err)
	}
	wantDue(t, s, "until it is to be asked again", now, flying)
}

// What is wanted in a standstill begins as held; messages go on.
func TestStandstill(t *testing.T) {
	s := fresh(t)
	record := func(number int) (rough, message outbox.Row) {
		t.Helper()
		w := watch.Wanted{Transition: watch.Transition{AlarmID: 1, Number: number}, Target: "a", Action: "cfnwatch:exec:x"}
		m := watch.Wanted{Transition: watch.Transition{AlarmID: 2, Number: number}, Action: "https://example.com/"}
		if err := s.Record(t.Context(), watch.Batch{At: now, Wanted: []watch.Wanted{w, m}}); err != nil {
			t.Fatal(err)
		}
		return outbox.RowOf(w, now), outbox.RowOf(m, now)
	}
	s.Standstill(&outbox.Standstill{Gate: "g3", Why: "40 of 40", Next: now.Add(time.Minute)})
	held, message := record(1)
	wantDue(t, s, "in a standstill", now, message)
	s.Standstill(nil)
	free, _ := record(2)
	wantDue(t, s, "after it", now, message, free)
	held.ID, held.Status, held.Gate, held.Why, held.Since, held.Next = 1, outbox.Held, "g3", "40 of 40", now, now.Add(time.Minute)
	if rows, err := s.Rows(t.Context(), outbox.RowQuery{Object: "a"}); err != nil || len(rows) != 2 || !reflect.DeepEqual(rows[1], held) {
		t.Errorf("Rows = %+v, %v,\nwant the second %+v", rows, err, held)
	}
}

func TestRowsThatAreAskedFor(t *testing.T) {
	s := fresh(t)
	w := watch.Wanted{Transition: watch.Transition{AlarmID: 4097, Number: 1}, Target: "a", Action: "cfnwatch:exec:x"}
	if err := s.Record(t.Context(), watch.Batch{At: now, Wanted: []watch.Wanted{w}}); err != nil {
		t.Fatal(err)
	}
	begun, refused, made := rough("a", 2), rough("a", 3), rough("a", 4)
	begun.Status, begun.Began, refused.Status, made.Status, made.Began = outbox.Done, now, outbox.Refused, outbox.Acting, now
	foreign, letter := message(4098, 1, 0), message(4099, 1, 0)
	foreign.Project, letter.Object, letter.Status, letter.Began = "p2", "a", outbox.Acting, now
	add(t, s, begun, refused, made, rough("b", 1), foreign, letter)
	f := func(why string, q outbox.RowQuery, want ...int64) {
		t.Helper()
		rows, err := s.Rows(t.Context(), q)
		var got []int64
		for _, r := range rows {
			got = append(got, r.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d, %v, want %d", why, got, err, want)
		}
	}
	f("of an object, but what ended before it began", outbox.RowQuery{Object: "a"}, 4, 2, 1)
	f("of an object, that began", outbox.RowQuery{Object: "a", Begun: true}, 4, 2)
	f("of a project", outbox.RowQuery{Project: "p2"}, 6)
	f("so many", outbox.RowQuery{Limit: 2}, 7, 6)
	f("of an alarm", outbox.RowQuery{AlarmID: 4097}, 1)
	f("of its neighbour", outbox.RowQuery{AlarmID: 4098}, 6)
	f("by a key that a transition wanted", outbox.RowQuery{Key: outbox.RowOf(w, now).Key}, 1)
	f("by a key that was made", outbox.RowQuery{Key: refused.Key}, 3)
	f("by it, if it is open", outbox.RowQuery{Key: refused.Key, Open: true})
}

func TestReleaseAndRouse(t *testing.T) {
	s := fresh(t)
	held, other, failed := rough("held", 1), rough("other", 1), rough("failed", 1)
	for _, r := range []*outbox.Row{&held, &other, &failed} {
		r.Status, r.Gate, r.Next = outbox.Held, "g3", now.Add(time.Hour)
	}
	other.Gate, failed.Status = "g1", outbox.Failed
	taken := rough("taken", 1)
	add(t, s, held, other, failed, taken)
	claim(t, s, taken.Key, "dead", now)
	wantDue(t, s, "before", now)
	if err := s.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantDue(t, s, "claims of the dead have ended", now, taken)
	if err := s.Rouse(t.Context(), "g3", now); err != nil {
		t.Fatal(err)
	}
	wantDue(t, s, "what one gate held", now, held, taken)
	if err := s.Rouse(t.Context(), "", now); err != nil {
		t.Fatal(err)
	}
	wantDue(t, s, "all that wait", now, held, other, failed, taken)
}

func TestTally(t *testing.T) {
	s := fresh(t)
	begun := func(target string, number int, status outbox.Status, ago time.Duration) outbox.Row {
		r := rough(target, number)
		r.Status, r.Began = status, now.Add(-ago)
		return r
	}
	a, old, b, wanted, letter := begun("a", 1, outbox.Done, time.Minute), begun("a", 2, outbox.Verifying, time.Hour),
		begun("b", 1, outbox.Acting, time.Second), rough("b", 2), message(3, 1, 0)
	letter.Status, letter.Began = outbox.Acting, now
	far := begun("c", 1, outbox.Done, time.Second)
	far.Project, far.Stack = "p2", "db"
	add(t, s, a, old, b, wanted, letter, far)
	f := func(why string, q outbox.TallyQuery, want outbox.Tally) {
		t.Helper()
		if got, err := s.Tally(t.Context(), q); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", why, got, err, want)
		}
	}
	since := now.Add(-10 * time.Minute)
	f("all", outbox.TallyQuery{Since: since}, outbox.Tally{Begun: 3, Oldest: a.Began, InFlight: 2})
	f("of an object", outbox.TallyQuery{Since: since, Object: "a"}, outbox.Tally{Begun: 1, Oldest: a.Began, InFlight: 1})
	f("of a stack", outbox.TallyQuery{Since: since, Project: "p1", Stack: "web"}, outbox.Tally{Begun: 2, Oldest: a.Began, InFlight: 2})
	f("but one", outbox.TallyQuery{Since: since, Except: b.Key}, outbox.Tally{Begun: 2, Oldest: a.Began, InFlight: 1})
	f("and not later", outbox.TallyQuery{Since: since, Until: a.Began}, outbox.Tally{Begun: 1, Oldest: a.Began, InFlight: 2})
	f("since ever", outbox.TallyQuery{}, outbox.Tally{Begun: 4, Oldest: old.Began, InFlight: 2})
	if n, err := s.Forgive(t.Context(), "a", watch.Event{At: now, Kind: watch.Action}); err != nil || n != 2 {
		t.Errorf("Forgive = %d, %v, want both rows of a", n, err)
	}
	f("what is forgiven counts no more of its object", outbox.TallyQuery{Object: "a"}, outbox.Tally{InFlight: 1})
	f("what is forgiven counts of all", outbox.TallyQuery{}, outbox.Tally{Begun: 4, Oldest: old.Began, InFlight: 2})
}

func TestHeld(t *testing.T) {
	s := fresh(t)
	in := func(target, project, gate string, status outbox.Status) outbox.Row {
		r := rough(target, 1)
		r.Project, r.Gate, r.Status = project, gate, status
		return r
	}
	add(t, s, in("a", "p1", "g3", outbox.Held), in("b", "p1", "g3", outbox.Held), in("c", "p2", "g3", outbox.Held),
		in("d", "p1", "g1", outbox.Held), in("e", "p1", "g3", outbox.Refused), in("f", "p1", "", outbox.Wanted))
	for project, want := range map[string]int{"": 3, "p1": 2, "p3": 0} {
		if got, err := s.Held(t.Context(), "g3", project); err != nil || got != want {
			t.Errorf("Held in %q = %d, %v, want %d", project, got, err, want)
		}
	}
}

func TestGivenUp(t *testing.T) {
	s := fresh(t)
	ended := func(alarm int64, number int, status outbox.Status) outbox.Row {
		r := rough(fmt.Sprint("t", alarm), number)
		r.AlarmID, r.Status = alarm, status
		r.Key += string(status)
		return r
	}
	told := message(4, 1, 0)
	told.Status = outbox.GaveUp
	add(t, s, ended(1, 3, outbox.GaveUp), ended(1, 7, outbox.GaveUp), ended(1, 8, outbox.Done), ended(2, 1, outbox.Refused), told)
	if got, err := s.GivenUp(t.Context()); err != nil || !maps.Equal(got, map[int64]int{1: 7}) {
		t.Errorf("GivenUp = %v, %v, want the seventh transition of alarm 1", got, err)
	}
}

// A message is repeated when it has been delivered: of an alarm whose receiver is
// away there was once one more each minute, for as long as it was.
func TestRepeatsOfWhatIsNotDelivered(t *testing.T) {
	s := fresh(t)
	record := func(number, repeat int, actions ...string) {
		t.Helper()
		var b watch.Batch
		for i, action := range actions {
			b.Wanted = append(b.Wanted, watch.Wanted{Transition: watch.Transition{AlarmID: 1, Number: number}, Index: i, Repeat: repeat, Action: action})
		}
		if err := s.Record(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	want := func(when string, want ...string) {
		t.Helper()
		rows, err := s.Rows(t.Context(), outbox.RowQuery{Open: true})
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, r := range rows {
			keys = append(keys, r.Key)
		}
		if slices.Sort(keys); !slices.Equal(keys, want) {
			t.Errorf("%s there are %q, want %q", when, keys, want)
		}
	}
	record(1, 0, "https://a.example", "https://b.example")
	record(1, 1, "https://a.example", "https://b.example")
	want("with the first undelivered", "1.0.1.0.0", "1.0.1.1.0")
	r, _ := claim(t, s, "1.0.1.1.0", "w", now)
	r.Status = outbox.Done
	if lost, err := s.Update(t.Context(), outbox.Change{Row: r, Owner: "w"}); err != nil || lost != nil {
		t.Fatal(lost, err)
	}
	record(1, 2, "https://a.example", "https://b.example")
	want("with one of two delivered", "1.0.1.0.0", "1.0.1.1.2")
	record(2, 0, "https://a.example", "https://b.example")
	want("after another transition", "1.0.1.0.0", "1.0.1.1.2", "1.0.2.0.0", "1.0.2.1.0")
}

// What has not ended is never pruned, however old it is.
func TestPruneRows(t *testing.T) {
	s := fresh(t)
	old, held, young := rough("old", 1), rough("held", 1), rough("young", 1)
	old.Status, held.Status, young.Status = outbox.Done, outbox.Held, outbox.GaveUp
	old.Born, old.Next, held.Born, held.Next = now.Add(-time.Hour), now.Add(-time.Hour), now.Add(-time.Hour), now.Add(-time.Hour)
	add(t, s, old, held, young)
	if err := s.Prune(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	rows, err := s.Rows(t.Context(), outbox.RowQuery{})
	if err != nil || len(rows) != 2 || rows[0].Key != young.Key || rows[1].Key != held.Key {
		t.Errorf("after pruning there are %+v, %v, want the young one and the one that is held", rows, err)
	}
}

func TestSuspensions(t *testing.T) {
	s := fresh(t)
	a := filled[outbox.Suspension](t)
	a.Until = now.Add(time.Hour)
	b := outbox.Suspension{Scope: outbox.OfAll, Since: now}
	e := watch.Event{At: now, Kind: watch.Suspension}
	var err error
	for _, p := range []*outbox.Suspension{&a, &b} {
		if *p, err = s.Suspend(t.Context(), *p, e); err != nil {
			t.Fatal(err)
		}
	}
	f := func(at time.Time, want ...outbox.Suspension) {
		t.Helper()
		if got, err := s.Suspensions(t.Context(), at); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Suspensions at %s = %+v, %v, want %+v", at, got, err, want)
		}
	}
	f(now, a, b)
	f(a.Until, a, b)
	f(a.Until.Add(1), b)
	if err := s.Resume(t.Context(), []int64{b.ID}, e); err != nil {
		t.Fatal(err)
	}
	f(now, a)
	if events, _, err := s.Events(t.Context(), watch.EventQuery{Kinds: []watch.EventKind{watch.Suspension}}); err != nil || len(events) != 3 {
		t.Errorf("%d events tell of three commands, %v", len(events), err)
	}
	if err := s.Prune(t.Context(), a.Until); err != nil {
		t.Fatal(err)
	}
	f(now, a)
	if b, err = s.Suspend(t.Context(), b, e); err != nil {
		t.Fatal(err)
	}
	if err := s.Prune(t.Context(), a.Until.Add(1)); err != nil {
		t.Fatal(err)
	}
	f(now, b) // one without an end has none, however old it is
}

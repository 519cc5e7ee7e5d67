package watch

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A refused is a bench with an alarm that one push has fed, and of whose key
// nothing but refused pushes come.
type refused struct {
	*bench
}

func newRefused(t *testing.T) *refused {
	t.Helper()
	b := &refused{newBench(t, Options{})}
	b.define(heartbeat("h"))
	b.beat("h")
	b.flush()
	return b
}

func (b *refused) flush() {
	b.t.Helper()
	if err := b.e.Flush(b.t.Context(), b.now); err != nil && !errors.Is(err, errDown) {
		b.t.Fatal(err)
	}
}

// push has one push refused each minute of a time, as the server runs.
func (b *refused) push(d time.Duration) {
	b.t.Helper()
	b.pass(d, func(now time.Time) {
		if now.Second() == 0 {
			b.e.SignOfLife(now, guest.Access)
			b.flush()
		}
	})
}

// stop stops the server cleanly, and starts it after a time.
func (b *refused) stop(d time.Duration) {
	b.t.Helper()
	if err := b.e.FlushAll(b.t.Context(), b.now); err != nil {
		b.t.Fatal(err)
	}
	b.now = b.now.Add(d)
	b.restart()
}

// events are what the history tells of h, the oldest first.
func (b *refused) events() (told []string) {
	b.t.Helper()
	events, _, err := b.e.Events(b.t.Context(), member, EventQuery{Alarm: "h", Kinds: []EventKind{Deafness}, OldestFirst: true})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, event := range events {
		told = append(told, event.Summary)
	}
	return told
}

// However often the server is restarted, refused pushes keep a guest from being
// silent for a day and no longer; they once did for a day from each start.
func TestRestartsDoNotLengthenARefusal(t *testing.T) {
	for name, tt := range map[string]struct {
		stop func(b *refused)
		more time.Duration // each loses less than refusedStep
	}{
		"stopped": {func(b *refused) { b.stop(time.Second) }, 0},
		"killed":  {func(b *refused) { b.now = b.now.Add(time.Second); b.restart() }, 11 * refusedStep},
	} {
		t.Run(name, func(t *testing.T) {
			b := newRefused(t)
			for range 11 {
				b.push(2*time.Hour + 9*time.Minute)
				tt.stop(b)
			}
			b.push(15 * time.Minute)
			b.want("h", OK) // 23 h 54 min
			b.push(15*time.Minute + tt.more)
			b.want("h", Firing)
			tt.stop(b)
			b.push(26 * time.Hour)
			b.want("h", Firing)
			if v, _ := b.e.View(b.now, "p", "h"); v.Number != 2 {
				t.Errorf("transition %d, want 2: OK and then ALARM", v.Number)
			}
			told := b.events()
			if len(told) != 2 || told[0] != "not heard: pushes of key "+guest.Access+" are refused or cannot be verified" || !strings.HasPrefix(told[1], "judged silent again") {
				t.Errorf("told %q, want its beginning and its end", told)
			}
		})
	}
}

// A time in which the server did not run is none of the day: what was refused
// before may be alive after.
func TestTimeThatTheServerDidNotRunDoesNotCount(t *testing.T) {
	b := newRefused(t)
	b.push(12 * time.Hour)
	b.stop(7 * 24 * time.Hour)
	b.push(11 * time.Hour)
	b.want("h", OK)
	b.push(2 * time.Hour)
	b.want("h", Firing)
}

// Once the day is over, no refused push begins another: only one that is taken
// does.
func TestRefusalIsNotRenewed(t *testing.T) {
	b := newRefused(t)
	b.push(25 * time.Hour)
	b.want("h", Firing)
	b.pass(5 * time.Hour)
	b.push(10 * time.Hour)
	if got := b.store.refuse[guest.Access]; got != signOfLife {
		t.Errorf("the store has %s, want %s", got, signOfLife)
	}
	b.stop(time.Hour)
	b.push(3 * time.Hour)
	b.want("h", Firing)
	b.beat("h")
	b.pass(time.Second)
	b.want("h", OK)
	b.push(23 * time.Hour)
	b.want("h", OK)
	b.push(2 * time.Hour)
	b.want("h", Firing)
	b.push(48 * time.Hour) // its key has been forgotten
	b.want("h", Firing)
}

// A push that is taken ends it, also in the store.
func TestRefusalEndsWithAPushThatIsTaken(t *testing.T) {
	b := newRefused(t)
	b.push(20 * time.Hour)
	if kept := b.store.refuse[guest.Access]; kept < 19*time.Hour || kept > 20*time.Hour {
		t.Errorf("the store has %s, want nearly 20 h", kept)
	}
	b.beat("h")
	b.now = b.now.Add(time.Minute)
	b.flush()
	if len(b.store.refuse) != 0 {
		t.Errorf("the store has %v, want nothing", b.store.refuse)
	}
	b.now = b.now.Add(time.Minute)
	b.flush()
	if len(b.e.refusals) != 0 {
		t.Errorf("the engine has %d, want none", len(b.e.refusals))
	}
	b.restart()
	b.push(20 * time.Hour)
	b.want("h", OK)
}

// Whoever knows a key's id can have any number of pushes refused, and each was
// worth a look at all alarms that the key fed: those of a second are one.
func TestRefusedPushesOfASecondAreOne(t *testing.T) {
	b := newRefused(t)
	heard := func(after time.Duration) time.Time {
		b.t.Helper()
		b.now = b.now.Add(after)
		b.e.SignOfLife(b.now, guest.Access)
		v, ok := b.e.View(b.now, "p", "h")
		if !ok {
			b.t.Fatal("no alarm h")
		}
		return v.Heard
	}
	first := heard(time.Second)
	if got := heard(999 * time.Millisecond); !got.Equal(first) {
		t.Errorf("heard since %s by a second push, want %s", got, first)
	}
	if got := heard(time.Millisecond); !got.Equal(b.now) {
		t.Errorf("heard since %s a second later, want %s", got, b.now)
	}
	b.beat("h")
	if got := heard(time.Millisecond); !got.Equal(b.now.Add(-time.Millisecond)) {
		t.Errorf("heard since %s though one is taken in between, want %s", got, b.now.Add(-time.Millisecond))
	}
	if got := heard(time.Second); !got.Equal(b.now) {
		t.Errorf("heard since %s, want %s", got, b.now)
	}
}

// unwilling is a store that does not take how long keys are refused.
type unwilling struct{ *Memory }

func (unwilling) SaveRefused(context.Context, map[string]time.Duration) error { return errDown }

// What the store did not take it gets later, but nothing that is old by then.
func TestRefusalsAreStoredOnceTheStoreIsBack(t *testing.T) {
	b := newRefused(t)
	b.e.Store = unwilling{b.store}
	for range 3 {
		b.now = b.now.Add(20 * time.Minute)
		b.e.SignOfLife(b.now, guest.Access)
		b.flush()
	}
	b.e.Store = b.store
	b.flush()
	if want := map[string]time.Duration{guest.Access: 40 * time.Minute}; !maps.Equal(b.store.refuse, want) {
		t.Errorf("the store has %v, want %v", b.store.refuse, want)
	}
}

// Of a key that is no more nothing is kept, whether its alarm was deleted while
// the server ran or before it started.
func TestRefusalOfAKeyThatIsGone(t *testing.T) {
	b := newRefused(t)
	b.push(time.Hour)
	b.store.refuse["gone"] = time.Hour
	b.restart()
	b.e.Store = unwilling{b.store}
	b.push(20 * time.Minute)
	b.e.Store = b.store
	if err := b.e.Delete(t.Context(), b.now, member, []string{"h"}); err != nil {
		t.Fatal(err)
	}
	b.now = b.now.Add(time.Minute)
	b.flush()
	if len(b.store.refuse) != 0 || len(b.e.refusals) != 0 {
		t.Errorf("the store has %v and the engine %d, want nothing", b.store.refuse, len(b.e.refusals))
	}
}

// Who is refused is listed with what that means, as long as it goes on.
func TestRefusedKeysAreListed(t *testing.T) {
	b := newRefused(t)
	began := b.now
	b.pass(time.Minute)
	b.push(time.Hour)
	first := began.Add(2 * time.Minute)
	want := []Refused{{Access: guest.Access, Since: first, Last: b.now, Until: first.Add(24 * time.Hour), Alarms: []string{"p/h"}}}
	if got := b.e.Refused(b.now); !reflect.DeepEqual(got, want) {
		t.Errorf("Refused = %+v, want %+v", got, want)
	}
	b.pass(time.Hour + time.Minute)
	if got := b.e.Refused(b.now); len(got) != 0 {
		t.Errorf("Refused = %+v an hour after the last push, want none", got)
	}
	b.push(23 * time.Hour)
	if got := b.e.Refused(b.now); len(got) != 1 || !got[0].Over || !got[0].Until.Equal(first.Add(24*time.Hour)) {
		t.Errorf("Refused = %+v after more than a day, want it over", got)
	}
	b.beat("h")
	if got := b.e.Refused(b.now); len(got) != 0 {
		t.Errorf("Refused = %+v once a push is taken, want none", got)
	}
}

// pushesElsewhere has a heartbeat for h pushed each minute, with a key that is of
// another stack.
func (b *refused) pushesElsewhere(d time.Duration, access string) {
	moved := guest
	moved.Stack, moved.Access = "elsewhere", access
	b.pass(d, func(now time.Time) {
		if now.Second() == 0 {
			b.e.Put(now, moved, []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: "h", Count: 1}})
		}
	})
}

// A guest whose key is bound to another stack than before still lives: what it
// pushes to the alarm that it fed is no arrival, and for a day no silence either.
func TestPushesThatAreRefusedForTheirStackAreASignOfLife(t *testing.T) {
	b := newRefused(t)
	b.pushesElsewhere(23*time.Hour, guest.Access)
	b.want("h", OK)
	if told, want := b.events(), []string{"not heard: pushes of key " + guest.Access + " are refused, as it is of another stack"}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
	b.pushesElsewhere(10*time.Minute, "stranger") // which never fed it
	b.want("h", Firing)
}

func TestPushesThatAreRefusedForTheirStackKeepNobodyAliveForEver(t *testing.T) {
	b := newRefused(t)
	b.pushesElsewhere(25*time.Hour, guest.Access)
	b.want("h", Firing)
}

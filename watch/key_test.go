package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// forgetful is a store that may not forget which alarms keys fed.
type forgetful struct {
	*Memory
	down      bool
	meanwhile func() // is done before it forgets; nil: nothing
}

func (f *forgetful) ForgetFed(ctx context.Context, access []string) error {
	if f.down {
		return errDown
	}
	if f.meanwhile != nil {
		f.meanwhile()
	}
	return f.Memory.ForgetFed(ctx, access)
}

// A keyBench is hours of keys that push.
type keyBench struct {
	*bench
	store *forgetful
}

func newKeyBench(t *testing.T, alarms ...string) *keyBench {
	t.Helper()
	store := &forgetful{Memory: NewMemory()}
	b := &keyBench{newBench(t, Options{Store: store}), store}
	for _, name := range alarms {
		b.define(heartbeat(name))
	}
	return b
}

func (b *keyBench) beatOf(access, alarm string) {
	c := guest
	c.Access = access
	b.e.Put(b.now, c, []Sample{{Namespace: "system/linux", Metric: "Heartbeat", Alarm: alarm, Count: 1, Sum: 1, Min: 1, Max: 1}})
}

// hours pass, with a flush after each.
func (b *keyBench) hours(n int, each func()) {
	for range n {
		b.now = b.now.Add(time.Hour)
		each()
		if err := b.e.Flush(b.t.Context(), b.now); err != nil && !errors.Is(err, errDown) {
			b.t.Fatal(err)
		}
	}
}

// known are the keys that the engine knows, and those that the store does.
func (b *keyBench) known(when string, want ...string) {
	b.t.Helper()
	fed, err := b.store.LoadFed(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	var engine []string
	for k := range b.e.keys.each() {
		engine = append(engine, k.access)
	}
	slices.Sort(engine)
	stored := slices.Sorted(maps.Keys(fed))
	if !slices.Equal(engine, want) || !slices.Equal(stored, want) {
		b.t.Errorf("%s the engine knows the keys %q and the store %q, want %q", when, engine, stored, want)
	}
	for en := range b.e.entries.each() {
		for at := range en.keys() {
			if k := b.e.keys.at(at); k == nil || b.e.keyNamed(k.access) != k || !slices.Contains(slices.Collect(b.e.fedWith(k)), en) {
				b.t.Errorf("%s alarm %s is of a key still that is forgotten", when, en.name)
			}
		}
	}
}

// Each new server of a stack has a key of its own, and the alarm stays: its keys
// were kept for ever.
func TestKeysThatAreNotHeardAreForgotten(t *testing.T) {
	b := newKeyBench(t, "h", "r")
	b.beatOf("old", "h")
	b.beatOf("refused", "r")
	push := func() { b.beatOf("new", "h") }
	refused := func() { push(); b.e.SignOfLife(b.now, "refused") }
	b.hours(24, refused)
	b.known("after a day", "new", "old", "refused")
	b.hours(2, refused)
	b.known("after another hour", "new", "refused")
	b.hours(20, refused)
	b.known("while a refused push still tells of an alarm, and for a day after", "new", "refused")
	b.hours(6, refused)
	b.known("when it has told of it for a day, and been no use for another", "new")
	b.beatOf("old", "h")
	b.hours(1, push)
	b.known("when an old key is used again", "new", "old")
	b.hours(26, func() {})
	b.known("when nothing pushes")
}

// A guest that may be silent for days has its key for as long, and a day.
func TestKeyOfASlowAlarmIsKept(t *testing.T) {
	b := newKeyBench(t)
	a := heartbeat("h")
	a.Period = 24 * time.Hour
	b.define(a) // silent after 54 h
	b.beatOf("slow", "h")
	b.hours(77, func() {})
	b.known("after 77 hours", "slow")
	b.hours(2, func() {})
	b.known("after 79 hours")
}

// What the store could not forget it forgets later, but not a key that has come
// again meanwhile.
func TestKeysAreForgottenOnceTheStoreIsBack(t *testing.T) {
	b := newKeyBench(t, "a", "b")
	b.beatOf("A", "a")
	b.beatOf("B", "b")
	b.hours(1, func() {})
	b.store.down = true
	b.hours(25, func() {})
	b.beatOf("A", "a")
	b.store.down = false
	b.hours(1, func() {})
	b.known("when the store is back", "A")
}

// A key whose alarm is deleted while a flush is under way, and that then feeds
// another, was forgotten by the next: for a server that started then, refused
// pushes of it told of no alarm.
func TestKeyThatComesAgainDuringAFlushIsKept(t *testing.T) {
	b := newKeyBench(t, "a", "b", "c")
	b.beatOf("A", "a")
	b.beatOf("C", "c")
	b.hours(2, func() { b.e.SignOfLife(b.now, "A"); b.e.SignOfLife(b.now, "C") })
	remove := func(alarm string) {
		if err := b.e.Delete(t.Context(), b.now, member, []string{alarm}); err != nil {
			t.Error(err)
		}
	}
	remove("c")
	b.store.meanwhile = func() {
		b.store.meanwhile = nil
		remove("a")
		b.beatOf("A", "b")
	}
	b.hours(2, func() {})
	b.known("after two flushes", "A")
}

// Whoever makes keys, as any user of Keystone may, takes no more memory with them
// than so much for each alarm of the project.
func TestKeysThatFeedAreBounded(t *testing.T) {
	b := newBench(t, Options{AlarmsPerProject: 2})
	for _, name := range []string{"a", "b"} {
		b.define(heartbeat(name))
	}
	push := func(access, alarm string) {
		c := guest
		c.Access = access
		b.e.Put(b.now, c, []Sample{{Metric: "Heartbeat", Alarm: alarm, Count: 1}})
	}
	for i := range 10 * keysOfAlarm {
		push(fmt.Sprint("k", i), "a")
	}
	if got := len(b.e.Keys()); got != 2*keysOfAlarm {
		t.Errorf("%d keys are remembered, want %d", got, 2*keysOfAlarm)
	}
	b.pass(time.Second)
	events, _, err := b.e.Events(t.Context(), member, EventQuery{Kinds: []EventKind{Deafness}})
	if want := "more than 32 pairs"; err != nil || len(events) != 1 || !strings.Contains(events[0].Summary, want) {
		t.Errorf("told %v, %v, want once %q", events, err, want)
	}
	b.want("a", OK)
	if err := b.e.Delete(t.Context(), b.now, member, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	push("k", "b")
	if got := b.e.Keys(); len(got) != 1 || got[0] != "k" {
		t.Errorf("keys %q when there is room again, want k", got)
	}
	b.pass(25 * time.Hour)
	if p := b.e.projects["p"]; len(b.e.Keys()) > 1 || p.pairs != len(b.e.Keys()) {
		t.Errorf("%d pairs are counted of %d", p.pairs, len(b.e.Keys()))
	}
}

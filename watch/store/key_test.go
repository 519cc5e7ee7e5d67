package store

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

func TestKeys(t *testing.T) {
	s := fresh(t)
	k := filled[Key](t)
	other := Key{Access: "AK2", Secret: "x", Project: "p", Role: watch.Member, Created: now}
	for _, k := range []Key{k, other} {
		if err := s.PutKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.PutKey(t.Context(), other); err == nil {
		t.Error("a second key of one id was taken")
	}
	f := func(want ...Key) {
		t.Helper()
		if got, err := s.Keys(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Keys = %+v, %v, want %+v", got, err, want)
		}
	}
	f(other, k)
	later := now.AddDate(1, 0, 0)
	for range 2 {
		if err := s.RevokeKey(t.Context(), other.Access, later); err != nil {
			t.Fatal(err)
		}
		other.Revoked, later = now.AddDate(1, 0, 0), later.AddDate(1, 0, 0)
		f(other, k)
	}
	if err := s.RevokeKey(t.Context(), "none", now); !errors.Is(err, ErrNoKey) {
		t.Errorf("RevokeKey of an id that is unknown = %v, want %v", err, ErrNoKey)
	}
	if text := fmt.Sprintf("%v %+v %#v", k, k, k); strings.Contains(text, string(k.Secret)) {
		t.Errorf("a key that is printed shows its secret: %s", text)
	}
}

func TestFed(t *testing.T) {
	s := fresh(t)
	a, b := put(t, s, "a"), put(t, s, "b")
	for range 2 {
		if err := s.SaveFed(t.Context(), map[string][]int64{"AK1": {a, b, 99}, "AK2": {b}}); err != nil {
			t.Fatal(err)
		}
	}
	f := func(want map[string][]int64) {
		t.Helper()
		if got, err := s.LoadFed(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("LoadFed = %v, %v, want %v", got, err, want)
		}
	}
	f(map[string][]int64{"AK1": {a, b}, "AK2": {b}})
	if err := s.DeleteAlarms(t.Context(), []int64{b}, nil); err != nil {
		t.Fatal(err)
	}
	f(map[string][]int64{"AK1": {a}})
	if err := s.SaveFed(t.Context(), map[string][]int64{"AK2": {a}, "AK3": {a}}); err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetFed(t.Context(), []string{"AK1", "none", "AK3"}); err != nil {
		t.Fatal(err)
	}
	f(map[string][]int64{"AK2": {a}})
}

// What a whole fleet fed first is written in several transactions.
func TestFedByManyKeys(t *testing.T) {
	s := fresh(t)
	populate(t, s, 2)
	want := map[string][]int64{}
	for i := range flushStep/2 + rowsAtOnce/2 {
		want[fmt.Sprint("AK", i)] = []int64{1, 2}
	}
	if err := s.SaveFed(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got, err := s.LoadFed(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("LoadFed has %d keys, %v, want %d", len(got), err, len(want))
	}
}

func TestRefused(t *testing.T) {
	s := fresh(t)
	f := func(why string, want map[string]time.Duration) {
		t.Helper()
		if got, err := s.LoadRefused(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: LoadRefused = %v, %v, want %v", why, got, err, want)
		}
	}
	save := func(refused map[string]time.Duration) {
		t.Helper()
		if err := s.SaveRefused(t.Context(), refused); err != nil {
			t.Fatal(err)
		}
	}
	f("none", map[string]time.Duration{})
	save(map[string]time.Duration{"A": time.Hour, "B": time.Minute, "C": 1, "none": 0})
	f("new ones", map[string]time.Duration{"A": time.Hour, "B": time.Minute, "C": 1})
	save(map[string]time.Duration{"A": 2 * time.Hour, "B": 0})
	f("longer, and no longer", map[string]time.Duration{"A": 2 * time.Hour, "C": 1})
	if err := s.ForgetFed(t.Context(), []string{"C"}); err != nil {
		t.Fatal(err)
	}
	f("forgotten with what they fed", map[string]time.Duration{"A": 2 * time.Hour})
}

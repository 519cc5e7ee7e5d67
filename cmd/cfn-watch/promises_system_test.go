//go:build system

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// goesOn starts a server over what another has left when it had said that much,
// lets it live to the end of the story, and looks at what has become of it.
func goesOn(t *testing.T, dir, said string) {
	from := lastOf(said).at
	synctest.Test(t, func(t *testing.T) {
		var calls []string
		l := &life{t: t, dir: dir}
		l.at = func(p string) {
			if strings.HasPrefix(p, "call ") {
				calls = append(calls, p)
			}
		}
		l.live(from, lifeEnd*time.Second, func() {
			err := errors.Join(l.checkKept(said), l.checkSilence(from), l.checkActions(said, calls))
			if err != nil {
				t.Errorf("from %s: %v", from, err)
			}
		})
	})
}

func (l *life) events() []watch.Event {
	events, _, err := l.s.store.Events(context.Background(), watch.EventQuery{Limit: 1 << 20, OldestFirst: true})
	if err != nil {
		l.t.Fatal(err)
	}
	return events
}

// checkKept: what was answered or told of is there.
func (l *life) checkKept(said string) error {
	have := map[string]bool{}
	for _, e := range l.events() {
		if _, number, ok := strings.Cut(string(e.Data), `"transition":`); ok {
			number, _, _ = strings.Cut(number, ",")
			have["told "+e.Alarm+" "+number] = true
		}
	}
	for _, v := range l.s.engine.Alarms(time.Now(), watch.Caller{Project: "p", Role: watch.Member}, watch.AlarmQuery{}) {
		have["defined "+v.Name] = true
	}
	for _, s := range sayings(said) {
		told := strings.HasPrefix(s.what, "told ") && s.at > prunedBefore
		if (told || strings.HasPrefix(s.what, "defined ")) && !have[s.what] {
			return fmt.Errorf("this was said, and is gone: %s", s.what)
		}
	}
	return nil
}

// checkSilence: nobody is silent before the server has listened, and in the end
// all are well.
func (l *life) checkSilence(from time.Duration) error {
	for _, e := range l.events() {
		if after := e.At.Sub(l.began.Add(from)); e.Kind == watch.StateUpdate && strings.HasSuffix(e.Summary, "to ALARM") && after > 0 && after < lifeSilence {
			return fmt.Errorf("%s is silent %s after the start", e.Alarm, after)
		}
	}
	for i := range lifeGuests {
		if v, ok := l.s.engine.View(time.Now(), "p", fmt.Sprintf("g%d", i)); !ok || v.State != watch.OK {
			return fmt.Errorf("g%d is %s in the end", i, v.State)
		}
	}
	return nil
}

// checkActions: the command of the guest that died ran once, or it is unknown
// whether it ran; no other ran. Each message came, more than once only where
// the history says why. calls are those since the start.
func (l *life) checkActions(said string, calls []string) error {
	for _, s := range sayings(said) {
		if strings.HasPrefix(s.what, "call ") {
			calls = append(calls, s.what)
		}
	}
	ran := (&rig{t: l.t, dir: l.dir}).ran()
	rows, err := l.s.store.Rows(context.Background(), outbox.RowQuery{Limit: 1000})
	if err != nil {
		return err
	}
	told := map[string]string{}
	for _, e := range l.events() {
		told[e.Key] += e.Summary + "\n"
	}
	due := 0
	for _, r := range rows {
		called := 0
		for _, c := range calls {
			if c == "call "+r.Key {
				called++
			}
		}
		if l.ofDeath(r) {
			due++
		}
		if !l.rightly(r, called, ran[r.Key], told[r.Key]) {
			return fmt.Errorf("%s of %s is %s, was called %d times, ran %d times: %s", r.Key, r.Alarm, r.Status, called, ran[r.Key], told[r.Key])
		}
		delete(ran, r.Key)
	}
	if due != 1 || len(ran) > 0 {
		return fmt.Errorf("%d commands were due, want 1; of no row ran %v", due, ran)
	}
	return nil
}

// ofDeath says that a row is the command for the guest that died.
func (l *life) ofDeath(r outbox.Row) bool {
	return kindOf(r.Key) == "command" && r.Alarm == "g3" && r.At.Sub(l.began) < deathEnd*time.Second
}

// rightly says whether an action ended as it should.
func (l *life) rightly(r outbox.Row, called, ran int, told string) bool {
	switch {
	case kindOf(r.Key) == "message":
		return r.Status == outbox.Done && (called == 1 || called == 2 && strings.Contains(told, "broke off in the middle"))
	case !l.ofDeath(r): // of the storm
		return r.Status == outbox.Refused && ran == 0 && strings.Contains(told, "refused: ")
	case r.Status == outbox.Unknown:
		return ran <= 1 && strings.Contains(told, "unknown: ")
	}
	return r.Status == outbox.Done && ran == 1
}

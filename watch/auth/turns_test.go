package auth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A queue is turns of a second each, and what became of who took one.
type queue struct {
	turns
	all  sync.WaitGroup
	mu   sync.Mutex
	had  []string
	busy []string
}

// come has requests of these keys come, one after the other.
func (q *queue) come(ctx context.Context, names ...string) {
	for _, name := range names {
		q.all.Go(func() {
			err := q.take(ctx, name[:1])
			q.mu.Lock()
			switch {
			case err == nil:
				q.had = append(q.had, name)
			case errors.Is(err, errBusy):
				q.busy = append(q.busy, name)
			}
			q.mu.Unlock()
			if err == nil {
				time.Sleep(time.Second)
				q.give()
			}
		})
		synctest.Wait()
	}
}

func TestTurnsAreTakenKeyByKey(t *testing.T) {
	for name, tt := range map[string]struct {
		come, had, busy []string
	}{
		"in their order":              {[]string{"a1", "b1", "c1"}, []string{"a1", "b1", "c1"}, nil},
		"many of one key":             {[]string{"a1", "a2", "a3", "b1", "c1"}, []string{"a1", "a2", "b1", "c1", "a3"}, nil},
		"two of many":                 {[]string{"a1", "a2", "a3", "b1", "b2"}, []string{"a1", "a2", "b1", "a3", "b2"}, nil},
		"too many of one key":         {[]string{"a1", "a2", "a3", "a4", "a5", "a6", "a7"}, []string{"a1", "a2", "a3", "a4", "a5"}, []string{"a6", "a7"}},
		"they give way":               {[]string{"a1", "a2", "a3", "a4", "a5", "b1", "b2"}, []string{"a1", "a2", "b1", "a3", "b2"}, []string{"a5", "a4"}},
		"nobody has too many waiting": {[]string{"a1", "b1", "c1", "d1", "e1", "f1", "b2"}, []string{"a1", "b1", "c1", "d1", "e1"}, []string{"f1", "b2"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := &queue{turns: turns{most: 1, room: 4}}
				q.come(t.Context(), tt.come...)
				if got := q.count(); got != len(tt.had) {
					t.Errorf("%d have a turn or wait, want %d", got, len(tt.had))
				}
				q.all.Wait()
				if !slices.Equal(q.had, tt.had) || !slices.Equal(q.busy, tt.busy) || q.count() != 0 {
					t.Errorf("turns of %q, none for %q, %d left, want %q, %q, 0", q.had, q.busy, q.count(), tt.had, tt.busy)
				}
			})
		})
	}
}

// Who waits no longer has left no gap: all turns are had, and no more at once
// than there are.
func TestTurnsOfThoseWhoLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		turns := turns{most: 3, room: 20}
		var all sync.WaitGroup
		var mu sync.Mutex
		at, had, left := 0, 0, 0
		for range 2000 {
			key, patience := fmt.Sprint(random.IntN(5)), time.Duration(random.IntN(20))*time.Second
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := turns.take(ctx, key); err != nil {
					mu.Lock()
					left++
					mu.Unlock()
					return
				}
				mu.Lock()
				had, at = had+1, at+1
				if at > 3 {
					t.Errorf("%d have a turn at once, want 3", at)
				}
				mu.Unlock()
				time.Sleep(2 * time.Second)
				mu.Lock()
				at--
				mu.Unlock()
				turns.give()
			})
			time.Sleep(time.Duration(random.IntN(900)) * time.Millisecond)
		}
		all.Wait()
		if turns.count() != 0 || len(turns.queues) != 0 || len(turns.order) != 0 || had < 1000 || left < 100 {
			t.Errorf("%d had a turn, %d left; %+v, want none left behind", had, left, &turns)
		}
		if err := turns.take(t.Context(), "last"); err != nil {
			t.Error(err)
		}
	})
}

// A turn that is given to who has just left is the next one's.
func TestTurnThatComesTooLate(t *testing.T) {
	turns := turns{most: 1, room: 2}
	take := func(key string) chan bool {
		t.Helper()
		turn, err := turns.queue(key)
		if err != nil {
			t.Fatal(err)
		}
		return turn
	}
	take("a")
	b, c := take("b"), take("c")
	turns.give()
	turns.leave("b", b)
	if len(c) != 1 || turns.count() != 1 {
		t.Errorf("%d have a turn or wait, want the next one alone", turns.count())
	}
	turns.give()
	if turns.count() != 0 {
		t.Errorf("%d have a turn or wait, want none", turns.count())
	}
}

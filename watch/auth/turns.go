package auth

import (
	"context"
	"slices"
	"sync"
)

// turns are had by so many requests at a time. The keys of those that wait have
// them one after the other: however many come with one key, another waits for
// one of them, and not for all. Where there is no room to wait, the last of the
// key that has most waiting gives way.
type turns struct {
	most, room int // that have a turn, and that wait

	mu      sync.Mutex
	taken   int
	waiting int
	queues  map[string][]chan bool // by key: is told true with its turn, false if it gave way
	order   []string               // of the keys, whose turn is next first
}

// take waits for a turn, which give must be called after. The error is errBusy,
// or why ctx is done.
func (t *turns) take(ctx context.Context, key string) error {
	turn, err := t.queue(key)
	if turn == nil {
		return err
	}
	select {
	case ok := <-turn:
		if !ok {
			return errBusy
		}
		return nil
	case <-ctx.Done():
		t.leave(key, turn)
		return context.Cause(ctx)
	}
}

// queue has a request wait, or take a turn at once: then it returns nil.
func (t *turns) queue(key string) (chan bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken < t.most {
		t.taken++
		return nil, nil
	}
	if t.waiting == t.room && !t.makeRoom(key) {
		return nil, errBusy
	}
	turn := make(chan bool, 1)
	if t.queues == nil {
		t.queues = map[string][]chan bool{}
	}
	if t.queues[key] == nil {
		t.order = append(t.order, key)
	}
	t.queues[key] = append(t.queues[key], turn)
	t.waiting++
	return turn, nil
}

// makeRoom sends away the last of the longest queue, unless that is key's own,
// or would be.
func (t *turns) makeRoom(key string) bool {
	longest := key
	for other, queue := range t.queues {
		if len(queue) > len(t.queues[longest]) {
			longest = other
		}
	}
	queue := t.queues[longest]
	if len(queue) <= len(t.queues[key])+1 {
		return false
	}
	last := queue[len(queue)-1]
	t.remove(longest, last)
	last <- false
	return true
}

// leave ends the wait of a request. A turn that it was given meanwhile is the
// next one's.
func (t *turns) leave(key string, turn chan bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if slices.Contains(t.queues[key], turn) {
		t.remove(key, turn)
	} else if <-turn {
		t.pass()
	}
}

func (t *turns) remove(key string, turn chan bool) {
	queue := slices.DeleteFunc(t.queues[key], func(other chan bool) bool { return other == turn })
	t.queues[key] = queue
	if t.waiting--; len(queue) == 0 {
		delete(t.queues, key)
		t.order = slices.DeleteFunc(t.order, func(other string) bool { return other == key })
	}
}

// give ends a turn.
func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass()
}

// pass gives a turn that has ended to the next, if one waits.
func (t *turns) pass() {
	if len(t.order) == 0 {
		t.taken--
		return
	}
	key := t.order[0]
	first := t.queues[key][0]
	t.remove(key, first)
	if len(t.queues[key]) > 0 {
		t.order = append(t.order[1:], key)
	}
	first <- true
}

// count is how many have a turn or wait for one.
func (t *turns) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.taken + t.waiting
}

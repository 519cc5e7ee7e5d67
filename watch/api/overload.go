package api

import (
	"runtime"
	"sync"
	"time"
)

// patience is how long a request may wait to be handled. One that waits longer
// is refused: a queue makes the dead look alive and the living dead.
const patience = time.Second

// slots bound how many requests are handled at once.
type slots chan struct{}

func newSlots() slots { return make(slots, 8*runtime.GOMAXPROCS(0)) }

// enter waits for a slot; false: there was none in time.
func (s slots) enter() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case s <- struct{}{}:
		return true
	case <-t.C:
		return false
	}
}

func (s slots) leave() { <-s }

func overloaded() *Error {
	return &Error{Status: 503, Code: "ServiceUnavailable", Message: "the server has too much to do: try again", RetryAfter: patience}
}

// deafAfter is how long more than half of the pushes must be refused until the
// server counts as deaf. Only its own faults are counted here: what is over
// the rate of a key or a project is refused elsewhere.
const deafAfter = 5 * time.Second

// hearing counts pushes second by second.
type hearing struct {
	mu             sync.Mutex
	second         int64 // since 1970, that is counted now
	heard, refused int
	bad            time.Duration // how long it has been bad, up to that second
}

// count counts a push, and says whether the server has become deaf by now.
func (h *hearing) count(ok bool, now time.Time) (deaf bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if second := now.Unix(); second != h.second {
		if h.refused > h.heard && second == h.second+1 {
			h.bad += time.Second
		} else {
			h.bad = 0
		}
		h.second, h.heard, h.refused = second, 0, 0
		if deaf = h.bad >= deafAfter; deaf {
			h.bad = 0
		}
	}
	if ok {
		h.heard++
	} else {
		h.refused++
	}
	return deaf
}

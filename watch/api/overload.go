package api

import (
	"maps"
	"runtime"
	"sync"
	"time"
)

// patience is how long a request may wait to be handled. One that waits longer
// is refused: a queue makes the dead look alive and the living dead.
const patience = time.Second

// slots bound how many requests are handled at once, and how many of them may
// be one project's, so that none can keep the others out. Those that bound large
// bodies are shared by where these come from instead.
type slots struct {
	all chan struct{}

	mu     sync.Mutex
	shares map[string]*share
}

// A share is what one project has of the slots: a half.
type share struct {
	slots chan struct{}
	users int // that hold or wait for one
}

// idleShares is how many shares there may be until those that nobody uses are
// forgotten.
const idleShares = 1000

func newSlots(n int) *slots { return &slots{all: make(chan struct{}, n), shares: map[string]*share{}} }

// atOnce is how many requests are handled at once.
func atOnce() int { return 8 * runtime.GOMAXPROCS(0) }

// enter waits for a slot, to be given back with leave. nil: there was none in
// time, in all or in the project's share.
func (s *slots) enter(project string) (in *share, crowded bool) {
	s.mu.Lock()
	in = s.shares[project]
	if in == nil {
		if len(s.shares) >= idleShares {
			maps.DeleteFunc(s.shares, func(_ string, in *share) bool { return in.users == 0 })
		}
		in = &share{slots: make(chan struct{}, cap(s.all)/2)}
		s.shares[project] = in
	}
	in.users++
	s.mu.Unlock()
	began := time.Now()
	if !take(in.slots, patience) {
		s.forget(in)
		return nil, false
	}
	if !take(s.all, patience-time.Since(began)) {
		<-in.slots
		s.forget(in)
		return nil, true
	}
	return in, false
}

func take(from chan struct{}, wait time.Duration) bool {
	select {
	case from <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case from <- struct{}{}:
		return true
	case <-t.C:
		return false
	}
}

func (s *slots) leave(in *share) {
	<-s.all
	<-in.slots
	s.forget(in)
}

func (s *slots) forget(in *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in.users--
}

func overloaded() *Error {
	return &Error{Status: 503, Code: "ServiceUnavailable", Message: "the server has too much to do: try again", RetryAfter: patience}
}

// deafAfter is how long more than half of the pushes must be refused until the
// server counts as deaf. Only its own faults are counted: not what is over the
// rate or the share of a project.
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

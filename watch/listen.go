package watch

import (
	"fmt"
	"time"
)

const (
	tickEvery   = time.Second
	tickLate    = 5 * time.Second  // beyond it the server was stopped, or too slow to hear
	clockStep   = 2 * time.Second  // beyond it the clock was set
	hearsWithin = 30 * time.Minute // of which deaf for
	hearsNot    = 10 * time.Minute // is too much
)

// hearing is whether the server could hear.
type hearing struct {
	since instant   // listening without a break
	at    time.Time // since, by the wall clock: setting it breaks the listening
	tick  instant   // the last one
	wall  time.Time // of that tick
	deaf  []span    // of the last hearsWithin
}

// A span is a time that the server was deaf.
type span struct{ from, to instant }

// heard says what of a tick's time, by both clocks, tells that the server
// could not hear until now; empty: it could. stepped says that the wall clock
// was set.
func (h *hearing) heard(now instant, wall time.Time) (cause string, stepped bool) {
	passed := time.Duration(now - h.tick)
	step := wall.Sub(h.wall) - passed
	switch {
	case step > clockStep || step < -clockStep:
		return fmt.Sprintf("the clock was set by %s", step.Round(time.Millisecond)), true
	case passed-tickEvery > tickLate:
		return fmt.Sprintf("a tick came %s late", (passed - tickEvery).Round(time.Millisecond)), false
	}
	return "", false
}

// deafen makes the server listen anew.
func (h *hearing) deafen(from, now instant, wall time.Time) {
	h.since, h.at = now, wall
	h.deaf = append(h.deaf, span{from, now})
	for len(h.deaf) > 1 && h.deaf[0].to < now-instant(hearsWithin) {
		h.deaf = h.deaf[1:]
	}
}

// Deaf says that the server could not hear until now, and why: nothing is
// judged silent before it has listened long enough again.
func (e *Engine) Deaf(now time.Time, cause string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.instant(now)
	e.deafen(at-instant(tickLate), now, cause)
}

func (e *Engine) deafen(from instant, now time.Time, cause string) {
	e.hearing.deafen(from, e.instant(now), wallOf(now))
	for at := range e.late {
		en := e.entries.at(at)
		e.setOverdue(en, false)
		e.again(en) // it may be late once more, and nothing else would look
	}
	e.tell(now, Event{Kind: Deafness, Summary: "listens anew: " + cause})
	e.Log.Warn("could not hear", "cause", cause)
}

// Listening is since when the server hears without a break.
func (e *Engine) Listening() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hearing.at
}

// Hears says whether the server was deaf for less than ten of the last thirty
// minutes.
func (e *Engine) Hears(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.instant(now)
	from := at - instant(hearsWithin)
	var deaf time.Duration
	covered := from
	for _, s := range e.hearing.deaf {
		if begin := max(s.from, covered); s.to > begin {
			deaf += time.Duration(s.to - begin)
			covered = s.to
		}
	}
	return deaf < hearsNot
}

// listened is what a presence alarm was fed, with absence counting from when
// the server listened.
func (e *Engine) listened(en *entry) heartbeats {
	h := en.beats
	h.from = max(h.from, e.hearing.since)
	return h
}

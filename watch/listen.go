package watch

import (
	"fmt"
	"time"
)

const (
	tickEvery   = time.Second
	tickLate    = 5 * time.Second  // beyond it the server was stopped, or too slow to hear
	clockStep   = 2 * time.Second  // beyond it the clock was set
	tellAgain   = 10 * time.Minute // of refused pushes, where others are taken meanwhile
	signOfLife  = 24 * time.Hour   // for which refused pushes keep a guest from being silent
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

// SignOfLife says that a push of an access key was refused, or could not be
// verified: the guests behind it live, but are not heard. The alarms that the
// key has fed are not judged silent for it, for a day at most.
func (e *Engine) SignOfLife(now time.Time, access string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k := e.keyNamed(access)
	if k == nil {
		return
	}
	at := e.instant(now)
	if k.refused == 0 {
		k.refused = at
		e.tellRefused(k, now)
	}
	if at-k.refused > instant(signOfLife) {
		return
	}
	k.heard = at
	for en := range e.fedWith(k) {
		if en.kind.rule.presence {
			en.beats.from = max(en.beats.from, at)
			if en.overdue {
				e.setOverdue(en, false)
				e.again(en)
			}
		}
	}
}

// tellRefused tells the history of a key whose pushes are refused from now on;
// of one whose pushes are taken and refused by turns, now and then.
func (e *Engine) tellRefused(k *key, now time.Time) {
	at := e.instant(now)
	if k.told != 0 && at-k.told < instant(tellAgain) {
		return
	}
	k.told = at
	for en := range e.fedWith(k) {
		if en.kind.rule.presence {
			e.tell(now, Event{Kind: Deafness, Project: en.project.id, Alarm: en.name,
				Summary: "not heard: pushes of key " + k.access + " are refused or cannot be verified"})
		}
	}
}

// listened is what a presence alarm was fed, with absence counting from when
// the server listened.
func (e *Engine) listened(en *entry) heartbeats {
	h := en.beats
	h.from = max(h.from, e.hearing.since)
	return h
}

package watch

import (
	"fmt"
	"time"
)

// Each change of an alarm's state is stored, with what it asks for, and kept for
// as long as the history. Alarms that change with each push would fill the disk,
// which is everybody's: so those of a project may change so many times at once, or
// twice each, and then so many times a second. Who wants more waits, and comes to
// the state that is then true.
const (
	changesAtOnce    = 10_000
	changesPerSecond = 3
	alarmsPerChange  = 1_000 // a second, where these are more
)

// An allowance is what a project has spent of its changes of state.
type allowance struct {
	spent float64
	at    instant
	told  bool // that it was too much; until half of it is forgiven
}

// changesTogether is how many changes a project may have at once.
func (p *project) changesTogether() float64 { return max(changesAtOnce, 2*float64(len(p.alarms))) }

// changesEach is how many of them are forgiven each second.
func (p *project) changesEach() float64 {
	return max(changesPerSecond, float64(len(p.alarms))/alarmsPerChange)
}

// mayChange counts a change of one of a project's alarms, if there may be one.
func (e *Engine) mayChange(p *project, now time.Time) bool {
	a, at, most := &p.allowance, e.instant(now), p.changesTogether()
	a.spent, a.at = max(0, a.spent-p.changesEach()*time.Duration(at-a.at).Seconds()), at
	a.told = a.told && a.spent > most/2
	if a.spent+1 <= most {
		a.spent++
		return true
	}
	if !a.told {
		a.told = true
		e.tell(now, Event{Kind: Gate, Project: p.id, Summary: fmt.Sprintf(
			"alarms of the project change their state too often: after %.0f changes others wait, and %.0f a second go on", most, p.changesEach())})
		e.Log.Warn("alarms of a project change their state too often, and wait", "project", p.id)
	}
	return false
}

// unchanged takes back a change that was not stored.
func (p *project) unchanged() { p.allowance.spent = max(0, p.allowance.spent-1) }

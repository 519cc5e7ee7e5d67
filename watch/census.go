package watch

import "time"

// leastLate is by how much a guest must be late to be overdue.
const leastLate = 5 * time.Second

// AllProjects is the domain of all projects for Census.
const AllProjects = "all"

// A Census counts the guests of a domain: presence alarms that were ever fed.
type Census struct {
	Overdue int       // no push for 1.25 × their usual interval
	Counted int       // of Overdue, where one project counts for at most half
	Alive   int       // before any of Overdue fell overdue: they too, and whoever came since
	Since   time.Time // when that was; zero: none is overdue
}

// storms counts the guests of one domain.
type storms struct {
	alive, overdue int     // a guest is one or the other
	first          instant // when the first of overdue fell overdue
}

func (s *storms) fall(at instant) {
	if s.overdue++; s.overdue == 1 {
		s.first = at
	}
	s.alive--
}

func (s *storms) rise() {
	s.overdue--
	s.alive++
}

// setOverdue counts a guest that fell overdue, or is back.
func (e *Engine) setOverdue(en *entry, overdue bool) {
	if en.overdue == overdue {
		return
	}
	en.overdue = overdue
	if overdue {
		e.late[en.place] = struct{}{}
	} else {
		delete(e.late, en.place)
	}
	if en.leftOut {
		return
	}
	for _, s := range []*storms{&e.storms, &en.project.storms} {
		if overdue {
			s.fall(e.hearing.tick)
		} else {
			s.rise()
		}
	}
}

// alive counts a guest that was fed for the first time, or is no more.
func (e *Engine) alive(en *entry, by int) {
	if !en.kind.rule.presence || !en.beats.fed || en.leftOut {
		return
	}
	e.storms.alive += by
	en.project.storms.alive += by
}

// LeaveOut takes a guest out of the counts of storms, or back: one that is
// stopped on purpose, suspended or given up.
func (e *Engine) LeaveOut(id int64, out bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	en := e.ofID(id)
	if en == nil || en.leftOut == out {
		return
	}
	overdue := en.overdue
	e.setOverdue(en, false)
	e.alive(en, -1)
	en.leftOut = out
	e.alive(en, 1)
	e.setOverdue(en, overdue)
}

// overdueAt is when a guest falls overdue if nothing more arrives.
func (e *Engine) overdueAt(en *entry, h heartbeats) instant {
	if !h.fed {
		return never
	}
	return min(max(h.last, h.from).plus(en.usual+max(en.usual/4, leastLate)), en.kind.rule.silentAt(h))
}

// learn makes the usual interval of a guest of one more: quickly longer, slowly
// shorter, so that a guest that pushes twice in one breath is known by the
// longer of its intervals.
func (en *entry) learn(gap time.Duration) {
	switch {
	case gap >= en.kind.rule.silence: // it was away
	case gap > en.usual:
		en.usual += (gap - en.usual) / 4
	default:
		en.usual -= (en.usual - gap) / 16
	}
}

// Census counts the guests of a project, or of AllProjects.
func (e *Engine) Census(domain string, now time.Time) Census {
	e.mu.Lock()
	defer e.mu.Unlock()
	if domain != AllProjects {
		p := e.projects[domain]
		if p == nil {
			return Census{}
		}
		c := e.census(&p.storms, now)
		c.Counted = c.Overdue
		return c
	}
	c := e.census(&e.storms, now)
	c.Counted = c.Overdue
	for _, p := range e.projects {
		if others := c.Overdue - p.storms.overdue; p.storms.overdue > others && others > 0 {
			c.Counted = 2 * others
		}
	}
	return c
}

func (e *Engine) census(s *storms, now time.Time) Census {
	if s.overdue == 0 {
		return Census{Alive: s.alive}
	}
	return Census{Overdue: s.overdue, Alive: s.alive + s.overdue, Since: e.wall(s.first, now)}
}

package watch

// Totals count the alarms.
type Totals struct {
	OK, Firing, NoData int
	NeverFed           int // presence alarms to which nothing ever came
	Overdue            int // presence alarms whose push is late
	Series             int // metrics kept for people
	Projects           int
}

// Totals counts the alarms of all projects.
func (e *Engine) Totals() Totals {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.totals
	t.Overdue, t.Series, t.Projects = len(e.late), e.series, len(e.projects)
	return t
}

// count adds an alarm, or takes it away.
func (t *Totals) count(en *entry, by int) {
	switch en.state() {
	case OK:
		t.OK += by
	case Firing:
		t.Firing += by
	default:
		t.NoData += by
	}
	if en.kind.rule.presence && !en.beats.fed {
		t.NeverFed += by
	}
}

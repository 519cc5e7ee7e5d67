package outbox

import "time"

// A Scope is what kind of thing a suspension is of.
type Scope string

// Scopes of suspensions.
const (
	OfAlarm   Scope = "alarm"   // Name in Project
	OfTarget  Scope = "target"  // Name is a row's Object
	OfStack   Scope = "stack"   // Name or id, in Project if that is set
	OfProject Scope = "project" // Name
	OfHost    Scope = "host"    // Name
	OfAll     Scope = "all"
)

// A Suspension holds actions until an operator resumes or its time is over.
type Suspension struct {
	ID      int64
	Scope   Scope
	Project string // of an alarm or a stack; empty: any
	Name    string
	Owner   string // who asked for it
	Reason  string
	Since   time.Time
	Until   time.Time // zero: until resumed
}

// covers says that a suspension holds a row.
func (s Suspension) covers(r *Row) bool {
	if s.Scope != OfProject && s.Project != "" && s.Project != r.Project {
		return false
	}
	switch s.Scope {
	case OfAll:
		return true
	case OfProject:
		return s.Name == r.Project
	case OfAlarm:
		return s.Name == r.Alarm
	case OfTarget:
		return s.Name == r.Object
	case OfStack:
		return s.Name == r.Stack
	}
	return false
}

// hold is what g1 says of a suspended row.
func (s Suspension) hold() Reply {
	cause := "suspended by " + s.Owner
	if s.Reason != "" {
		cause += " (" + s.Reason + ")"
	}
	if !s.Until.IsZero() {
		cause += " until " + s.Until.UTC().Format(time.RFC3339)
	}
	return Reply{Gate: "g1", Verdict: hold, Cause: cause, Until: s.Until}
}

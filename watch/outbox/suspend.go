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

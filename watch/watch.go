// Package watch judges alarms over the metrics that guests push: it takes
// samples, keeps the windows of alarms, decides their states, and says which
// actions a change of state asks for. It speaks no protocol, stores nothing
// itself and acts on nothing: the packages below it do.
//
// Alarms are those of CloudWatch (API version 2010-08-01: PutMetricAlarm,
// MetricAlarm), to which heartbeats come as metric SampleCount below a
// threshold, as the alarms of old Heat had it.
package watch

import (
	"encoding/json"
	"strings"
	"time"
)

// A State is what an alarm says.
type State string

// States of an alarm.
const (
	OK     State = "OK"
	Firing State = "ALARM"
	NoData State = "INSUFFICIENT_DATA"
)

// A Role is what a caller may do: see Caller.
type Role string

// Roles, from the least to the most.
const (
	Guest    Role = "guest"    // PutMetricData, to alarms of its stack
	Reader   Role = "reader"   // what describes, lists and gets
	Member   Role = "member"   // every action, inside its project
	Operator Role = "operator" // everything, in all projects
)

// A Caller is who sends a request, as far as its signature proves it.
type Caller struct {
	Access  string // id of the access key
	Project string // id of the project whose alarms it may see or feed; empty: none
	Stack   string // root stack that its key is bound to: a name, an id or the first 31 characters of one; empty: none
	Role    Role
}

// OfServer says that a caller is the server itself, which asks whether it can be
// heard: its pushes are taken as any, and count for nothing.
func (c Caller) OfServer() bool { return c.Project == "" }

// stackPrefix is how much of a stack's id the name of the project of a stack
// user holds: Keystone cuts names at 64 characters, 32 of which are the owner's
// project and one a dash.
const stackPrefix = 31

// OfStack says whether a caller's key belongs to a stack of that name and id,
// either of which may be empty. A key that is bound to no stack does.
func (c Caller) OfStack(name, id string) bool {
	if c.Stack == "" {
		return true
	}
	if c.Stack == name {
		return true
	}
	for _, known := range []string{id, name} {
		if known == "" || len(c.Stack) < stackPrefix || len(known) < stackPrefix {
			continue
		}
		if strings.EqualFold(c.Stack[:stackPrefix], known[:stackPrefix]) {
			return true
		}
	}
	return false
}

// A Dimension is a name and value that tell metrics of one name apart.
type Dimension struct{ Name, Value string }

// A Sample is what one datum of PutMetricData says: one value or a set of
// them. A plain value v has Count 1 and Sum, Min and Max v.
type Sample struct {
	Namespace, Metric string
	Unit              string      // one of the 27 of CloudWatch, or empty
	Dimensions        []Dimension // by name, none twice; without AlarmName
	Alarm             string      // the dimension AlarmName: the alarm it is for; empty: any that matches
	Time              time.Time   // zero: when it arrives
	Count             float64
	Sum, Min, Max     float64
}

// A Transition is one change of an alarm's state.
type Transition struct {
	AlarmID  int64
	Project  string
	Alarm    string // name
	Revision int    // of the definition that was judged
	Number   int    // of this alarm, from 1
	From, To State
	At       time.Time
	Reason   string          // at most 1,023 characters, for people
	Data     json.RawMessage // StateReasonData of CloudWatch
	Derived  bool            // Reason and Data follow from the definition and the last arrival: a store may leave them out of the state
}

// A Wanted is an action that a transition, or a repeat in its state, asks for.
type Wanted struct {
	Transition
	Index  int    // of the action in its list, from 0
	Repeat int    // 0: of the transition itself
	Action string // as in the alarm's definition

	// Of the definition that was judged:
	Origin Origin
	Stack  string        // its Stack, else its StackID
	Target string        // its Target
	Span   time.Duration // Period times Periods
}

// An EventKind is what an Event tells of.
type EventKind string

// Kinds of events: the first three are the history item types of CloudWatch.
const (
	ConfigurationUpdate EventKind = "ConfigurationUpdate"
	StateUpdate         EventKind = "StateUpdate"
	Action              EventKind = "Action"
	Deafness            EventKind = "Deafness"   // the server could not hear, and listens anew
	Gate                EventKind = "Gate"       // an action was held or refused, and why
	Suspension          EventKind = "Suspension" // an operator's suspend or resume
)

// An Event is an entry of the history.
type Event struct {
	ID      int64 // in order of time; 0: not stored yet
	At      time.Time
	Kind    EventKind
	Project string // empty: of the server
	Alarm   string // name; empty: of none
	Target  string // what a rough action is about; empty: none
	Key     string // of the outbox row; empty: none
	Summary string // one line, at most 255 characters
	Data    json.RawMessage
}

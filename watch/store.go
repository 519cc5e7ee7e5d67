package watch

import (
	"context"
	"encoding/json"
	"time"
)

// A Store keeps what must survive the server. Its methods are durable when
// they return, and change all or nothing.
type Store interface {
	// PutAlarm stores a definition with what is told of it. An alarm whose ID
	// is 0 is new: it gets an ID that no alarm had before, and begins in
	// NoData. Else the definition of that ID is replaced, its state kept.
	PutAlarm(context.Context, Alarm, []Event) (Alarm, error)
	// DeleteAlarms forgets alarms, their states and windows. Their history
	// stays.
	DeleteAlarms(ctx context.Context, ids []int64, events []Event) error
	// Record stores a tick: the new state of each alarm, the history, and the
	// actions wanted.
	Record(context.Context, Batch) error
	// Flush stores Fed and Window of alarms, and nothing else of Kept. An
	// alarm that is gone is passed over.
	Flush(context.Context, []Kept) error
	// Load calls f for each alarm, with its state and window. An error of f
	// ends it and is returned.
	Load(ctx context.Context, f func(Alarm, Kept) error) error
	// SaveFed adds alarms to those that access keys have fed, ForgetFed forgets
	// those of some keys, and LoadFed returns them.
	SaveFed(ctx context.Context, fed map[string][]int64) error
	ForgetFed(ctx context.Context, access []string) error
	LoadFed(context.Context) (map[string][]int64, error)
	// SaveRefused keeps for how long pushes of access keys have been refused,
	// 0 for no longer, and LoadRefused returns what it kept. ForgetFed forgets
	// that too.
	SaveRefused(ctx context.Context, refused map[string]time.Duration) error
	LoadRefused(context.Context) (map[string]time.Duration, error)
	// Events returns a page of the history and, unless it is the last, what
	// the query of the next page gives as Next.
	Events(context.Context, EventQuery) (events []Event, next string, err error)
}

// A Batch is what one transaction of a tick, or of a command, stores.
type Batch struct {
	At          time.Time
	Transitions []Transition // at most one of an alarm
	Wanted      []Wanted     // in order, per alarm
	Events      []Event      // of the history, beside those of the transitions
}

// Empty says whether there is nothing to store.
func (b Batch) Empty() bool {
	return len(b.Transitions) == 0 && len(b.Wanted) == 0 && len(b.Events) == 0
}

// Kept is what is kept of an alarm beside its definition.
type Kept struct {
	AlarmID int64
	State   State           // empty: NoData
	Number  int             // of the last transition; 0: none yet
	Since   time.Time       // of that transition
	Reason  string          // of that transition; empty: it was Derived
	Data    json.RawMessage // likewise
	Fed     time.Time       // last arrival of a sample; zero: none yet
	Window  []byte          // packed buckets: see Window
}

// An EventQuery asks for a page of the history.
type EventQuery struct {
	Project, Alarm, Target, Key string // empty: of all
	Kinds                       []EventKind
	From, To                    time.Time // From <= At < To; zero: no bound
	OldestFirst                 bool
	Limit                       int    // 0: 100
	Next                        string // from the page before; one that no page gave is an InvalidError with code InvalidNextToken
}

package outbox

import (
	"context"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Store keeps rows and suspensions. What a method writes is durable when it
// returns nil, and nothing of it has happened when it returns an error. New
// rows come with watch.Store's Record, made by RowOf of each Wanted and the
// batch's time; as it comes with its transition, no such row is there already.
type Store interface {
	// Due returns at most n rows that have not ended, whose Next is not after
	// now, and that nobody claims or whose lease is over. Rows in flight come
	// first, then the earliest Next. A message is not due while an earlier
	// message of its alarm has not ended: one of a smaller (Number, Repeat).
	Due(ctx context.Context, now time.Time, n int) ([]Row, error)

	// Claim gives a row that is due to an owner until a time, and returns it
	// as it is now. A wanted, held or failed row becomes claimed; others keep
	// their status. False: another was faster, or it has ended.
	Claim(ctx context.Context, id int64, owner string, now, until time.Time) (Row, bool, error)

	// Renew puts off the end of a claim. False: the owner has lost it.
	Renew(ctx context.Context, id int64, owner string, until time.Time) (bool, error)

	// Update writes changes, all in one transaction, and returns the keys of
	// rows that are no longer the owner's: of these neither row nor events
	// were written.
	Update(ctx context.Context, changes ...Change) (lost []string, err error)

	// Release ends all claims: those of a process that died.
	Release(ctx context.Context) error

	// Rouse makes rows that a gate holds due now; if it is empty, all that have
	// not ended.
	Rouse(ctx context.Context, gate string, now time.Time) error

	// Tally counts rough actions.
	Tally(ctx context.Context, q TallyQuery) (Tally, error)

	// Held counts the rows that a gate holds; in a project, if that is set.
	Held(ctx context.Context, gate, project string) (int, error)

	// Standstill has rough rows that come with Record begin as held, until it is
	// called with nil. What Record writes after it returns is as it says.
	Standstill(*Standstill)

	// Rows returns rows by their birth, the newest first.
	Rows(ctx context.Context, q RowQuery) ([]Row, error)

	// GivenUp returns, by alarm, the number of the last transition for which a
	// rough action was given up.
	GivenUp(ctx context.Context) (map[int64]int, error)

	// Forgive marks the rows of an object that ever began as forgiven, and
	// returns how many.
	Forgive(ctx context.Context, object string, e watch.Event) (int, error)

	// Suspend keeps a suspension and gives it its ID; Resume ends some;
	// Suspensions returns those whose Until is not before now.
	Suspend(ctx context.Context, s Suspension, e watch.Event) (Suspension, error)
	Resume(ctx context.Context, ids []int64, e watch.Event) error
	Suspensions(ctx context.Context, now time.Time) ([]Suspension, error)

	// Events is that of watch.Store.
	Events(ctx context.Context, q watch.EventQuery) ([]watch.Event, string, error)
}

// A Change is what Update writes of one row.
type Change struct {
	Row    Row    // without a Key: there is none, only events
	Owner  string // the claim that the row must have in the store; empty: none
	New    bool   // the row is not there yet; if it is since another New, nothing is written
	Hold   bool   // a gate holds the row, and Next, Gate, Why and Since are all that is new of it; if another has claimed it, it is left alone
	Events []watch.Event
}

// A Standstill is what a gate says to all rough rows that will be wanted.
type Standstill struct {
	Gate, Why string
	Next      time.Time // when they are asked about again
}

// Hold is a new row as it begins; s may be nil.
func (s *Standstill) Hold(r Row) Row {
	if s != nil && r.Rough {
		r.Status, r.Gate, r.Why, r.Since, r.Next = Held, s.Gate, s.Why, r.Born, s.Next
	}
	return r
}

// A TallyQuery says which rough actions count: all, or those of what is set.
type TallyQuery struct {
	Object  string
	Project string
	Stack   string    // of Project
	Since   time.Time // begun at or after
	Until   time.Time // and not later, as one is from before the clock was set back; zero: no bound
	Except  string    // key of a row that does not count
}

// A Tally is how many rough actions there were.
type Tally struct {
	Begun    int       // since the query's time; of an Object without those that are forgiven
	Oldest   time.Time // when the first of them began
	InFlight int       // acting, acted or verifying now, whenever they began
}

// A RowQuery says which rows are asked for; empty fields ask for all.
type RowQuery struct {
	Key     string // of a row that has not ended, or came by Change.New
	AlarmID int64
	Project string
	Object  string // of rough rows that have not ended, or ever began
	Begun   bool   // only those of Object that ever began
	Open    bool   // only those that have not ended
	Limit   int    // 0: 100
}

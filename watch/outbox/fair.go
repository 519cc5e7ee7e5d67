package outbox

import (
	"slices"
	"time"
)

// fair is when an action of each project began last: those of projects take turns
// where no more than so many may begin in a time, so that none waits for all that
// another has. It belongs to who looks at what is due.
type fair struct{ began map[string]time.Time }

// mostFair is how many projects are remembered; of those that are not, an action
// is taken first.
const mostFair = 10_000

// begins notes that an action of a project begins.
func (f *fair) begins(project string, now time.Time) {
	if f.began == nil || len(f.began) >= mostFair {
		f.began = map[string]time.Time{}
	}
	f.began[project] = now
}

// order puts rows in the order in which they are taken: first what is in flight,
// then by when their projects had their last turn. Messages, which need none, and
// the rows of one project stay as they are.
func (f *fair) order(rows []Row) {
	turn := func(r *Row) time.Time {
		if r.Rough && !r.Status.InFlight() {
			return f.began[r.Project]
		}
		return time.Time{}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return turn(&a).Compare(turn(&b)) })
}

package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Budget is how many actions may begin in a time.
type Budget struct {
	Count int
	In    time.Duration
}

// Gates are the bounds that gates know.
type Gates struct {
	StormCount       int           // a storm is of more overdue guests than this
	StormShare       float64       // and of this share of all guests
	StormShareDomain float64       // or of one project's or zone's
	BootGrace        time.Duration // of a server after an action
	FirstBoot        time.Duration // of a server that was never heard
	PerTarget        []Budget
	PerStack         []Budget
	PerProject       int // at once
	All              int // at once
	Rate             Budget
	HoldFor          time.Duration // after which the operator is told of a hold
}

// DefaultGates are those of a server that is not told others.
func DefaultGates() Gates {
	return Gates{
		StormCount: 2, StormShare: 0.2, StormShareDomain: 0.5,
		BootGrace: 5 * time.Minute, FirstBoot: 20 * time.Minute,
		PerTarget:  []Budget{{3, time.Hour}, {6, 24 * time.Hour}},
		PerStack:   []Budget{{5, time.Hour}},
		PerProject: 10, All: 50, Rate: Budget{1, time.Second},
		HoldFor: time.Hour,
	}
}

// budgets is g5. It counts what the history holds, over time that slides, so
// that a restart of the server gives nobody a new budget.
func (l *lookout) budgets(ctx context.Context, c candidate) (Reply, error) {
	g := l.Gates
	for _, b := range g.PerTarget {
		spent, _, err := l.spent(ctx, c, b, TallyQuery{Object: c.Object})
		if err != nil {
			return Reply{}, err
		}
		if spent {
			return Reply{Gate: "g5", Verdict: Refuse, Tell: true,
				Cause: fmt.Sprintf("%s had %d actions within %s already", c.Object, b.Count, b.In)}, nil
		}
	}
	for _, b := range g.PerStack {
		if c.Stack == "" || c.Stack == watch.AnyStack {
			break
		}
		if spent, until, err := l.spent(ctx, c, b, TallyQuery{Project: c.Project, Stack: c.Stack}); err != nil || spent {
			return Reply{Gate: "g5", Verdict: Hold, Shared: true, Until: until,
				Cause: fmt.Sprintf("stack %s had %d actions within %s already", c.Stack, b.Count, b.In)}, err
		}
	}
	return l.atOnce(ctx, c)
}

// spent says whether a budget is, and when the oldest of its actions is old
// enough to count no more.
func (l *lookout) spent(ctx context.Context, c candidate, b Budget, q TallyQuery) (bool, time.Time, error) {
	q.Since, q.Except = l.now.Add(-b.In), c.Key
	t, err := l.o.Store.Tally(ctx, q)
	return b.Count > 0 && t.Begun >= b.Count, t.Oldest.Add(b.In), err
}

// atOnce bounds what is under way, and how fast it begins.
func (l *lookout) atOnce(ctx context.Context, c candidate) (Reply, error) {
	g := l.Gates
	project, err := l.o.Store.Tally(ctx, TallyQuery{Project: c.Project, Since: l.now, Except: c.Key})
	if err != nil {
		return Reply{}, err
	}
	if g.PerProject > 0 && project.InFlight >= g.PerProject {
		return Reply{Gate: "g5", Verdict: Hold, Shared: true, Until: l.now.Add(deferral),
			Cause: fmt.Sprintf("%d actions of the project are under way", g.PerProject)}, nil
	}
	all, err := l.o.Store.Tally(ctx, TallyQuery{Since: l.now.Add(-g.Rate.In), Until: l.now, Except: c.Key})
	switch {
	case err != nil:
		return Reply{}, err
	case g.All > 0 && all.InFlight >= g.All:
		return Reply{Gate: "g5", Verdict: Hold, Shared: true, Until: l.now.Add(deferral),
			Cause: fmt.Sprintf("%d actions are under way", g.All)}, nil
	case g.Rate.Count > 0 && all.Begun+l.begun >= g.Rate.Count:
		until := l.now.Add(g.Rate.In)
		if all.Begun > 0 {
			until = all.Oldest.Add(g.Rate.In)
		}
		return Reply{Gate: "g5", Verdict: Hold, Shared: true, Until: until,
			Cause: fmt.Sprintf("no more than %d actions begin within %s", g.Rate.Count, g.Rate.In)}, nil
	}
	return Reply{}, nil
}

// reserve asks once more what others may have spent since the gates were
// asked; whoever calls it holds begin until acting is written. A row of a test
// has come to its end here.
func (l *lookout) reserve(ctx context.Context, r *Row) (Reply, error) {
	c := candidate{Row: r}
	c.view, c.known = l.o.Engine.ViewID(l.now, r.AlarmID)
	if reply, err := l.target(ctx, c); err != nil || reply.Verdict != Pass {
		return reply, err
	}
	if reply, err := l.budgets(ctx, c); err != nil || reply.Verdict != Pass {
		return reply, err
	}
	if r.Trial {
		return Reply{Gate: "g1", Verdict: Refuse, Cause: "a test: every gate would let it go, and nothing was done"}, nil
	}
	return Reply{}, nil
}

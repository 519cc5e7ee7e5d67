package admin

import (
	"context"
	"errors"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A Status is how the server does.
type Status struct {
	Started   time.Time           `json:"started"`
	Listen    string              `json:"listen"`
	Listening time.Time           `json:"listening"` // without a break since
	Hears     bool                `json:"hears"`     // was deaf for less than ten of the last thirty minutes
	Problem   string              `json:"problem,omitempty"`
	Pushes    uint64              `json:"pushes"`
	Totals    watch.Totals        `json:"totals"`
	Alive     int                 `json:"alive"`          // guests that push
	Actions   map[string]int      `json:"actions"`        // that have not ended, by status
	Held      []outbox.Explained  `json:"held,omitempty"` // some of those that a gate holds
	Storms    []outbox.Storm      `json:"storms,omitempty"`
	Suspended []outbox.Suspension `json:"suspended,omitempty"`
	NeverFed  []string            `json:"never_fed,omitempty"` // some of the alarms on heartbeats that nothing ever fed
	Misrouted []watch.Misroute    `json:"misrouted,omitempty"`
	Refused   []watch.Refused     `json:"refused,omitempty"`  // access keys whose pushes are refused, those that are for longest
	Refusals  int                 `json:"refusals"`           // how many there are
	Keystone  *auth.Status        `json:"keystone,omitempty"` // nil: none is configured
}

// mostNamed bounds the lists of a status.
const mostNamed = 20

func (s *Server) status(ctx context.Context, by string, _ Nothing) (Status, error) {
	now := time.Now()
	st := Status{
		Started: s.Started, Listen: s.Listen, Listening: s.Engine.Listening(), Hears: s.Engine.Hears(now),
		Pushes: s.Engine.Counts().Pushes, Totals: s.Engine.Totals(), Actions: map[string]int{}, Misrouted: s.Engine.Misroutes(),
	}
	census := s.Engine.Census(watch.AllProjects, now)
	st.Alive = census.Alive - census.Overdue
	if s.Keystone != nil {
		k := s.Keystone.Status()
		st.Keystone = &k
	}
	if err := s.Problem(); err != nil {
		st.Problem = err.Error()
	}
	st.NeverFed = s.neverFed(now, by, st.Totals.NeverFed)
	st.Storms = s.Outbox.Storms()
	st.Refused = s.Engine.Refused(now)
	st.Refusals = len(st.Refused)
	st.Refused = st.Refused[:min(mostNamed, st.Refusals)]
	var err, rowsErr error
	st.Suspended, err = s.Store.Suspensions(ctx, now)
	rowsErr = s.countRows(ctx, &st)
	return st, errors.Join(err, rowsErr)
}

// neverFed names some of the alarms on heartbeats that nothing ever fed, of which
// there are so many. Most are in no state yet; one that was awaited for long, or
// set, is in another.
func (s *Server) neverFed(now time.Time, by string, there int) (names []string) {
	for _, state := range []watch.State{watch.NoData, watch.Firing, watch.OK} {
		if len(names) >= min(there, mostNamed) {
			break
		}
		for v := range s.Engine.Each(now, operatorOf(by), watch.AlarmQuery{State: state}) {
			if v.Presence() && !v.Fed {
				names = append(names, v.Project+"/"+v.Name)
			}
			if len(names) == min(there, mostNamed) {
				break
			}
		}
	}
	return names
}

// countRows tells of the actions that have not ended.
func (s *Server) countRows(ctx context.Context, st *Status) error {
	counts, err := s.Store.OpenRows(ctx)
	held := 0
	for _, c := range counts {
		st.Actions[string(c.Status)] += c.Rows
		if c.Gate != "" {
			held += c.Rows
		}
	}
	if err != nil || held == 0 {
		return err
	}
	rows, err := s.Store.Rows(ctx, outbox.RowQuery{Open: true, Limit: mostActions})
	for _, r := range rows {
		if r.Gate != "" && len(st.Held) < mostNamed {
			st.Held = append(st.Held, outbox.Explain(r))
		}
	}
	return err
}

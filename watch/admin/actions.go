package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// An Action is an action that an alarm asked for, and how far it has come.
type Action struct {
	Key     string        `json:"key"`
	Project string        `json:"project"`
	Alarm   string        `json:"alarm"`
	State   watch.State   `json:"state"` // that asked for it
	Action  string        `json:"action"`
	Target  string        `json:"target,omitempty"` // of a rough action
	Status  outbox.Status `json:"status"`
	Born    time.Time     `json:"born"`
	Next    time.Time     `json:"next,omitzero"` // of one that waits
	Gate    string        `json:"gate,omitempty"`
	Why     string        `json:"why,omitempty"`
	Tries   int           `json:"tries,omitempty"`
	Steps   []outbox.Step `json:"steps,omitempty"`
}

func shownAction(r outbox.Row) Action {
	a := Action{
		Key: r.Key, Project: r.Project, Alarm: r.Alarm, State: r.To, Action: outbox.Shown(r.Action), Target: r.Object, Status: r.Status,
		Born: r.Born, Gate: r.Gate, Why: r.Why, Tries: r.Tries, Steps: r.Steps,
	}
	if !r.Status.Ended() {
		a.Next = r.Next
	}
	return a
}

func shownActions(rows []outbox.Row) []Action {
	list := make([]Action, len(rows))
	for i, r := range rows {
		list[i] = shownAction(r)
	}
	return list
}

// mostActions bounds how many actions are told at once.
const mostActions = 1000

// An ActionsRequest asks for actions, the newest first.
type ActionsRequest struct {
	All bool `json:"all,omitempty"` // also those that have ended
}

func (s *Server) actions(ctx context.Context, _ string, in ActionsRequest) ([]Action, error) {
	rows, err := s.Store.Rows(ctx, outbox.RowQuery{Open: !in.All, Limit: mostActions})
	return shownActions(rows), err
}

func (s *Server) open(ctx context.Context) ([]outbox.Row, error) {
	return s.Store.Rows(ctx, outbox.RowQuery{Open: true, Limit: mostActions})
}

// An ExplainRequest names an alarm, or the target of actions.
type ExplainRequest struct {
	Name string `json:"name"`
}

// An Explanation is why something was done, or was not: what came, how it was
// judged, and what became of the actions.
type Explanation struct {
	Now       time.Time     `json:"now"`
	Listening time.Time     `json:"listening"` // without a break since
	Alarm     *Judged       `json:"alarm,omitempty"`
	Target    string        `json:"target,omitempty"`
	Actions   []Action      `json:"actions"` // the newest first
	History   []watch.Event `json:"history"` // the newest first
}

// A Judged is an alarm with what it is judged by.
type Judged struct {
	Alarm
	Rule     string            `json:"rule"`
	Heard    time.Time         `json:"heard"`             // since when a sample would have been heard
	Silence  time.Duration     `json:"silence,omitempty"` // that a presence alarm allows
	Silent   bool              `json:"silent,omitempty"`
	Overdue  bool              `json:"overdue,omitempty"`
	NextLook time.Time         `json:"next_look,omitzero"`
	Points   []watch.Datapoint `json:"points,omitempty"` // the newest first
}

// mostExplained bounds how much is told of the past.
const mostExplained = 20

func (s *Server) explain(ctx context.Context, by string, in ExplainRequest) (Explanation, error) {
	e := Explanation{Now: time.Now(), Listening: s.Engine.Listening()}
	v, err := s.find(in.Name)
	rows := outbox.RowQuery{Object: in.Name, Limit: mostExplained}
	events := watch.EventQuery{Target: in.Name, Limit: mostExplained}
	if err == nil {
		e.Alarm = judged(v)
		rows = outbox.RowQuery{AlarmID: v.ID, Limit: mostExplained}
		events = watch.EventQuery{Project: v.Project, Alarm: v.Name, Limit: mostExplained}
	}
	list, rowsErr := s.Store.Rows(ctx, rows)
	if rowsErr != nil {
		return e, rowsErr
	}
	if err != nil {
		if len(list) == 0 {
			return e, fmt.Errorf("%w, nor is it the target of an action", err)
		}
		e.Target = in.Name
	}
	e.Actions = shownActions(list)
	e.History, _, err = s.Engine.Events(ctx, operatorOf(by), events)
	return e, err
}

func judged(v watch.View) *Judged {
	return &Judged{
		Alarm: shownAlarm(v), Rule: rule(v.Alarm), Heard: v.Heard, Silence: v.Silence(), Silent: v.Silent, Overdue: v.Overdue,
		NextLook: v.NextLook, Points: v.Points,
	}
}

// rule is what an alarm asks, in a line.
func rule(a watch.Alarm) string {
	name := a.Namespace + "/" + a.Metric
	for _, d := range a.Dimensions {
		name += " " + d.Name + "=" + d.Value
	}
	m := a.Datapoints
	if m == 0 {
		m = a.Periods
	}
	missing := a.Missing
	if missing == "" {
		missing = watch.MissingMissing
	}
	text := fmt.Sprintf("%s of %s %s %g in %d of %d periods of %s, missing: %s", a.Statistic, name, strings.TrimSuffix(string(a.Comparison), "Threshold"), a.Threshold, m, a.Periods, a.Period, missing)
	if a.Legacy {
		text += ", read as old Heat did"
	}
	return text
}

package admin

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// mostActions bounds how many actions are told at once.
const mostActions = 1000

// An ActionsRequest asks for actions, the newest first.
type ActionsRequest struct {
	All bool `json:"all,omitempty"` // also those that have ended
}

func (s *Server) actions(ctx context.Context, _ string, in ActionsRequest) ([]outbox.Explained, error) {
	rows, err := s.Store.Rows(ctx, outbox.RowQuery{Open: !in.All, Limit: mostActions})
	return explained(rows), err
}

func explained(rows []outbox.Row) []outbox.Explained {
	list := make([]outbox.Explained, len(rows))
	for i, r := range rows {
		list[i] = outbox.Explain(r)
	}
	return list
}

// An ExplainRequest names an alarm, or the target of actions.
type ExplainRequest struct {
	Name string `json:"name"`
}

// An Explanation is why something was done, or was not.
type Explanation struct {
	outbox.Explanation
	Now       time.Time `json:"now"`
	Listening time.Time `json:"listening"` // without a break since
}

func (s *Server) explain(ctx context.Context, _ string, in ExplainRequest) (Explanation, error) {
	e := Explanation{Now: time.Now(), Listening: s.Engine.Listening()}
	v, err := s.find(in.Name)
	switch {
	case err == nil:
		e.Explanation, err = s.Outbox.ExplainAlarm(ctx, v.Project, v.Name)
	case errors.Is(err, watch.ErrNotFound):
		var targetErr error
		if e.Explanation, targetErr = s.Outbox.ExplainTarget(ctx, in.Name); targetErr == nil {
			return e, nil
		}
		err = fmt.Errorf("%w, nor is it the target of an action", err)
	}
	return e, err
}

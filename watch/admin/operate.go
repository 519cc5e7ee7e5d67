package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A SuspendRequest asks to hold actions.
type SuspendRequest struct {
	Scope   outbox.Scope  `json:"scope"`
	Name    string        `json:"name,omitempty"`
	Project string        `json:"project,omitempty"` // of an alarm or a stack; empty: any
	Reason  string        `json:"reason,omitempty"`
	For     time.Duration `json:"for,omitempty"` // 0: until resumed
}

// A ResumeRequest ends suspensions of one scope and name, or lets actions go
// in a storm.
type ResumeRequest struct {
	Scope   outbox.Scope `json:"scope,omitempty"`
	Name    string       `json:"name,omitempty"`
	Project string       `json:"project,omitempty"`
	Storm   string       `json:"storm,omitempty"` // project, or all
}

// A Count is how many there were.
type Count struct {
	Count int `json:"count"`
}

// A TargetRequest names what an action is about.
type TargetRequest struct {
	Target string `json:"target"`
}

// A Suspended is a suspension that holds from now on.
type Suspended struct {
	outbox.Suspension
	Unknown bool   `json:"unknown,omitempty"` // nothing is there by that name, yet
	Near    string `json:"near,omitempty"`    // and by this one there is
}

// suspend names alarms and stacks as the operator does: PROJECT/NAME where a
// name is not unique.
func (s *Server) suspend(ctx context.Context, by string, in SuspendRequest) (Suspended, error) {
	name, project, err := s.scoped(in.Scope, in.Name, in.Project)
	if err != nil {
		return Suspended{}, err
	}
	asked := outbox.Suspension{Scope: in.Scope, Project: project, Name: name, Owner: by, Reason: in.Reason}
	if in.For > 0 {
		asked.Until = time.Now().Add(in.For)
	}
	done := Suspended{}
	if done.Suspension, err = s.Outbox.Suspend(ctx, asked); err != nil {
		return Suspended{}, err
	}
	known, near, err := s.Outbox.Known(ctx, asked)
	done.Unknown, done.Near = !known, near
	return done, err
}

// scoped finds the alarm that a scope names: one that is not there is a typing
// mistake, and would be suspended for nothing.
func (s *Server) scoped(scope outbox.Scope, name, project string) (string, string, error) {
	if scope != outbox.OfAlarm || project != "" {
		return name, project, nil
	}
	v, err := s.find(name)
	return v.Name, v.Project, err
}

func (s *Server) resume(ctx context.Context, by string, in ResumeRequest) (Count, error) {
	if in.Storm != "" {
		there, err := s.Outbox.ResumeStorm(ctx, in.Storm, by)
		if err == nil && !there {
			err = fmt.Errorf("there is no storm in %s: cfn-watch status names those that there are", in.Storm)
		}
		return Count{1}, err
	}
	name, project, err := s.scoped(in.Scope, in.Name, in.Project)
	if errors.Is(err, watch.ErrNotFound) { // it was deleted, and its suspension is still there
		name, project, err = in.Name, "", nil
		if of, rest, ok := strings.Cut(in.Name, "/"); ok {
			name, project = rest, of
		}
	}
	if err != nil {
		return Count{}, err
	}
	n, err := s.Outbox.Resume(ctx, outbox.Suspension{Scope: in.Scope, Project: project, Name: name, Owner: by})
	if err == nil && n == 0 {
		err = fmt.Errorf("%s is not suspended", strings.TrimSpace(string(in.Scope)+" "+in.Name))
	}
	return Count{n}, err
}

func (s *Server) reset(ctx context.Context, by string, in TargetRequest) (Count, error) {
	n, err := s.Outbox.Reset(ctx, in.Target, by)
	if err == nil && n == 0 {
		err = fmt.Errorf("nothing was done about %s: %w", in.Target, errNoTarget)
	}
	return Count{n}, err
}

var errNoTarget = fmt.Errorf("%w of that target", watch.ErrNotFound)

// How long testAction waits for the end of what it tried, and how often it looks.
const (
	testWait = 20 * time.Second
	testLook = 100 * time.Millisecond
)

// testAction tries the actions of an alarm and waits a while for their ends.
func (s *Server) testAction(ctx context.Context, by string, in Ref) ([]outbox.Explained, error) {
	v, err := s.find(in.Alarm)
	if err != nil {
		return nil, err
	}
	keys, err := s.Outbox.TestAction(ctx, v.Project, v.Name, by)
	if err != nil {
		return nil, err
	}
	limit := time.After(testWait)
	for {
		list, open := []outbox.Explained{}, false
		for _, key := range keys {
			rows, err := s.Store.Rows(ctx, outbox.RowQuery{Key: key})
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				list = append(list, outbox.Explain(r))
				open = open || !r.Status.Ended() && r.Gate == ""
			}
		}
		if !open {
			return list, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-limit:
			return list, nil
		case <-time.After(testLook):
		}
	}
}

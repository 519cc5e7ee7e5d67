// Package admin is the operator's side of the server: calls over a unix
// socket that only root and one group may use, and the client for them. The
// kernel says who calls. Each call is a POST of a JSON object to /NAME.
//
// It shows and commands what the engine, the outbox and the store hold, and
// decides nothing itself.
package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// A Server serves the calls. All fields must be set.
type Server struct {
	Engine      *watch.Engine
	Outbox      *outbox.Outbox
	Store       *store.Store
	KeysChanged func()       // is told when keys were issued or revoked
	Problem     func() error // what keeps the server from its work; nil: nothing
	Log         *slog.Logger
	Started     time.Time
	Listen      string         // where guests push to
	Keystone    *auth.Keystone // nil: none is configured
}

func (s *Server) mux() *http.ServeMux {
	mux := http.NewServeMux()
	on(mux, s.Log, "status", false, s.status)
	onEach(mux, "alarms", s.alarms)
	on(mux, s.Log, "actions", false, s.actions)
	onEach(mux, "history", s.history)
	on(mux, s.Log, "explain", false, s.explain)
	on(mux, s.Log, "set-state", true, s.setState)
	on(mux, s.Log, "test-action", true, s.testAction)
	on(mux, s.Log, "suspend", true, s.suspend)
	on(mux, s.Log, "resume", true, s.resume)
	on(mux, s.Log, "reset", true, s.reset)
	on(mux, s.Log, "issue-key", true, s.issueKey)
	on(mux, s.Log, "revoke-key", true, s.revokeKey)
	on(mux, s.Log, "list-keys", false, s.listKeys)
	on(mux, s.Log, "backup", true, s.backup)
	return mux
}

// operatorOf is who calls, for the engine.
func operatorOf(by string) watch.Caller { return watch.Caller{Access: by, Role: watch.Operator} }

// A Ref names an alarm: NAME, or PROJECT/NAME where several projects have one
// of that name. What can be both is PROJECT/NAME: else a project could keep
// another's alarm from being named, with an alarm that is called so.
type Ref struct {
	Alarm string `json:"alarm"`
}

// find returns the alarm that a text names. The error wraps watch.ErrNotFound
// when there is none.
func (s *Server) find(text string) (watch.View, error) {
	now := time.Now()
	if project, name, ok := strings.Cut(text, "/"); ok {
		if v, there := s.Engine.View(now, project, name); there {
			return v, nil
		}
	}
	found := s.Engine.Alarms(now, operatorOf(""), watch.AlarmQuery{Names: []string{text}})
	switch len(found) {
	case 0:
		return watch.View{}, fmt.Errorf("alarm %s: %w", text, watch.ErrNotFound)
	case 1:
		return found[0], nil
	}
	var names []string
	for _, v := range found {
		names = append(names, v.Project+"/"+v.Name)
	}
	return watch.View{}, fmt.Errorf("alarm %s is of several projects: say %s", text, strings.Join(names, " or "))
}

// An AlarmsRequest asks for alarms; empty fields ask for all.
type AlarmsRequest struct {
	Project string      `json:"project,omitempty"`
	State   watch.State `json:"state,omitempty"`
	Prefix  string      `json:"prefix,omitempty"` // of the name, or of PROJECT/NAME
}

// An Alarm is an alarm as the operator sees it.
type Alarm struct {
	Project string        `json:"project"`
	Name    string        `json:"name"`
	State   watch.State   `json:"state"`
	Since   time.Time     `json:"since"`
	Reason  string        `json:"reason"`
	Stack   string        `json:"stack,omitempty"`
	Origin  watch.Origin  `json:"origin"`
	File    string        `json:"file,omitempty"`
	Fed     bool          `json:"fed"`              // a sample ever arrived
	Arrived time.Time     `json:"arrived,omitzero"` // the last, of a presence alarm
	Usual   time.Duration `json:"usual,omitzero"`   // between arrivals, of a presence alarm
	Enabled bool          `json:"actions_enabled"`
}

func shownAlarm(v watch.View) Alarm {
	return Alarm{
		Project: v.Project, Name: v.Name, State: v.State, Since: v.Since, Reason: v.Reason, Stack: v.Stack,
		Origin: v.Origin, File: v.File, Fed: v.Fed, Arrived: v.Arrived, Usual: v.Usual, Enabled: v.ActionsEnabled,
	}
}

func (s *Server) alarms(_ context.Context, by string, in AlarmsRequest) iter.Seq2[Alarm, error] {
	return func(yield func(Alarm, error) bool) {
		for v := range s.Engine.Each(time.Now(), operatorOf(by), watch.AlarmQuery{Project: in.Project, State: in.State}) {
			named := strings.HasPrefix(v.Name, in.Prefix) || strings.HasPrefix(v.Project+"/"+v.Name, in.Prefix)
			if named && !yield(shownAlarm(v), nil) {
				return
			}
		}
	}
}

// A HistoryRequest asks for what happened, the newest first: to an alarm, or
// everywhere.
type HistoryRequest struct {
	Alarm string `json:"alarm,omitempty"`
	Limit int    `json:"limit,omitempty"` // 0: 100
}

// How many entries of the history are told if nobody says, and are read at
// once.
const (
	usualHistory = 100
	historyPage  = 1000
)

// history also tells of alarms that are deleted: their history stays.
func (s *Server) history(ctx context.Context, by string, in HistoryRequest) iter.Seq2[watch.Event, error] {
	return func(yield func(watch.Event, error) bool) {
		q, err := s.historyQuery(in.Alarm)
		left := in.Limit
		if left <= 0 {
			left = usualHistory
		}
		for first := true; err == nil && left > 0 && (first || q.Next != ""); first = false {
			var events []watch.Event
			q.Limit = min(left, historyPage)
			events, q.Next, err = s.Engine.Events(ctx, operatorOf(by), q)
			for _, e := range events {
				if left--; !yield(e, nil) {
					return
				}
			}
			if err == nil && first && len(events) == 0 && in.Alarm != "" {
				err = fmt.Errorf("alarm %s: %w, nor was there one", in.Alarm, watch.ErrNotFound)
			}
		}
		if err != nil {
			yield(watch.Event{}, err)
		}
	}
}

// historyQuery asks for an alarm's history; for all with an empty name.
func (s *Server) historyQuery(alarm string) (watch.EventQuery, error) {
	if alarm == "" {
		return watch.EventQuery{}, nil
	}
	switch v, err := s.find(alarm); {
	case err == nil:
		return watch.EventQuery{Project: v.Project, Alarm: v.Name}, nil
	case !errors.Is(err, watch.ErrNotFound):
		return watch.EventQuery{}, err
	}
	if project, name, ok := strings.Cut(alarm, "/"); ok {
		return watch.EventQuery{Project: project, Alarm: name}, nil
	}
	return watch.EventQuery{Alarm: alarm}, nil
}

// A StateRequest sets an alarm's state, until it is judged again.
type StateRequest struct {
	Alarm string      `json:"alarm"`
	State watch.State `json:"state"`
}

func (s *Server) setState(ctx context.Context, by string, in StateRequest) (Nothing, error) {
	v, err := s.find(in.Alarm)
	if err != nil {
		return Nothing{}, err
	}
	who := operatorOf(by)
	who.Project = v.Project
	return Nothing{}, s.Engine.SetState(ctx, time.Now(), who, v.Name, in.State, "set by "+by, nil)
}

// A File is a path on the server's machine.
type File struct {
	Path string `json:"path"`
}

func (s *Server) backup(ctx context.Context, _ string, in File) (Nothing, error) {
	return Nothing{}, s.Store.Backup(ctx, in.Path)
}

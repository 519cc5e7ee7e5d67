package outbox_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// rules is who defines the alarms of these tests.
var rules = watch.Caller{Project: "p1", Role: watch.Operator}

// A site is an engine and a store, and what an outbox needs beside them.
type site struct {
	t      *testing.T
	dir    string
	store  *store.Store
	engine *watch.Engine
	opts   Options
	close  func() // of the store
}

// newSite is a new one.
func newSite(t *testing.T) *site { return openSite(t, t.TempDir()) }

// openSite opens the store of a folder and starts an engine that has listened
// for an hour.
func openSite(t *testing.T, dir string) *site {
	s := &site{t: t, dir: dir}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if s.store, err = store.Open(t.Context(), filepath.Join(s.dir, "state.db"), store.Options{Log: quiet}); err != nil {
		t.Fatal(err)
	}
	s.close = sync.OnceFunc(func() {
		if err := s.store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(s.close)
	s.engine = watch.New(watch.Options{Store: s.store, Log: quiet})
	if err := s.engine.Start(t.Context(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	post := &Post{Secret: "hush"}
	gates := DefaultGates()
	gates.Rate = Budget{Count: 1000, In: time.Second}
	s.opts = Options{
		Store: s.store, Engine: s.engine, Owner: "test", Log: quiet, Settings: Settings{
			Gates: gates, RetryFor: 15 * time.Minute, MessageFor: 24 * time.Hour,
			Actions: map[Kind]Action{Webhook: post, Signal: post, Exec: s.commands()},
		},
	}
	return s
}

func (s *site) commands() *Commands {
	return &Commands{Dir: filepath.Join(s.dir, "exec"), ByName: map[string]Command{}}
}

// command makes cfnwatch:exec:<name> run a script of the shell.
func (s *site) command(name, script string, args ...string) *Command {
	c := Command{Argv: append([]string{"sh", "-c", script, "sh"}, args...), Timeout: time.Minute}
	s.opts.Actions[Exec].(*Commands).ByName[name] = c
	return &c
}

// alarm defines one that nothing but set changes.
func (s *site) alarm(name string, actions ...string) watch.Alarm {
	s.t.Helper()
	return s.define(watch.Alarm{Name: name, OnAlarm: actions, OnOK: nil})
}

func (s *site) define(a watch.Alarm) watch.Alarm {
	s.t.Helper()
	if a.Project == "" {
		a.Project = "p1"
	}
	if a.Origin == "" {
		a.Origin = watch.FromRules
	}
	a.Namespace, a.Metric, a.Statistic, a.Period, a.Periods = "test", "load", watch.Average, time.Minute, 1
	a.Comparison, a.ActionsEnabled = watch.Greater, true
	a, err := s.engine.Define(s.t.Context(), time.Now(), rules, a)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// set puts an alarm into a state, and returns the keys of the rows of that.
func (s *site) set(a watch.Alarm, to watch.State) []string {
	s.t.Helper()
	c := rules
	c.Project = a.Project
	if err := s.engine.SetState(s.t.Context(), time.Now(), c, a.Name, to, "it was set", nil); err != nil {
		s.t.Fatal(err)
	}
	v, _ := s.engine.View(time.Now(), a.Project, a.Name)
	rows, err := s.store.Rows(s.t.Context(), RowQuery{AlarmID: a.ID})
	if err != nil {
		s.t.Fatal(err)
	}
	var keys []string
	for _, r := range slices.Backward(rows) {
		if r.Number == v.Number {
			keys = append(keys, r.Key)
		}
	}
	return keys
}

func (s *site) row(key string) Row {
	s.t.Helper()
	rows, err := s.store.Rows(s.t.Context(), RowQuery{Limit: 1 << 30})
	rows = slices.DeleteFunc(rows, func(r Row) bool { return r.Key != key })
	if err != nil || len(rows) != 1 {
		s.t.Fatalf("row %s: %v, %v", key, rows, err)
	}
	return rows[0]
}

// history is what was told of a row, oldest first.
func (s *site) history(key string) []string {
	s.t.Helper()
	events, _, err := s.store.Events(s.t.Context(), watch.EventQuery{Key: key, OldestFirst: true, Limit: 1000})
	if err != nil {
		s.t.Fatal(err)
	}
	var lines []string
	for _, e := range events {
		lines = append(lines, e.Summary)
	}
	return lines
}

// start runs an outbox until the test ends or stop is called.
func (s *site) start() (o *Outbox, stop func()) {
	o = New(s.opts)
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(stop)
	return o, stop
}

// ends waits for the end of a row.
func (s *site) ends(key string) Row {
	s.t.Helper()
	eventually(s.t, key+" ends", func() bool { return s.row(key).Status.Ended() })
	return s.row(key)
}

// eventually waits for what other goroutines and processes do: for so long that
// a busy machine, or a disk that is slow to sync, comes to it.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline:
			t.Fatalf("not within two minutes: %s", what)
		case <-tick.C:
		}
	}
}

// A received is a request that a receiver got.
type received struct {
	Method, URI, Key, Signature, Type, Body string
}

// A receiver is a server that messages are sent to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer http.HandlerFunc // nil: 200
}

func newReceiver(t *testing.T) *receiver {
	rc := &receiver{}
	rc.Server = httptest.NewServer(rc)
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	data, _ := io.ReadAll(req.Body) // what is missing is missed by the test
	rc.mu.Lock()
	rc.got = append(rc.got, received{req.Method, req.RequestURI, req.Header.Get("Idempotency-Key"),
		req.Header.Get("X-CfnWatch-Signature"), req.Header.Get("Content-Type"), string(data)})
	answer := rc.answer
	rc.mu.Unlock()
	if answer != nil {
		answer(w, req)
	}
}

func (rc *receiver) all() []received {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return slices.Clone(rc.got)
}

func (rc *receiver) says(f http.HandlerFunc) {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	rc.answer = f
}

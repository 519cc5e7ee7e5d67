//go:build system

package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// The story that a server lives through, in the time of a bubble since it
// first began, in seconds: guest 3 dies for a while, and later all are not
// heard for a while.
const (
	lifeGuests           = 4
	deathBegan, deathEnd = 20, 60
	stormBegan, stormEnd = 70, 100
	pruneAt              = 66
	prunedBefore         = 15 * time.Second
	lifeEnd              = 130
	lifeSilence          = 11 * time.Second // that is allowed
)

func beats(guest, second int) bool {
	dead := guest == 3 && deathBegan < second && second < deathEnd
	return second%5 == 0 && !dead && (second <= stormBegan || second >= stormEnd)
}

// A life is a server in this process, whole but for its sockets, and what is
// done to it. It is lived in a bubble.
type life struct {
	t     *testing.T
	dir   string
	began time.Time
	at    func(point string) // is told where it is
	s     *server
}

// furnish writes what a server is started with. Its store is below dir/disk.
func furnish(t *testing.T, dir, hooks string) {
	t.Helper()
	r := &rig{t: t, dir: dir}
	var rules strings.Builder
	for i := range lifeGuests {
		fmt.Fprintf(&rules, "g%d: {Project: p, Stack: s, Namespace: system/linux, MetricName: Heartbeat, Statistic: SampleCount, "+
			"ComparisonOperator: LessThanThreshold, Threshold: 1, Period: 10, EvaluationPeriods: 1, TreatMissingData: breaching, Tolerance: 1s, "+
			"AlarmActions: [%q, \"cfnwatch:exec:mark\"]}\n", i, hooks)
	}
	if err := os.MkdirAll(filepath.Join(dir, "disk"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.write("rules.yaml", rules.String(), 0o644)
	r.write("keys", "[GUEST]\nsecret = guest\nproject = p\nstack = s\n[MEMBER]\nsecret = member\nproject = p\n", 0o600)
	r.write("ran", "", 0o600)
	r.write("mark", "#!/bin/sh\necho \"$CFNWATCH_KEY\" >>"+dir+"/ran\n[ ! -e "+dir+"/kill ] || kill -9 $PPID\n", 0o755)
	r.write("conf", strings.Join([]string{
		"[store]", "path = " + dir + "/disk/state.db", "flush = 5s",
		"[keys]", "file = " + dir + "/keys",
		"[alarms]", "dir = " + dir + "/rules.yaml",
		"[gates]", "boot_grace = 1s", "first_boot = 1s",
		"[exec mark]", "argv = " + dir + "/mark", "user = " + currentUser(t), "",
	}, "\n"), 0o644)
}

// live lives from a second of the story to another, and returns what it was
// left in by check.
func (l *life) live(from, to time.Duration, check func()) {
	l.began = time.Now()
	time.Sleep(from)
	l.start()
	defer func() {
		if err := l.s.store.Close(); err != nil {
			l.t.Error(err)
		}
	}()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, part := range []func(context.Context){l.s.engine.Run, l.s.work, l.s.verifier.Run} {
		wg.Go(func() { part(ctx) })
	}
	for second := int((from + time.Second - 1) / time.Second); second < int(to/time.Second); second++ {
		time.Sleep(time.Until(l.began.Add(time.Duration(second) * time.Second)))
		l.second(second)
	}
	check()
	stop()
	wg.Wait()
}

func (l *life) start() {
	c, err := loadConfig(&env{}, filepath.Join(l.dir, "conf"))
	if err != nil {
		l.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	l.s = &server{log: log}
	l.s.replace(c)
	if l.s.store, err = store.Open(context.Background(), c.store.path, store.Options{Log: log}); err != nil {
		l.t.Fatal(err)
	}
	if err := l.s.build(context.Background()); err != nil {
		l.t.Fatal(err)
	}
	l.watchPoints()
}

// second does what the story has for a second of it.
func (l *life) second(n int) {
	l.at("clock")
	for i := range lifeGuests {
		if beats(i, n) {
			l.at("push accepted")
			l.call("GUEST", metric.Form([]metric.Datapoint{{Namespace: "system/linux", Name: "Heartbeat", Unit: "Count", Value: 1,
				Dimensions: map[string]string{metric.AlarmName: fmt.Sprintf("g%d", i)}}}))
			l.at("push put")
		}
	}
	switch {
	case n%25 == 8:
		name := fmt.Sprintf("m%d", n)
		l.call("MEMBER", url.Values{"Action": {"PutMetricAlarm"}, "AlarmName": {name}, "MetricName": {"load"}, "Namespace": {"n"}, "Statistic": {"Maximum"},
			"Period": {"10"}, "EvaluationPeriods": {"1"}, "Threshold": {"5"}, "ComparisonOperator": {"GreaterThanThreshold"}})
		l.at("defined " + name)
	case n%5 == 0:
		l.call("MEMBER", metric.Form([]metric.Datapoint{{Namespace: "n", Name: "load", Unit: "None", Value: 1}}))
	case n == pruneAt:
		l.at("before pruning")
		if err := l.s.store.Prune(context.Background(), l.began.Add(prunedBefore)); err != nil {
			l.t.Error(err)
		}
		l.at("after pruning")
	}
}

// call has a request answered with success.
func (l *life) call(key string, form url.Values) {
	form.Set("Version", "2010-08-01")
	body := []byte(awsquery.Encode(form))
	req := httptest.NewRequest(http.MethodPost, "http://127.0.0.1/v1/", bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	credentials := awsquery.Credentials{AccessKey: key, SecretKey: awsquery.Secret(strings.ToLower(key))}
	if err := awsquery.SignV4(context.Background(), req, body, credentials, "", awsquery.CloudWatch, time.Now()); err != nil {
		l.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if l.s.handler.ServeHTTP(w, req); w.Code != http.StatusOK {
		l.t.Fatalf("%s: %d %s", form.Get("Action"), w.Code, w.Body)
	}
}

// watchPoints puts itself between the parts of the server, to tell where it is.
func (l *life) watchPoints() {
	stage := &stage{}
	st := pointedStore{l.s.store, l.at, stage}
	l.s.engine.Store, l.s.outbox.Store = st, st
	l.s.outbox.Engine = &pointedEngine{l.s.engine, l.at, stage, false}
	settings, err := l.s.config().outboxSettings()
	if err != nil {
		l.t.Fatal(err)
	}
	for kind, action := range settings.Actions {
		settings.Actions[kind] = pointedAction{action, l.at}
	}
	if err := l.s.outbox.Set(context.Background(), settings); err != nil {
		l.t.Fatal(err)
	}
	l.s.outbox.Witness = func(_ context.Context, gate string, r outbox.Row, _ watch.View) (outbox.Reply, error) {
		switch gate {
		case "g6":
			l.at("g5 " + stage.String())
		case "g8":
			l.at("g7 " + stage.String())
		}
		l.at(gate + " " + stage.String())
		return outbox.Reply{}, nil
	}
}

// A stage is whether a command has been claimed.
type stage struct {
	mu      sync.Mutex
	claimed bool
}

func (s *stage) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claimed {
		return "before acting"
	}
	return "before the claim"
}

// kindOf is what the row of a key is, for people.
func kindOf(key string) string {
	if strings.Contains(key, "|") {
		return "command"
	}
	return "message"
}

type pointedStore struct {
	*store.Store
	at    func(string)
	stage *stage
}

func (p pointedStore) Record(ctx context.Context, b watch.Batch) error {
	fires := len(b.Transitions) > 0 && b.Transitions[0].To == watch.Firing
	if fires {
		p.at("before the tick's commit")
	}
	err := p.Store.Record(ctx, b)
	if fires && err == nil {
		p.at("after the tick's commit")
	}
	for _, tr := range b.Transitions {
		p.at(fmt.Sprintf("told %s %d", tr.Alarm, tr.Number))
	}
	return err
}

func (p pointedStore) Flush(ctx context.Context, kept []watch.Kept) error {
	p.at("before a flush")
	defer p.at("after a flush")
	return p.Store.Flush(ctx, kept)
}

func (p pointedStore) Claim(ctx context.Context, id int64, owner string, now, until time.Time) (outbox.Row, bool, error) {
	r, ok, err := p.Store.Claim(ctx, id, owner, now, until)
	if ok && err == nil {
		if kindOf(r.Key) == "command" {
			p.stage.mu.Lock()
			p.stage.claimed = true
			p.stage.mu.Unlock()
		}
		p.at(kindOf(r.Key) + " claimed")
	}
	return r, ok, err
}

func (p pointedStore) Update(ctx context.Context, changes ...outbox.Change) ([]string, error) {
	lost, err := p.Store.Update(ctx, changes...)
	for _, c := range changes {
		if c.Row.Key != "" && err == nil {
			p.at(kindOf(c.Row.Key) + " " + string(c.Row.Status))
		}
	}
	return lost, err
}

func (p pointedStore) Tally(ctx context.Context, q outbox.TallyQuery) (outbox.Tally, error) {
	if q.Object != "" {
		p.at("g3 " + p.stage.String())
	}
	return p.Store.Tally(ctx, q)
}

// A pointedEngine knows that g2 asks since when it listens, and then g3 for
// storms.
type pointedEngine struct {
	*watch.Engine
	at    func(string)
	stage *stage
	asked bool
}

func (p *pointedEngine) Listening() time.Time {
	p.at("g1 " + p.stage.String())
	p.set(true)
	return p.Engine.Listening()
}

func (p *pointedEngine) Census(domain string, now time.Time) watch.Census {
	if p.set(false) {
		p.at("g2 " + p.stage.String())
	}
	return p.Engine.Census(domain, now)
}

func (p *pointedEngine) set(asked bool) (was bool) {
	p.stage.mu.Lock()
	defer p.stage.mu.Unlock()
	was, p.asked = p.asked, asked
	return was
}

type pointedAction struct {
	outbox.Action
	at func(string)
}

func (p pointedAction) Act(ctx context.Context, r outbox.Row) (outbox.Answer, error) {
	p.at("before the call of a " + kindOf(r.Key))
	p.at("call " + r.Key)
	defer p.at("after the answer to a " + kindOf(r.Key))
	return p.Action.Act(ctx, r)
}

func (p pointedAction) Verify(ctx context.Context, r outbox.Row) (outbox.Sight, error) {
	p.at("before verify")
	defer p.at("after verify")
	return p.Action.Verify(ctx, r)
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

package main

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// Keys that site knows beside member.
var (
	webKey = awsquery.Credentials{AccessKey: "WEB", SecretKey: "secret-web"}
	dbKey  = awsquery.Credentials{AccessKey: "DB", SecretKey: "secret-db"}
)

// site is to serve a rule for guests of stack web, which fires at the first failure.
func site(t *testing.T, server ...string) *running {
	t.Helper()
	r := prepare(t)
	r.put("keys", memberKey+"[WEB]\nsecret = secret-web\nproject = p\nstack = web\n[DB]\nsecret = secret-db\nproject = p\nstack = db\n")
	r.put("rules/rules.yaml", "failure: {Project: p, Stack: web, Namespace: system/linux, MetricName: Failure, Statistic: Sum, "+
		"ComparisonOperator: GreaterThanThreshold, Threshold: 0, Period: 60, EvaluationPeriods: 1, AlarmActions: [\"https://hooks.test/secret\"]}\n")
	r.write(append(server, "[store]", "history = 2d", "[limits]", "series_per_project = 2", "[actions]", "api_may = signal",
		"[keys]", "file = "+filepath.Join(r.dir, "keys"))...)
	return r
}

func (r *running) push(key awsquery.Credentials, at time.Time, alarm, name string) error {
	return pushTo(r.t.Context(), r.selftest.url, key, at, alarm, name)
}

// metric waits for a line among the metrics.
func (r *running) metric(line string) {
	r.t.Helper()
	text := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if text = r.get("/metrics"); strings.Contains(text, "\ncfn_watch_"+line+"\n") {
			return
		}
	}
	name, _, _ := strings.Cut(line, "{")
	for have := range strings.Lines(text) {
		if strings.HasPrefix(have, "cfn_watch_"+name) {
			r.t.Log(have)
		}
	}
	r.t.Errorf("the metrics never have cfn_watch_%s", line)
}

// What is pushed is judged, counted, and stored at the end.
func TestServer(t *testing.T) {
	r := site(t, "selftest = no")
	r.serve()
	if got, want := r.get("/healthz"), "200\nok\n"; got != want {
		t.Errorf("/healthz = %q, want %q", got, want)
	}
	if err := r.client.Call(t.Context(), "suspend", admin.SuspendRequest{Scope: outbox.OfAll}, &outbox.Suspension{}); err != nil {
		t.Fatal(err)
	}
	signed := time.Now()
	for _, p := range []struct {
		key         awsquery.Credentials
		alarm, name string
		refused     string
	}{
		{webKey, "failure", "Failure", ""}, {webKey, "failure", "Failure", ""}, // the same signature: counted once
		{dbKey, "failure", "Failure", ""},
		{webKey, "", "Load", ""}, {webKey, "", "Disk", ""}, {webKey, "", "Net", ""}, {webKey, "", "", "MissingParameter"},
		{awsquery.Credentials{AccessKey: "WEB", SecretKey: "wrong"}, "", "Load", "SignatureDoesNotMatch"},
	} {
		err := r.push(p.key, signed, p.alarm, p.name)
		if p.refused == "" && err != nil || p.refused != "" && (err == nil || !strings.Contains(err.Error(), p.refused)) {
			t.Errorf("push by %s of %s to %q: %v, want %q", p.key.AccessKey, p.name, p.alarm, err, p.refused)
		}
	}
	for _, line := range []string{
		`alarms{state="ALARM"} 1`, `pushes_total{result="taken"} 5`, `pushes_total{result="refused"} 1`, `requests_total{result="mismatch"} 1`, `requests_total{result="replayed"} 1`,
		`misrouted_total 1`, `series_dropped_total 2`, `samples_total{result="fed"} 1`, `healthy 1`,
		`outbox{status="held"} 1`, `gate_holds{gate="g1"} 1`,
	} {
		r.metric(line)
	}
	// What no gate holds; an outbox that only begins would ask the gates anew.
	later := outbox.Row{Key: "later", Status: outbox.Wanted, Born: time.Now(), Next: time.Now().Add(time.Hour)} // which no gate holds
	if _, err := r.store.Update(t.Context(), outbox.Change{Row: later, New: true}); err != nil {
		t.Fatal(err)
	}
	r.metric(`outbox{status="wanted"} 1`)
	if text := r.get("/metrics"); !strings.Contains(text, "\ncfn_watch_store_write_seconds ") {
		t.Errorf("nothing tells how long the store takes: %s", text)
	}
	if text := r.get("/metrics"); strings.Contains(text, `gate=""`) {
		t.Errorf("what no gate holds is counted as held: %s", text)
	}
	r.end()
	r.serve()
	v, _ := r.engine.View(time.Now(), "p", "failure")
	sum := 0.0
	for _, p := range v.Points {
		sum += p.Sum
	}
	if v.State != watch.Firing || sum != 1 {
		t.Errorf("after a clean stop the alarm is %s with a sum of %v, want ALARM, 1", v.State, sum)
	}
}

func TestServerHearsItself(t *testing.T) {
	r := start(t)
	if err := r.selftest.push(t.Context()); err != nil {
		t.Error(err)
	}
	if got := r.engine.Counts(); got != (watch.Counts{}) {
		t.Errorf("its own push was counted: %+v", got)
	}
	if got := r.handler.Counters.Taken.Load(); got != 0 {
		t.Errorf("%d pushes were taken, and no guest has pushed", got)
	}
}

// A member sees and defines what an API may: no command, and no address of an
// operator's receiver.
func TestMembersAreBounded(t *testing.T) {
	r := site(t)
	r.serve()
	if got := r.post(member, url.Values{"Action": {"DescribeAlarms"}, "Version": {"2010-08-01"}}); strings.Contains(got, "hooks.test/secret") || !strings.Contains(got, "<member>https://hooks.test/...</member>") {
		t.Errorf("a member sees the actions of a rule: %s", got)
	}
	if got := r.post(member, putAlarm("mine", "https://hooks.test/")); !strings.Contains(got, "AlarmActions[0]: https://hooks.test/... is not allowed here") {
		t.Errorf("a webhook, which the configuration does not allow: %s", got)
	}
	if got := r.post(member, putAlarm("mine", "http://heat.test/v1/signal/arn:x?AWSAccessKeyId=a&Signature=b")); !strings.Contains(got, "<PutMetricAlarmResponse") {
		t.Errorf("a signal: %s", got)
	}
}

// Keys that are issued or revoked while the server runs are so at once.
func TestIssuedKeys(t *testing.T) {
	r := site(t)
	r.serve()
	var k admin.Key
	if err := r.client.Call(t.Context(), "issue-key", admin.KeyRequest{Project: "p", Stack: "web", For: time.Hour}, &k); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(k.Expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the key expires in %v, want an hour", left)
	}
	key := awsquery.Credentials{AccessKey: k.Access, SecretKey: awsquery.Secret(k.Secret)}
	if err := r.push(key, time.Now(), "failure", "Failure"); err != nil {
		t.Error(err)
	}
	found, err := r.issued.find(t.Context(), k.Access)
	if err != nil || !found.Expires.Equal(k.Expires) {
		t.Errorf("find = %+v, %v, want one that expires at %v", found, err, k.Expires)
	}
	if err := r.client.Call(t.Context(), "issue-key", admin.KeyRequest{Project: "p"}, &admin.Key{}); err != nil {
		t.Fatal(err)
	}
	if again, err := r.issued.find(t.Context(), k.Access); err != nil || again != found {
		t.Errorf("a key forgets what was derived of it when another is issued: %v", err)
	}
	if err := r.client.Call(t.Context(), "revoke-key", admin.Access{Access: k.Access}, &admin.Nothing{}); err != nil {
		t.Fatal(err)
	}
	if err := r.push(key, time.Now(), "failure", "Failure"); err == nil || !strings.Contains(err.Error(), "InvalidClientTokenId") {
		t.Errorf("a push with a revoked key: %v", err)
	}
}

// What is older than [store] history is forgotten, and nothing else.
func TestHistoryIsForgotten(t *testing.T) {
	r := site(t)
	st, err := store.Open(t.Context(), filepath.Join(r.dir, "state.db"), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, days := range []int{4, 3, 1} {
		at := time.Now().Add(-time.Duration(days) * day)
		if err := st.PutEvents(t.Context(), watch.Event{At: at, Kind: watch.StateUpdate, Project: "old", Alarm: fmt.Sprint(days)}); err != nil {
			t.Fatal(err)
		}
	}
	st.Close()
	r.serve()
	r.await("what is older than two days is gone", func() bool {
		events, _, err := r.store.Events(t.Context(), watch.EventQuery{Project: "old"})
		return err == nil && len(events) == 1 && events[0].Alarm == "1"
	})
}

// A history that is shorter than what budgets count leaves them what they count: a
// budget of six a day was once one of six in each hour of history.
func TestBudgetsOutliveTheHistory(t *testing.T) {
	r := prepare(t)
	r.write("[store]", "history = 1h", "[gates]", "per_target = 6/24h")
	st, err := store.Open(t.Context(), filepath.Join(r.dir, "state.db"), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, hours := range []int{30, 5} {
		at := time.Now().Add(-time.Duration(hours) * time.Hour)
		row := outbox.Row{Key: fmt.Sprint("web|", hours), Object: "web", Rough: true, Status: outbox.Done, Born: at, Next: at, Began: at}
		if _, err := st.Update(t.Context(), outbox.Change{Row: row, New: true}); err != nil {
			t.Fatal(err)
		}
	}
	st.Close()
	r.serve()
	r.await("what is older than a day is gone", func() bool {
		rows, err := r.store.Rows(t.Context(), outbox.RowQuery{Object: "web"})
		return err == nil && len(rows) < 2
	})
	if n, err := r.store.Tally(t.Context(), outbox.TallyQuery{Object: "web", Since: time.Now().Add(-day)}); err != nil || n.Begun != 1 {
		t.Errorf("%d actions of today are known, %v, want 1", n.Begun, err)
	}
}

// What a configuration bounds is what the outbox is bound by.
func TestOutboxIsConfigured(t *testing.T) {
	usual, err := defaults(t.TempDir()).outboxSettings()
	if post := usual.Actions[outbox.Webhook].(*outbox.Post); err != nil || post.Access.Private || post.DryRun {
		t.Errorf("without a word in the configuration messages are sent by %+v, %v", post, err)
	}
	c, _ := everyKey(t)
	c.actions.webhookSecretFile = filepath.Join(t.TempDir(), "secret")
	if _, err := c.outboxSettings(); err == nil || !strings.Contains(err.Error(), "[actions] webhook_secret_file: ") {
		t.Errorf("outboxSettings without the file of the secret: %v", err)
	}
	if err := os.WriteFile(c.actions.webhookSecretFile, []byte("x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.actions.webhookSecretFile, 0o644); err != nil { // whatever the umask
		t.Fatal(err)
	}
	if _, err := c.outboxSettings(); err == nil || !strings.Contains(err.Error(), "chmod 600 it") {
		t.Errorf("outboxSettings with a secret that all may read: %v", err)
	}
	if err := os.Chmod(c.actions.webhookSecretFile, 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := c.outboxSettings()
	if err != nil {
		t.Fatal(err)
	}
	want := outbox.Gates{
		StormCount: 3, StormShare: 0.3, StormShareDomain: 0.6, BootGrace: time.Minute, FirstBoot: 2 * time.Minute,
		PerTarget: []outbox.Budget{{Count: 2, In: time.Hour}, {Count: 4, In: 2 * day}}, PerStack: []outbox.Budget{{Count: 3, In: time.Hour}},
		PerProject: 5, All: 7, Rate: outbox.Budget{Count: 1, In: 2 * time.Second}, HoldFor: 10 * time.Minute,
	}
	if !reflect.DeepEqual(o.Gates, want) {
		t.Errorf("gates are %+v, want %+v", o.Gates, want)
	}
	if !o.DryRun || o.RetryFor != time.Minute || o.MessageFor != 2*time.Hour {
		t.Errorf("dry run %t, retried for %s, messages for %s, want true, 1m, 2h", o.DryRun, o.RetryFor, o.MessageFor)
	}
	post := o.Actions[outbox.Webhook].(*outbox.Post)
	if post.Secret != "x" || !post.DryRun || !post.Access.Private {
		t.Errorf("messages are sent by %+v", post)
	}
	exec := o.Actions[outbox.Exec].(*outbox.Commands)
	if got, want := exec.ByName["restart"], (outbox.Command{Argv: []string{"/usr/bin/systemctl", "restart", "x"}, User: "root", Timeout: 30 * time.Second, RetryUnknown: true}); !reflect.DeepEqual(got, want) {
		t.Errorf("the command is %+v, want %+v", got, want)
	}
}

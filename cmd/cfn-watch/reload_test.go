package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

func putAlarm(name, action string) url.Values {
	return url.Values{"Action": {"PutMetricAlarm"}, "Version": {"2010-08-01"}, "AlarmName": {name}, "Namespace": {"n"}, "MetricName": {"m"},
		"Statistic": {"Average"}, "Period": {"60"}, "EvaluationPeriods": {"1"}, "Threshold": {"1"},
		"ComparisonOperator": {"GreaterThanThreshold"}, "AlarmActions.member.1": {action}, "Salt": {fmt.Sprint(time.Now().UnixNano())}}
}

var member = awsquery.Credentials{AccessKey: "MEMBER", SecretKey: "s"}

const memberKey = "[MEMBER]\nsecret = s\nproject = p\n"

// Whatever a file may change while the server runs holds after a reload:
// limits, gates, actions and commands, rules and keys.
func TestReloadTakesOver(t *testing.T) {
	t.Parallel() // it waits until the server has listened for a moment
	r := start(t)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	want := func(when, got, part string) {
		t.Helper()
		if !strings.Contains(got, part) {
			t.Errorf("%s: %s, want ... %s ...", when, got, part)
		}
	}
	fires := func(alarm string, status outbox.Status, why string) {
		t.Helper()
		op := watch.Caller{Project: "p", Role: watch.Operator}
		for _, state := range []watch.State{watch.OK, watch.Firing} {
			if err := r.engine.SetState(t.Context(), time.Now(), op, alarm, state, "a test", nil); err != nil {
				t.Fatal(err)
			}
		}
		var last outbox.Row
		for end := time.Now().Add(time.Minute); time.Now().Before(end) && !last.Status.Ended(); time.Sleep(10 * time.Millisecond) {
			rows, err := r.store.Rows(t.Context(), outbox.RowQuery{Project: "p", Limit: 1})
			if err != nil || len(rows) != 1 {
				t.Fatal(rows, err)
			}
			last = rows[0]
		}
		if last.Status != status || !strings.Contains(last.Why, why) {
			t.Errorf("%s: %s (%s), want %s (%s)", alarm, last.Status, last.Why, status, why)
		}
	}
	want("before", r.post(member, putAlarm("a", "https://example.com/")), "InvalidClientTokenId")

	r.put("keys", memberKey)
	r.put("rules/r.yaml", "web: {Project: p, Namespace: n, MetricName: m, Statistic: Average, ComparisonOperator: GreaterThanThreshold, Threshold: 1, Period: 60, EvaluationPeriods: 1, AlarmActions: ['cfnwatch:exec:mark']}")
	command := "[exec mark]\nargv = /bin/true\nuser = " + me.Username + "\n"
	r.write("[keys]", "file = "+filepath.Join(r.dir, "keys"), "[limits]", "alarms_per_project = 1", command, "[actions]", "dry_run = yes")
	r.hangups <- syscall.SIGHUP
	r.await("the rule holds", func() bool { _, there := r.engine.View(time.Now(), "p", "web"); return there })
	want("a key file", r.post(member, putAlarm("a", "https://example.com/")), "200 ")
	want("a limit of alarms", r.post(member, putAlarm("b", "https://example.com/")), "LimitExceeded")
	want("what the API may", r.post(member, putAlarm("a", "cfnwatch:restart:self")), "InvalidParameterValue")
	fires("web", outbox.Refused, "dry run: nothing is done")

	r.write("[keys]", "file = "+filepath.Join(r.dir, "keys"), command, "[actions]", "api_may = webhook, restart", "[gates]", "per_target = 1/1h")
	if err := r.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	want("no limit of alarms", r.post(member, putAlarm("b", "https://example.com/")), "200 ")
	want("what the API may", r.post(member, putAlarm("a", "cfnwatch:restart:self")), "200 ")
	fires("web", outbox.Done, "exit status 0")
	fires("web", outbox.Refused, "had 1 actions within 1h0m0s already")

	r.write("[keys]", "file = "+filepath.Join(r.dir, "keys"), "[limits]", "rate_per_key = 1", "burst_per_key = 1")
	if err := os.Remove(filepath.Join(r.dir, "rules/r.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := r.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	answers := ""
	for i := range 10 { // on a busy machine a second may pass between two
		answers += r.post(member, putAlarm(fmt.Sprint("c", i), "https://example.com/"))
	}
	want("a rate", answers, "Throttling")
	if _, ok := r.engine.View(time.Now(), "p", "web"); ok {
		t.Error("a rule that is gone is an alarm still")
	}
}

// Rules come last, so that all that they need holds when they do: a rule was once in
// force before the command that it names, which was refused for good if its alarm
// fired then, and before dry_run. Where the store does not take them the rest holds.
func TestReloadOfRulesComesLast(t *testing.T) {
	t.Parallel() // it waits until the server has listened for a moment
	r := prepare(t)
	const rule = ": {Project: p, Namespace: n, MetricName: m, Statistic: Average, ComparisonOperator: GreaterThanThreshold, Threshold: 1, Period: 60, EvaluationPeriods: 1, AlarmActions: ['cfnwatch:exec:mark']}\n"
	r.put("rules/r.yaml", "a"+rule)
	r.write("[exec mark]", "argv = /bin/true")
	r.serve()
	r.put("rules/r.yaml", "a"+rule+"z"+rule)
	r.write("[exec mark]", "argv = /bin/true", "[actions]", "dry_run = yes")
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that nothing is written
	if err := r.reload(ctx); !errors.Is(err, errInPart) || !r.config().actions.dryRun {
		t.Errorf("reload = %v, dry run %t, want that some rules do not hold, and the rest does", err, r.config().actions.dryRun)
	}
	if err := r.engine.SetState(t.Context(), time.Now(), watch.Caller{Project: "p", Role: watch.Operator}, "a", watch.Firing, "a test", nil); err != nil {
		t.Fatal(err)
	}
	var last outbox.Row
	r.await("the command has its end", func() bool {
		rows, err := r.store.Rows(t.Context(), outbox.RowQuery{Project: "p"})
		if err == nil && len(rows) == 1 {
			last = rows[0]
		}
		return last.Status.Ended()
	})
	if last.Status != outbox.Refused || last.Why != "dry run: nothing is done" {
		t.Errorf("the command of a rule: %s (%s), want a dry run", last.Status, last.Why)
	}
}

// A mistake, wherever it is, leaves all as it was.
func TestReloadOfWhatIsWrongChangesNothing(t *testing.T) {
	r := start(t)
	rule := "web: {Project: p, Namespace: n, MetricName: m, Statistic: Average, ComparisonOperator: GreaterThanThreshold, Threshold: 1, Period: 60, EvaluationPeriods: 1}"
	r.put("rules/r.yaml", rule)
	r.put("keys", memberKey)
	keys := "[keys]\nfile = " + filepath.Join(r.dir, "keys")
	r.write(keys)
	if err := r.reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds := r.config()
	for _, c := range []struct {
		name, want string
		conf       []string
		files      map[string]string
	}{
		{name: "configuration", conf: []string{"[gates]", "storm_count = many"}, want: `[gates] storm_count: "many" is not a whole number above 0`},
		{name: "rules", files: map[string]string{"rules/r.yaml": rule + "\nweb2: {Project: p}"}, want: "web2"},
		{name: "keys", files: map[string]string{"keys": "[OTHER]\nsecret = x\n"}, want: "project"},
		{name: "no keys", conf: []string{"[keys]", "file = /nowhere"}, want: "/nowhere"},
		{name: "secret", conf: []string{"[actions]", "webhook_secret_file = /nowhere"}, want: "[actions] webhook_secret_file: "},
		{name: "no file", want: "conf: no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.conf == nil || c.conf[0] != "[keys]" {
				c.conf = append([]string{keys}, c.conf...)
			}
			r.write(append(c.conf, "[limits]", "alarms_per_project = 1")...)
			// What is right must not be taken over either.
			r.put("rules/more.yaml", strings.Replace(rule, "web", "more", 1))
			for name, text := range c.files {
				r.put(name, text)
			}
			if c.name == "no file" {
				os.Remove(filepath.Join(r.dir, "conf"))
			}
			err := r.reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("reload = %v, want ... %s ...", err, c.want)
			}
			r.put("rules/r.yaml", rule)
			r.put("keys", memberKey)
			if r.config() != holds || r.engine.AlarmsPerProject != holds.limits.alarmsPerProject {
				t.Error("the configuration is another")
			}
			if _, ok := r.engine.View(time.Now(), "p", "more"); ok {
				t.Error("a rule was taken over")
			}
			if got := r.post(member, url.Values{"Action": {"DescribeAlarms"}, "Version": {"2010-08-01"}, "Salt": {c.name}}); !strings.HasPrefix(got, "200 ") {
				t.Errorf("a key of before: %s", got)
			}
		})
	}
}

// What takes a restart stays as it is, and is named.
func TestReloadKeepsWhatTakesARestart(t *testing.T) {
	runs, next := defaults("/run"), defaults("/run")
	next.server.listen, next.server.cert, next.server.jsonLog, next.store.path = "127.0.0.1:1", "/c", true, "/elsewhere"
	next.keystone.cache, next.store.history = time.Hour, time.Hour
	got := next.keep(runs)
	want := []string{"[keystone]", "[server] cert", "[server] listen", "[server] log", "[store] path"}
	if !slices.Equal(got, want) {
		t.Errorf("keep = %q, want %q", got, want)
	}
	again := defaults("/run")
	again.store.history = time.Hour
	if next.server != again.server || next.store != again.store || next.keystone != again.keystone {
		t.Errorf("what takes a restart is %+v, want it as it was and the history as it shall be", next)
	}
}

// systemd is told when a reload begins, by the clock that it compares with, and
// when it has ended: "systemctl reload" returns then (sd_notify(3), notify-reload
// of systemd.service(5)).
func TestSystemdIsToldOfAReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	told := func() string {
		t.Helper()
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		text := make([]byte, 1000)
		n, err := conn.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		return string(text[:n])
	}
	monotonic := func() int64 {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			t.Fatal(err)
		}
		return now.Nano() / 1000
	}
	r := start(t)
	if got := told(); got != "READY=1" {
		t.Fatalf("systemd is told %q, want that the server is ready", got)
	}
	for lines, want := range map[string]string{
		"[gates]\nstorm_count = 3": "STATUS=configuration read again\nREADY=1",
		"[gates]\nstorm_count = x": "STATUS=configuration not read again: " + filepath.Join(r.dir, "conf") + `:10: [gates] storm_count: "x" is not a whole number above 0` + "\nREADY=1",
	} {
		r.write(lines)
		before := monotonic()
		r.hangups <- syscall.SIGHUP
		var at int64
		got := told()
		if _, err := fmt.Sscanf(got, "RELOADING=1\nMONOTONIC_USEC=%d", &at); err != nil || at < before || at > monotonic() {
			t.Errorf("systemd is told %q, want that a reload began after %d", got, before)
		}
		if got := told(); got != want {
			t.Errorf("systemd is told %q, want %q", got, want)
		}
	}
}

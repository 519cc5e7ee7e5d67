//go:build system

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
)

// A rig is a real server as a process of its own, which can be killed, and what
// it acts on.
type rig struct {
	t      *testing.T
	dir    string
	client admin.Client
	keys   []awsquery.Credentials // one for each guest
	server *exec.Cmd
	listen string

	hooks    *httptest.Server // gets the webhooks
	mu       sync.Mutex
	messages map[string]int // webhooks by Idempotency-Key
}

// newRig writes a configuration with a rule for each of some guests: a
// heartbeat within five seconds or so, else a message and a command that marks
// that it ran.
func newRig(t *testing.T, guests int) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "cfn-watch-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &rig{t: t, dir: dir, client: admin.Client{Socket: filepath.Join(dir, "admin.sock")}, messages: map[string]int{}}
	r.hooks = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.messages[req.Header.Get("Idempotency-Key")]++
	}))
	t.Cleanup(r.hooks.Close)
	var rules, keys strings.Builder
	for i := range guests {
		fmt.Fprintf(&rules, "g%d: {Project: p, Stack: s%d, Namespace: system/linux, MetricName: Heartbeat, Statistic: SampleCount, "+
			"ComparisonOperator: LessThanThreshold, Threshold: 1, Period: 10, EvaluationPeriods: 1, TreatMissingData: breaching, Tolerance: 1s, "+
			"AlarmActions: [%q, \"cfnwatch:exec:mark\"], OKActions: [%[3]q]}\n", i, i, r.hooks.URL)
		key := awsquery.Credentials{AccessKey: fmt.Sprintf("KEY%d", i), SecretKey: awsquery.Secret(fmt.Sprintf("secret-%d", i))}
		fmt.Fprintf(&keys, "[%s]\nsecret = %s\nproject = p\nstack = s%d\n", key.AccessKey, string(key.SecretKey), i)
		r.keys = append(r.keys, key)
	}
	r.write("rules.yaml", rules.String(), 0o644)
	r.write("keys", keys.String(), 0o600)
	r.write("ran", "", 0o666)
	r.write("mark", "#!/bin/sh\necho \"$CFNWATCH_KEY\" >>"+dir+"/ran\n", 0o755)
	r.write("conf", strings.Join([]string{
		"[server]", "listen = 127.0.0.1:0", "metrics = 127.0.0.1:0", "admin = " + r.client.Socket,
		"[store]", "path = " + dir + "/state.db", "flush = 1s",
		"[keys]", "file = " + dir + "/keys",
		"[alarms]", "dir = " + dir + "/rules.yaml",
		"[gates]", "storm_count = 1000", "per_target = 1000/1h", "per_project = 100", "all = 100", "rate = 1000/s", "boot_grace = 1s", "first_boot = 1s",
		"[exec mark]", "argv = " + dir + "/mark", "user = " + currentUser(t), "",
	}, "\n"), 0o644)
	return r
}

func currentUser(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return u.Username
}

func (r *rig) write(name, text string, mode os.FileMode) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), mode); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(r.dir, name), mode); err != nil {
		r.t.Fatal(err)
	}
}

// start starts the server and waits until it answers.
func (r *rig) start() {
	r.t.Helper()
	log, err := os.Create(filepath.Join(r.dir, "log"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	r.server = exec.Command(os.Args[0], "-test.run=^$")
	r.server.Env = append(os.Environ(), serveVariable+"=1", configVariable+"="+filepath.Join(r.dir, "conf"))
	r.server.Stderr = log
	if err := r.server.Start(); err != nil {
		r.t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		var st admin.Status
		if err := r.client.Call(r.t.Context(), "status", admin.Nothing{}, &st); err == nil {
			r.listen = st.Listen
			return
		}
		if time.Now().After(end) {
			r.t.Fatalf("the server does not answer: %s", r.log())
		}
	}
}

// log is what the server that runs has said.
func (r *rig) log() string {
	data, err := os.ReadFile(filepath.Join(r.dir, "log"))
	if err != nil {
		r.t.Error(err)
	}
	return string(data)
}

// kill ends the server as a power cut of the process does.
func (r *rig) kill() {
	r.server.Process.Kill()
	_ = r.server.Wait()
}

// push sends one heartbeat of a guest; an error is that of the way, or a
// refusal.
func (r *rig) push(ctx context.Context, guest int) error {
	return pushTo(ctx, "http://"+r.listen+"/v1/", r.keys[guest], time.Now(), fmt.Sprintf("g%d", guest), "Heartbeat")
}

// beat pushes for guests as long as they live, each second.
func (r *rig) beat(ctx context.Context, alive []atomic.Bool) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		for i := range alive {
			if alive[i].Load() {
				_ = r.push(ctx, i) // the server may be dead: the guest tries again in a second
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// transitions are those of all alarms, as the history has them.
func (r *rig) transitions() (list []watch.Event) {
	r.t.Helper()
	var events []watch.Event
	if err := r.client.Call(r.t.Context(), "history", admin.HistoryRequest{Limit: 10_000}, &events); err != nil {
		r.t.Fatal(err)
	}
	for _, e := range events {
		if e.Kind == watch.StateUpdate {
			list = append(list, e)
		}
	}
	return list
}

// ran counts the runs of the command by the key of the action.
func (r *rig) ran() map[string]int {
	data, err := os.ReadFile(filepath.Join(r.dir, "ran"))
	if err != nil {
		r.t.Fatal(err)
	}
	runs := map[string]int{}
	for line := range strings.Lines(string(data)) {
		runs[strings.TrimSpace(line)]++
	}
	return runs
}

// count is how many alarms are in a state.
func (r *rig) count(state watch.State) int {
	var list []admin.Alarm
	if err := r.client.Call(r.t.Context(), "alarms", admin.AlarmsRequest{State: state}, &list); err != nil {
		return -1
	}
	return len(list)
}

// open is how many actions have not ended.
func (r *rig) open() int {
	var list []json.RawMessage
	if err := r.client.Call(r.t.Context(), "actions", admin.ActionsRequest{}, &list); err != nil {
		return -1
	}
	return len(list)
}

// await waits for something that must come about within some minutes.
func (r *rig) await(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(3 * time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within three minutes", what)
		}
	}
}

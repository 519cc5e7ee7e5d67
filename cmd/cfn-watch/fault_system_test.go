//go:build system

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
)

// The server is killed again and again, at random moments, while guests push
// and half of them have died. What it said stays true: each dead guest's alarm
// asks for its command once, and it runs once, or the history says that nobody
// can tell; no living guest's runs; what was told of as a transition is still
// told of after the next start.
func TestKilledUnderLoad(t *testing.T) {
	const guests, kills = 20, 100
	r := newRig(t, guests)
	alive := make([]atomic.Bool, guests)
	for i := range alive {
		alive[i].Store(true)
	}
	r.start()
	defer r.kill()
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { r.beat(ctx, alive) })
	r.await("all are OK", func() bool { return r.count(watch.OK) == guests })
	for i := range guests / 2 {
		alive[i].Store(false)
	}
	known := map[string]bool{}
	for n := range kills {
		// Nothing is judged silent before the server has listened for eleven
		// seconds: most lives are shorter, some long enough to act.
		life := time.Duration(rand.N(300)) * time.Millisecond
		if n%25 == 24 {
			life = 12*time.Second + time.Duration(rand.N(1500))*time.Millisecond
		}
		time.Sleep(life)
		for _, e := range r.transitions() {
			known[fmt.Sprint(e.ID, e.Alarm, e.Summary)] = true
		}
		r.kill()
		r.start()
		have := map[string]bool{}
		for _, e := range r.transitions() {
			have[fmt.Sprint(e.ID, e.Alarm, e.Summary)] = true
		}
		for k := range known {
			if !have[k] {
				t.Fatalf("after kill %d this is gone: %s", n, k)
			}
		}
	}
	r.await("the dead are in ALARM", func() bool { return r.count(watch.Firing) == guests/2 })
	r.await("nothing is open", func() bool { return r.open() == 0 })
	r.checkActions(guests / 2)
}

// guests lets guests push until the end of the test.
func (r *rig) guests(alive []atomic.Bool) {
	ctx, stop := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	for i := range alive {
		alive[i].Store(true)
	}
	wg.Go(func() { r.beat(ctx, alive) })
	r.t.Cleanup(func() { stop(); wg.Wait() })
	r.await("all are OK", func() bool { return r.count(watch.OK) == len(alive) })
}

// A server that was stopped for longer than the silence it allows has heard
// nothing in that time, and so no guest is silent. Old Heat restarted them.
func TestServerThatStoodStill(t *testing.T) {
	r := newRig(t, 5)
	r.start()
	defer r.kill()
	r.guests(make([]atomic.Bool, 5))
	for range 2 {
		r.signal(syscall.SIGSTOP)
		time.Sleep(15 * time.Second)
		r.signal(syscall.SIGCONT)
		time.Sleep(3 * time.Second)
	}
	if n := r.count(watch.OK); n != 5 {
		t.Errorf("%d alarms are OK, want 5", n)
	}
	r.checkActions(0)
	var events []watch.Event
	if err := r.client.Call(t.Context(), "history", admin.HistoryRequest{Limit: 1000}, &events); err != nil {
		t.Fatal(err)
	}
	deaf := 0
	for _, e := range events {
		if e.Kind == watch.Deafness && strings.Contains(e.Summary, "late") {
			deaf++
		}
	}
	if deaf < 2 {
		t.Errorf("the history tells %d times that the server could not hear, want 2: %v", deaf, events)
	}
}

func (r *rig) signal(s syscall.Signal) {
	r.t.Helper()
	if err := r.server.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// While the disk is full nothing can be recorded, and so nothing is done; that
// is said, pushes go on, and with room again the server goes on by itself.
func TestDiskFull(t *testing.T) {
	r := newRig(t, 3)
	disk := filepath.Join(r.dir, "disk")
	if err := os.Mkdir(disk, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	r.edit("conf", r.dir+"/state.db", disk+"/state.db")
	r.start()
	defer r.kill()
	alive := make([]atomic.Bool, 3)
	r.guests(alive)

	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, zeros{})
	f.Close()
	if err == nil {
		t.Fatal("the disk is not full")
	}
	r.await("it says that it cannot store, though nothing is to be", func() bool { return strings.HasPrefix(r.health(), "503") })
	alive[0].Store(false)
	if n := r.count(watch.Firing); n != 0 {
		t.Errorf("%d alarms fire though that is not stored", n)
	}
	if err := r.push(t.Context(), 1); err != nil {
		t.Errorf("a push while the disk is full: %v", err)
	}
	r.checkActions(0)

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	r.await("it is well again", func() bool { return strings.HasPrefix(r.health(), "200") })
	r.await("the dead guest is in ALARM", func() bool { return r.count(watch.Firing) == 1 })
	r.await("nothing is open", func() bool { return r.open() == 0 })
	r.checkActions(1)
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// health is the status and text of /healthz, at the address that the server says
// it has.
func (r *rig) health() string {
	_, text, _ := strings.Cut(r.log(), " metrics=")
	address, _, _ := strings.Cut(text, " ")
	resp, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.Status + " " + string(body)
}

func (r *rig) edit(name, old, new string) {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(name, strings.ReplaceAll(string(data), old, new), 0o644)
}

// checkActions says whether each action of dead guests ran once.
func (r *rig) checkActions(dead int) {
	t := r.t
	t.Helper()
	var actions []struct {
		Key, Alarm, Action, Status, Why string
		State                           watch.State
	}
	if err := r.client.Call(t.Context(), "actions", admin.ActionsRequest{All: true}, &actions); err != nil {
		t.Fatal(err)
	}
	runs, commands := r.ran(), map[string]int{}
	for _, a := range actions {
		if a.State != watch.Firing {
			continue
		}
		switch {
		case a.Action != "cfnwatch:exec:mark":
		case a.Status == "done" && runs[a.Key] != 1:
			t.Errorf("%s of %s is done and ran %d times", a.Action, a.Alarm, runs[a.Key])
		case a.Status == "unknown" && runs[a.Key] > 1, a.Status != "done" && a.Status != "unknown":
			t.Errorf("%s of %s: %s, ran %d times: %s", a.Action, a.Alarm, a.Status, runs[a.Key], a.Why)
		default:
			commands[a.Alarm]++
		}
		delete(runs, a.Key)
	}
	if len(runs) > 0 {
		t.Errorf("commands ran that no action asked for: %v", runs)
	}
	for i := range len(r.keys) {
		want := 0
		if i < dead {
			want = 1
		}
		if got := commands[fmt.Sprintf("g%d", i)]; got != want {
			t.Errorf("guest g%d has %d commands, want %d", i, got, want)
		}
	}
}

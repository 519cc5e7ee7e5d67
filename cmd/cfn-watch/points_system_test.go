//go:build system

package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/powercut"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// points are where the process is killed, and where the power is cut. In the
// middle of a commit, of a flush, of pruning and of a migration the tests of
// the store cut it, at each sync.
var points = []string{
	"push accepted", "push put", "before the tick's commit", "after the tick's commit",
	"g1 before the claim", "g2 before the claim", "g3 before the claim", "g4 before the claim", "g5 before the claim", "g6 before the claim",
	"g7 before the claim", "g8 before the claim", "g9 before the claim", "g10 before the claim",
	"command claimed", "command looked",
	"g1 before acting", "g2 before acting", "g3 before acting", "g4 before acting", "g5 before acting", "g6 before acting",
	"g7 before acting", "g8 before acting", "g9 before acting", "g10 before acting",
	"command acting", "before the call of a command", inTheCall, "after the answer to a command",
	"command acted", "command verifying", "before verify", "after verify", "command done",
	"message claimed", "message acting", "before the call of a message", "after the answer to a message", "message done",
	"before a flush", "after a flush", "before pruning", "after pruning", "command held", "command refused",
}

// inTheCall is told by the command itself.
const inTheCall = "in the call of a command"

// noneBefore is when points begin to count: what is before it is the start.
const noneBefore = 22 * time.Second

// Variables of the environment of the process that dies.
const (
	lifeDir   = "CFN_WATCH_TEST_LIFE"
	lifePoint = "CFN_WATCH_TEST_POINT"
)

// TestServerThatDies is the process that other tests kill, or that they cut
// the power of. It says on stdout where it is, and when.
func TestServerThatDies(t *testing.T) {
	dir, point := os.Getenv(lifeDir), os.Getenv(lifePoint)
	if dir == "" {
		t.Skip("it is started by other tests")
	}
	synctest.Test(t, func(t *testing.T) {
		l := &life{t: t, dir: dir}
		var last sync.Mutex // what it says when it dies is the last that anybody says
		l.at = func(p string) {
			last.Lock()
			defer last.Unlock()
			passed := time.Since(l.began)
			fmt.Printf("%d %s\n", passed, p)
			if p == point && passed > noneBefore {
				die()
			}
		}
		l.live(0, lifeEnd*time.Second, die)
	})
}

// hooks is a receiver outside of the machine.
func hooks(t *testing.T) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	// A connection that is kept is waited for, and no time passes in a bubble.
	s.Config.SetKeepAlivesEnabled(false)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// shortDir is a directory where a sync costs nothing.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "cfn-watch-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// dies is the process that lives until it dies at a point.
func dies(t *testing.T, dir, point string) (cmd *exec.Cmd, out *bytes.Buffer) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "-test.run=^TestServerThatDies$")
	cmd.Env = append(os.Environ(), lifeDir+"="+dir, lifePoint+"="+point)
	out = &bytes.Buffer{}
	said, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { said.Close() })
	cmd.Stdout, cmd.Stderr = said, out
	return cmd, out
}

// The server is killed at each point of an action's life and of its own. The
// next one goes on from what is left.
func TestKilledAtEachPoint(t *testing.T) {
	url := hooks(t)
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			furnish(t, dir, url)
			if point == inTheCall {
				if err := os.WriteFile(filepath.Join(dir, "kill"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd, out := dies(t, dir, point)
			if err := cmd.Run(); err == nil || err.Error() != "signal: killed" {
				t.Fatalf("%v: %s", err, out)
			}
			said, err := os.ReadFile(filepath.Join(dir, "said"))
			if err != nil {
				t.Fatal(err)
			}
			if point == inTheCall {
				_ = os.Remove(filepath.Join(dir, "kill"))
			} else if last := lastOf(string(said)); last.what != point {
				t.Fatalf("it lived until it was at %q, and was never at that point", last.what)
			}
			// What it was about to make a command of may outlive it by a moment.
			held, err := lock.Take(t.Context(), filepath.Join(dir, "disk", "state.db.lock"), "test")
			if err != nil {
				t.Fatal(err)
			}
			if err := held.Release(); err != nil {
				t.Fatal(err)
			}
			goesOn(t, dir, string(said))
		})
	}
}

// The power is cut at each of those points, and after each sync: what was not
// synced is lost, or a part of it.
func TestPowerCutAtEachPoint(t *testing.T) {
	url := hooks(t)
	m := recorded(t, url)
	cut := func(name string, moment int, loss powercut.Loss) {
		t.Run(name+", "+loss.String(), func(t *testing.T) {
			t.Parallel()
			dir := shortDir(t)
			furnish(t, dir, url)
			if err := m.Cut(moment, loss, filepath.Join(dir, "disk")); err != nil {
				t.Fatal(err)
			}
			(&rig{t: t, dir: dir}).write("ran", m.Said(moment, "ran"), 0o600)
			goesOn(t, dir, m.Said(moment, "said"))
		})
	}
	for _, point := range points {
		if moment, ok := momentOf(m, point); ok {
			cut(point, moment, powercut.Unsynced)
			cut(point, moment, powercut.Some)
		} else {
			t.Errorf("it never came to %s", point)
		}
	}
	calls := 0
	for moment := range m.Moments() {
		said, last := m.Said(moment, "said"), m.Last(moment)
		if said != "" && strings.HasPrefix(last, "sync") {
			cut(fmt.Sprintf("%d %s", moment, last), moment, powercut.Unsynced)
		}
		if key, call := strings.CutPrefix(lastOf(said).what, "call "); call && last == "write said" {
			calls++
			wantActing(t, m, moment, key)
		}
	}
	if calls < 2 {
		t.Errorf("%d calls, want that of the message and that of the command at least", calls)
	}
}

// wantActing: what is called is known to be acting by what was synced before.
func wantActing(t *testing.T, m *powercut.Machine, moment int, key string) {
	t.Helper()
	dir := shortDir(t)
	if err := m.Cut(moment, powercut.Unsynced, dir); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), filepath.Join(dir, "state.db"), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.Rows(t.Context(), outbox.RowQuery{Key: key})
	status := outbox.Status("no row")
	if len(rows) > 0 {
		status = rows[0].Status
	}
	if err != nil || status != outbox.Acting {
		t.Errorf("before the call of %s the disk has: %s, %v, want it acting", key, status, err)
	}
}

// recorded is a life that was recorded to its end.
func recorded(t *testing.T, url string) *powercut.Machine {
	t.Helper()
	dir := shortDir(t)
	furnish(t, dir, url)
	m, err := powercut.New(filepath.Join(dir, "disk"), dir)
	if err != nil {
		t.Fatal(err)
	}
	cmd, out := dies(t, dir, "")
	tape := filepath.Join(t.TempDir(), "tape")
	if err := powercut.Record(cmd, tape); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Run(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("%v: %s", err, out)
	}
	if err := m.Read(tape); err != nil {
		t.Fatal(err)
	}
	return m
}

// momentOf is when a point was first come to.
func momentOf(m *powercut.Machine, point string) (moment int, ok bool) {
	for moment := range m.Moments() {
		switch m.Last(moment) {
		case "write ran":
			if point == inTheCall {
				return moment, true
			}
		case "write said":
			if last := lastOf(m.Said(moment, "said")); last.what == point && last.at > noneBefore {
				return moment, true
			}
		}
	}
	return 0, false
}

// A saying is a line of the server that dies: when it was where.
type saying struct {
	at   time.Duration
	what string
}

func sayings(said string) (list []saying) {
	for line := range strings.Lines(said) {
		at, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.ParseInt(at, 10, 64)
		list = append(list, saying{time.Duration(n), what})
	}
	return list
}

func lastOf(said string) (last saying) {
	for _, s := range sayings(said[strings.LastIndex(strings.TrimSuffix(said, "\n"), "\n")+1:]) {
		last = s
	}
	return last
}

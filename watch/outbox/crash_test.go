package outbox_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A dying store kills its process, as kill -9 does, before or after one of its
// writes.
type dying struct {
	Store
	at    int64 // 0: never
	after bool
	count *atomic.Int64
}

func (d dying) write() func() {
	n := d.count.Add(1)
	if n == d.at && !d.after {
		die()
	}
	return func() {
		if n == d.at {
			die()
		}
	}
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func (d dying) Claim(ctx context.Context, id int64, owner string, now, until time.Time) (Row, bool, error) {
	defer d.write()()
	return d.Store.Claim(ctx, id, owner, now, until)
}

func (d dying) Update(ctx context.Context, changes ...Change) ([]string, error) {
	defer d.write()()
	return d.Store.Update(ctx, changes...)
}

// TestServerThatDies is the process that the tests below kill: it works on the
// rows of a store until all have ended.
func TestServerThatDies(t *testing.T) {
	if os.Getenv("OUTBOX_DIR") == "" {
		t.Skip("it is started by other tests")
	}
	s := openSite(t, os.Getenv("OUTBOX_DIR"))
	s.killable(os.Getenv("OUTBOX_RETRY") == "yes")
	at, err := strconv.ParseInt(os.Getenv("OUTBOX_DIES_AT"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	s.opts.Store = dying{s.store, at, os.Getenv("OUTBOX_DIES") == "after", new(atomic.Int64)}
	s.start()
	s.allEnd()
}

// killable is a command that kills the server once, if its mark says so.
func (s *site) killable(retry bool) {
	c := s.command("restart", `echo "$CFNWATCH_KEY" >> "$1/ran"; if rm "$1/kill" 2>/dev/null; then kill -9 $PPID; fi`, s.dir)
	c.RetryUnknown = retry
	s.opts.Actions[Exec].(*Commands).ByName["restart"] = *c
}

func (s *site) allEnd() {
	s.t.Helper()
	eventually(s.t, "all rows end", func() bool {
		rows, err := s.store.Rows(s.t.Context(), RowQuery{Open: true})
		return err == nil && len(rows) == 0
	})
}

// A crash is where the server dies.
type crash struct {
	at    int    // a write of the store; 0: none
	when  string // before or after it
	run   bool   // in the command
	post  bool   // in the webhook
	retry bool   // retry_unknown
}

// survive kills a server and starts another over its store. It returns how
// often the command ran and the message came, and their rows, and whether the
// first server died at all.
func (c crash) survive(t *testing.T) (s *site, keys []string, ran, got int, died bool) {
	dir, rc := t.TempDir(), newReceiver(t)
	s = openSite(t, dir)
	keys = s.set(s.alarm("web", rc.URL, "cfnwatch:exec:restart"), watch.Firing)
	s.close()
	if c.run {
		if err := os.WriteFile(filepath.Join(dir, "kill"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerThatDies$")
	cmd.Env = append(os.Environ(), "OUTBOX_DIR="+dir, fmt.Sprintf("OUTBOX_DIES_AT=%d", c.at), "OUTBOX_DIES="+c.when, "OUTBOX_RETRY="+yes(c.retry))
	started := make(chan struct{})
	if c.post {
		rc.says(func(http.ResponseWriter, *http.Request) {
			rc.says(nil)
			<-started
			_ = cmd.Process.Kill()
		})
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := cmd.Wait()
	if err != nil && cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("the server ended by itself: %v\n%s", err, out.String())
	}
	s = openSite(t, dir)
	s.killable(c.retry)
	s.start()
	s.allEnd()
	lines, _ := os.ReadFile(filepath.Join(dir, "ran"))
	for _, r := range rc.all() {
		if r.Key != keys[0] {
			t.Errorf("a message with key %s, want %s", r.Key, keys[0])
		}
	}
	return s, keys, strings.Count(string(lines), "\n"), len(rc.all()), err != nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// What a server that was killed at any write has left is done once by the
// next: never twice, and never silently not at all.
func TestKilledAtEachWrite(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for at, died := 1, true; died; at += each {
			t.Run(fmt.Sprintf("%s write %d", when, at), func(t *testing.T) {
				var s *site
				var keys []string
				var ran, got int
				s, keys, ran, got, died = crash{at: at, when: when}.survive(t)
				command, message := s.row(keys[1]), s.row(keys[0])
				told := strings.Join(s.history(keys[1]), "\n")
				switch {
				case command.Status == Done && ran == 1:
				case command.Status == Unknown && ran <= 1 && strings.Contains(told, "unknown: "):
				default:
					t.Errorf("the command ran %d times and is %s:\n%s", ran, command.Status, told)
				}
				again := slices.ContainsFunc(s.history(keys[0]), func(l string) bool { return strings.Contains(l, "broke off in the middle") })
				if message.Status != Done || got < 1 || got > 2 || got == 2 && !again {
					t.Errorf("the message came %d times and is %s:\n%s", got, message.Status, strings.Join(s.history(keys[0]), "\n"))
				}
			})
		}
	}
}

func TestKilledInTheCommand(t *testing.T) {
	s, keys, ran, _, died := crash{run: true}.survive(t)
	if r := s.row(keys[1]); !died || ran != 1 || r.Status != Unknown {
		t.Errorf("died %v, ran %d times, is %s (%s); want once and unknown", died, ran, r.Status, r.Why)
	}
	if told := s.history(keys[1]); !slices.Contains(told, "cfnwatch:exec:restart: unknown: it was begun, and nobody can tell whether it did its work") {
		t.Errorf("history %q", told)
	}
}

func TestKilledInTheCommandThatMayRunAgain(t *testing.T) {
	s, keys, ran, _, died := crash{run: true, retry: true}.survive(t)
	if r := s.row(keys[1]); !died || ran != 2 || r.Status != Done {
		t.Errorf("died %v, ran %d times, is %s (%s); want twice and done", died, ran, r.Status, r.Why)
	}
}

func TestKilledInTheMessage(t *testing.T) {
	s, keys, _, got, died := crash{post: true}.survive(t)
	if r := s.row(keys[0]); !died || got != 2 || r.Status != Done {
		t.Errorf("died %v, came %d times, is %s (%s); want twice and done", died, got, r.Status, r.Why)
	}
}

package outbox_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// ran runs a command for an alarm, and returns its row at the end.
func (s *site) ran(c Command) Row {
	s.t.Helper()
	s.opts.Actions[Exec].(*Commands).ByName["c"] = c
	key := s.set(s.alarm("web", "cfnwatch:exec:c"), watch.Firing)[0]
	s.start()
	return s.ends(key)
}

func TestCommandThatFailsIsNotRunAgain(t *testing.T) {
	s := newSite(t)
	told := s.notices()
	r := s.ran(Command{Argv: []string{"sh", "-c", `echo x >> "$0/ran"; echo why >&2; exit 3`, s.dir}, Timeout: time.Minute})
	if r.Status != GaveUp || !strings.HasPrefix(r.Why, "exit status 3 after ") {
		t.Errorf("%s (%s), want gave-up by exit status 3", r.Status, r.Why)
	}
	if ran, err := os.ReadFile(filepath.Join(s.dir, "ran")); err != nil || string(ran) != "x\n" {
		t.Errorf("ran %q, %v, want once", ran, err)
	}
	var kept struct{ Output string }
	if err := json.Unmarshal(r.Baseline, &kept); err != nil || kept.Output != "why\n" {
		t.Errorf("kept output %q, %v", kept.Output, err)
	}
	eventually(t, "the operator is told", func() bool { return len(told.all()) == 1 })
	if got := told.reasons(); !strings.HasPrefix(got[0], "cfnwatch:exec:c: gave-up: exit status 3 after ") {
		t.Errorf("told %q", got)
	}
}

// When its time is over a command is ended with all that it started.
func TestCommandIsEndedWithItsGroup(t *testing.T) {
	s := newSite(t)
	r := s.ran(Command{Argv: []string{"sh", "-c", `sleep 600 & echo $! > "$0/child"; wait`, s.dir}, Timeout: 2 * time.Second}) // a shell of a busy machine takes a while to begin
	if r.Status != GaveUp || r.Why != "timed out after 2s" {
		t.Errorf("%s (%s)", r.Status, r.Why)
	}
	data, err := os.ReadFile(filepath.Join(s.dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is gone", func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(state), ") Z ") || syscall.Kill(pid, 0) != nil
	})
}

func TestCommandsThatCannotRun(t *testing.T) {
	for _, c := range []struct {
		name    string
		command Command
		want    Status
		why     string
	}{
		{"no such program", Command{Argv: []string{"/nowhere/x"}}, GaveUp, "/nowhere/x is not installed"},
		{"no such user", Command{Argv: []string{"true"}, User: "nobody-at-all"}, GaveUp, "nobody-at-all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := newSite(t).ran(c.command); r.Status != c.want || !strings.Contains(r.Why, c.why) {
				t.Errorf("%s (%s), want %s (... %s ...)", r.Status, r.Why, c.want, c.why)
			}
		})
	}
}

func TestCommandThatIsNotConfiguredIsRefused(t *testing.T) {
	s := newSite(t)
	key := s.set(s.alarm("web", "cfnwatch:exec:other"), watch.Firing)[0]
	s.start()
	r := s.ends(key)
	if want := "there is no section [exec other]"; r.Status != Refused || r.Why != want {
		t.Errorf("%s (%s), want refused (%s)", r.Status, r.Why, want)
	}
}

func TestCommandRunsAsItsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	want, err := exec.Command("id", "-u", "nobody").Output()
	if err != nil {
		t.Skip("there is no user nobody")
	}
	var kept struct{ Output string }
	r := newSite(t).ran(Command{Argv: []string{"sh", "-c", "id -u; pwd; env | grep -v CFNWATCH | sort"}, User: "nobody", Timeout: time.Minute})
	if err := json.Unmarshal(r.Baseline, &kept); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(kept.Output), "\n")
	if lines[0] != strings.TrimSpace(string(want)) || lines[1] != "/" {
		t.Errorf("ran as %q in %q", lines[0], lines[1])
	}
	for _, v := range lines[2:] { // of which a shell sets some itself
		if name, _, _ := strings.Cut(v, "="); !slices.Contains([]string{"LC_ALL", "PATH", "PWD", "OLDPWD", "SHLVL", "_"}, name) {
			t.Errorf("the command got %s of the server", v)
		}
	}
}

// A server that stops waits for a command, ends it when it takes too long, and
// knows then that it does not know.
func TestCommandThatAStopCutsOffIsUnknown(t *testing.T) {
	s := newSite(t)
	s.command("long", `touch "$1/begun"; trap 'exit 0' TERM; sleep 600 & wait`, s.dir)
	key := s.set(s.alarm("web", "cfnwatch:exec:long"), watch.Firing)[0]
	s.opts.Grace = 50 * time.Millisecond
	_, stop := s.start()
	eventually(t, "it begins", func() bool { _, err := os.Stat(filepath.Join(s.dir, "begun")); return err == nil })
	stop()
	if r := s.row(key); r.Status != Unknown || r.Why != "ended before it was through: the server stopped" {
		t.Errorf("%s (%s), want unknown", r.Status, r.Why)
	}
}

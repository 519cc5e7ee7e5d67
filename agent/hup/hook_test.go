package hup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// tries makes a pass a minute for so long, and returns the minutes at which
// the action was run. It runs no process: it is in a bubble.
func (g *guest) tries(length time.Duration, status func() int) string {
	g.t.Helper()
	var at []string
	start := time.Now()
	g.pass.System.Run = func(context.Context, sys.Cmd) (sys.Result, error) {
		at = append(at, fmt.Sprint(time.Since(start).Minutes()))
		return sys.Result{Status: status()}, nil
	}
	for time.Since(start) < length {
		_ = g.pass.Run(g.t.Context())
		time.Sleep(time.Minute)
	}
	return strings.Join(at, " ")
}

// heat-cfntools kept the new metadata before it ran the hooks and did not look
// at their status: what failed was never tried again. aws-cfn-bootstrap tries
// at every pass, for ever.
func TestFailedActionIsTriedAgainWithBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, on(t, "h", all, "R.Metadata", "x"))
		g.tell("R", `{}`)
		fails := func() int { return 1 }
		if got, want := g.tries(12*time.Hour, fails), "0 1 3 7 15 31 63 123 183 243"; got != want {
			t.Errorf("tries at minutes %s, want %s", got, want)
		}
		if got := strings.Count(g.log.String(), "hook has failed too often"); got != 1 {
			t.Errorf("giving up was said %d times", got)
		}
		list, err := g.pass.Memory.Status(g.statePath(), g.pass.Config.Hooks)
		if err != nil || len(list) != 1 || !list[0].Failing || !strings.HasPrefix(list[0].Text, "failed 10 times and is left until the value changes: hook h: its action: exit status 1") {
			t.Errorf("Status = %+v, %v", list, err)
		}
		// The next change is tried at once.
		g.tell("R", `{"a": 1}`)
		n := 0
		if got, want := g.tries(time.Hour, func() int { n++; return min(1, 2/n-1) }), "0 1"; got != want {
			t.Errorf("after a change: tries at minutes %s, want %s", got, want)
		}
		if got := g.state().Hooks[key(g.pass.Config.Hooks[0])]; got.Failures != 0 || got.Error != "" || got.Trigger != "post.add" {
			t.Errorf("after success: %+v", got)
		}
	})
}

func TestBackOffGoesByInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, on(t, "h", all, "R.Metadata", "x"))
		g.pass.Config.Interval = 20 * time.Minute
		g.tell("R", `{}`)
		if got, want := g.tries(4*time.Hour, func() int { return 1 }), "0 20 60 120 180"; got != want {
			t.Errorf("tries at minutes %s, want %s", got, want)
		}
	})
}

// An action takes its time, and passes come as they come: the first try after a
// failure is that of the next pass all the same.
func TestActionsThatTakeTimeAreTriedAtTheNextPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, on(t, "h", all, "R.Metadata", "x"))
		g.tell("R", `{}`)
		var at []string
		start := time.Now()
		g.pass.System.Run = func(context.Context, sys.Cmd) (sys.Result, error) {
			at = append(at, fmt.Sprint(int(time.Since(start).Minutes())))
			time.Sleep(20 * time.Second)
			return sys.Result{Status: 1}, nil
		}
		for n := range 20 {
			time.Sleep(time.Until(start.Add(time.Duration(n)*time.Minute + 5*time.Second*time.Duration((n+1)%2))))
			_ = g.pass.Run(g.t.Context())
		}
		if got, want := strings.Join(at, " "), "0 1 3 7 15"; got != want {
			t.Errorf("tries at minutes %s, want %s", got, want)
		}
	})
}

func TestChangeThatIsTakenBackIsForgotten(t *testing.T) {
	g := newGuest(t, on(t, "h", "post.update", "R.Metadata.a", `exit 3`))
	g.applied("R", `{"a": 1}`)
	g.tell("R", `{"a": 2}`)
	g.runFails("hook h: its action: exit status 3")
	g.tell("R", `{"a": 1}`)
	g.run()
	if got := g.state().Hooks[key(g.pass.Config.Hooks[0])]; got.Failures != 0 || got.Error != "" {
		t.Errorf("state = %+v", got)
	}
}

func TestClockSetBackDelaysNoLongerThanAnHour(t *testing.T) {
	now := time.Now()
	f := func(h hookState, want bool) {
		t.Helper()
		if got := h.due(now); got != want {
			t.Errorf("%+v is due: %v, want %v", h, got, want)
		}
	}
	f(hookState{}, true)
	f(hookState{Failures: 1, Next: now}, true)
	f(hookState{Failures: 1, Next: now.Add(time.Second)}, false)
	f(hookState{Failures: 9, Next: now.Add(maxWait)}, false)
	f(hookState{Failures: 1, Next: now.Add(48 * time.Hour)}, true)
	f(hookState{Failures: 10, Next: now}, false)
}

// At least once: a pass that is killed after an action and before it is
// recorded leaves the file as it was.
func TestKilledBetweenActionAndRecordRunsItAgain(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata", say))
	g.tell("R", `{"a": 1}`)
	var before []byte
	g.pass.System.Run = func(ctx context.Context, c sys.Cmd) (res sys.Result, err error) {
		res, err = sys.Exec(ctx, c)
		before, _ = os.ReadFile(g.statePath())
		return res, err
	}
	if got, want := g.run(), "h post.add"; got != want {
		t.Fatalf("ran %q, want %q", got, want)
	}
	if err := os.WriteFile(g.statePath(), before, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := g.run(), "h post.add"; got != want {
		t.Errorf("after the kill ran %q, want %q", got, want)
	}
	if got := g.run(); got != "" {
		t.Errorf("then ran %q", got)
	}
}

// A pass that is stopped ends its action, which counts neither as done nor as
// failed.
func TestStoppedActionRunsAgain(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata", say))
	g.tell("R", `{"a": 1}`)
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	g.pass.System.Run = func(ctx context.Context, _ sys.Cmd) (sys.Result, error) {
		cancel(stopped)
		return sys.Result{Status: 143}, context.Cause(ctx)
	}
	if err := g.pass.Run(ctx); !errors.Is(err, stopped) {
		t.Errorf("Run = %v, want %v", err, stopped)
	}
	g.pass.System.Run = sys.Exec
	if got, want := g.run(), "h post.add"; got != want {
		t.Errorf("next pass ran %q, want %q", got, want)
	}
}

func TestFullDiskRunsActionAgainRatherThanNever(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata", say))
	g.tell("R", `{"a": 1}`)
	g.run()
	g.tell("R", `{"a": 2}`)
	// In place of the directory a file, which even root cannot write into.
	g.pass.System.Run = func(ctx context.Context, c sys.Cmd) (sys.Result, error) {
		dir := g.pass.System.Path("/var/lib/cfn-hup")
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(dir, nil, 0o600); err != nil {
			t.Error(err)
		}
		return sys.Exec(ctx, c)
	}
	if got, want := g.runFails("keep what was seen: "), "h post.update"; got != "h post.update" {
		t.Errorf("ran %q, want %q", got, want)
	}
	dir := g.pass.System.Path("/var/lib/cfn-hup")
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	g.pass.System.Run = sys.Exec
	if got, want := g.run(), "h post.update"; got != want {
		t.Errorf("next pass ran %q, want %q", got, want)
	}
}

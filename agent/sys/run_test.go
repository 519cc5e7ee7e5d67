package sys

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var environ = []string{"PATH=" + os.Getenv("PATH"), "A=b"}

func TestExec(t *testing.T) {
	f := func(c Cmd, status int, stdout, stderr string) {
		t.Helper()
		c.Env = environ
		res, err := Exec(t.Context(), c)
		if err != nil || res.Status != status || string(res.Stdout) != stdout || string(res.Stderr) != stderr {
			t.Errorf("Exec(%+v) = %d %q %q, %v, want %d %q %q", c, res.Status, res.Stdout, res.Stderr, err, status, stdout, stderr)
		}
	}
	f(Cmd{Shell: `echo "$A"; echo e >&2; exit 3`}, 3, "b\n", "e\n")
	f(Cmd{Args: []string{"printf", "%s|", "a b", "$A"}}, 0, "a b|$A|", "")
	f(Cmd{Args: []string{"cat"}}, 0, "", "") // its standard input is empty
	f(Cmd{Args: []string{"cat"}, Stdin: []byte("in")}, 0, "in", "")
	f(Cmd{Args: []string{"pwd"}, Dir: "/"}, 0, "/\n", "")
	f(Cmd{Shell: `kill -9 $$`}, 137, "", "")
}

// heat-cfntools let FileNotFoundError end the run when a tool such as "which"
// was not installed.
func TestExecOfMissingProgram(t *testing.T) {
	for _, args := range [][]string{{"no-such-program"}, {"/no/such/program"}, {"./none"}} {
		res, err := Exec(t.Context(), Cmd{Args: args, Env: environ, Dir: "/"})
		if !errors.Is(err, ErrNotFound) || res.Status != 127 {
			t.Errorf("Exec(%q) = %d, %v, want 127 and ErrNotFound", args, res.Status, err)
		}
	}
}

func TestExecOfWhatIsNoProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte("not a program\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	res, err := Exec(t.Context(), Cmd{Args: []string{path}, Env: environ})
	if err == nil || res.Status != 126 || !strings.Contains(err.Error(), "neither a program nor a script") {
		t.Errorf("Exec = %d, %v", res.Status, err)
	}
}

// A process left in the background holds the pipes for ever.
func TestExecDoesNotWaitForWhatIsLeftBehind(t *testing.T) {
	t.Parallel()
	start := time.Now()
	res, err := Exec(t.Context(), Cmd{Shell: "sleep 1000 & echo $!", Env: environ})
	if err != nil || res.Status != 0 {
		t.Fatalf("Exec = %+v, %v", res, err)
	}
	if d := time.Since(start); d > 20*time.Second {
		t.Errorf("it took %s, of the 1000 s that the process left behind takes", d)
	}
	pid := 0
	for _, c := range strings.TrimSpace(string(res.Stdout)) {
		pid = pid*10 + int(c-'0')
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("the process left behind is gone: %v", err)
	}
}

func TestExecEndsTheWholeGroupWhenTimeIsOver(t *testing.T) {
	t.Parallel()
	start := time.Now()
	// A shell of a busy machine takes a while to say its child.
	res, err := Exec(t.Context(), Cmd{Shell: "sleep 1000 & echo $!; wait", Env: environ, Timeout: 2 * time.Second})
	if !errors.Is(err, ErrTimeout) || res.Status != 128+int(syscall.SIGTERM) {
		t.Errorf("Exec = %d, %v, want SIGTERM and ErrTimeout", res.Status, err)
	}
	if d := time.Since(start); d > 2*time.Second+Grace {
		t.Errorf("it took %s, want the end at SIGTERM", d)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(res.Stdout)))
	if err != nil {
		t.Fatalf("output = %q, want a process id", res.Stdout)
	}
	// Nobody may have waited for it yet, but then it has no command line.
	if cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child)); err == nil && len(cmdline) > 0 {
		t.Errorf("a child outlived the group: %q", cmdline)
	}
}

func TestExecStopsWithItsContext(t *testing.T) {
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { cancel(cause) })
	if _, err := Exec(ctx, Cmd{Shell: "sleep 1000", Env: environ}); !errors.Is(err, cause) {
		t.Errorf("Exec = %v, want the cause", err)
	}
}

func TestExecStreamsOutput(t *testing.T) {
	out := &recorder{}
	if _, err := Exec(t.Context(), Cmd{Shell: "echo out; echo err >&2", Env: environ, Output: out}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.text, "out\n") || !strings.Contains(out.text, "err\n") {
		t.Errorf("Output = %q", out.text)
	}
}

func TestExecKeepsTheEndOfMuchOutput(t *testing.T) {
	res, err := Exec(t.Context(), Cmd{Shell: "head -c 5000000 /dev/zero; echo end", Env: environ})
	if err != nil || len(res.Stdout) > keptOutput || !strings.HasSuffix(string(res.Stdout), "end\n") {
		t.Errorf("Exec kept %d bytes, %v", len(res.Stdout), err)
	}
}

func TestCheckNamesToolAndItsLastWords(t *testing.T) {
	f := func(r Result, err error, want string) {
		t.Helper()
		got := ""
		if e := r.Check("tool", err); e != nil {
			got = e.Error()
		}
		if got != want {
			t.Errorf("Check(%+v, %v) = %q, want %q", r, err, got, want)
		}
	}
	f(Result{}, nil, "")
	f(Result{Status: 2, Stderr: []byte("a\nlast \n\n")}, nil, "tool: exit status 2: last")
	f(Result{Status: 2, Stdout: []byte("out")}, nil, "tool: exit status 2: out")
	f(Result{Status: 2}, nil, "tool: exit status 2")
	f(Result{}, ErrNotFound, "tool: not installed")
	f(Result{Status: 2, Stdout: []byte("10%\r20%\rbroken at 30%\r\n")}, nil, "tool: exit status 2: broken at 30%")
	long := strings.Repeat("much ", 1000)
	f(Result{Status: 2, Stdout: []byte(long + "the end")}, nil, "tool: exit status 2: ..."+long[:maxLastLine-len("ch the end")]+"the end")
	f(Result{Status: 2, Stdout: []byte(strings.Repeat("x", keptOutput))}, nil, "tool: exit status 2: ...")
}

// Groups come from wherever the machine has its users, such as a directory over
// the network: a program is not waited for longer than it may run because that
// does not answer.
func TestExecOfUserWhoseGroupsAreNotTold(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "id"), []byte("#!/bin/sh\nexec sleep 30\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := Exec(ctx, Cmd{Args: []string{"true"}, User: "nobody"})
	if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took > 20*time.Second {
		t.Errorf("Exec = %v after %v, want an error when its time is over", err, took)
	}
}

package commands

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

func system(environ ...string) *sys.System {
	return &sys.System{Run: sys.Exec, Environ: append([]string{"PATH=" + os.Getenv("PATH")}, environ...), Log: slog.New(slog.DiscardHandler)}
}

func shell(line string) metadata.CommandLine { return metadata.CommandLine{Shell: line} }

var ourLine = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ((test of )?command \S+( started| ended with exit status \d+|: .*))\n`)

// run applies a command that is to succeed and returns what it wrote, without
// the lines around it.
func run(t *testing.T, s *sys.System, c metadata.Command) (sys.Outcome, string) {
	t.Helper()
	var log bytes.Buffer
	out, err := Apply(t.Context(), s, c, Options{Output: &log})
	if err != nil {
		t.Fatalf("Apply(%+v) failed: %v", c, err)
	}
	return out, ourLine.ReplaceAllString(log.String(), "")
}

func TestRuns(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		name    string
		command metadata.Command
		want    string // its output
	}{
		{"string by a shell", metadata.Command{Command: shell("echo a b | tr a c; echo $((1 + 1))")}, "c b\n2\n"},
		{"list without a shell", metadata.Command{Command: metadata.CommandLine{Args: []string{"echo", "$HOME", "a  b; c", ""}}}, "$HOME a  b; c \n"},
		{"both streams in the order written", metadata.Command{Command: shell("echo a; echo b >&2; echo c; echo d >&2")}, "a\nb\nc\nd\n"},
		{"in its directory", metadata.Command{Command: shell("pwd"), Dir: dir}, dir + "\n"},
		{"home as directory", metadata.Command{Command: shell("pwd"), Dir: "~"}, dir + "\n"},
		{"below home", metadata.Command{Command: shell("pwd"), Dir: "~/sub"}, dir + "/sub\n"},
		{"below the home of env", metadata.Command{Command: shell("pwd"), Dir: "~/", HasEnv: true, Env: map[string]string{"HOME": "/"}}, "/\n"},
		{"no input", metadata.Command{Command: shell("cat; readlink /proc/self/fd/0")}, "/dev/null\n"},
		// heat-cfntools logged output as the representation of bytes, and its
		// relative stopped at bytes that are not UTF-8.
		{"any bytes, which heat-cfntools garbled", metadata.Command{Command: shell(`printf '\377\000\376\n'`)}, "\xff\x00\xfe\n"},
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.command.Name = "c"
			out, log := run(t, system("HOME="+dir), tt.command)
			if log != tt.want {
				t.Errorf("Apply wrote %q, want %q", log, tt.want)
			}
			if !out.Changed || !out.Trigger || out.ExitCode == nil || *out.ExitCode != 0 || out.Action != "run" {
				t.Errorf("Apply = %+v, want changed, trigger, exit status 0", out)
			}
		})
	}
}

func TestTest(t *testing.T) {
	touched := filepath.Join(t.TempDir(), "touched")
	env := map[string]string{"X": "1"}
	tests := []struct {
		name    string
		test    metadata.CommandLine
		skipped string
	}{
		{"string that succeeds, with env and cwd", shell(`test "$X" = 1 && test "$PWD" = /usr`), ""},
		// heat-cfntools ended with an AssertionError on a list.
		{"list that succeeds, which crashed heat-cfntools", metadata.CommandLine{Args: []string{"true"}}, ""},
		{"string that fails", shell("exit 3"), "its test ended with status 3"},
		{"list that fails", metadata.CommandLine{Args: []string{"false"}}, "its test ended with status 1"},
		{"program that is not there", metadata.CommandLine{Args: []string{"/nonexistent/x"}}, "its test: /nonexistent/x is not installed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			os.Remove(touched)
			out, _ := run(t, system(), metadata.Command{
				Command: shell("touch " + touched), Test: tt.test, Env: env, HasEnv: true, Dir: "/usr",
			})
			_, err := os.Stat(touched)
			if ran := err == nil; out.Skipped != tt.skipped || out.Changed != ran || out.Trigger != ran || ran != (tt.skipped == "") {
				t.Errorf("Apply = %+v, ran %v, want skipped %q", out, ran, tt.skipped)
			}
		})
	}
}

// heat-cfntools logged both of these and counted them as done.
func TestNothingRunIsDegradedAndWasSuccessInHeatCfntools(t *testing.T) {
	f := func(c metadata.Command, want string) {
		t.Helper()
		out, log := run(t, system(), c)
		if out.Degraded != want || out.Changed || out.Trigger || log != "" {
			t.Errorf("Apply(%+v) = %+v, output %q, want degraded %q", c, out, log, want)
		}
	}
	f(metadata.Command{Test: shell("echo tested")}, "there is nothing to run: give the entry a command")
	f(metadata.Command{Command: shell("echo ran"), Test: shell("echo tested"), Dir: "/nonexistent"},
		"its directory /nonexistent does not exist: the command was skipped")
	// This one ended the run.
	f(metadata.Command{Command: shell("echo ran"), Dir: "~nobody-here/x"},
		`its directory ~nobody-here/x is not known (unknown user "nobody-here"): the command was skipped`)
	f(metadata.Command{Command: shell("echo ran"), Dir: "/etc/passwd"},
		"its directory /etc/passwd does not exist: the command was skipped")
}

func TestEnvReplacesTheEnvironment(t *testing.T) {
	s := system("HOME=/home/me", "OLD=1", Marker+"=42")
	f := func(c metadata.Command, want string) {
		t.Helper()
		c.Command = metadata.CommandLine{Args: []string{"env"}}
		_, got := run(t, s, c)
		if got != want {
			t.Errorf("environment with env %q is %q, want %q", c.Env, got, want)
		}
	}
	f(metadata.Command{HasEnv: true, Env: map[string]string{"A": "b c"}},
		"A=b c\nCFN_INIT_RUNNING=42\nHOME=/home/me\nLANG=C.UTF-8\nPATH="+defaultPath+"\n")
	f(metadata.Command{HasEnv: true, Env: map[string]string{"PATH": "/usr/bin:/bin", "HOME": "", "LANG": "de_DE"}},
		"CFN_INIT_RUNNING=42\nHOME=\nLANG=de_DE\nPATH=/usr/bin:/bin\n")
	f(metadata.Command{HasEnv: true}, "CFN_INIT_RUNNING=42\nHOME=/home/me\nLANG=C.UTF-8\nPATH="+defaultPath+"\n")
	f(metadata.Command{}, "CFN_INIT_RUNNING=42\nHOME=/home/me\nOLD=1\nPATH="+os.Getenv("PATH")+"\n")
}

func TestFailure(t *testing.T) {
	s := system()
	s.Mask = sys.NewMask([]string{"correct horse"})
	var log bytes.Buffer
	c := metadata.Command{Name: "10_install", Command: shell(`seq 12; printf 'pass=correct horse\n10%%\r\033[1m99%%\377\n\n' >&2; exit 3`)}
	o := Options{Output: &log, LogPath: "/var/log/cfn-init-cmd.log"}
	out, err := Apply(t.Context(), s, c, o)
	failed, ok := errors.AsType[*FailedError](err)
	if !ok || failed.Status != 3 || out.Changed || out.Trigger || out.ExitCode == nil || *out.ExitCode != 3 {
		t.Fatalf("Apply = %+v, %v, want a *FailedError with status 3", out, err)
	}
	want := "ended with exit status 3; the last it wrote:\n    5\n    6\n    7\n    8\n    9\n    10\n    11\n    12\n" +
		"    pass=********\n    [1m99%\uFFFD\n  all of it is in /var/log/cfn-init-cmd.log"
	if got := err.Error(); got != want {
		t.Errorf("error = %q, want %q", got, want)
	}
	if strings.Contains(log.String(), "correct horse") {
		t.Errorf("output = %q, want its secret masked", log.String())
	}
	o.Verbose = true
	c.Command = shell("echo correct horse >/dev/null; false")
	_, err = Apply(t.Context(), s, c, o)
	if want := "ended with exit status 1 (it ran: echo ******** >/dev/null; false); it wrote nothing to /var/log/cfn-init-cmd.log"; err == nil || err.Error() != want {
		t.Errorf("verbose error = %v, want %q", err, want)
	}
}

func TestCannotStart(t *testing.T) {
	missing := metadata.CommandLine{Args: []string{"no-such-program", "a"}}
	out, err := Apply(t.Context(), system(), metadata.Command{Name: "c", Command: missing}, Options{})
	if want := "no-such-program is not installed"; err == nil || err.Error() != want || !errors.Is(err, sys.ErrNotFound) || out.Changed {
		t.Errorf("Apply = %+v, %v, want %q", out, err, want)
	}
	_, err = Apply(t.Context(), system(), metadata.Command{Name: "c", Command: shell("true"), RunAs: "no-such-user"}, Options{})
	if want := `runas: unknown user "no-such-user"`; err == nil || err.Error() != want {
		t.Errorf("Apply = %v, want %q", err, want)
	}
}

// An ignored failure counts as run: services that name the command restart.
// A list with a missing program crashed heat-cfntools with a TypeError.
func TestIgnoreErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		line   metadata.CommandLine
		status int
	}{
		{"failing command", shell("exit 9"), 9},
		{"missing program, which crashed heat-cfntools", metadata.CommandLine{Args: []string{"/nonexistent/x"}}, 127},
		{"killed", shell("kill -9 $$"), 137},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, _ := run(t, system(), metadata.Command{Command: tt.line, IgnoreErrors: true})
			if !out.Changed || !out.Trigger || out.Degraded != "" || out.ExitCode == nil || *out.ExitCode != tt.status {
				t.Errorf("Apply = %+v, want it run with exit status %d", out, tt.status)
			}
		})
	}
}

// It was said without words of the metadata: "command failed, as it may".
func TestIgnoredErrorIsTold(t *testing.T) {
	f := func(line metadata.CommandLine, want string) {
		t.Helper()
		var log strings.Builder
		s := system()
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		run(t, s, metadata.Command{Name: "01_try", Command: line, IgnoreErrors: true})
		if want := `level=WARN msg="command 01_try` + want + `: errors are ignored, going on"` + "\n"; !strings.HasSuffix(log.String(), want) {
			t.Errorf("log = %q, want %q", log.String(), want)
		}
	}
	f(shell("exit 3"), " ended with exit status 3")
	f(metadata.CommandLine{Args: []string{"no-such-program"}}, ": no-such-program is not installed")
}

// The log of aws-cfn-bootstrap says which command wrote what; that of
// heat-cfntools did not.
func TestLogSaysWhichCommandWroteWhatAndWhen(t *testing.T) {
	var log bytes.Buffer
	s := system()
	s.Mask = sys.NewMask([]string{"correct-horse"})
	for _, c := range []metadata.Command{
		{Name: "1", Test: shell("printf tested"), Command: shell("printf 'no end'; exit 3"), IgnoreErrors: true},
		{Name: "2", Test: shell("exit 1"), Command: shell("true")},
		{Name: "correct-horse", Command: metadata.CommandLine{Args: []string{"no-such-program"}}, IgnoreErrors: true},
		{Name: "a\nb", Command: shell("echo both")},
	} {
		if _, err := Apply(t.Context(), s, c, Options{Output: &log}); err != nil {
			t.Fatal(err)
		}
	}
	want := "test of command 1 started\ntested\ntest of command 1 ended with exit status 0\n" +
		"command 1 started\nno end\ncommand 1 ended with exit status 3\n" +
		"test of command 2 started\ntest of command 2 ended with exit status 1\n" +
		"command ******** started\ncommand ********: no-such-program is not installed\n" +
		"command \"a\\nb\" started\nboth\ncommand \"a\\nb\" ended with exit status 0\n"
	if got := ourLine.ReplaceAllString(log.String(), "$1\n"); got != want {
		t.Errorf("log = %q, want %q", got, want)
	}
}

// heat-cfntools waited for the end of the pipes, which a process left behind
// holds open: it never came back.
func TestProcessLeftBehindDoesNotHoldTheRunAsInHeatCfntools(t *testing.T) {
	t.Parallel()
	start := time.Now()
	_, log := run(t, system(), metadata.Command{Command: shell("sleep 1000 & echo $!")})
	took := time.Since(start)
	pid, err := strconv.Atoi(strings.TrimSpace(log))
	if err != nil {
		t.Fatalf("output = %q, want a process id", log)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("process left behind: %v, want it alive", err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	if took > 20*time.Second {
		t.Errorf("Apply took %s, of the 1000 s that what is left behind takes", took)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := metadata.Command{
		Name: "slow", Timeout: 2 * time.Second, // a shell of a busy machine takes a while to begin
		// The child cleans up after the shell is gone; it is waited for.
		Command: shell(`sh -c 'trap "sleep 0.3; touch cleaned; exit" TERM; echo started; while :; do sleep 0.1; done' 2>/dev/null & wait`), Dir: dir,
	}
	start := time.Now()
	_, err := Apply(t.Context(), system(), c, Options{Timeout: time.Hour})
	want := "timed out after 2s; the last it wrote:\n    started"
	if err == nil || err.Error() != want || !errors.Is(err, sys.ErrTimeout) {
		t.Errorf("Apply = %v, want %q", err, want)
	}
	if took := time.Since(start); took > c.Timeout+sys.Grace {
		t.Errorf("Apply took %s, want the end at SIGTERM", took)
	}
	if _, err := os.Stat(filepath.Join(dir, "cleaned")); err != nil {
		t.Errorf("the group was not given its time after SIGTERM: %v", err)
	}
}

func TestTestThatHangs(t *testing.T) {
	t.Parallel()
	c := metadata.Command{Name: "c", Command: shell("true"), Test: shell("sleep 100"), Timeout: 100 * time.Millisecond}
	_, err := Apply(t.Context(), system(), c, Options{})
	if want := "its test timed out after 100ms; it wrote nothing"; err == nil || err.Error() != want {
		t.Errorf("Apply = %v, want %q", err, want)
	}
	c.IgnoreErrors = true
	out, err := Apply(t.Context(), system(), c, Options{})
	if err != nil || out.Changed || out.Skipped != "its test: timed out after 100ms" {
		t.Errorf("Apply = %+v, %v, want skipped", out, err)
	}
}

func TestLimit(t *testing.T) {
	f := func(command, options, want time.Duration) {
		t.Helper()
		r := &runner{command: metadata.Command{Timeout: command}, Options: Options{Timeout: options}}
		if got := r.timeout(); got != want {
			t.Errorf("limit of command %s, option %s = %s, want %s", command, options, got, want)
		}
	}
	f(0, 0, time.Hour)
	f(0, time.Minute, time.Minute)
	f(time.Second, time.Minute, time.Second)
	f(metadata.NoTimeout, time.Minute, 0)
	f(0, metadata.NoTimeout, 0)
	f(time.Second, metadata.NoTimeout, time.Second)
}

func TestDryRunRunsNotEvenTheTest(t *testing.T) {
	s := system()
	s.DryRun = true
	file := filepath.Join(t.TempDir(), "touched")
	f := func(c metadata.Command, action string) {
		t.Helper()
		out, _ := run(t, s, c)
		if out.Action != action || !out.Changed || !out.Trigger {
			t.Errorf("Apply(%+v) = %+v, want %q", c, out, action)
		}
	}
	f(metadata.Command{Command: shell("touch " + file)}, "run")
	// Its directory may be made by an earlier item.
	f(metadata.Command{Command: shell("touch " + file), Test: shell("touch " + file), Dir: "/nonexistent"}, "run if its test succeeds")
	if _, err := os.Stat(file); err == nil {
		t.Error("a dry run ran a command or its test")
	}
}

func TestAfterwards(t *testing.T) {
	t.Parallel()
	start := time.Now()
	run(t, system(), metadata.Command{Command: shell("true"), Wait: 200 * time.Millisecond})
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("Apply took %s, want it to wait 200ms", took)
	}
	out, err := Apply(t.Context(), system(), metadata.Command{Command: shell("true"), WaitForever: true}, Options{})
	if !errors.Is(err, ErrReboot) || !out.Changed || out.ExitCode == nil {
		t.Errorf("Apply = %+v, %v, want ErrReboot", out, err)
	}
	out, err = Apply(t.Context(), system(), metadata.Command{Command: shell("true"), Test: shell("false"), WaitForever: true}, Options{})
	if err != nil || out.Skipped == "" {
		t.Errorf("Apply of a skipped command = %+v, %v, want no reboot", out, err)
	}
}

// A log on a full disk must not end the command: a failed write would close
// its pipe.
func TestLogThatFails(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	c := metadata.Command{Command: shell("seq 20000; echo $? >status"), Dir: t.TempDir()}
	if _, err := Apply(t.Context(), system(), c, Options{Output: full{&lines}}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(c.Dir, "status")); err != nil || string(got) != "0\n" {
		t.Errorf("status within the command = %q, %v, want 0", got, err)
	}
}

type full struct{ *strings.Builder }

func (f full) Write(p []byte) (int, error) { return 0, syscall.ENOSPC }

// runas of the old tools' relative lost the quoting, and that of heat-cfntools
// changed the effective uid alone. Without root one can only be oneself.
func TestRunAs(t *testing.T) {
	name := "root"
	if os.Geteuid() == 0 {
		name = "nobody"
	} else if out, err := exec.Command("id", "-un").Output(); err == nil {
		name = strings.TrimSpace(string(out))
	}
	want, err := sys.LookupUser(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	line := `grep -E '^(Uid|Gid):' /proc/self/status | tr -s '\t' ' '; id -G; printf '%s\n' "$HOME" "$USER" "$LOGNAME" "$SHELL" "a  b"`
	_, got := run(t, system("HOME=/root", "USER=root"), metadata.Command{Command: shell(line), RunAs: name, Dir: "/"})
	uid, gid := strconv.Itoa(int(want.UID)), strconv.Itoa(int(want.GID))
	var groups []string
	for _, g := range want.Groups {
		groups = append(groups, strconv.Itoa(int(g)))
	}
	text := "Uid:" + strings.Repeat(" "+uid, 4) + "\nGid:" + strings.Repeat(" "+gid, 4) + "\n" + strings.Join(groups, " ") + "\n" +
		strings.Join([]string{want.Home, name, name, want.Shell, "a  b"}, "\n") + "\n"
	if got != text {
		t.Errorf("as %s: %q, want %q", name, got, text)
	}
}

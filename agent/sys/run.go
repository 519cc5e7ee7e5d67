package sys

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A Runner starts a process and waits for it. A status other than 0 is no
// error; not being able to start it is one, ErrNotFound when there is no such
// program, ErrTimeout when it had to be ended.
type Runner func(context.Context, Cmd) (Result, error)

// ErrNotFound says that a program is not installed.
var ErrNotFound = errors.New("not installed")

// ErrTimeout says that a process ran longer than it may and was ended.
var ErrTimeout = errors.New("timed out")

// A Cmd is a process to start. Its standard input is Stdin, or /dev/null.
type Cmd struct {
	Args    []string // the program, looked up in PATH of Env, and its arguments
	Shell   string   // instead of Args: a line for /bin/sh -c
	Dir     string
	User    string        // account to run as: its uid, gid and groups; empty: no change
	Env     []string      // the whole environment; see System.With
	Stdin   []byte        // empty: /dev/null
	Timeout time.Duration // 0: none
	Grace   time.Duration // between SIGTERM and SIGKILL; 0: the constant of that name
	Output  io.Writer     // gets stdout and stderr as they come, in addition to Result; may be nil
	Merge   bool          // stderr goes where stdout goes, in the order written; Result.Stderr stays empty
}

// A Result is how a process ended. What it wrote is kept up to 1 MiB each,
// the last of it.
type Result struct {
	Status         int // exit status; 128 + the signal when it was killed
	Stdout, Stderr []byte
}

// Grace is the time that a process usually has between SIGTERM and SIGKILL, PipeWait
// the time that its pipes are read after it has ended: a process that it left
// behind may hold them for ever.
const (
	Grace    = 10 * time.Second
	PipeWait = 2 * time.Second
)

const keptOutput = 1 << 20

// defaultPath is what a process without a PATH gets: that of sudo and systemd.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// With returns the environment that children start from, with variables of
// the form NAME=value set in addition.
func (s *System) With(vars ...string) []string {
	return append(append([]string(nil), s.Environ...), vars...)
}

// Check turns the result of a tool into an error when it did not succeed:
// the tool's name, its status, and the last line it wrote to stderr or stdout.
func (r Result) Check(tool string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	if r.Status == 0 {
		return nil
	}
	text := lastLine(r.Stderr)
	if text == "" {
		text = lastLine(r.Stdout)
	}
	if text == "" {
		return fmt.Errorf("%s: exit status %d", tool, r.Status)
	}
	return fmt.Errorf("%s: exit status %d: %s", tool, r.Status, text)
}

// Exec is the Runner of a real machine. Every process gets a process group of
// its own, which is ended as a whole when the time is over or ctx is done.
func Exec(ctx context.Context, c Cmd) (Result, error) {
	var stdout, stderr tail
	cmd, err := command(ctx, c)
	if err != nil {
		return Result{Status: 127}, err
	}
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.Output != nil {
		out := &lockedWriter{w: c.Output}
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, out), io.MultiWriter(&stderr, out)
	}
	if c.Merge {
		cmd.Stderr = cmd.Stdout
	}
	if err := cmd.Start(); err != nil {
		return Result{Status: startStatus(err)}, startError(cmd.Path, err)
	}
	timedOut, err := wait(ctx, cmd, c.Timeout, cmp.Or(c.Grace, Grace))
	res := Result{Status: status(cmd.ProcessState), Stdout: stdout.bytes(), Stderr: stderr.bytes()}
	switch {
	case timedOut:
		return res, fmt.Errorf("%w after %s", ErrTimeout, c.Timeout)
	case ctx.Err() != nil:
		return res, context.Cause(ctx)
	case err != nil && !errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState == nil:
		return res, err
	}
	return res, nil
}

func command(ctx context.Context, c Cmd) (*exec.Cmd, error) {
	args := c.Args
	if c.Shell != "" {
		args = []string{"/bin/sh", "-c", c.Shell}
	}
	if len(args) == 0 || args[0] == "" {
		return nil, errors.New("there is no program to run")
	}
	path, err := LookPath(args[0], lookupEnv(c.Env, "PATH"), c.Dir)
	if err != nil {
		return nil, err
	}
	cmd := &exec.Cmd{Path: path, Args: args, Dir: c.Dir, Env: c.Env, WaitDelay: PipeWait}
	if cmd.Env == nil {
		cmd.Env = []string{}
	}
	if len(c.Stdin) > 0 {
		cmd.Stdin = bytes.NewReader(c.Stdin)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.User != "" {
		account, err := LookupUser(ctx, c.User)
		if err != nil {
			return nil, err
		}
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: account.UID, Gid: account.GID, Groups: account.Groups}
	}
	return cmd, nil
}

// wait waits for a process; when its time is over or ctx is done the whole
// group gets SIGTERM and, after a grace, SIGKILL.
func wait(ctx context.Context, cmd *exec.Cmd, limit, grace time.Duration) (timedOut bool, err error) {
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var timer <-chan time.Time
	if limit > 0 {
		timer = time.After(limit)
	}
	select {
	case err = <-done:
		return false, err
	case <-timer:
		timedOut = true
	case <-ctx.Done():
	}
	group := -cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	if groupEnds(group, grace) {
		return timedOut, <-done
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	return timedOut, <-done
}

// groupEnds waits until no process of a group is left. The group may outlive
// its first process: a shell dies of SIGTERM while what it started cleans up.
func groupEnds(group int, limit time.Duration) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if syscall.Kill(group, 0) != nil {
			return true
		}
	}
	return false
}

// LookPath finds a program as execvp(3) does, in a given PATH. A name with a
// slash is taken as it is, relative to dir.
func LookPath(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		full := name
		if !filepath.IsAbs(name) && dir != "" {
			full = filepath.Join(dir, name)
		}
		if _, err := os.Stat(full); err != nil {
			return "", fmt.Errorf("%s is %w", name, ErrNotFound)
		}
		return full, nil
	}
	if path == "" {
		path = defaultPath
	}
	for _, d := range filepath.SplitList(path) {
		full := filepath.Join(d, name)
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s is %w", name, ErrNotFound)
}

func lookupEnv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(env[i], name+"="); ok {
			return v
		}
	}
	return ""
}

func status(state *os.ProcessState) int {
	if state == nil {
		return -1
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

func startStatus(err error) int {
	if errors.Is(err, fs.ErrNotExist) {
		return 127
	}
	return 126
}

func startError(path string, err error) error {
	if errors.Is(err, syscall.ENOEXEC) {
		return fmt.Errorf("%s cannot be run: it is neither a program nor a script with a #! line", path)
	}
	return fmt.Errorf("start %s: %w", path, err)
}

// maxLastLine bounds what an error tells of a line: what a program writes may
// have no line ends.
const maxLastLine = 1000

// lastLine is the last line of an output, as a terminal shows one that was
// written anew again and again. Of a long one it is the end, from a word on: half
// of a secret is one that nothing hides.
func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	line := bytes.TrimSpace(b[bytes.LastIndexAny(b, "\r\n")+1:])
	if more := len(line) - maxLastLine; more > 0 {
		_, end, _ := bytes.Cut(line[more:], []byte(" "))
		return "..." + string(end)
	}
	return string(line)
}

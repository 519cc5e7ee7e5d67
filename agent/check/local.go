package check

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// grace is short: a command that does not heed SIGTERM is not to keep the
// result of its check.
const grace = time.Second

// exec runs the command, ended with its children when its time is over.
func (c *Checker) exec(ctx context.Context, p Probe) error {
	res, err := c.System.Run(ctx, sys.Cmd{Shell: p.target, Env: c.System.Environ, Timeout: p.Timeout, Grace: grace, Merge: true})
	switch {
	case errors.Is(err, sys.ErrTimeout) || err != nil && ctx.Err() != nil:
		return faultf(Slow, "it had not ended within %v", p.Timeout)
	case err != nil:
		return fault(Unable, err)
	case res.Status == 0:
		return nil
	}
	if text := lastLine([]byte(sys.MaskLikely(c.System.Mask.String(string(res.Stdout))))); text != "" {
		return faultf(Status, "exit status %d: %s", res.Status, text)
	}
	return faultf(Status, "exit status %d", res.Status)
}

// unit asks systemd. A unit that is still starting does not answer yet.
func (c *Checker) unit(ctx context.Context, p Probe) error {
	res, err := c.System.Run(ctx, sys.Cmd{
		Args:    []string{"systemctl", "show", "--property=LoadState,ActiveState,SubState,Result", "--", p.target},
		Env:     c.System.With("LC_ALL=C", "SYSTEMD_PAGER="),
		Timeout: p.Timeout,
		Grace:   grace,
	})
	if errors.Is(err, sys.ErrTimeout) || err != nil && ctx.Err() != nil {
		return faultf(Slow, "systemd did not answer within %v", p.Timeout)
	}
	if err := res.Check("systemctl", err); err != nil {
		return fault(Unable, err)
	}
	state, sub, result := property(res.Stdout, "ActiveState"), property(res.Stdout, "SubState"), property(res.Stdout, "Result")
	switch {
	case property(res.Stdout, "LoadState") == "not-found":
		return faultf(Absent, "there is no unit %s", p.target)
	case state == "active" || state == "reloading":
		return nil
	case state == "":
		return fault(Unable, errors.New("systemctl told no state"))
	case result != "" && result != "success":
		return faultf(Down, "it is %s (%s), result %s", state, sub, result)
	}
	return faultf(Down, "it is %s (%s)", state, sub)
}

// property is one of those that "systemctl show" printed, each on a line.
func property(out []byte, name string) string {
	for _, line := range strings.Split(string(out), "\n") {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// process looks through /proc for a process whose command, or program, has
// the name. One that has ended and waits for its parent does not count.
func (c *Checker) process(p Probe) error {
	proc := c.System.Path("/proc")
	entries, err := os.ReadDir(proc)
	if err != nil {
		return fault(Unable, err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() && c.System.Real() {
			continue
		}
		if isProcess(filepath.Join(proc, e.Name()), p.target) {
			return nil
		}
	}
	return faultf(Absent, "there is no process %s", p.target)
}

// isProcess reads a process's directory of proc(5): its command, and its
// first argument, which is the program, for a login shell after a dash.
func isProcess(dir, name string) bool {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return false // it has just ended
	}
	command, state := parseStat(stat)
	if state == 'Z' || state == 'X' || state == 0 {
		return false
	}
	if command == name {
		return true
	}
	data, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	args := strings.Split(string(data), "\x00")
	if err != nil || args[0] == "" {
		return false
	}
	if filepath.Base(strings.TrimPrefix(args[0], "-")) == name {
		return true
	}
	// A script has its interpreter first.
	return len(name) > commandLen && command == name[:commandLen] && len(args) > 1 && filepath.Base(args[1]) == name
}

// commandLen is how many bytes of a command's name the kernel keeps.
const commandLen = 15

// parseStat reads the command and the state of proc_pid_stat(5). The command
// may hold any byte: it ends at the last parenthesis.
func parseStat(stat []byte) (command string, state byte) {
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 0 || to < from || to+2 >= len(stat) {
		return "", 0
	}
	return string(stat[from+1 : to]), stat[to+2]
}

func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	line := strings.ToValidUTF8(string(b[bytes.LastIndexByte(b, '\n')+1:]), "\uFFFD")
	return cutText(strings.TrimSpace(line), 200)
}

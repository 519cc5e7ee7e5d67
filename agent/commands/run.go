package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A runner runs a command and its test in the same surroundings.
type runner struct {
	*sys.System
	Options
	command metadata.Command

	env  []string
	dir  string
	user string
}

// prepare finds out the user and the environment.
func (r *runner) prepare(ctx context.Context) error {
	var account *sys.Account
	if r.command.RunAs != "" {
		a, err := sys.LookupUser(ctx, r.command.RunAs)
		if err != nil {
			return r.failure(126, fmt.Errorf("runas: %w", err), nil, r.command.Command)
		}
		account = &a
		// Only root may switch; to run as oneself needs no switching.
		if os.Geteuid() == 0 || int(a.UID) != os.Geteuid() {
			r.user = r.command.RunAs
		}
	}
	r.env = environ(r.System, r.command, account, r.home(ctx))
	return nil
}

// noDir finds the directory, or says why there is none.
func (r *runner) noDir(ctx context.Context) string {
	dir, err := r.expand(ctx, r.command.Dir)
	if err != nil {
		return "is not known (" + err.Error() + ")"
	}
	r.dir = dir
	if info, err := os.Stat(dir); dir != "" && (err != nil || !info.IsDir()) {
		return "does not exist"
	}
	return ""
}

// expand replaces a ~ or ~user that begins a directory by a home.
func (r *runner) expand(ctx context.Context, dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	if dir[0] == '~' {
		user, rest, _ := strings.Cut(dir[1:], "/")
		home := lookup(r.env, "HOME")
		if user != "" {
			fields, err := r.Passwd(ctx, user)
			if err != nil || len(fields) < 6 {
				return "", &sys.UnknownAccountError{Kind: "user", Name: user}
			}
			home = fields[5]
		} else if home == "" {
			home = r.home(ctx)
		}
		dir = home + "/" + rest
	}
	return r.Path(dir), nil
}

// home is the home of the user this program runs as. A boot script has no
// HOME, so that the accounts are asked.
func (r *runner) home(ctx context.Context) string {
	if home := r.Getenv("HOME"); home != "" {
		return home
	}
	if os.Geteuid() == 0 {
		return "/root"
	}
	if a, err := sys.LookupUser(ctx, fmt.Sprint(os.Geteuid())); err == nil && a.Home != "" {
		return a.Home
	}
	return "/"
}

// test runs the test. It returns why the command is to be skipped, or an
// error when the test has not come to an end. A program that is not there
// fails the test, as it would in a shell.
func (r *runner) test(ctx context.Context) (skip string, err error) {
	if r.command.Test.Zero() {
		return "", nil
	}
	err = r.run(ctx, "test of command ", r.command.Test)
	failed, ok := errors.AsType[*FailedError](err)
	switch {
	case !ok || ctx.Err() != nil:
		return "", err
	case errors.Is(err, sys.ErrTimeout) && !r.command.IgnoreErrors:
		failed.Err = fmt.Errorf("its test %w", failed.Err)
		return "", failed
	case failed.Err != nil:
		return "its test: " + r.Mask.String(failed.Err.Error()), nil
	}
	return fmt.Sprintf("its test ended with status %d", failed.Status), nil
}

// run runs a line, as the command itself or its test. The error is a
// *FailedError unless it is that of ctx.
func (r *runner) run(ctx context.Context, what string, line metadata.CommandLine) error {
	out := newOutput(r.System, r.Output)
	what += shownName(r.command.Name)
	out.note(what + " started")
	res, err := r.Run(ctx, sys.Cmd{
		Args: line.Args, Shell: line.Shell, Dir: r.dir, User: r.user, Env: r.env,
		Timeout: r.timeout(), Output: out, Merge: true,
	})
	out.note(what + ending(res.Status, err))
	out.Close()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && res.Status == 0:
		return nil
	case err != nil && res.Status == 0:
		res.Status = 126
	}
	return r.failure(res.Status, err, out.lastLines(), line)
}

func (r *runner) failure(status int, err error, tail []string, line metadata.CommandLine) *FailedError {
	e := &FailedError{Name: r.command.Name, Status: status, Err: err, Tail: tail, LogPath: r.LogPath}
	if r.Verbose {
		e.Command = line.Shell
		if e.Command == "" {
			e.Command = fmt.Sprintf("%q", line.Args)
		}
		e.Command = r.Mask.String(e.Command)
	}
	return e
}

// timeout is the limit in the sense of sys.Cmd: 0 is none.
func (r *runner) timeout() time.Duration {
	for _, d := range []time.Duration{r.command.Timeout, r.Timeout, DefaultTimeout} {
		switch {
		case d == metadata.NoTimeout:
			return 0
		case d > 0:
			return d
		}
	}
	return 0
}

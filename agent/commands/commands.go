// Package commands runs the commands of a config: their tests, environment,
// directory and user, how long they may take, and what became of them.
//
// It does not order them, and keeps no log: what they write goes to a writer.
//
// The keys are those of "commands" in the AWS CloudFormation User Guide,
// AWS::CloudFormation::Init; runas and timeout are additions.
package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// Marker is the environment variable that tells a child that it runs inside
// a command. It is in the System's Environ when the caller put it there, and
// stays when a command's env replaces the environment.
const Marker = "CFN_INIT_RUNNING"

// DefaultTimeout is how long a command may take when nobody says otherwise.
const DefaultTimeout = time.Hour

// ErrReboot says that a command has ended and asks to wait for the machine to
// boot again: what comes after it is for the time after the boot.
var ErrReboot = errors.New("the command asks to go on after the next boot")

// Options are the same for all commands of a run. The zero value is of use.
type Options struct {
	Timeout time.Duration // of a command without its own; 0: DefaultTimeout; metadata.NoTimeout: none
	Output  io.Writer     // gets what commands write as it comes, secrets masked, between lines that say of which; nil: nowhere
	LogPath string        // where Output can be read, for messages; may be empty
	Verbose bool          // say in messages what was run, not only its name
}

// A FailedError is a command that did not end well.
type FailedError struct {
	Name    string   // of the command
	Command string   // what was run, secrets masked; empty unless Options.Verbose
	Status  int      // its exit status; 128 + the signal; 126 or 127 when it could not be started
	Err     error    // why it could not be started, or was ended; nil: it ended by itself
	Tail    []string // the last lines it wrote, at most 10, secrets masked
	LogPath string   // where all it wrote is; may be empty
}

// Error has a line of what happened, then those of the command. It does not
// name the command: whoever shows it says where in the metadata it is.
func (e *FailedError) Error() string {
	text := e.reason()
	if e.Command != "" {
		text += " (it ran: " + e.Command + ")"
	}
	if len(e.Tail) == 0 {
		return text + e.silence()
	}
	text += "; the last it wrote:"
	for _, line := range e.Tail {
		text += "\n    " + line
	}
	if e.LogPath != "" {
		text += "\n  all of it is in " + e.LogPath
	}
	return text
}

func (e *FailedError) reason() string { return strings.TrimLeft(ending(e.Status, e.Err), ": ") }

// ending goes on with a sentence that begins with a command.
func ending(status int, err error) string {
	if err != nil {
		return ": " + err.Error()
	}
	return fmt.Sprintf(" ended with exit status %d", status)
}

// silence says that there is nothing to look for, of a command that ran.
func (e *FailedError) silence() string {
	switch {
	case e.Err != nil && !errors.Is(e.Err, sys.ErrTimeout):
		return ""
	case e.LogPath != "":
		return "; it wrote nothing to " + e.LogPath
	}
	return "; it wrote nothing"
}

// shownName is a name as it is, or quoted when it would not be read as one.
func shownName(name string) string {
	if quoted := strconv.Quote(name); name == "" || quoted[1:len(quoted)-1] != name {
		return quoted
	}
	return name
}

// Unwrap returns why the command could not be started or was ended: it may
// be sys.ErrNotFound or sys.ErrTimeout.
func (e *FailedError) Unwrap() error { return e.Err }

// Apply runs a command whose test, if it has one, succeeds. It returns a
// *FailedError when the command fails and failing is not ignored, ErrReboot
// when it is to be followed by a boot, and otherwise the error of ctx. A
// command that ran has changed the machine, for all that is known. Without a
// command, or without its directory, the outcome is degraded.
func Apply(ctx context.Context, s *sys.System, c metadata.Command, o Options) (sys.Outcome, error) {
	out := sys.Outcome{Name: c.Name}
	if c.Command.Zero() {
		out.Degraded = "there is nothing to run: give the entry a command"
		return out, nil
	}
	if s.DryRun {
		out.Action, out.Changed, out.Trigger = "run", true, true
		if !c.Test.Zero() {
			out.Action = "run if its test succeeds"
		}
		return out, nil
	}
	r := &runner{System: s, Options: o, command: c}
	err := r.prepare(ctx)
	if err == nil {
		if why := r.noDir(ctx); why != "" {
			out.Degraded = "its directory " + c.Dir + " " + why + ": the command was skipped"
			return out, nil
		}
		out.Skipped, err = r.test(ctx)
		if out.Skipped != "" || err != nil {
			return out, err
		}
	}
	if err == nil {
		err = r.run(ctx, "command ", c.Command)
	}
	if ctx.Err() != nil {
		return out, context.Cause(ctx)
	}
	return finish(ctx, s, c, out, err)
}

// finish turns the end of a command into an outcome.
func finish(ctx context.Context, s *sys.System, c metadata.Command, out sys.Outcome, err error) (sys.Outcome, error) {
	failed, isFailure := errors.AsType[*FailedError](err)
	if err != nil && !isFailure {
		return out, err
	}
	status := 0
	out.Action = "run"
	if isFailure {
		status = failed.Status
		out.Action = fmt.Sprintf("run; exit status %d is ignored", status)
	}
	out.ExitCode = &status
	if isFailure && !c.IgnoreErrors {
		out.Action = "run"
		return out, err
	}
	if isFailure {
		s.Log.Warn("command " + shownName(c.Name) + ending(status, failed.Err) + ": errors are ignored, going on")
	}
	out.Changed, out.Trigger = true, true
	if c.WaitForever {
		return out, ErrReboot
	}
	return out, wait(ctx, c.Wait)
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

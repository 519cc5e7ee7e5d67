// Command cfn-agent configures a guest of OpenStack Heat from the metadata of
// its resource, and tells Heat how it went. Called as cfn-init,
// cfn-get-metadata, cfn-signal or cfn-create-aws-symlinks it is what
// heat-cfntools has under that name: same options, files and exit statuses.
//
// This package reads the command line and prints; the work is done in the
// packages agent and metadata.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/commands"
)

// Exit statuses, those of heat-cfntools and aws-cfn-bootstrap.
const (
	statusFailed = 1 // a missing required option too
	statusUsage  = 2
)

// An env is the world outside the program. Only main reads it from the
// process.
type env struct {
	stdin          *os.File
	stdout, stderr *os.File
	environ        []string
	root           string       // of the file system: "/", or what CFN_ROOT names
	client         *http.Client // nil: one that the options describe
	hideArg        func(string) // takes a secret out of the visible arguments; may be nil
}

// An exitError is an error with the status that it ends the program with.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func main() {
	growStack()
	e := &env{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ(), hideArg: hideArg}
	e.root = e.getenv("CFN_ROOT")
	if e.root == "" {
		e.root = "/"
	}
	os.Exit(run(e, filepath.Base(os.Args[0]), cloneArgs()))
}

// run is the program called name, with arguments; it returns its status.
func run(e *env, name string, args []string) int {
	cmd := commandFor(name, e)
	cmd.SetIn(e.stdin)
	cmd.SetOut(e.stdout)
	cmd.SetErr(e.stderr)
	args, err := expandArgs(cmd, args)
	if err == nil {
		cmd.SetArgs(args)
		err = cmd.ExecuteContext(context.Background())
	}
	if err == nil {
		return 0
	}
	text := oneLine(err)
	if _, ok := errors.AsType[*commands.FailedError](err); ok {
		text = err.Error() // with the last lines of the command
	}
	fmt.Fprintf(e.stderr, "%s: %s\n", cmd.Name(), text)
	if exit, ok := errors.AsType[*exitError](err); ok {
		return exit.code
	}
	return statusFailed
}

// signalContext is done when the program is asked to stop. It is for commands
// that have something to bring to an end: what only asks Heat dies of the
// signal, and is spared the two threads that catching one takes.
func signalContext(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		if s, ok := <-ch; ok {
			cancel(fmt.Errorf("stopped by signal %d (%s)", s, s))
		}
	}()
	return ctx, func() { signal.Stop(ch); close(ch); cancel(nil) }
}

// builders are all commands by name. Each is built when it is asked for: in a
// guest a tool runs often, and pays for every command that is built.
var builders = []struct {
	name  string
	build func(*env) *cobra.Command
}{
	{"init", newInitCommand},
	{"get-metadata", newGetMetadataCommand},
	{"signal", newSignalCommand},
	{"create-aws-symlinks", newSymlinksCommand},
	{"hup", newHupCommand},
	{"push-stats", newPushStatsCommand},
	{"run", newRunCommand},
	{"status", newStatusCommand},
	{"version", newVersionCommand},
}

// commandFor returns what a program called name runs: cfn-init is
// "cfn-agent init"; any other name gets the whole tree.
func commandFor(name string, e *env) *cobra.Command {
	for _, known := range builders {
		if name == "cfn-"+known.name {
			c := known.build(e)
			c.Use = "cfn-" + c.Use
			c.Example = strings.ReplaceAll(c.Example, "cfn-agent ", "cfn-")
			return prepare(c)
		}
	}
	return prepare(newRootCommand(e))
}

func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "cfn-agent",
		Short: "Configure and watch a guest of OpenStack Heat",
		Long: "Configure and watch a guest of OpenStack Heat.\n\n" +
			"Called by the name of one of its commands with cfn- before it, such as cfn-init,\n" +
			"it is that command alone.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, known := range builders {
		root.AddCommand(prepare(known.build(e)))
	}
	return root
}

// prepare gives a command what all of them have alike.
func prepare(c *cobra.Command) *cobra.Command {
	c.SilenceErrors, c.SilenceUsage = true, true
	c.CompletionOptions.HiddenDefaultCmd = true
	c.Flags().SortFlags = false
	if c.Name() != "version" {
		c.Flags().Bool("version", false, "print the version and exit")
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError(c, "%v", err) })
	runE, args := c.RunE, c.Args
	c.Args = func(c *cobra.Command, list []string) error {
		if v, _ := c.Flags().GetBool("version"); v || args == nil {
			return nil
		}
		if err := args(c, list); err != nil {
			if _, ok := errors.AsType[*exitError](err); !ok {
				err = usageError(c, "%v", err)
			}
			return err
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, list []string) error {
		if v, _ := c.Flags().GetBool("version"); v {
			fmt.Fprintf(c.OutOrStdout(), "%s %s\n", c.Root().Name(), versionText())
			return nil
		}
		return runE(c, list)
	}
	return c
}

// noArgs refuses arguments, and oneArg more than one of what it takes.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(c, "takes no argument, but was given %s", args[0])
	}
	return nil
}

func oneArg(what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError(c, "takes one %s, but was given %d", what, len(args))
		}
		return nil
	}
}

// usageError is about a bad option or argument.
func usageError(c *cobra.Command, format string, args ...any) error {
	return &exitError{statusUsage, seeHelp(c, fmt.Errorf(format, args...))}
}

// missingError is about a required option or argument that is not there.
func missingError(c *cobra.Command, format string, args ...any) error {
	return &exitError{statusFailed, seeHelp(c, fmt.Errorf(format, args...))}
}

func seeHelp(c *cobra.Command, err error) error {
	return fmt.Errorf("%w (see %s --help)", err, c.CommandPath())
}

// oneLine is an error's text without line ends, so that it stays one line in
// whatever log it ends up in. Lines that it quotes are parted by " | ".
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), " | ")
}

func (e *env) getenv(name string) string {
	for i := len(e.environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(e.environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

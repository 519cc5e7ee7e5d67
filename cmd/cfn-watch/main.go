// Command cfn-watch is the alarm server of guests of OpenStack Heat: it takes
// the metrics and heartbeats that guests push, judges alarms over them, and
// does what the alarms ask for, once.
//
// This package reads the command line and the configuration and puts the
// server together; the work is done in the packages below watch.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses.
const (
	statusFailed = 1
	statusUsage  = 2
)

// An env is the world outside the program. Only main reads it from the
// process.
type env struct {
	stdout, stderr *os.File
	environ        []string
}

func (e *env) getenv(name string) string {
	for i := len(e.environ) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(e.environ[i], name+"="); ok {
			return v
		}
	}
	return ""
}

// A usageError is about a bad option or argument.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func main() {
	e := &env{stdout: os.Stdout, stderr: os.Stderr, environ: os.Environ()}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	status := run(ctx, e, os.Args[1:])
	stop()
	os.Exit(status)
}

// run is the program with arguments; it returns its status.
func run(ctx context.Context, e *env, args []string) int {
	root := newRootCommand(e)
	root.SetArgs(args)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	// Several mistakes of a file are several lines.
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(e.stderr, "cfn-watch: %s\n", strings.TrimRight(line, "\r\n"))
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return statusUsage
	}
	return statusFailed
}

func newRootCommand(e *env) *cobra.Command {
	g := &global{env: e, output: "table"}
	root := &cobra.Command{
		Use:   "cfn-watch",
		Short: "Judge alarms over what guests of OpenStack Heat push, and act on them",
		Long: `Judge alarms over what guests of OpenStack Heat push, and act on them.

"cfn-watch serve" is the server; the other commands read its configuration, or
talk to it over its socket. Without a configuration it serves on loopback, with
its store in the working directory.

Exit status: 0 done; 1 failed; 2 bad option or argument.`,
		Version:       fmt.Sprintf("%s (%s %s/%s)", versionText(), runtime.Version(), runtime.GOOS, runtime.GOARCH),
		Args:          cobra.NoArgs,
		SilenceErrors: true, SilenceUsage: true,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate("cfn-watch {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&g.config, "config", "", "configuration file\n(default $"+configVariable+", or else "+defaultConfig+")")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
	})
	root.AddCommand(newCommands(g)...)
	for _, c := range append(root.Commands(), root) {
		c.Flags().SortFlags = false
		args := c.Args
		c.Args = func(c *cobra.Command, list []string) error {
			if err := args(c, list); err != nil {
				return &usageError{fmt.Errorf("%w (see %s --help)", err, c.CommandPath())}
			}
			return nil
		}
	}
	return root
}

// A global is what all commands have.
type global struct {
	*env
	config string
	output format
}

func (g *global) load() (*config, error) { return loadConfig(g.env, g.config) }

// version is set by the linker; without it the module's own is used.
var version string

func versionText() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "" {
		return info.Main.Version
	}
	return version
}

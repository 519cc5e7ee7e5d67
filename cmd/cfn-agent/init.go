package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/commands"
	"github.com/cfn-agent/cfn-agent/agent/signal"
)

// Files of cfn-init.
const (
	initLog    = "/var/log/cfn-init.log"
	commandLog = "/var/log/cfn-init-cmd.log"
	journal    = "/var/lib/cfn-init/journal"
	lastReport = "/var/lib/cfn-init/report.json"
)

type initOptions struct {
	connection
	file                                   string // metadata to read instead; "-" for stdin
	configsets, report, signal             string
	verbose, resume, strict, dryRun, check bool
	timeout, commandTimeout                duration
	retryForSet, commandTimeoutSet         bool // given on the command line
}

func newInitCommand(e *env) *cobra.Command {
	var o initOptions
	c := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Apply the AWS::CloudFormation::Init metadata of a resource",
		Long: `Apply the AWS::CloudFormation::Init metadata of a resource to this machine:
packages, groups, users, sources, files, commands and services. Only what
differs is changed. The metadata comes from FILE (- for standard input), else from
Heat if stack, resource and keys are known, else from what Heat left on this machine.
A FILE and a stack exclude each other.

What heat-cfntools went on without is said in a line that begins "degraded:".

Exit status: 0 applied (also degraded, but for --strict), 1 failed, 2 bad option.`,
		Example: "  cfn-agent init --stack mystack --resource WebServer --region RegionOne\n" +
			"  cfn-agent init --dry-run metadata.json",
		Args: oneArg("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.file = args[0]
			}
			ctx, stop := signalContext(c.Context())
			defer stop()
			return runInit(ctx, e, c, o)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.configsets, "configsets", "c", "", "sets to apply, separated by commas (default: the set named default)")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would change, and change nothing")
	f.BoolVar(&o.check, "check", false, "only check that the metadata is right")
	f.BoolVarP(&o.strict, "strict", "t", false, "fail where a run would be degraded, and on unknown keys")
	f.BoolVar(&o.resume, "resume", false, "go on with a run that was cut short")
	f.StringVar(&o.report, "report", "", "write what was done to this file, as JSON; - is standard output")
	f.StringVar(&o.signal, "signal", "", "URL of a wait condition to tell how it went")
	f.Var(&o.timeout, "timeout", "limit for the whole run, such as 30m (default none)")
	o.commandTimeout = duration(commands.DefaultTimeout)
	f.Var(&o.commandTimeout, "command-timeout", "limit for each command; 0 for none")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say what is done")
	o.add(c, shorthands{stack: "s", resource: "r", insecure: "k"}, "stack", "resource", "access-key", "secret-key", "region", "configsets")
	return c
}

// validate checks what can be said of the options alone.
func (o *initOptions) validate(c *cobra.Command) error {
	if o.file != "" && (o.stack != "" || o.resource != "") {
		return usageError(c, "a file and --stack or --resource exclude each other")
	}
	if o.dryRun && o.check {
		return usageError(c, "--check and --dry-run exclude each other")
	}
	if o.resume && (o.file != "" || o.dryRun || o.check) {
		return usageError(c, "--resume goes on with an earlier run: it takes no file, --dry-run or --check")
	}
	if c.Flags().Changed("signal") {
		if err := signal.CheckURL(o.signal); err != nil {
			return fmt.Errorf("--signal: %w", err)
		}
	}
	return nil
}

func runInit(ctx context.Context, e *env, c *cobra.Command, o initOptions) (err error) {
	o.hideSecrets(e)
	e.hide(queries([]string{o.signal})...)
	if err := o.validate(c); err != nil {
		return err
	}
	o.retryForSet, o.commandTimeoutSet = c.Flags().Changed("retry-for"), c.Flags().Changed("command-timeout")
	program := c.Root().Name()
	if os.Geteuid() != 0 && e.root == "/" && !o.dryRun && !o.check {
		return errors.New("must run as root: it changes the machine (--dry-run and --check need no root)")
	}
	log := initLog
	if o.dryRun || o.check {
		log = "" // nothing is changed, not even a log
	}
	l := e.openLogs(program, log, o.verbose)
	defer l.Close()
	if o.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, time.Duration(o.timeout), fmt.Errorf("timed out after %s", &o.timeout))
		defer cancel()
	}
	i := &initRun{e: e, o: &o, logs: l, program: program, start: time.Now()}
	defer func() {
		// A crash is told too, and goes on as one.
		if p := recover(); p != nil {
			_ = i.tell(fmt.Errorf("%s crashed", program)) // the crash says more
			panic(p)
		}
		if err != nil {
			l.file.Error(banner("BUILD FAILED!"))
			l.file.Error("failed", "err", err)
		}
		err = l.shown(errors.Join(err, i.tell(err)))
	}()
	return i.run(ctx)
}

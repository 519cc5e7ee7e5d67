package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
	"github.com/cfn-agent/cfn-agent/watch/rules"
)

// options are what rules may name.
func (c *config) ruleOptions() rules.Options {
	o := rules.Options{Execs: []string{}}
	for _, x := range c.execs {
		o.Execs = append(o.Execs, x.name)
	}
	return o
}

// loadRules reads the folder of rules, which may be absent when nobody asked
// for it.
func (c *config) loadRules() (*rules.Set, error) {
	if c.alarms.dir == "" {
		return &rules.Set{}, nil
	}
	if _, err := os.Stat(c.alarms.dir); errors.Is(err, fs.ErrNotExist) && !c.alarms.asked {
		return &rules.Set{}, nil
	}
	return rules.Load(c.ruleOptions(), c.alarms.dir)
}

// refusals say which actions that rules ask for will be refused, and why: an
// operator must know that before an alarm fires.
func (c *config) refusals(set *rules.Set) (lines []string) {
	doer := outbox.New(outbox.Options{Settings: outbox.Settings{Actions: c.actionKinds(&outbox.Post{})}})
	for _, r := range set.Rules {
		for _, why := range doer.Undoable(r.Alarm) {
			lines = append(lines, fmt.Sprintf("%s: %s: %s", r.Alarm.File, r.Alarm.Name, why))
		}
	}
	return append(lines, c.unfit()...)
}

// unfit says which commands cannot be run on this machine, and why.
func (c *config) unfit() (lines []string) {
	for _, x := range c.execs {
		var err error
		if _, number := strconv.Atoi(x.user); number == nil {
			_, err = user.LookupId(x.user)
		} else if x.user != "" { // the server's own
			_, err = user.Lookup(x.user)
		}
		if err == nil {
			_, err = exec.LookPath(x.argv[0])
		}
		if err != nil {
			lines = append(lines, fmt.Sprintf("[exec %s] cannot be run here: %v", x.name, err))
		}
	}
	return lines
}

// stuck says which commands this process may not run as the user that they are
// to have: "cfn-watch check" is often another's.
func (c *config) stuck() (lines []string) {
	for _, x := range c.execs {
		if _, err := outbox.SwitchTo(x.user); err != nil {
			lines = append(lines, fmt.Sprintf("[exec %s] %v: \"user =\" runs it as the server", x.name, err))
		}
	}
	return lines
}

// applyRules leads the engine's alarms to what the files say.
func applyRules(ctx context.Context, c *config, set *rules.Set, engine *watch.Engine, log *slog.Logger) error {
	for _, line := range append(c.refusals(set), c.stuck()...) {
		log.Warn(line)
	}
	done, err := set.Apply(ctx, time.Now(), engine)
	if err == nil && len(done.Define)+len(done.Delete) > 0 {
		log.Info("rules applied", "rules", len(set.Rules), "defined", len(done.Define), "deleted", len(done.Delete))
	}
	return err
}

// openFiles says which of the files that the configuration names a server could
// not begin with. What only the server may read is its own to say, and where it
// looks for clouds.yaml may be elsewhere: that there is none here is a warning.
func (c *config) openFiles() (warning, err error) {
	quiet := slog.New(slog.DiscardHandler)
	_, keys := c.openKeys(quiet)
	_, settings := c.outboxSettings()
	_, keystone := c.openKeystone(quiet)
	if errors.Is(keystone, fs.ErrNotExist) {
		warning, keystone = keystone, nil
	}
	var pair error
	if c.server.cert != "" {
		pair = (&certificate{cert: c.server.cert, key: c.server.key}).load()
	}
	var wrong []error
	for _, err := range []error{keys, settings, keystone, pair} {
		if !errors.Is(err, fs.ErrPermission) {
			wrong = append(wrong, err)
		}
	}
	return warning, errors.Join(wrong...)
}

func newCheckCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "check [RULES...]",
		Short: "Say all that is wrong with the configuration and the rules",
		Long: `Say all that is wrong with the configuration and its rules, or with some files and
folders of rules, each mistake as FILE:LINE: what. No server is needed.

A file of rules is YAML or JSON: alarms by their names, each with the fields of
AWS::CloudWatch::Alarm and these. What is under Defaults counts for all of the file.

  Project     id of the project that the alarm belongs to; must be there
  Stack       root stack whose guests may feed it, by name or id; "*" for any
              (default: only keys that are bound to no stack)
  Tolerance   silence allowed beyond the periods, of an alarm on heartbeats
              (default 1.25 periods if there is one, else half a period, 15s at least)
  Match       of samples that name no alarm those count that have its dimensions,
              and no others (exact, the default) or perhaps others (subset)
  Repeat      sends messages again after so long in a state, 60s or more (default never)
  StartAfter  a new alarm counts absence after so long (default first-sample)
  Range       periods in which datapoints are looked for (default EvaluationPeriods + 2)
  Legacy      yes: "no samples" is 0 for SampleCount and Sum, as old Heat had it
  Target      what actions that are no messages are about, such as stack/web/WebServer:
              those of one target wait for each other, and have one budget
              (default: what the action names, else the alarm)`,
		Example: "  cfn-watch check\n" +
			"  cfn-watch check alarms.d/web.yaml",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			conf, err := g.load()
			if err != nil {
				return err
			}
			var set *rules.Set
			if len(args) > 0 {
				set, err = rules.Load(conf.ruleOptions(), args...)
			} else {
				set, err = conf.loadRules()
			}
			absent, wrong := conf.openFiles()
			if err := errors.Join(err, wrong); err != nil {
				return err
			}
			lines := conf.refusals(set)
			if absent != nil {
				lines = append(lines, absent.Error())
			}
			for _, line := range lines {
				fmt.Fprintf(g.stderr, "cfn-watch: warning: %s\n", line)
			}
			fmt.Fprintf(g.stdout, "ok: %d rules\n", len(set.Rules))
			return nil
		},
	}
}

func newTestCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "test RULES CASES",
		Short: "Try rules against histories, without a server",
		Long: `Try rules against cases: histories of pushes, stops of the server and steps of its
clock, and what state each alarm is to be in, and which actions are to have been
asked for. A day passes in an instant. A file of cases is YAML or JSON:

  lost heartbeat:
    - {at: 0s, push: {alarm: web-Heartbeat, value: 1, every: 60s, until: 10m}}
    - {at: 5m, server: restart} # or stop, continue
    - {at: 6m, clock: +1h}
    - {at: 12m, want: {alarm: web-Heartbeat, state: OK}}
    - at: 13m
      want: {alarm: web-Heartbeat, state: ALARM, actions: ["cfnwatch:exec:restart-web", "https://ops.example/hook"]}`,
		Example: "  cfn-watch test alarms.d web-cases.yaml",
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			return testRules(c.Context(), g.stdout, args[0], args[1])
		},
	}
}

// testRules prints what failed, a line each, and returns an error then.
func testRules(ctx context.Context, w io.Writer, rulesPath, casesPath string) error {
	set, err := rules.Load(rules.Options{}, rulesPath)
	if err != nil {
		return err
	}
	cases, err := rules.LoadCases(set, casesPath)
	if err != nil {
		return err
	}
	failed, err := rules.Test(ctx, set, cases)
	for _, f := range failed {
		fmt.Fprintln(w, f)
	}
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("%d of what %d cases want is not so", len(failed), len(cases))
	}
	if err == nil {
		fmt.Fprintf(w, "ok: %d cases\n", len(cases))
	}
	return err
}

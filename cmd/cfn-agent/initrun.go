package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent"
	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/commands"
	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// An initRun is one run of cfn-init.
type initRun struct {
	e       *env
	o       *initOptions
	logs    *logs
	program string
	start   time.Time

	document metadata.Document
	init     *metadata.Init
	system   *sys.System
	journal  *agent.Journal
	rebooted bool // the run goes on after a boot: nothing is told yet
}

func (i *initRun) run(ctx context.Context) error {
	if !i.o.dryRun && !i.o.check {
		held, err := i.lock(ctx)
		if err != nil {
			return err
		}
		defer held.Release()
	}
	if err := i.prepare(ctx); err != nil {
		return err
	}
	i.logs.mask.Store(sys.NewMask(i.document.Secrets()))
	configs, err := i.configs()
	if err != nil || i.o.check {
		return err
	}
	return i.apply(ctx, configs)
}

// lock keeps other runs out. A command of a run that calls cfn-init would
// wait for itself.
func (i *initRun) lock(ctx context.Context) (*lock.Lock, error) {
	if i.e.getenv(commands.Marker) != "" {
		return nil, errors.New("called from a command that cfn-init runs: it would wait for itself")
	}
	path := filepath.Join(i.e.root, agent.LockPath)
	waiting := time.AfterFunc(time.Second, func() { i.logs.Warn("waiting for another run to end", "lock", path) })
	defer waiting.Stop()
	return lock.Take(ctx, path, i.program)
}

// prepare gets the metadata, and the journal that goes with them.
func (i *initRun) prepare(ctx context.Context) error {
	path := filepath.Join(i.e.root, journal)
	if i.o.resume {
		return i.resume(path)
	}
	if err := i.load(ctx); err != nil || i.o.dryRun || i.o.check {
		return err
	}
	settings, err := json.Marshal(i.o.toResume())
	if err != nil {
		return err
	}
	i.journal, err = agent.NewJournal(path, agent.Plan{
		Document: i.document.Bytes(), Origin: i.document.Origin, ConfigSets: i.o.configsets, Settings: settings,
	})
	return err
}

func (i *initRun) load(ctx context.Context) error {
	if i.o.file == "" {
		trust := always
		if i.o.strict {
			trust = never
		}
		d, remote, err := i.o.load(ctx, i.e, i.logs, trust)
		// Without a resource there is one last document, wherever it is from.
		if err == nil && (remote || i.o.resource == "") && !i.o.dryRun && !i.o.check {
			i.o.keep(i.e, i.logs, d)
		}
		i.document = d
		return err
	}
	data, err := readInput(i.e, i.o.file)
	if err != nil {
		return fmt.Errorf("read the metadata: %w", err)
	}
	if i.document, err = metadata.Parse(data); err != nil {
		return fmt.Errorf("read %s: %w", i.o.file, err)
	}
	i.document.Origin = i.o.file
	return nil
}

func readInput(e *env, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(e.stdin)
	}
	return os.ReadFile(file)
}

// configs returns what is to be applied, checked; with --check every config
// of the document is.
func (i *initRun) configs() ([]metadata.Config, error) {
	init, err := i.document.Init()
	if err != nil {
		return nil, err
	}
	i.init = init
	configs, err := init.Select(i.o.configsets)
	if err != nil {
		return nil, err
	}
	if i.o.check {
		for _, name := range init.Configs() {
			selected := func(c metadata.Config) bool { return c.Name == name }
			if slices.ContainsFunc(configs, selected) {
				continue
			}
			if _, err := init.Config(name); err != nil {
				return nil, err
			}
		}
	}
	if err := i.warn(); err != nil {
		return nil, err
	}
	if i.o.check {
		verdict := "is right"
		if len(init.Warnings) > 0 {
			verdict = "can be applied, but for what is said"
		}
		fmt.Fprintf(i.e.stdout, "%s: the metadata %s: %s, from %s\n", i.program, verdict, list(init.Configs()), i.document.Origin)
	}
	return configs, nil
}

// warn says what is odd, for which a strict run ends.
func (i *initRun) warn() error {
	for _, w := range i.init.Warnings {
		switch {
		case i.o.strict && i.o.check:
			i.logs.Warn(w.Error())
		case i.o.strict:
			return w
		case i.o.check || !w.LeftOut(): // a run calls what it leaves out degraded
			i.logs.Warn(w.Warning())
		}
	}
	if i.o.strict && len(i.init.Warnings) > 0 {
		return errors.New("a strict run refuses what is said")
	}
	return nil
}

func (i *initRun) apply(ctx context.Context, configs []metadata.Config) error {
	run, closeLog, err := i.agentRun()
	if err != nil {
		return err
	}
	defer closeLog()
	// A run is short, and most of what it holds it holds to the end: looking for
	// garbage would cost more than it frees.
	debug.SetGCPercent(400)
	i.logs.file.Info(banner("Starting build"))
	i.logs.Info("applying the metadata", "source", i.document.Origin, "configs", len(configs))
	items, err := run.Apply(ctx, configs)
	report := &agent.Report{
		Start: i.start, Stack: i.o.stack, Resource: i.o.resource,
		Metadata: i.document.Origin, ConfigSets: i.o.configsets, DryRun: i.o.dryRun,
	}
	report.Finish(items, err, run.System.Mask)
	i.rebooted = report.Outcome == agent.Reboot
	if i.rebooted {
		err = i.afterBoot()
	}
	err = errors.Join(err, i.writeReports(report))
	i.logs.Info("applied the metadata", "outcome", report.Outcome, "items", len(report.Items), "changed", report.Changed)
	// Only a run that came to its end is not to be resumed.
	err = errors.Join(err, i.journal.Close(err == nil && !i.rebooted))
	if err == nil {
		i.logs.file.Info(banner("Build complete"))
		i.summary(report)
	} else if !i.o.dryRun {
		fmt.Fprintf(i.e.stderr, "%s: %s until it failed; when that is mended, --resume goes on from there\n", i.program, report.Summary())
	}
	return err
}

// banner is how aws-cfn-bootstrap marks the beginning and end of a run in its
// log, centred in 60 dashes: people grep for it.
func banner(text string) string {
	left := (60 - len(text)) / 2
	return strings.Repeat("-", left) + text + strings.Repeat("-", 60-left-len(text))
}

// list names configs: "config", "configs a, b".
func list(names []string) string {
	if len(names) == 1 {
		return "config " + names[0]
	}
	return "configs " + strings.Join(names, ", ")
}

func (i *initRun) summary(report *agent.Report) {
	text := report.Summary()
	switch {
	case i.rebooted:
		text += "; goes on after the next boot"
	case i.o.dryRun:
		text += " (dry run of " + i.document.Origin + ": nothing was changed)"
	}
	fmt.Fprintf(i.e.stdout, "%s: %s\n", i.program, text)
}

// agentRun is the run of package agent that the options describe.
func (i *initRun) agentRun() (run *agent.Run, closeLog func(), err error) {
	client, err := i.o.httpClient(i.e)
	if err != nil {
		return nil, nil, err
	}
	mask := i.logs.mask.Load()
	i.system = &sys.System{
		Root: i.e.root, Run: sys.Exec, Log: i.logs.Logger, Mask: mask, DryRun: i.o.dryRun,
		Environ: append(append([]string(nil), i.e.environ...), commands.Marker+"=1"),
	}
	options := commands.Options{Timeout: time.Duration(i.o.commandTimeout), Verbose: i.o.verbose}
	if options.Timeout == 0 {
		options.Timeout = metadata.NoTimeout
	}
	closeLog = func() {}
	if !i.o.dryRun {
		out, err := openLog(filepath.Join(i.e.root, commandLog))
		if err != nil {
			i.logs.Warn("no log of what commands print", "err", err)
		} else {
			options.Output, options.LogPath = out, commandLog
			closeLog = func() { out.Close() }
		}
	}
	p := &progress{e: i.e, logs: i.logs, dryRun: i.o.dryRun, strict: i.o.strict, terminal: isTerminal(i.e.stdout)}
	return &agent.Run{
		System: i.system, Strict: i.o.strict, Journal: i.journal, Commands: options, Progress: p.item,
		Fetch: &fetch.Client{HTTP: client, Auth: i.init.Authentications, Region: i.o.region, Retry: i.o.policy()},
	}, closeLog, nil
}

// writeReports keeps the report, and writes the one that was asked for.
func (i *initRun) writeReports(report *agent.Report) error {
	text := []byte(awsquery.Redact(string(report.JSON()))) // names of items may be URLs
	if !i.o.dryRun {
		path := filepath.Join(i.e.root, lastReport)
		if err := atomicfile.Write(path, text, atomicfile.KeepOwner(0o600)); err != nil {
			i.logs.Warn("the report could not be kept", "err", err)
		}
	}
	if i.o.report == "" {
		return nil
	}
	if i.o.report == "-" {
		_, err := i.e.stdout.Write(text)
		return err
	}
	if err := writeReport(i.o.report, text); err != nil {
		return fmt.Errorf("write the report %s: %w", i.o.report, plain(err))
	}
	return nil
}

// writeReport replaces a file. What is no file, such as /dev/stdout or a pipe,
// is written to: replacing it would take it from everybody else.
func writeReport(path string, data []byte) error {
	info, err := os.Lstat(path)
	device := strings.HasPrefix(path, "/dev/") || strings.HasPrefix(path, "/proc/")
	special := err == nil && info.Mode().Type()&^fs.ModeSymlink != 0 && !info.IsDir()
	if err != nil || !device && !special {
		return atomicfile.Write(path, data, atomicfile.KeepOwner(0o600))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// plain is an error of the disk without the path, which may be that of a
// temporary file.
func plain(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/daemon"
	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// hupLog is the file that both old tools wrote.
const hupLog = "/var/log/cfn-hup.log"

// hupRetryFor is how long a pass tries when Heat does not answer: less than
// other tools do, since services wait to be looked at, and there is a next
// pass.
const hupRetryFor = time.Minute

type hupOptions struct {
	config, trigger                         string
	noDaemon, once, daemon, status, verbose bool
}

func newHupCommand(e *env) *cobra.Command {
	var o hupOptions
	c := &cobra.Command{
		Use:   "hup",
		Short: "Run hooks when the metadata of a resource changes",
		Long: `Look at the resources that the hooks name, run the actions of the hooks whose
values have changed, and start the services of the metadata that should run and
do not, but while cfn-init is running. It is one pass, made for cron, unless it
is told to stay.

Read are cfn-hup.conf, hooks.conf and hooks.d/*.conf in ` + hooks.DefaultDir + `.

Where cfn-agent run is running it is asked to make the pass.

Exit status: 0 done, also when another pass is running; 1 there is no
configuration or no hook, Heat does not tell, or an action failed; 2 bad option.
With --status: 0 no hook is failing, 1 one is.`,
		Example: "  cfn-agent hup --once\n" +
			"  cfn-agent hup --trigger cfn-auto-reloader",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runHup(c.Context(), e, c, o) },
	}
	f := c.Flags()
	f.StringVarP(&o.config, "config", "c", "", "directory of cfn-hup.conf, or directory of hooks\n(default "+hooks.DefaultDir+")")
	f.BoolVarP(&o.noDaemon, "no-daemon", "f", false, "one pass, as without it")
	f.BoolVar(&o.once, "once", false, "one pass, as without it")
	f.BoolVar(&o.daemon, "daemon", false, "make a pass at each interval, in the foreground, as a service of systemd\n(SIGHUP: read the configuration again, SIGUSR1: pass now)")
	f.StringVar(&o.trigger, "trigger", "", "run the action of this hook now, and no other")
	f.BoolVar(&o.status, "status", false, "tell how it goes with each hook, and change nothing")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "say what is done")
	markHeat(f, "config", "no-daemon", "verbose")
	return c
}

// pass says that one pass is wanted, and no more.
func (o *hupOptions) pass() bool { return !o.daemon && !o.status && o.trigger == "" }

// validate checks what can be said of the options alone.
func (o *hupOptions) validate(c *cobra.Command) error {
	switch {
	case o.status && (o.trigger != "" || o.once || o.noDaemon || o.daemon):
		return usageError(c, "--status changes nothing: it takes no --trigger, --once, --no-daemon or --daemon")
	case o.daemon && (o.trigger != "" || o.once || o.noDaemon):
		return usageError(c, "--daemon stays: it takes no --trigger, --once or --no-daemon")
	}
	return nil
}

func runHup(ctx context.Context, e *env, c *cobra.Command, o hupOptions) (err error) {
	if err := o.validate(c); err != nil {
		return err
	}
	if o.pass() && o.config == "" {
		err := daemon.AskPoll(ctx, e.root)
		if err == nil {
			return nil // cfn-agent run makes the pass
		}
		if !errors.Is(err, daemon.ErrNoDaemon) {
			fmt.Fprintf(e.stderr, "%s: %v\n", c.Root().Name(), err)
		}
	}
	files := hooks.Find(e.root, o.config)
	config, err := o.load(e, files)
	file := hupLog
	if o.status {
		file = "" // nothing is changed, not even a log
	}
	l := e.openLogs(c.Root().Name(), file, o.verbose || config.Verbose)
	defer l.Close()
	defer func() {
		if err != nil {
			l.file.Error("failed", "err", err)
		}
	}()
	if !o.daemon || err != nil { // a daemon says it at its first pass
		for _, p := range config.Problems {
			l.Warn(p.Error())
		}
	}
	h := hupRun{e: e, logs: l}
	switch {
	case err != nil:
		return err
	case o.status:
		return hupStatus(e, config)
	case o.daemon:
		h.backOff, h.memory = &hup.BackOff{}, &hup.Memory{}
		d := &hupDaemon{hupRun: h, log: l, program: c.Root().Name(), verbose: o.verbose, files: files, config: config}
		return d.run(ctx)
	}
	ctx, stop := signalContext(ctx)
	defer stop()
	err = h.pass(ctx, config, o.trigger)
	if errors.Is(err, hup.ErrBusy) && o.trigger == "" {
		l.Info("skipped: another pass is running")
		return nil
	}
	return err
}

// load reads the configuration. Where there is no cfn-hup.conf, what cfn-agent
// run does its hooks with will do, but for a daemon of its own.
func (o *hupOptions) load(e *env, files hooks.Files) (hooks.Config, error) {
	config, err := hooks.Load(files)
	if o.config != "" {
		if _, err := os.Stat(o.config); err != nil {
			config.Problems = append(config.Problems, fmt.Errorf("--config: %w", err))
		}
	}
	if o.config != "" || o.daemon || !errors.Is(err, fs.ErrNotExist) {
		return config, err
	}
	if main := daemon.Load(e.root).Main; main["stack"] != "" {
		return hooks.LoadWith(files, main)
	}
	return config, err
}

func hupStatus(e *env, config hooks.Config) error {
	list, err := new(hup.Memory).Status(filepath.Join(e.root, hup.StatePath), config.Hooks)
	if err != nil {
		return err
	}
	var failing []string
	for _, s := range list {
		fmt.Fprintf(e.stdout, "%s: %s\n", s.Hook, s.Text)
		if s.Failing {
			failing = append(failing, s.Hook)
		}
	}
	if len(failing) > 0 {
		return fmt.Errorf("failing: %s", strings.Join(failing, ", "))
	}
	return nil
}

// A hupRun makes passes.
type hupRun struct {
	e       *env
	logs    *logs
	secrets map[string][]string // of what Heat told last, by resource
	backOff *hup.BackOff        // nil: Heat is asked at each pass
	memory  *hup.Memory         // of passes that come one after another; nil: there is one
}

// pass does one pass, or runs the hook named trigger alone.
func (h *hupRun) pass(ctx context.Context, config hooks.Config, trigger string) error {
	if config.Role != "" {
		h.logs.Warn("the key role is of AWS and has no meaning here")
	}
	describe, closeIdle := h.describe(config)
	defer closeIdle()
	if h.backOff != nil {
		describe = h.backOff.Describe(describe, config.Interval)
	}
	p := &hup.Pass{
		Config: config, Cache: h.e.cache(), Describe: describe, Hide: h.logs.hide, Memory: h.memory,
		System: &sys.System{Root: h.e.root, Run: sys.Exec, Environ: h.e.environ, Log: h.logs.Logger},
	}
	output := &lineLog{log: h.logs.file}
	defer output.flush()
	p.Output = output
	old := syscall.Umask(config.Umask) // actions inherit it
	defer syscall.Umask(old)
	if trigger != "" {
		return p.Trigger(ctx, trigger)
	}
	return p.Run(ctx)
}

// describe asks Heat for a resource as the configuration says. What keeps it
// from asking is an error of each resource.
func (h *hupRun) describe(config hooks.Config) (describe hup.Describe, closeIdle func()) {
	api, err := h.api(config, "")
	if err != nil {
		return unable(err)
	}
	return h.describeBy(api)
}

// unable is a way to ask Heat that does not lead there.
func unable(err error) (hup.Describe, func()) {
	return func(context.Context, string) (hup.Resource, error) { return hup.Resource{}, err }, func() {}
}

func (h *hupRun) api(config hooks.Config, caFile string) (*cfnapi.Client, error) {
	o := connection{
		stack: config.Stack, region: config.Region, url: config.URL, credentialFile: config.CredentialFile,
		caFile: caFile, retryFor: duration(hupRetryFor),
	}
	api, err := o.api(h.e, h.logs)
	return api, fromFiles(err)
}

// fromFiles is an error where what is missing can be written to a file alone:
// there are no options for it.
func fromFiles(err error) error {
	switch {
	case errors.Is(err, cfnapi.ErrNoCredentials):
		return errors.New("no credentials: write " + cfnapi.CredentialsFile + ", or credential-file = FILE to [main]")
	case errors.Is(err, cfnapi.ErrNoEndpoint):
		return fmt.Errorf("%w: write url = URL to [main], Heat left none in /var/lib/heat-cfntools", cfnapi.ErrNoEndpoint)
	}
	return err
}

func (h *hupRun) describeBy(api *cfnapi.Client) (describe hup.Describe, closeIdle func()) {
	return func(ctx context.Context, id string) (hup.Resource, error) {
		one := *api
		one.Resource = id
		d, err := one.Describe(ctx)
		if err != nil {
			return hup.Resource{}, err
		}
		return h.resource(id, d)
	}, api.HTTP.CloseIdleConnections
}

func (h *hupRun) resource(id string, d cfnapi.Detail) (hup.Resource, error) {
	doc, err := metadata.Parse(d.Metadata)
	if err != nil {
		return hup.Resource{}, fmt.Errorf("metadata of resource %s: %w", id, err)
	}
	if h.secrets == nil {
		h.secrets = map[string][]string{}
	}
	h.secrets[id] = doc.Secrets()
	h.logs.mask.Store(sys.NewMask(slices.Concat(slices.Collect(maps.Values(h.secrets))...)))
	return hup.Resource{Status: d.Status, PhysicalID: d.PhysicalResourceID, LastUpdated: d.LastUpdated, Metadata: doc}, nil
}

// maxLogLine bounds what is kept of a line that does not end: an action may
// write more than there is memory.
const maxLogLine = 64 << 10

// A lineLog writes what actions print to a log, line by line.
type lineLog struct {
	log  *slog.Logger
	line []byte
}

func (w *lineLog) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		w.line = append(w.line, line...)
		if bytes.HasSuffix(line, []byte("\n")) || len(w.line) >= maxLogLine {
			w.flush()
		}
	}
	return len(p), nil
}

func (w *lineLog) flush() {
	if len(w.line) > 0 {
		w.log.Info("action: " + strings.ToValidUTF8(strings.TrimSuffix(string(w.line), "\n"), "\uFFFD"))
		w.line = w.line[:0]
	}
}

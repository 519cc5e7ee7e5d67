package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/daemon"
	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/services"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

const runLog = "/var/log/cfn-agent.log"

func newRunCommand(e *env) *cobra.Command {
	var verbose bool
	c := &cobra.Command{
		Use:   "run",
		Short: "Poll, check, send heartbeats and run jobs, as one daemon",
		Long: `Stay, and do what cron, cfn-hup and cfn-push-stats do otherwise: poll the
metadata and run hooks, keep services running and see that they answer, send
heartbeats and readings, run jobs. Everything has a default; what is missing is
said in a line, and the rest is done.

Read are ` + stats.AgentConfig + `, and cfn-hup.conf, hooks.conf and hooks.d/*.conf
beside it. SIGHUP: read them again. SIGUSR1: poll now.

Exit status: 0 it was told to stop; 1 another daemon is running, or it is not
root; 2 bad option.`,
		Example: "  cfn-agent run\n" +
			"  cfn-agent status",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return runRun(c.Context(), e, c.Root().Name(), verbose)
		},
	}
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "say what is done")
	return c
}

// takeDaemonLock takes the lock of those that stay, with their process id in
// it.
func takeDaemonLock(e *env) (*lock.Lock, error) {
	pid, err := lock.Try(filepath.Join(e.root, hup.PIDPath))
	if errors.Is(err, lock.ErrHeld) {
		return nil, errors.New("another daemon is running: its process id is in " + hup.PIDPath)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("must run as root: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if err := pid.Note(fmt.Sprintln(os.Getpid())); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", hup.PIDPath, err), pid.Release())
	}
	return pid, nil
}

// outliveReader keeps the end of who reads stderr from being that of a program
// that stays. The signal is caught: one that is ignored is for children too.
func outliveReader() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// forChildren is an environment without what systemd tells this program.
func forChildren(environ []string) []string {
	own := []string{"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID="}
	return slices.DeleteFunc(slices.Clone(environ), func(v string) bool {
		return slices.ContainsFunc(own, func(name string) bool { return strings.HasPrefix(v, name) })
	})
}

func runRun(ctx context.Context, e *env, program string, verbose bool) (err error) {
	config := hupConfig(e)
	l := e.openLogs(program, runLog, verbose || config.Verbose)
	defer l.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// Those that come before all has begun are done then.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	pid, err := takeDaemonLock(e)
	if err != nil {
		return err
	}
	defer pid.Release()
	outliveReader()
	syscall.Umask(config.Umask) // of hooks and jobs
	watchdog, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		l.Warn("no watchdog", "err", err)
	}
	listener, err := daemon.Listen(e.root)
	if err != nil {
		return err
	}
	defer listener.Close()
	e.environ = forChildren(e.environ)
	r := &resident{hupRun: hupRun{e: e, logs: l}}
	d := r.daemon()
	d.Watchdog = watchdog
	var group sync.WaitGroup
	err = d.Run(ctx, func() {
		r.notify(sd.SdNotifyReady)
		group.Go(func() { r.obey(ctx, d, signals) })
		group.Go(func() { d.Serve(ctx, listener) })
		stayLean()
	})
	r.notify(sd.SdNotifyStopping)
	stop()
	listener.Close()
	group.Wait()
	return err
}

// hupConfig is what cfn-hup would do. What is wrong with it the daemon says.
func hupConfig(e *env) hooks.Config {
	c, _ := hooks.LoadWith(hooks.Find(e.root, ""), daemon.Load(e.root).Main)
	return c
}

// A resident gives a daemon what is of this program: connections, logs, systemd.
type resident struct{ hupRun }

func (r *resident) daemon() *daemon.Daemon {
	return &daemon.Daemon{
		System: &sys.System{Root: r.e.root, Run: sys.Exec, Environ: r.e.environ, Log: r.logs.Logger},
		Cache:  r.e.cache(),
		Heat:   r.heat,
		Pusher: r.pusher,
		Instance: func(ctx context.Context) (nova.Instance, error) {
			return nova.Client{Root: r.e.root, Retry: retry.Policy{Tries: 1}, Log: r.logs.Logger}.Instance(ctx)
		},
		Roots: r.roots,
		Mask:  r.logs.hide,
		Output: func() (io.Writer, func()) {
			w := &lineLog{log: r.logs.file}
			return w, w.flush
		},
		Restart: func(ctx context.Context, s *sys.System, unit string) error {
			return services.Restart(ctx, s, "systemd", unit)
		},
		Notify: r.notify,
		Idle:   func() { keepSmall(restingSize) },
		Now:    daemon.Clock,
	}
}

func (r *resident) notify(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		r.logs.Debug("systemd was not told", "err", err)
	}
}

// obey does what signals ask for, until ctx is done.
func (r *resident) obey(ctx context.Context, d *daemon.Daemon, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if s == syscall.SIGUSR1 {
				d.Poll(ctx, true)
				continue
			}
			r.notify(sd.SdNotifyReloading + "\n" + monotonic())
			if !daemon.Load(r.e.root).Broken {
				syscall.Umask(hupConfig(r.e).Umask)
			}
			d.Reload(ctx)
			r.notify(sd.SdNotifyReady)
		}
	}
}

// heat is the way to Heat that the configuration describes. What keeps it from
// being asked is an error of each resource.
func (r *resident) heat(c daemon.Config, h hooks.Config) daemon.Heat {
	clock := &serverClock{}
	way := daemon.Heat{Ahead: clock.ahead}
	api, err := r.api(h, c.CAFile)
	if err != nil {
		way.Describe, way.Close = unable(err)
		return way
	}
	clock.RoundTripper, api.HTTP.Transport = api.HTTP.Transport, clock
	way.From = awsquery.RedactURL(api.Endpoint)
	way.Describe, way.Close = r.describeBy(api)
	return way
}

// A serverClock notes by answers what time it is for a server.
type serverClock struct {
	http.RoundTripper
	mu    sync.Mutex
	by    time.Duration
	known bool
}

// RoundTrip is that of the transport below.
func (s *serverClock) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.by, s.known = time.Until(date).Round(time.Second), true
	}
	return resp, nil
}

// CloseIdleConnections is that of the transport below.
func (s *serverClock) CloseIdleConnections() {
	if c, ok := s.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (s *serverClock) ahead() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by, s.known
}

// pusher is the way to the alarm server.
func (r *resident) pusher(c daemon.Config) (*stats.Pusher, error) {
	h, _ := hooks.LoadWith(hooks.Find(r.e.root, ""), c.Main) // what is wrong with it is said at a poll
	o := pushStatsOptions{watchURL: c.Main["watch-url"], connection: connection{
		region: h.Region, credentialFile: h.CredentialFile, caFile: c.CAFile, retryFor: duration(stats.DefaultRetry().Total),
	}}
	p, err := o.pusher(r.e, r.logs)
	return p, fromFiles(err)
}

// roots are the authorities that the configuration trusts.
func (r *resident) roots(c daemon.Config) *x509.CertPool {
	client, err := (&connection{caFile: c.CAFile}).httpClient(r.e)
	if err != nil {
		r.logs.Error("checks trust the system's authorities", "err", err)
		return nil
	}
	return clientRoots(client)
}

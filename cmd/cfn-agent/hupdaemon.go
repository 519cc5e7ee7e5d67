package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/hooks"
)

// A hupDaemon makes a pass again and again, in the foreground as a service of
// systemd with Type=notify.
type hupDaemon struct {
	hupRun  // with the logs of the pass
	log     *logs
	program string
	verbose bool
	files   hooks.Files
	config  hooks.Config
	said    string // what was said of the configuration, so that it is said once
}

// run makes passes until SIGTERM or SIGINT. SIGUSR1 asks for one now, SIGHUP
// for one with the configuration as it is now; files that have changed are
// read without it too.
func (d *hupDaemon) run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	now, stopSignals := passSignals()
	defer stopSignals()
	pid, err := takeDaemonLock(d.e)
	if err != nil {
		return err
	}
	defer pid.Release()
	outliveReader()
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn("no watchdog", "err", err)
	}
	// What systemd tells this program is not for actions.
	d.e.environ = forChildren(d.e.environ)
	stayLean()
	d.notify(daemon.SdNotifyReady)
	defer d.notify(daemon.SdNotifyStopping)
	loop := hup.Loop{
		Pass: d.pass, Interval: d.config.Interval, Now: now, Log: d.log.Logger,
		Watchdog: watchdog, Alive: func() { d.notify(daemon.SdNotifyWatchdog) },
	}
	loop.Run(ctx)
	return nil
}

// passSignals turns signals that ask for a pass into values of a channel. A
// caller that has stopped need not read from it.
func passSignals() (now <-chan struct{}, stop func()) {
	signals := make(chan os.Signal, 1)
	wanted := make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	var ended sync.WaitGroup
	ended.Go(func() {
		for s := range signals {
			if s == syscall.SIGHUP {
				// The pass reads the configuration; there is nothing to wait for.
				_, _ = daemon.SdNotify(false, daemon.SdNotifyReloading+"\n"+monotonic())
				_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
			}
			select {
			case wanted <- struct{}{}:
			default: // one is wanted already
			}
		}
	})
	return wanted, func() { signal.Stop(signals); close(signals); ended.Wait() }
}

// monotonic is the time that sd_notify(3) wants with RELOADING=1.
func monotonic() string {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return ""
	}
	return fmt.Sprintf("MONOTONIC_USEC=%d", ts.Nano()/int64(time.Microsecond))
}

func (d *hupDaemon) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		d.log.Debug("systemd was not told", "err", err)
	}
}

// pass makes one pass with what the files say now, and returns the interval.
func (d *hupDaemon) pass(ctx context.Context, asked bool) time.Duration {
	defer keepSmall(restingSize)
	// Opened each time, so that a log that has grown is moved away.
	d.logs = d.e.openLogs(d.program, hupLog, d.verbose || d.config.Verbose)
	defer d.logs.Close()
	d.reload()
	if asked {
		d.backOff.Reset()
	}
	err := d.hupRun.pass(ctx, d.config, "")
	outcome := "well"
	switch {
	case errors.Is(err, hup.ErrBusy):
		d.logs.Info("skipped: another pass is running")
		outcome = "skipped"
	case err != nil && ctx.Err() == nil:
		d.logs.Error("pass failed", "err", oneLine(err))
		outcome = "failed"
	}
	d.notify(fmt.Sprintf("STATUS=%d hooks; last pass %s: %s", len(d.config.Hooks), time.Now().Format(time.TimeOnly), outcome))
	return d.config.Interval
}

// reload reads the configuration; one that cannot be used leaves the last one
// in place. What is wrong with it is said when it is new.
func (d *hupDaemon) reload() {
	config, err := hooks.Load(d.files)
	said := []string{}
	for _, p := range config.Problems {
		said = append(said, p.Error())
	}
	if err != nil {
		said = append(said, "the configuration stays as it was: "+oneLine(err))
	} else {
		d.config = config
	}
	if text := strings.Join(said, "\n"); text != d.said {
		d.said = text
		for _, line := range said {
			d.logs.Warn(line)
		}
	}
}

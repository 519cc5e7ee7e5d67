package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// tickStale is how old the last tick may be before the server counts as
// standing still.
const tickStale = 10 * time.Second

// How it is known that the store takes what is written, also while nothing has
// changed that would be: a little is, and it must return.
const (
	probeEvery = 5 * time.Second
	probeStale = 15 * time.Second
)

// health is how the ticks go, and whether the store takes what they change: they
// judge, and are what keeps the watchdog quiet.
type health struct {
	started time.Time

	mu    sync.Mutex
	last  time.Time     // tick
	late  time.Duration // by which it came
	worst time.Duration // late of all ticks
	err   error         // the store did not take what the last tick changed

	probed time.Time     // when the store last answered a probe
	took   time.Duration // that one
	full   error         // that it could not be written
}

// probe tries the store until ctx is done.
func (h *health) probe(ctx context.Context, write func(context.Context, time.Time) error) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		began := time.Now()
		err := write(ctx, began)
		if ctx.Err() != nil {
			return
		}
		h.mu.Lock()
		h.probed, h.took, h.full = time.Now(), time.Since(began), err
		h.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// tick is watch.Options.OnTick.
func (h *health) tick(r watch.TickResult, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last, h.late, h.err = time.Now(), r.Late, err
	h.worst = max(h.worst, r.Late)
}

// problem is what keeps the server from doing its work; nil: nothing.
func (h *health) problem(engine *watch.Engine, now time.Time) error {
	h.mu.Lock()
	last, err, probed := h.last, cmp.Or(h.err, h.full), h.probed
	h.mu.Unlock()
	switch {
	case err != nil:
		return fmt.Errorf("the store takes nothing: %w", err)
	case now.Sub(probed) > probeStale:
		return fmt.Errorf("the store takes nothing: a write has been under way for %s", now.Sub(probed).Round(time.Second))
	case now.Sub(last) > tickStale:
		return fmt.Errorf("no alarm was judged for %s", now.Sub(last).Round(time.Second))
	case !engine.Hears(now):
		return fmt.Errorf("the server could not hear for ten of the last thirty minutes")
	}
	return nil
}

// serveHealth answers 200 while all is well, else 503 with the reason.
func (s *server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := s.health.problem(s.engine, time.Now()); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// kickWatchdog tells systemd that the server lives, as long as ticks come: a
// server that hangs is killed and started anew.
func (s *server) kickWatchdog(ctx context.Context) {
	limit, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		s.log.Warn("no watchdog", "err", err)
	}
	if err != nil || limit <= 0 {
		return
	}
	ticker := time.NewTicker(limit / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.health.mu.Lock()
			fresh := now.Sub(s.health.last) < limit/2+time.Second
			s.health.mu.Unlock()
			if fresh {
				notify(s.log, daemon.SdNotifyWatchdog)
			}
		}
	}
}

// sayAlive calls the URL of whoever watches the watcher, while the server
// hears, judges and stores.
func (s *server) sayAlive(ctx context.Context) {
	for ctx.Err() == nil {
		c, replaced := s.latest()
		while, stop := context.WithCancel(ctx)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if c.notify.alive == "" {
				<-while.Done()
				return
			}
			outbox.Alive{
				URL: c.notify.alive, Every: c.notify.aliveEvery, HTTP: http.DefaultClient, Log: s.log,
				Well: func(now time.Time) error { return s.health.problem(s.engine, now) },
			}.Run(while)
		}()
		select {
		case <-ctx.Done():
		case <-replaced:
		}
		stop()
		<-ended
	}
}

// notify tells systemd of a state (sd_notify(3)), if it is there.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("systemd was not told", "err", err)
	}
}

// reloading is the message that Type=notify-reload wants, with the time of
// CLOCK_MONOTONIC.
func reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return daemon.SdNotifyReloading
	}
	return fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000)
}

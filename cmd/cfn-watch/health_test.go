package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

func TestHealth(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		tick func(*health, *watch.Engine)
		want string
	}{
		"well":  {func(*health, *watch.Engine) {}, ""},
		"store": {func(h *health, _ *watch.Engine) { h.tick(watch.TickResult{}, errors.New("disk full")) }, "the store takes nothing: disk full"},
		"store again": {func(h *health, _ *watch.Engine) {
			h.tick(watch.TickResult{}, errors.New("x"))
			h.tick(watch.TickResult{}, nil)
		}, ""},
		"store, while nothing changes": {func(h *health, _ *watch.Engine) { h.full = errors.New("disk full") }, "the store takes nothing: disk full"},
		"store, hanging":               {func(h *health, _ *watch.Engine) { h.probed = now.Add(-16 * time.Second) }, "the store takes nothing: a write has been under way for 16s"},
		"no tick":                      {func(h *health, _ *watch.Engine) { h.last = now.Add(-11 * time.Second) }, "no alarm was judged for 11s"},
		"deaf": {func(_ *health, e *watch.Engine) {
			for ago := 20 * time.Minute; ago > 0; ago -= 4 * time.Second {
				e.Deaf(now.Add(-ago), "test")
			}
		}, "the server could not hear for ten of the last thirty minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			e := watch.New(watch.Options{})
			if err := e.Start(t.Context(), now.Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
			s := &server{engine: e, health: &health{last: now, probed: now}}
			tt.tick(s.health, e)
			got := ""
			if err := s.health.problem(e, now); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("problem = %q, want %q", got, tt.want)
			}
			w := httptest.NewRecorder()
			s.serveHealth(w, nil)
			status, text := 200, "ok\n"
			if tt.want != "" {
				status, text = 503, tt.want+"\n"
			}
			if w.Code != status || name != "no tick" && name != "store, hanging" && w.Body.String() != text {
				t.Errorf("/healthz = %d %q, want %d %q", w.Code, w.Body, status, text)
			}
		})
	}
}

// A store that takes nothing is noticed within 5 s though nothing is to be
// stored, and so is one that does again.
func TestStoreIsProbed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := watch.New(watch.Options{})
		if err := e.Start(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		h := &health{last: now, probed: now}
		full := errors.New("disk full")
		var down atomic.Bool
		ctx, stop := context.WithCancel(t.Context())
		go h.probe(ctx, func(context.Context, time.Time) error {
			time.Sleep(time.Millisecond)
			if down.Load() {
				return full
			}
			return nil
		})
		for _, is := range []bool{false, true, false} {
			synctest.Wait()
			down.Store(is)
			time.Sleep(probeEvery + time.Millisecond)
			synctest.Wait()
			h.tick(watch.TickResult{}, nil)
			if got := h.problem(e, time.Now()); errors.Is(got, full) != is || (got != nil) != is {
				t.Errorf("after %v the problem is %v, and the disk full: %v", probeEvery, got, is)
			}
		}
		if h.took != time.Millisecond {
			t.Errorf("a write takes %s, want 1ms", h.took)
		}
		stop()
		synctest.Wait()
	})
}

func TestHealthKeepsTheWorstTick(t *testing.T) {
	var h health
	for _, late := range []time.Duration{time.Second, 3 * time.Second, 2 * time.Second} {
		h.tick(watch.TickResult{Late: late}, nil)
	}
	if h.late != 2*time.Second || h.worst != 3*time.Second {
		t.Errorf("late %v, worst %v, want 2s, 3s", h.late, h.worst)
	}
}

// systemd kills a service that does not kick its watchdog in time: one whose
// ticks have ceased must not.
func TestWatchdogIsKickedByTicksAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "30000")
	t.Setenv("WATCHDOG_PID", "")
	os.Unsetenv("WATCHDOG_PID")
	s := &server{log: slog.New(slog.DiscardHandler), health: &health{last: time.Now().Add(-time.Hour)}}
	var kicks sync.WaitGroup
	kicks.Go(func() { s.kickWatchdog(t.Context()) })
	t.Cleanup(kicks.Wait)
	kicked := func(within time.Duration) string {
		conn.SetReadDeadline(time.Now().Add(within))
		text := make([]byte, 100)
		n, err := conn.Read(text)
		if err != nil {
			return ""
		}
		return string(text[:n])
	}
	if got := kicked(100 * time.Millisecond); got != "" {
		t.Errorf("systemd is told %q though no tick came for an hour", got)
	}
	got := ""
	for end := time.Now().Add(30 * time.Second); got == "" && time.Now().Before(end); {
		s.health.tick(watch.TickResult{}, nil)
		got = kicked(time.Second)
	}
	if !strings.HasPrefix(got, "WATCHDOG=1") {
		t.Errorf("systemd is told %q, want WATCHDOG=1", got)
	}
}

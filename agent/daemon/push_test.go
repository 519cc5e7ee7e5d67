package daemon

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A reading of the processors comes a second after the heartbeat it goes with,
// and so the outbox is woken once more, for nothing.
func TestLiveDatapointsHaveNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[heartbeat]\nwatch = H\n")
		g.daemon(5*time.Minute, func() {
			for range 3 {
				g.d.outbox.add(g.reading("One"))
				time.Sleep(time.Second)
				g.d.outbox.add(g.reading("Two"))
				time.Sleep(time.Minute)
			}
		})
		for _, p := range g.received {
			if at := p.Get("Timestamp"); at != "" {
				t.Errorf("%s has the time %s, though the server is there", p.Get("MetricName"), at)
			}
		}
		if got := strings.Count(g.names(), "Two"); got != 3 {
			t.Errorf("%d of 3 came", got)
		}
	})
}

// A server that a configuration names is the one from then on, also when there
// was nothing to send just then.
func TestReloadWhileOutboxIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[heartbeat]\ninterval = 1h\n")
		made := 0
		pusher := g.d.Pusher
		g.d.Pusher = func(c Config) (*stats.Pusher, error) {
			g.do(func() { made++ })
			return pusher(c)
		}
		g.daemon(0, func() {
			g.d.outbox.add(g.reading("One"))
			time.Sleep(time.Second)
			g.d.outbox.add(g.reading("Two"))
			time.Sleep(1500 * time.Millisecond) // both were sent, and the outbox is awake
			g.write(stats.AgentConfig, "[main]\nwatch-url = http://other/\n[heartbeat]\ninterval = 1h\n")
			g.d.Reload(t.Context())
			time.Sleep(5 * time.Second)
			g.do(func() { made = 0 })
			g.d.outbox.add(g.reading("Three"))
			time.Sleep(5 * time.Second)
			g.do(func() {
				if made != 1 {
					t.Errorf("after the reload the way to the server was found out %d times, want once", made)
				}
			})
		})
	})
}

// An alarm on heartbeats waits some two minutes: a daemon that is started again
// cannot wait for a check that is seldom made.
func TestHeartbeatDoesNotWaitForSeldomCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[heartbeat]\nwhile = web\n[check web]\nprobe = exec:web\ninterval = 30m\n")
		checks := 0
		g.run = func(sys.Cmd) int { checks++; return 0 }
		g.daemon(0, func() {
			time.Sleep(65 * time.Second)
			if got := g.names(); got != "Heartbeat" {
				t.Errorf("in the first minute: %q", got)
			}
			// The same of one that is changed; one that is not is not made again.
			g.do(func() { checks = 0 })
			g.d.Reload(t.Context())
			time.Sleep(time.Second)
			g.do(func() {
				if checks > 0 {
					t.Errorf("a check that was not changed was made %d times", checks)
				}
			})
			g.write(stats.AgentConfig, "[heartbeat]\nwhile = web\n[check web]\nprobe = exec:other\ninterval = 30m\n")
			g.d.Reload(t.Context())
			time.Sleep(65 * time.Second)
			if got := g.names(); !strings.HasSuffix(got, "Heartbeat") {
				t.Errorf("after the change: %q", got)
			}
		})
	})
}

// At boot the service may come after the daemon: what the heartbeat could not
// wait for is no failure.
func TestCheckThatCameEarlyIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[heartbeat]\nwhile = web\n[check web]\nprobe = exec:web\ninterval = 30m\nfailures = 1\nrestart = web\n")
		checks := 0
		g.run = func(sys.Cmd) int { checks++; return 1 }
		g.daemon(0, func() {
			time.Sleep(time.Second)
			s := g.d.Status()
			g.do(func() {
				if checks != 1 || len(g.restarted) > 0 || s.Checks[0].State != New {
					t.Errorf("after %d checks: restarted %q, status %+v", checks, g.restarted, s.Checks)
				}
			})
			time.Sleep(30 * time.Minute)
			g.do(func() {
				if checks != 2 || len(g.restarted) != 1 {
					t.Errorf("after %d checks: restarted %q", checks, g.restarted)
				}
			})
		})
	})
}

// reading is a datapoint.
func (g *guest) reading(name string) []metric.Datapoint {
	return []metric.Datapoint{{Namespace: stats.Linux, Name: name, Value: 1}}
}

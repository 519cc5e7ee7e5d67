package daemon

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// A guest whose heartbeat ends for a slip in a file is restarted: what cannot
// be read as a configuration leaves the one that there is.
func TestReloadOfBrokenFileLeavesAllAsItWas(t *testing.T) {
	const good = "[heartbeat]\nwatch = H\nwhile = web\n[check web]\nprobe = exec:web\n[job j]\nschedule = @every 1m\ncommand = j\n"
	for _, broken := range []string{"[heartbeat\nwatch = H\n", "[heartbeat]\nwatch H\n", good + "stray\n"} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuest(t, good)
			g.daemon(0, func() {
				g.write(stats.AgentConfig, broken)
				g.d.Reload(t.Context())
				s := g.d.Status()
				last := len(s.Problems) - 1
				if s.Heartbeat.Watch != "H" || len(s.Checks) != 1 || len(s.Jobs) != 1 || !slices.Contains(s.Failing(), "configuration") {
					t.Errorf("%q: status %+v", broken, s)
				}
				if last < 1 || !strings.HasSuffix(s.Problems[last], "the configuration stays as it was") {
					t.Errorf("%q: problems %q", broken, s.Problems)
				}
				g.write(stats.AgentConfig, "[heartbeat]\nwatch = I\nunknown = x\n") // the rest of which holds
				g.d.Reload(t.Context())
				if s := g.d.Status(); s.Heartbeat.Watch != "I" || len(s.Checks) > 0 || len(s.Problems) != 1 {
					t.Errorf("after %q: status %+v", broken, s)
				}
				time.Sleep(time.Second)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // at the begin there is no other
		g := newGuest(t, good+"stray\n")
		g.daemon(0, func() {
			if s := g.d.Status(); s.Heartbeat.Watch != "H" || len(s.Problems) != 1 {
				t.Errorf("begun with a broken file: status %+v", s)
			}
		})
	})
}

// A job that is changed while it runs is running still, and is not begun again
// before it has ended.
func TestStatusOfJobThatIsChangedWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[job j]\nschedule = @reboot\ncommand = old\n")
		g.takes = func(sys.Cmd) time.Duration { return time.Hour }
		g.daemon(0, func() {
			time.Sleep(time.Second)
			g.write(stats.AgentConfig, "[job j]\nschedule = @every 1m\ncommand = new\n")
			g.d.Reload(t.Context())
			if j := g.d.Status().Jobs[0]; !j.Running {
				t.Errorf("while the old one runs: %+v", j)
			}
			time.Sleep(time.Hour + 2*time.Minute)
			if j := g.d.Status().Jobs[0]; !j.Running || j.Began.IsZero() {
				t.Errorf("while the new one runs: %+v", j)
			}
		})
	})
}

// What cfn-init writes may be written after the daemon has begun: its interval
// is that of polls from the next one on, as its hooks are run from then on.
func TestIntervalOfFileThatComesLaterHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[main]\nstack = s\nresource = R\n")
		g.heat = func(string) (hup.Resource, error) {
			return hup.Resource{Status: "CREATE_COMPLETE", Metadata: document(t, `{}`)}, nil
		}
		polls := func() int {
			time.Sleep(20 * time.Minute)
			var n int
			g.do(func() { n, g.polls = len(g.polls), nil })
			return n
		}
		g.daemon(0, func() {
			if n := polls(); n != 2 {
				t.Errorf("%d polls in 20 minutes by default, want 2", n)
			}
			g.write("/etc/cfn/cfn-hup.conf", "[main]\nstack = s\ninterval = 1\n")
			polls()
			if n := polls(); n != 20 {
				t.Errorf("%d polls in 20 minutes with interval = 1, want 20", n)
			}
			g.write("/etc/cfn/cfn-hup.conf", "[main]\nstack = s\n")
			polls()
			if n := polls(); n != 2 {
				t.Errorf("%d polls in 20 minutes without an interval, want 2", n)
			}
		})
	})
}

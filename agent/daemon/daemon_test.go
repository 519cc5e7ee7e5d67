package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

const polling = "[main]\nstack = s\nresource = R\ninterval = 10m\n"

// Two hundred guests that boot together ask Heat at two hundred moments.
func TestPollsOfManyGuestsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const guests, parts = 200, 10
		begun := time.Now()
		ended := make(chan *guest)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		for n := range guests {
			g := newGuest(t, polling)
			g.d = g.newDaemon(fmt.Sprintf("%08d-2222-3333-4444-555555555555", n))
			g.d.servicesEvery = time.Hour
			go func() {
				if err := g.d.Run(ctx, func() {}); err != nil {
					t.Error(err)
				}
				ended <- g
			}()
		}
		var perPart [parts]int
		for range guests {
			g := <-ended
			if len(g.polls) != 1 {
				t.Fatalf("%d polls in an interval", len(g.polls))
			}
			for _, at := range g.polls {
				perPart[at.Sub(begun)/(10*time.Minute/parts)]++
			}
		}
		for part, n := range perPart {
			// Of 200 thrown into 10 boxes the fullest has 33 once in a thousand times.
			if n < guests/parts/2 || n > guests/parts*2 {
				t.Errorf("part %d of the interval has %d polls of %v", part, n, perPart)
			}
		}
	})
}

// The template's alarm waits for a heartbeat each minute.
func TestHeartbeatAndReadingsThatAreDueTogetherAreOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[heartbeat]\nwatch = H\n[stats]\nmetrics = mem-util\n")
		g.write("/proc/meminfo", "MemTotal: 1000 kB\nMemFree: 500 kB\nMemAvailable: 600 kB\nBuffers: 0 kB\nCached: 0 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
		g.daemon(10*time.Minute, nil)
		if got := strings.Count(g.names(), "Heartbeat"); got != 10 || g.requests != 10 {
			t.Errorf("%d heartbeats in 10 minutes, and %d requests", got, g.requests)
		}
	})
}

func TestHeartbeatPausesWhileCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[heartbeat]\nwhile = web\n[check web]\nprobe = exec:web\nreport = F\n[check other]\nprobe = exec:other\n")
		status := 0
		g.run = func(c sys.Cmd) int {
			if c.Shell == "web" {
				return status
			}
			return 1
		}
		g.daemon(0, func() {
			time.Sleep(10*time.Minute + 5*time.Second)
			if got := g.names(); strings.Count(got, "Heartbeat") < 9 || strings.Contains(got, "ServiceFailure") {
				t.Errorf("while the check passes: %s", got)
			}
			g.do(func() { status = 1 })
			time.Sleep(2 * time.Minute) // three failures in a row
			g.names()
			time.Sleep(5 * time.Minute)
			if got, want := g.names(), strings.TrimSpace(strings.Repeat("ServiceFailure ", 10)); got != want {
				t.Errorf("while the check fails: %s, want %s", got, want)
			}
			g.do(func() { status = 0 })
			time.Sleep(time.Minute)
			g.names()
			time.Sleep(3 * time.Minute)
			if got, want := g.names(), "Heartbeat Heartbeat Heartbeat"; got != want {
				t.Errorf("when the check passes again: %s, want %s", got, want)
			}
		})
	})
}

// serviceVariables are what an action is told of a service.
func serviceVariables(env []string) string {
	var values []string
	for _, v := range env {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "CFN_SERVICE") {
			values = append(values, value)
		}
	}
	return strings.Join(values, " ")
}

// A service that never comes back is restarted three times, and then left.
func TestServiceThatHangsIsRestartedWithinLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[main]\nresource = R\n[check web]\nprobe = exec:web\nrestart = httpd.service\nreport = F\n")
		g.write("/etc/cfn/hooks.conf", "[h]\ntriggers = service.restarted\npath = Resources.R.Metadata\naction = hook\n")
		var told []string
		status := 1
		g.run = func(c sys.Cmd) int {
			if c.Shell != "hook" {
				return status
			}
			told = append(told, serviceVariables(c.Env))
			return 0
		}
		g.restart = func(string) error {
			if len(g.restarted) == 2 {
				return errors.New("it did not stay up")
			}
			return nil
		}
		g.daemon(0, func() {
			time.Sleep(9*time.Minute + 10*time.Second)
			s := g.d.Status()
			if s.Checks[0].State != Left || !slices.Equal(s.Failing(), []string{"check web"}) {
				t.Errorf("status: %+v, failing %q", s.Checks, s.Failing())
			}
			pushed := strings.Count(g.names(), "ServiceFailure")
			g.do(func() {
				if len(g.restarted) != 3 {
					t.Errorf("restarted %q in 9 minutes", g.restarted)
				}
				// Each interval that finds it down is reported, and the hooks are told.
				want := "httpd started|httpd failed|httpd failed|httpd failed|httpd failed|httpd failed|httpd started|httpd failed|httpd failed|httpd limit|httpd limit"
				if got := strings.Join(told, "|"); !strings.HasPrefix(got, want) || strings.Count(got, "limit") < 6 {
					t.Errorf("hooks were told %s, want %s...", got, want)
				}
				if pushed != len(told) && pushed != len(told)-1 { // the last one may not have gone yet
					t.Errorf("%d failures pushed, and hooks told %d times", pushed, len(told))
				}
				if n := strings.Count(g.log.String(), "does not come back"); n != 1 {
					t.Errorf("it was said %d times", n)
				}
			})
			time.Sleep(time.Hour)
			g.do(func() {
				if len(g.restarted) != 3 {
					t.Errorf("restarted %q in an hour: it was not left alone", g.restarted)
				}
				status = 0
			})
			time.Sleep(time.Minute)
			if s := g.d.Status(); s.Checks[0].State != Passing {
				t.Errorf("status after it passed: %+v", s.Checks)
			}
			g.do(func() { status = 1 })
			time.Sleep(3 * time.Minute)
			g.do(func() {
				if len(g.restarted) < 4 {
					t.Errorf("restarted %q: a pass of its check clears it", g.restarted)
				}
			})
		})
	})
}

func TestHooksGoOnFromWhatIsKnownWhileHeatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, polling)
		g.d.servicesEvery = time.Hour
		g.write("/etc/cfn/hooks.conf", "[h]\ntriggers = post.add\npath = Resources.R.Metadata.v\naction = hook\n")
		away, status, runs := false, 1, 0
		g.heat = func(string) (hup.Resource, error) {
			if away {
				return hup.Resource{}, errors.New("no answer")
			}
			return hup.Resource{Status: "CREATE_COMPLETE", Metadata: document(t, `{"v": 1}`)}, nil
		}
		g.run = func(sys.Cmd) int { runs++; return status }
		g.daemon(0, func() {
			time.Sleep(10 * time.Minute)
			g.do(func() { away, status = true, 0 })
			time.Sleep(10 * time.Minute)
			s := g.d.Status()
			g.do(func() {
				if runs != 2 || s.Hooks[0].Failed || s.Metadata[0].Error != "no answer" || s.Metadata[0].Hash == "" {
					t.Errorf("%d runs, status %+v %+v", runs, s.Hooks, s.Metadata)
				}
				g.polls = nil
			})
			time.Sleep(24 * time.Hour)
			g.do(func() {
				if n := len(g.polls); n < 46 || n > 52 || runs != 2 {
					t.Errorf("Heat that is away was asked %d times in a day, want about 48, and the hook ran %d times", n, runs)
				}
			})
		})
	})
}

func TestHeartbeatsOfServerThatIsAwayAreSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "")
		answer := http.StatusOK
		g.server = func() int { return answer }
		g.daemon(0, func() {
			time.Sleep(5*time.Minute + 30*time.Second)
			g.names()
			g.do(func() { answer = refuses })
			begun := time.Now()
			time.Sleep(30 * time.Minute)
			if s := g.d.Status(); s.Heartbeat.Spooled < 28 || !s.Heartbeat.Failed {
				t.Errorf("status %+v", s.Heartbeat)
			}
			g.do(func() { answer = http.StatusOK })
			time.Sleep(2 * time.Minute)
			minutes := map[int]int{}
			g.do(func() {
				for _, p := range g.received {
					if at, err := time.Parse(time.RFC3339, p.Get("Timestamp")); err == nil {
						minutes[int(at.Sub(begun)/time.Minute)]++
					}
				}
				if len(minutes) < 29 || len(g.received) != 32 {
					t.Errorf("%d points came, in the minutes %v", len(g.received), minutes)
				}
			})
			if s := g.d.Status(); s.Heartbeat.Spooled != 0 || s.Heartbeat.Failed {
				t.Errorf("status %+v", s.Heartbeat)
			}
		})
	})
}

// A daemon that is stopped sends what waits if that goes at once.
func TestStoppedDaemonSendsWhatWaits(t *testing.T) {
	for _, answer := range []int{http.StatusOK, hangs} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuest(t, "[heartbeat]\ninterval = 1h\n")
			g.server = func() int { return answer }
			begun := time.Now()
			wait := spread(time.Hour, instanceID+" push").Next(upTime(time.Hour)).Sub(upTime(time.Hour))
			g.daemon(wait+time.Second, nil)
			if took := time.Since(begun) - wait - time.Second; took > lastChance {
				t.Errorf("it took %v to stop", took)
			}
			want, kept := "Heartbeat", 0
			if answer == hangs {
				want, kept = "", 1
			}
			spool, err := g.spool().Load()
			if got := g.names(); got != want || err != nil || len(spool.Points) != kept {
				t.Errorf("answer %d: sent %q, spool %+v, %v", answer, got, spool, err)
			}
		})
	}
}

func TestReloadRestartsOnlyWhatChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := "[job a]\nschedule = @every 1h\ncommand = a\n[job r]\nschedule = @reboot\ncommand = r\n"
		g := newGuest(t, conf+"[job b]\nschedule = @every 1h\ncommand = b\n")
		runs := map[string]int{}
		g.run = func(c sys.Cmd) int { runs[c.Shell]++; return 0 }
		g.takes = func(c sys.Cmd) time.Duration {
			if c.Shell == "r" { // it is still running when the configuration is read
				return 2 * time.Hour
			}
			return 0
		}
		g.daemon(0, func() {
			time.Sleep(2*time.Hour - time.Second)
			g.write("/etc/cfn/cfn-agent.conf", conf+"[job b]\nschedule = @every 1h\ncommand = c\n")
			g.d.Reload(t.Context())
			time.Sleep(2 * time.Hour)
			s := g.d.Status()
			if r := s.Jobs[1]; r.Name != "r" || r.Result != "ok" || r.Ended.Sub(r.Began) != 2*time.Hour {
				t.Errorf("job that was running: %+v", r)
			}
		})
		if got, want := fmt.Sprint(runs), "map[a:4 b:2 c:2 r:1]"; got != want {
			t.Errorf("runs %v, want %v", got, want)
		}
		// Another daemon of the same boot does not run it again, one of the next does.
		g.d = g.newDaemon(instanceID)
		g.daemon(time.Minute, nil)
		if runs["r"] != 1 {
			t.Errorf("@reboot ran %d times in one boot", runs["r"])
		}
		g.write("/proc/sys/kernel/random/boot_id", "another\n")
		g.d = g.newDaemon(instanceID)
		g.daemon(time.Minute, nil)
		if runs["r"] != 2 {
			t.Errorf("@reboot ran %d times in two boots", runs["r"])
		}
	})
}

// What is measured while the server is slow was measured then, and not when
// the server has time for it.
func TestDatapointsOfSlowServerHaveTheirTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[heartbeat]\ninterval = 5s\n")
		answer := hangs
		g.server = func() int { return answer }
		g.daemon(0, func() {
			time.Sleep(10 * time.Second)
			g.do(func() { answer = http.StatusOK })
			time.Sleep(50 * time.Second)
		})
		var times []time.Time
		for _, p := range g.received {
			if at, err := time.Parse(time.RFC3339, p.Get("Timestamp")); err == nil {
				times = append(times, at)
			}
		}
		slices.SortFunc(times, time.Time.Compare)
		for i := 1; i < len(times); i++ {
			if gap := times[i].Sub(times[i-1]); gap > 8*time.Second {
				t.Errorf("%v between two datapoints: %v", gap, times)
			}
		}
		if len(times) < 4 || len(g.received) < 11 {
			t.Errorf("%d datapoints, with the times %v", len(g.received), times)
		}
	})
}

// A poll that is asked for, or due, while a service of the metadata is being
// started comes after that: the next one may be an interval away.
func TestPollWaitsForServicesThatAreLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, polling)
		g.d.servicesEvery = time.Hour
		g.daemon(0, func() {
			pass := g.d.poller.begin(t.Context(), false)
			g.d.Poll(t.Context(), true)
			time.Sleep(time.Second)
			g.do(func() { g.polls = nil })
			pass.release()
			time.Sleep(time.Second)
			g.do(func() {
				if len(g.polls) != 1 {
					t.Errorf("Heat was asked %d times when the services had been looked at, want once", len(g.polls))
				}
			})
		})
	})
}

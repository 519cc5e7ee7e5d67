package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/stats"
)

// A resource whose name was wrong is not failing for ever.
func TestStatusForgetsResourceThatIsNotPolledAnyLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "[main]\nstack = s\nresource = Wrong\n")
		g.heat = func(id string) (hup.Resource, error) {
			if id == "Wrong" {
				return hup.Resource{}, errors.New("no such resource")
			}
			return hup.Resource{Status: "CREATE_COMPLETE", Metadata: document(t, `{}`)}, nil
		}
		g.daemon(0, func() {
			g.d.Poll(t.Context(), true)
			time.Sleep(time.Second)
			if got := g.d.Status().Failing(); !slices.Equal(got, []string{"metadata of Wrong"}) {
				t.Errorf("failing %q", got)
			}
			g.write(stats.AgentConfig, "[main]\nstack = s\nresource = Right\n")
			g.d.Reload(t.Context())
			time.Sleep(time.Second)
			s := g.d.Status()
			if len(s.Failing()) > 0 || len(s.Metadata) != 1 || s.Metadata[0].Resource != "Right" {
				t.Errorf("after the reload: failing %q, metadata %+v", s.Failing(), s.Metadata)
			}
		})
	})
}

// Without an alarm server nothing is to be sent; with one, what keeps it from
// being reached is a failure.
func TestServerThatCannotBeUsedIsAFailure(t *testing.T) {
	for err, failing := range map[error]bool{fmt.Errorf("%w: give --url", stats.ErrNoServer): false, errors.New("no credentials"): true} {
		synctest.Test(t, func(t *testing.T) {
			g := newGuest(t, "")
			g.d.Pusher = func(Config) (*stats.Pusher, error) { return nil, err }
			g.daemon(0, func() {
				time.Sleep(2 * time.Minute)
				s := g.d.Status()
				if got := slices.Contains(s.Failing(), "heartbeat"); got != failing || len(s.Missing) == 0 {
					t.Errorf("%v: failing %q, missing %q", err, s.Failing(), s.Missing)
				}
				var told bool
				g.do(func() {
					told = slices.ContainsFunc(g.notified, func(s string) bool { return strings.Contains(s, "failing: heartbeat") })
				})
				if told != failing {
					t.Errorf("%v: systemd was told %q", err, g.notified)
				}
			})
		})
	}
}

// What is missing is said when the daemon begins, not when it is first missed.
func TestWhatIsMissingIsSaidAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "")
		g.daemon(0, func() {
			if s := g.d.Status(); len(s.Missing) != 1 || !strings.HasPrefix(s.Missing[0], "the metadata is not polled: ") {
				t.Errorf("missing %q", s.Missing)
			}
		})
	})
}

// Of services that nobody can look at it is not known that all is well.
func TestStatusTellsOfServicesThatCannotBeLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, "")
		g.d.servicesEvery = time.Hour
		g.daemon(0, func() {
			p := g.d.poller
			p.looked(t.Context(), errors.Join(fmt.Errorf("%w httpd: no answer", hup.ErrLook), errors.New("hook h: failed")))
			if s := g.d.Status(); !slices.Equal(s.Unseen, []string{"look at service httpd: no answer"}) || !slices.Equal(s.Failing(), []string{"services"}) {
				t.Errorf("status %+v, failing %q", s, s.Failing())
			}
			p.looked(t.Context(), errors.Join(hup.ErrBusy))
			if s := g.d.Status(); len(s.Unseen) != 1 {
				t.Errorf("after a pass that was left out: %q", s.Unseen)
			}
			p.looked(t.Context(), nil)
			if s := g.d.Status(); len(s.Unseen) > 0 {
				t.Errorf("when they can be: %q", s.Unseen)
			}
		})
	})
}

// A name longer than the column ran into what was said of it.
func TestStatusIsInColumns(t *testing.T) {
	var b strings.Builder
	s := Status{Checks: []CheckStatus{{Name: "web", State: "passing"}}, Heartbeat: HeartbeatStatus{Watch: "mystack-HeartbeatAlarm", Answer: "none yet"}}
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	want := "check      web                    passing\nheartbeat  mystack-HeartbeatAlarm none yet\n"
	if !strings.Contains(b.String(), want) {
		t.Errorf("status is\n%swant it to have\n%s", b.String(), want)
	}
}

package daemon

import (
	"errors"
	"slices"
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

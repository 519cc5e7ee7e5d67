package outbox_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Two projects may have their hooks on one host, as of a chat. What one sends
// there, that is answered late or with 429, once had the other's messages wait.
func TestProjectsShareAHostAndNoFaults(t *testing.T) {
	f := func(name string, asked int, says func(ctx context.Context, w http.ResponseWriter)) {
		t.Run(name, func(t *testing.T) {
			s, host := newSite(t), newReceiver(t)
			ctx, cancel := context.WithCancel(t.Context())
			t.Cleanup(cancel)
			host.says(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/ill" {
					says(ctx, w)
				}
			})
			for i := range 100 {
				s.set(s.alarm(fmt.Sprint("ill-", i), host.URL+"/ill"), watch.Firing)
			}
			_, stop := s.start()
			eventually(t, "the host is asked as often as may be", func() bool { return len(host.all()) >= asked })
			key, r := s.set(s.define(watch.Alarm{Project: "p2", Name: "well", OnAlarm: []string{host.URL + "/well"}}), watch.Firing)[0], Row{}
			eventually(t, "the other's message ends, or is held", func() bool {
				r = s.row(key)
				return r.Status.Ended() || r.Status == Held
			})
			if r.Status != Done {
				t.Errorf("%s by %q (%s), want it to go", r.Status, r.Gate, r.Why)
			}
			// Had it waited for the places of those that are not answered, others of
			// them would have had those first.
			if got := host.all(); name == "silent" && len(got) != asked+1 {
				t.Errorf("%d requests, want %d that wait and the other's", len(got), asked)
			}
			cancel()
			stop()
		})
	}
	f("silent", 4, func(ctx context.Context, _ http.ResponseWriter) { <-ctx.Done() })
	f("busy", 5, func(_ context.Context, w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) })
}

package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// A test sends messages, marked, and leaves machines alone.
func TestActionsAreTried(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	s.command("restart", `touch "$1/ran"`, s.dir)
	s.alarm("web", rc.URL, "cfnwatch:exec:restart", "cfnwatch:exec:missing")
	o, _ := s.start()
	keys, err := o.TestAction(t.Context(), "p1", "web", "uid 0")
	if err != nil || len(keys) != 3 {
		t.Fatalf("TestAction = %q, %v", keys, err)
	}
	message, command, missing := s.ends(keys[0]), s.ends(keys[1]), s.ends(keys[2])
	if got := rc.all(); message.Status != Done || len(got) != 1 || !strings.Contains(got[0].Body, `"test":true`) || !strings.Contains(got[0].Body, "asked for by uid 0") {
		t.Errorf("%s, messages %+v", message.Status, got)
	}
	if command.Status != Refused || command.Why != "a test: every gate would let it go, and nothing was done" {
		t.Errorf("%s (%s)", command.Status, command.Why)
	}
	if missing.Status != Refused || missing.Why != "there is no section [exec missing]" {
		t.Errorf("%s (%s)", missing.Status, missing.Why)
	}
	if _, err := os.Stat(filepath.Join(s.dir, "ran")); err == nil {
		t.Error("the command ran")
	}
	if _, err := o.TestAction(t.Context(), "p1", "other", "uid 0"); !errors.Is(err, watch.ErrNotFound) {
		t.Errorf("TestAction of no alarm: %v", err)
	}
}

// What is told of a guest that is held in a storm is the whole chain.
func TestExplain(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		c.add("p1", 10)
		c.pass(5 * time.Minute)
		c.fails(c.guests[0])
		c.each(c.guests, func(g *guest) { g.cut = true })
		c.pass(5 * time.Minute)
		x, err := c.outbox.ExplainAlarm(t.Context(), "p1", "p1-0000")
		if err != nil {
			t.Fatal(err)
		}
		a := x.Alarm
		if a.State != watch.Firing || !a.Silent || !a.Overdue || a.SilentFor < 4*time.Minute || a.Allowed != silence || a.Heard.IsZero() ||
			a.Rule != "SampleCount of Heartbeat LessThanThreshold 1 over 1 × 1m0s" {
			t.Errorf("alarm %+v", a)
		}
		if len(x.Transitions) != 4 || x.Transitions[0].Summary != "Alarm updated from OK to ALARM" {
			t.Errorf("transitions %+v, want OK, ALARM, OK, ALARM", x.Transitions)
		}
		if len(x.Actions) != 2 || x.Actions[0].Status != Held || x.Actions[0].Gate != "g3" || x.Actions[1].Status != Done {
			t.Fatalf("actions %+v, want one held and one done", x.Actions)
		}
		var steps []Status
		for _, s := range x.Actions[1].Steps {
			steps = append(steps, s.Status)
		}
		if want := []Status{Looked, Acting, Acted, Verifying, Done}; !slices.Equal(steps, want) {
			t.Errorf("steps %q, want %q", steps, want)
		}
		numbers := "10 of 10 guests of all projects overdue since "
		if !strings.HasPrefix(x.Actions[0].Why, "storm in all projects: "+numbers) {
			t.Errorf("held for %q, want the storm and its numbers", x.Actions[0].Why)
		}
		if len(x.Gates) < 2 || !strings.HasPrefix(x.Gates[0].Summary+x.Gates[1].Summary, "storm: nothing rough is done: ") {
			t.Errorf("gates %+v, want the storms that hold it", x.Gates)
		}
		if len(x.Storms) != 2 || x.Storms[0].Domain != "all" || x.Storms[1].Domain != "p1" {
			t.Errorf("storms %+v", x.Storms)
		}
		if want := "cfnwatch:exec:restart is held by g3 (storm in all projects: "; !strings.HasPrefix(x.Next, want) {
			t.Errorf("next %q, want %q", x.Next, want)
		}
		y, err := c.outbox.ExplainTarget(t.Context(), "alarm/p1/p1-0000")
		if err != nil || len(y.Actions) != 2 || y.Next != x.Next {
			t.Errorf("of the target: %+v, %v", y, err)
		}
		if _, err := c.outbox.ExplainTarget(t.Context(), "nobody"); err == nil {
			t.Error("a target that nobody knows is explained")
		}
	})
}

// Somebody outside is called while all is well, and not called when it is not.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &pinged{}
		ctx, cancel := context.WithCancel(t.Context())
		var ill atomic.Bool
		done := make(chan struct{})
		a := Alive{URL: "http://alive/S3CRET", Every: time.Minute, HTTP: &http.Client{Transport: m}, Log: slog.New(slog.DiscardHandler),
			Well: func(time.Time) error {
				if ill.Load() {
					return errors.New("does not hear")
				}
				return nil
			}}
		go func() { a.Run(ctx); close(done) }()
		time.Sleep(150 * time.Second)
		synctest.Wait()
		if m.calls != 3 {
			t.Errorf("%d calls in 150 s, want 3", m.calls)
		}
		ill.Store(true)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if m.calls != 3 {
			t.Errorf("%d calls while it is not well, want no more", m.calls-3)
		}
		cancel()
		<-done
	})
}

// pinged counts calls.
type pinged struct{ calls int }

func (p *pinged) RoundTrip(req *http.Request) (*http.Response, error) {
	p.calls++
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// A server that hears little tells so, once for each such time.
func TestDeafnessIsTold(t *testing.T) {
	in(t, func(t *testing.T, c *cloud) {
		told := &desk{}
		c.with(func(o *Options) { o.Actions[Notify] = told })
		deaf := func(d time.Duration) {
			for range int(d / time.Second) {
				time.Sleep(time.Second)
				c.engine.Deaf(time.Now(), "a test")
			}
			synctest.Wait()
		}
		deaf(9 * time.Minute)
		if got := told.all(); len(got) > 0 {
			t.Fatalf("told %q after nine minutes", got)
		}
		deaf(5 * time.Minute)
		c.pass(time.Hour)
		deaf(11 * time.Minute)
		if got := told.all(); len(got) != 2 || !strings.HasPrefix(got[0], "cfn-watch: the server was deaf") {
			t.Errorf("told %q, want twice", got)
		}
	})
}

package hup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent"
	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/services"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// serve gives the guest services, by their names: up or down, or "broken",
// which cannot be started.
func (g *guest) serve(state map[string]string) (starts *[]string) {
	starts = &[]string{}
	g.pass.service = supervisor{
		running: func(_ context.Context, _ *sys.System, manager, name string) (bool, error) {
			if s, ok := state[name]; ok {
				return s == "up", nil
			}
			return false, fmt.Errorf("nothing is known of %s %s", manager, name)
		},
		start: func(_ context.Context, _ *sys.System, _, name string) error {
			*starts = append(*starts, name)
			if state[name] == "broken" {
				return errors.New("start " + name + ": it did not stay up")
			}
			state[name] = "up"
			return nil
		},
	}
	return starts
}

const told = `echo "$CFN_TRIGGER $CFN_RESOURCE $CFN_SERVICE $CFN_SERVICE_RESULT" >>"$OUT"`

const withServices = `{"AWS::CloudFormation::Init": {"config": {"services": {"systemd": {
	"httpd": {"enabled": "true", "ensureRunning": "true"}, "off": {"ensureRunning": "false"}, "any": {"enabled": "true"}}}}}}`

// heat-cfntools fired service.restarted without telling whether the start had
// worked.
func TestServiceThatIsDownIsStartedAndHooksAreTold(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told), on(t, "other", "service.restarted", "S.Metadata", told), on(t, "u", "post.update", "R.Metadata", told))
	g.tell("R", withServices)
	g.tell("S", `{}`)
	state := map[string]string{"httpd": "up"}
	starts := g.serve(state)
	if got := g.run(); got != "" || len(*starts) > 0 {
		t.Errorf("service runs: told %q, started %q", got, *starts)
	}
	state["httpd"] = "down"
	if got, want := g.run(), "service.restarted R httpd started"; got != want || len(*starts) != 1 {
		t.Errorf("service was down: told %q, started %q, want %q", got, *starts, want)
	}
	if got := g.run(); got != "" {
		t.Errorf("service runs again: told %q", got)
	}
	state["httpd"] = "broken"
	if got, want := g.run(), "service.restarted R httpd failed"; got != want {
		t.Errorf("service cannot be started: told %q, want %q", got, want)
	}
}

// While cfn-init applies the metadata its services are not all that they are to
// be: it may have installed one and not configured it yet. To start it then is
// to run what nobody asked for, and to tell the hooks is to call a guest that
// boots a broken one.
func TestServicesAreLeftToRunningInit(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told))
	g.tell("R", withServices)
	state := map[string]string{"httpd": "down"}
	starts := g.serve(state)
	held, err := lock.Try(g.pass.System.Path(agent.LockPath))
	if err != nil {
		t.Fatal(err)
	}
	if got := g.run(); got != "" || len(*starts) > 0 {
		t.Errorf("while cfn-init runs: told %q, started %q", got, *starts)
	}
	began := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(g.pass.System.Path(agent.LockPath), began, began); err != nil {
		t.Fatal(err)
	}
	if got, want := g.run(), "service.restarted R httpd started"; got != want || len(*starts) != 1 {
		t.Errorf("when it hangs since %v: told %q, started %q, want %q", began, got, *starts, want)
	}
	if err := held.Release(); err != nil {
		t.Fatal(err)
	}
	state["httpd"] = "down"
	if got, want := g.run(), "service.restarted R httpd started"; got != want || len(*starts) != 2 {
		t.Errorf("when it has ended: told %q, started %q, want %q", got, *starts, want)
	}
}

// The alarms of old templates count these events, more than 2 in 300 s: one
// event for a service that stays down would never reach it.
func TestHooksAreToldAtEveryPassThatFindsServiceDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told))
		g.tell("R", withServices)
		state := map[string]string{"httpd": "broken"}
		starts := g.serve(state)
		var results []string
		g.pass.System.Run = func(_ context.Context, c sys.Cmd) (sys.Result, error) {
			for _, v := range c.Env {
				if v, ok := strings.CutPrefix(v, "CFN_SERVICE_RESULT="); ok {
					results = append(results, v)
				}
			}
			return sys.Result{}, nil
		}
		pass := func(times int) {
			for range times {
				g.run()
				time.Sleep(time.Minute)
			}
		}
		pass(12)
		if got, want := strings.Join(results, " "), "failed failed failed limit limit limit limit limit limit limit failed failed"; got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		if got := strings.Count(g.log.String(), "does not stay up: it is not started again"); got != 1 {
			t.Errorf("the limit was said %d times", got)
		}
		// Something else has started it: the count begins anew.
		state["httpd"] = "up"
		pass(1)
		state["httpd"], results, *starts = "broken", nil, nil
		pass(4)
		if got, want := strings.Join(results, " "), "failed failed failed limit"; got != want || len(*starts) != 3 {
			t.Errorf("told %s, started %d times, want %s", got, len(*starts), want)
		}
	})
}

// heat-cfntools looked at the config named config alone.
func TestServicesOfAllConfigsOfDefaultSet(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told))
	g.tell("R", `{"AWS::CloudFormation::Init": {"configSets": {"default": ["one", {"ConfigSet": "more"}], "more": ["two", "bad", "three"], "never": ["four"]},
		"one": {"services": {"sysvinit": {"a": {"ensureRunning": true}, "b": {"ensureRunning": true}}}},
		"two": {"services": {"systemd": {"c.timer": {"ensureRunning": 1}}, "windows": {"w": {"ensureRunning": true}}}},
		"bad": {"services": []},
		"three": {"services": {"systemd": {"b": {"ensureRunning": false}}}},
		"four": {"services": {"systemd": {"d": {"ensureRunning": true}}}}}}`)
	starts := g.serve(map[string]string{"a": "down", "b": "down", "c.timer": "down", "d": "down", "w": "down"})
	if got, want := g.run(), "service.restarted R a started|service.restarted R c.timer started"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(*starts), "[a c.timer]"; got != want {
		t.Errorf("started %s, want %s", got, want)
	}
}

// An update is applied before the services that it brings are looked at.
func TestServicesAreLookedAtAfterHooks(t *testing.T) {
	g := newGuest(t, on(t, "s", "service.restarted", "R.Metadata", told), on(t, "u", "post.add", "R.Metadata", told))
	g.tell("R", withServices)
	g.serve(map[string]string{"httpd": "down"})
	if got, want := g.run(), "post.add R  |service.restarted R httpd started"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

func TestServicesAreKeptAliveWithoutHeat(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told))
	g.applied("R", withServices)
	state := map[string]string{"httpd": "down"}
	g.serve(state)
	if got, want := g.runFails("Heat does not tell of R"), "service.restarted R httpd started"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	// While an update is under way what it brings is not there yet.
	state["httpd"] = "down"
	g.heat["R"] = Resource{Status: "UPDATE_IN_PROGRESS", Metadata: document(t, strings.ReplaceAll(withServices, "httpd", "nginx"))}
	if got, want := g.run(), "service.restarted R httpd started"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	state["httpd"] = "down"
	g.heat["R"] = Resource{Status: "DELETE_COMPLETE", Metadata: document(t, withServices)}
	if got := g.run(); got != "" {
		t.Errorf("deleted: told %q", got)
	}
}

func TestKilledAfterStartTellsHooksLater(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told))
	g.tell("R", withServices)
	state := map[string]string{"httpd": "down"}
	g.serve(state)
	ctx, cancel := context.WithCancel(t.Context())
	start := g.pass.service.start
	g.pass.service.start = func(ctx context.Context, s *sys.System, manager, name string) error {
		cancel()
		return start(ctx, s, manager, name)
	}
	if err := g.pass.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
	if got := g.wrote(); got != "" || state["httpd"] != "up" {
		t.Errorf("the pass that was stopped told %q, service is %s", got, state["httpd"])
	}
	g.pass.service.start = start
	if got, want := g.run(), "service.restarted R httpd started"; got != want {
		t.Errorf("next pass told %q, want %q", got, want)
	}
	if got := g.run(); got != "" {
		t.Errorf("then told %q", got)
	}
}

func TestServiceManagerThatDoesNotAnswerIsNoServiceDown(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told))
	g.tell("R", withServices)
	starts := g.serve(nil)
	if got := g.runFails("look at service httpd: nothing is known of systemd httpd"); got != "" || len(*starts) > 0 {
		t.Errorf("told %q, started %q", got, *starts)
	}
	// Below another root nothing can run.
	g.pass.service = supervisor{}
	if _, err := services.Running(t.Context(), g.pass.System, "systemd", "httpd"); !errors.Is(err, services.ErrNothingRuns) {
		t.Errorf("Running below %s = %v, want %v", g.root, err, services.ErrNothingRuns)
	}
	if got := g.run(); got != "" {
		t.Errorf("below another root: told %q", got)
	}
}

// A daemon looks at the services between two polls, and something else may
// keep some of them alive.
func TestServicesAloneAskHeatForNothing(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told), on(t, "u", "post.add,post.update", "R.Metadata", told))
	g.applied("R", withServices)
	state := map[string]string{"httpd": "down"}
	starts := g.serve(state)
	services := func() string {
		t.Helper()
		if err := g.pass.Services(t.Context()); err != nil {
			t.Errorf("Services: %v", err)
		}
		return g.wrote()
	}
	if got, want := services(), "service.restarted R httpd started"; got != want || len(g.asked) > 0 {
		t.Errorf("told %q, want %q, and asked for %q", got, want, g.asked)
	}
	state["httpd"] = "down"
	g.pass.Except = []string{"httpd.service"}
	if got := services(); got != "" || len(*starts) != 1 {
		t.Errorf("service that is left to others: told %q, started %q", got, *starts)
	}
}

func TestTellIsForTheResource(t *testing.T) {
	g := newGuest(t, on(t, "h", "service.restarted", "R.Metadata", told), on(t, "s", "service.restarted", "S.Metadata", told), on(t, "u", "post.add", "R.Metadata", told))
	tell := func() string {
		t.Helper()
		if err := g.pass.Tell(t.Context(), "httpd", Limit); err != nil {
			t.Errorf("Tell: %v", err)
		}
		return g.wrote()
	}
	if got, want := tell(), "service.restarted R httpd limit|service.restarted S httpd limit"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if list, err := g.pass.Memory.Status(g.statePath(), g.pass.Config.Hooks); err != nil || list[0].Event != "service.restarted" || list[0].Failing || list[2].Event != "" {
		t.Errorf("Status: %+v, %v", list, err)
	}
	g.pass.Config.Hooks[1].Action += "; exit 3"
	if err := g.pass.Tell(t.Context(), "httpd", Limit); err == nil {
		t.Error("an action failed, and Tell returned no error")
	}
	g.wrote()
	if list, err := g.pass.Memory.Status(g.statePath(), g.pass.Config.Hooks); err != nil || list[0].Failing || !list[1].Failing || !strings.HasSuffix(list[1].Error, "exit status 3") {
		t.Errorf("Status: %+v, %v", list, err)
	}
	g.pass.Config.Hooks[1].Action = told
	g.pass.Resource = "S"
	if got, want := tell(), "service.restarted S httpd limit"; got != want || len(g.asked) > 0 {
		t.Errorf("told %q, want %q, and asked for %q", got, want, g.asked)
	}
}

// A daemon polls a resource that no hook names, for the services of its
// metadata; and tells which are left alone.
func TestResourceWithoutHook(t *testing.T) {
	g := newGuest(t)
	g.pass.Resource = "R"
	g.tell("R", withServices)
	starts := g.serve(map[string]string{"httpd": "broken"})
	for range 5 {
		g.run()
	}
	left, err := g.pass.Memory.LeftAlone(g.statePath(), g.pass.resources())
	if len(*starts) != 3 || err != nil || fmt.Sprint(left) != "[R|httpd]" {
		t.Errorf("started %q, left alone %q, %v", *starts, left, err)
	}
	if last, ok := g.pass.Cache.Last(""); !ok || string(last.Bytes()) == "" {
		t.Errorf("the metadata was not kept as the last: %s", last.Bytes())
	}
}

// A service that an update takes away, or that something else keeps alive from
// then on, is not told of as left alone for ever.
func TestServiceThatIsNotWatchedAnyLongerIsForgotten(t *testing.T) {
	for name, change := range map[string]func(*guest){
		"taken away":          func(g *guest) { g.tell("R", `{"AWS::CloudFormation::Init": {"config": {}}}`) },
		"no metadata for it":  func(g *guest) { g.tell("R", `{}`) },
		"is left to others":   func(g *guest) { g.pass.Except = []string{"httpd.service"} },
		"resource is deleted": func(g *guest) { g.heat["R"] = Resource{Status: "DELETE_COMPLETE"} },
		"another resource":    func(g *guest) { g.pass.Resource = "S"; g.tell("S", `{}`) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t)
			g.pass.Resource = "R"
			g.tell("R", withServices)
			g.serve(map[string]string{"httpd": "broken"})
			for range 4 {
				g.run()
			}
			change(g)
			g.run()
			if left, err := g.pass.Memory.LeftAlone(g.statePath(), g.pass.resources()); err != nil || len(left) > 0 {
				t.Errorf("left alone: %q, %v", left, err)
			}
		})
	}
	t.Run("cannot be read", func(t *testing.T) { // what was known stays
		g := newGuest(t)
		g.pass.Resource = "R"
		g.tell("R", withServices)
		g.serve(map[string]string{"httpd": "broken"})
		for range 4 {
			g.run()
		}
		delete(g.heat, "R")
		g.runFails("Heat does not tell of R")
		if left, err := g.pass.Memory.LeftAlone(g.statePath(), g.pass.resources()); err != nil || len(left) != 1 {
			t.Errorf("left alone: %q, %v", left, err)
		}
	})
}

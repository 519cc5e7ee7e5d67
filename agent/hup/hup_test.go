package hup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
)

const all = "post.add,post.update,post.remove"

func TestPass(t *testing.T) {
	g := newGuest(t,
		on(t, "any", all, "R.Metadata.a", say),
		on(t, "update", "post.update", "R.Metadata.a", say),
		on(t, "whole", "post.update", "R.Metadata", say),
	)
	steps := []struct{ metadata, want string }{
		{`{"a": 1}`, "any post.add"},
		{`{"a": 1}`, ""},
		{`{"b": 0, "a": 1.0}`, "whole post.update"},
		{`{"a": 1, "b": 0}`, ""},
		{`{"a": 2, "b": 0}`, "any post.update|update post.update|whole post.update"},
		{`{"a": null, "b": 0}`, "any post.remove|whole post.update"},
		{`{"b": 0}`, "whole post.update"},
		{`{"a": {}, "b": 0}`, "any post.add|whole post.update"},
	}
	for i, step := range steps {
		g.tell("R", step.metadata)
		if got := g.run(); got != step.want {
			t.Errorf("step %d, %s: %q, want %q", i, step.metadata, got, step.want)
		}
	}
}

// Both old tools take what they see first for the last value: an update that
// came between cfn-init and the first pass was lost.
func TestFirstPassComparesWithWhatCfnInitApplied(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata.a", say))
	g.applied("R", `{"a": 1}`)
	g.tell("R", `{"a": 2}`)
	if got, want := g.run(), "h post.update"; got != want {
		t.Errorf("first pass: %q, want %q", got, want)
	}
	if got := g.run(); got != "" {
		t.Errorf("second pass: %q", got)
	}
	if last, ok := g.pass.Cache.Last("R"); !ok || string(last.Bytes()) != `{"a":2}` {
		t.Errorf("last metadata = %s, %v", last.Bytes(), ok)
	}
}

// What was applied is known from the state before the cache has what is new.
func TestKillBeforeFirstActionLosesNoUpdate(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata.a", say))
	g.applied("R", `{"a": 1}`)
	g.tell("R", `{"a": 2}`)
	r, err := g.pass.begin(t.Context(), []string{"R"})
	if err != nil {
		t.Fatal(err)
	}
	r.lock.Release() // as the kernel does when it is killed
	if got, want := g.run(), "h post.update"; got != want {
		t.Errorf("next pass: %q, want %q", got, want)
	}
}

// heat-cfntools compared each resource with the last metadata of any: with two
// of them every pass found a change.
func TestTwoResourcesAreNotTakenForEachOther(t *testing.T) {
	g := newGuest(t, on(t, "r", all, "R.Metadata", say), on(t, "s", all, "S.Metadata", say))
	g.applied("S", `{"s": 0}`)
	g.applied("R", `{"r": 1}`)
	g.tell("R", `{"r": 1}`)
	g.tell("S", `{"s": 1}`)
	if got, want := g.run(), "s post.update"; got != want {
		t.Errorf("first pass: %q, want %q", got, want)
	}
	for range 3 {
		if got := g.run(); got != "" {
			t.Errorf("further pass: %q", got)
		}
	}
	// A bare cfn-init reads the last metadata of any.
	if data, err := os.ReadFile(filepath.Join(g.pass.Cache.Dir, "last_metadata")); err != nil || string(data) != `{"r":1}` {
		t.Errorf("last_metadata = %s, %v", data, err)
	}
}

func TestOneQuestionForEachResource(t *testing.T) {
	g := newGuest(t, on(t, "1", all, "R.Metadata", say), on(t, "2", all, "S.Metadata.x", say), on(t, "3", all, "R.PhysicalResourceId", say), on(t, "4", all, "R", say))
	g.tell("R", `{}`)
	g.tell("S", `{}`)
	g.run()
	if want := []string{"R", "S"}; !reflect.DeepEqual(g.asked, want) {
		t.Errorf("asked for %q, want %q", g.asked, want)
	}
}

func TestStatus(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata.a", say))
	step := func(status, metadata, want string) {
		t.Helper()
		g.heat["R"] = Resource{Status: status, Metadata: document(t, metadata)}
		if got := g.run(); got != want {
			t.Errorf("%s, %s: %q, want %q", status, metadata, got, want)
		}
	}
	step("CREATE_IN_PROGRESS", `{"a": 1}`, "")
	step("CREATE_COMPLETE", `{"a": 1}`, "h post.add")
	step("UPDATE_IN_PROGRESS", `{"a": 2}`, "")
	step("UPDATE_FAILED", `{"a": 2}`, "h post.update")
	step("DELETE_IN_PROGRESS", `{"a": 2}`, "")
	step("DELETE_COMPLETE", `{"a": 2}`, "h post.remove")
	step("DELETE_COMPLETE", `{"a": 2}`, "")
}

// An error that Heat gives ended heat-cfntools with a traceback.
func TestResourceThatHeatDoesNotTellOfKeepsNothingElse(t *testing.T) {
	g := newGuest(t, on(t, "gone", all, "Gone.Metadata", say), on(t, "h", all, "R.Metadata", say))
	g.tell("R", `{}`)
	if got, want := g.runFails("Heat does not tell of Gone"), "h post.add"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}

// heat-cfntools coped with metadata that are null, or have no
// AWS::CloudFormation::Init, by luck.
func TestMetadataWithoutInit(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata", say))
	g.heat["R"] = Resource{Status: "CREATE_COMPLETE"}
	if got := g.run(); got != "" {
		t.Errorf("without metadata: %q", got)
	}
	for _, text := range []string{`{}`, `{"x": null}`, `{"AWS::CloudFormation::Init": null}`, `{"AWS::CloudFormation::Init": []}`, `{"AWS::CloudFormation::Init": {"config": {"services": 7}}}`} {
		g.tell("R", text)
		if got := g.run(); !strings.HasPrefix(got, "h post.") {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// heat-cfntools took no lock: passes of cron raced each other.
func TestPassesDoNotOverlap(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata", say))
	g.tell("R", `{}`)
	var within error
	g.pass.System.Run = func(ctx context.Context, c sys.Cmd) (sys.Result, error) {
		other := *g.pass
		within = other.Run(ctx)
		return sys.Exec(ctx, c)
	}
	if got, want := g.run(), "h post.add"; got != want || !errors.Is(within, ErrBusy) {
		t.Errorf("ran %q, and within it %v, want %q and %v", got, within, want, ErrBusy)
	}
	g.tell("R", `{"a": 1}`)
	if got, want := g.run(), "h post.update"; got != want {
		t.Errorf("afterwards %q, want %q", got, want)
	}
}

func TestTrigger(t *testing.T) {
	g := newGuest(t, on(t, "h", "post.update", "R.Metadata.a", say+`; echo "$CFN_OLD_METADATA $CFN_NEW_METADATA" >>"$OUT"`), on(t, "other", all, "S.Metadata", say))
	g.applied("R", `{"a": 1}`)
	g.tell("R", `{"a": 2}`)
	if err := g.pass.Trigger(t.Context(), "h"); err != nil {
		t.Errorf("Trigger: %v", err)
	}
	if got, want := g.wrote(), "h manual|1 2"; got != want {
		t.Errorf("Trigger wrote %q, want %q", got, want)
	}
	if want := []string{"R"}; !reflect.DeepEqual(g.asked, want) {
		t.Errorf("asked for %q, want %q", g.asked, want)
	}
	g.tell("S", `{}`)
	if got, want := g.run(), "other post.add"; got != want {
		t.Errorf("the pass after it: %q, want %q", got, want)
	}
	if err := g.pass.Trigger(t.Context(), "none"); err == nil || err.Error() != `there is no hook "none": the hooks are h, other` {
		t.Errorf("unknown hook: %v", err)
	}
	delete(g.heat, "R")
	if err := g.pass.Trigger(t.Context(), "h"); err == nil || !strings.Contains(err.Error(), "nothing certain is known of resource R") {
		t.Errorf("without Heat: %v", err)
	}
}

func TestStateIsPrivateAndHasKeysOfAWS(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata.a", say))
	path := g.statePath()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	// As aws-cfn-bootstrap leaves it.
	if err := os.WriteFile(path, []byte(`{"h|Resources.R.Metadata.a": {"x": 1}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g.tell("R", `{"a": {"x": 1}}`)
	if got := g.run(); got != "" {
		t.Errorf("ran %q", got)
	}
	g.tell("R", `{"a": {"x": 2}}`)
	if got, want := g.run(), "h post.update"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
	data, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(data), `{"h|Resources.R.Metadata.a":{"x":2},"|hooks":`) {
		t.Errorf("state = %s, %v", data, err)
	}
	for path, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, %v, want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

func TestDamagedStateIsSaidAndReplaced(t *testing.T) {
	for i, text := range []string{"", "{", "null", "[]", `{"|hooks": 7}`, `{"|services": {"x": 7}}`} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			g := newGuest(t, on(t, "h", all, "R.Metadata.a", say))
			if err := os.MkdirAll(filepath.Dir(g.statePath()), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(g.statePath(), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			g.applied("R", `{"a": 1}`)
			g.tell("R", `{"a": 2}`)
			if got, want := g.run(), "h post.update"; got != want {
				t.Errorf("ran %q, want %q", got, want)
			}
			if got := g.run(); got != "" {
				t.Errorf("then ran %q", got)
			}
		})
	}
	if _, err := (*Memory)(nil).Status(t.TempDir()+"/none", []hooks.Hook{{Name: "h"}}); err != nil {
		t.Errorf("Status without a state: %v", err)
	}
}

func FuzzState(f *testing.F) {
	f.Add(`{"h|p": null, "|hooks": {"h|p": {"failures": 1, "next": "2026-01-01T00:00:00Z"}}, "|services": null}`)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "state")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, damage := (*Memory)(nil).load(path)
		s.set("h|p", nil)
		s.setHook("h|p", hookState{Failures: 1})
		s.setService("R|s", serviceState{})
		if err := s.save(); err != nil {
			t.Fatalf("%q (%v): %v", text, damage, err)
		}
		if _, err := (*Memory)(nil).load(path); err != nil {
			t.Errorf("%q: what was saved cannot be read: %v", text, err)
		}
	})
}

package agent

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/commands"
	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/services"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// newRun is a run on a machine in a directory, which it returns too.
func newRun(t *testing.T) (*Run, string) {
	t.Helper()
	root := t.TempDir()
	return &Run{
		System: &sys.System{
			Root: root, Run: sys.Exec, Log: slog.New(slog.DiscardHandler),
			Environ: []string{"PATH=/usr/bin:/bin", "ROOT=" + root},
		},
		Fetch: &fetch.Client{HTTP: http.DefaultClient},
	}, root
}

func configs(t *testing.T, section string) []metadata.Config {
	t.Helper()
	d, err := metadata.Parse([]byte(`{"AWS::CloudFormation::Init": ` + section + `}`))
	if err != nil {
		t.Fatal(err)
	}
	i, err := d.Init()
	if err != nil {
		t.Fatal(err)
	}
	list, err := i.Select("")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// The order that AWS documents, whatever the order in the document; within a
// section by name, and commands by the bytes of their names.
func TestOrderOfSections(t *testing.T) {
	r, _ := newRun(t)
	list := configs(t, `{"config": {
		"services": {"systemd": {"z": {}, "a": {}}},
		"commands": {"2": {"command": "x"}, "10": {"command": "x"}, "B": {"command": "x"}, "a": {"command": "x"}},
		"files": {"/b": {"content": ""}, "/a": {"content": ""}},
		"sources": {"/s": "http://h/s.tgz"},
		"users": {"v": {}, "u": {}},
		"groups": {"h": {}, "g": {}},
		"packages": {"zypper": {"p": []}, "yum": {"p": []}, "rpm": {"p": "http://h/p.rpm"}}
	}}`)
	var got []string
	for _, s := range r.steps(0, list[0], &changes{}) {
		got = append(got, s.path)
	}
	want := []string{
		"config.packages.rpm", "config.packages.yum", "config.packages.zypper",
		"config.groups.g", "config.groups.h", "config.users.u", "config.users.v",
		`config.sources["/s"]`, `config.files["/a"]`, `config.files["/b"]`,
		"config.commands.10", "config.commands.2", "config.commands.B", "config.commands.a",
		"config.services.systemd.z", "config.services.systemd.a",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("steps = %q\nwant    %q", got, want)
	}
}

func TestApplyStopsAtFailingCommand(t *testing.T) {
	r, root := newRun(t)
	items, err := r.Apply(t.Context(), configs(t, `{"config": {"commands": {
		"a": {"command": "touch $ROOT/a"}, "b": {"command": "exit 5"}, "c": {"command": "touch $ROOT/c"}}}}`))
	failed, ok := errors.AsType[*commands.FailedError](err)
	if !ok || failed.Status != 5 || !strings.HasPrefix(err.Error(), "config.commands.b: ") {
		t.Errorf("Apply = %v, want status 5 at config.commands.b", err)
	}
	if _, err := os.Stat(filepath.Join(root, "a")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(root, "c")); err == nil {
		t.Error("the command after the failing one ran")
	}
	if len(items) != 2 || *items[1].ExitCode != 5 || items[1].Error == "" {
		t.Errorf("items = %+v", items)
	}
}

// Of a run whose time ran out in a download it was only said that it had.
func TestWhatTheTimeRanOutOnIsSaid(t *testing.T) {
	r, _ := newRun(t)
	r.Fetch.Retry = retry.Policy{First: time.Hour, Tries: 2}
	for _, section := range []string{`"files": {"/f": {"source": "http://127.0.0.1:1/f"}}`, `"sources": {"/s": "http://127.0.0.1:1/f"}`} {
		list := configs(t, `{"config": {`+section+`}}`)
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 8*time.Second, errors.New("timed out after 8s"))
			defer cancel()
			_, err := r.Apply(ctx, list)
			const want = "get http://127.0.0.1:1/f: dial tcp 127.0.0.1:1: connect: connection refused; gave up: timed out after 8s"
			if err == nil || !strings.HasSuffix(err.Error(), ": "+want) {
				t.Errorf("Apply of %s = %v, want %s", section, err, want)
			}
		})
	}
}

func TestApplyStrictFailsWhereItWouldBeDegraded(t *testing.T) {
	list := configs(t, `{"config": {"packages": {"nix": {"x": []}}, "files": {"/f": {"content": ""}}}}`)
	r, _ := newRun(t)
	items, err := r.Apply(t.Context(), list)
	if err != nil || len(items) != 2 || items[0].Degraded == "" {
		t.Fatalf("Apply = %+v, %v, want a degraded package and a file", items, err)
	}
	r, root := newRun(t)
	r.Strict = true
	_, err = r.Apply(t.Context(), list)
	if _, ok := errors.AsType[*DegradedError](err); !ok || !strings.HasPrefix(err.Error(), "config.packages.nix.x: ") {
		t.Errorf("strict Apply = %v, want a DegradedError with its path", err)
	}
	if _, err := os.Stat(filepath.Join(root, "f")); err == nil {
		t.Error("the run went on")
	}
}

// A config may stand twice in a set: then it is applied twice.
func TestApplyConfigTwice(t *testing.T) {
	r, root := newRun(t)
	j, err := NewJournal(filepath.Join(root, "state/journal"), Plan{})
	if err != nil {
		t.Fatal(err)
	}
	r.Journal = j
	_, err = r.Apply(t.Context(), configs(t, `{"configSets": {"default": ["c", "c"]}, "c": {"commands": {"x": {"command": "echo x >>$ROOT/log"}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(filepath.Join(root, "log")); string(data) != "x\nx\n" {
		t.Errorf("log = %q, want the command twice", data)
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	r, _ := newRun(t)
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	if _, err := r.Apply(ctx, configs(t, `{"config": {"files": {"/f": {"content": ""}}}}`)); !errors.Is(err, cause) {
		t.Errorf("Apply = %v, want the cause", err)
	}
}

// What changed is told to the services of the same config alone, and which
// services an item made restart is noted at the item. A unit file is told of
// once, to whichever service comes next.
func TestChangesReachServicesOfTheirConfig(t *testing.T) {
	c := &changes{perConfig: make([]services.Changed, 2)}
	file := step{section: sectionFiles}
	c.note(file, []Item{{Name: "/etc/x", trigger: true}, {Name: "/etc/mode-only"}})
	c.note(file, []Item{{Name: "/etc/systemd/system/x.service", trigger: true}})
	c.note(step{section: sectionPackages, manager: "yum"}, []Item{{Name: "p", trigger: true}})
	want := services.Changed{
		Files:     []string{"/etc/x", "/etc/systemd/system/x.service"},
		Packages:  map[string][]string{"yum": {"p"}},
		UnitFiles: true,
	}
	if got := c.forService(1); !reflect.DeepEqual(got, services.Changed{UnitFiles: true}) {
		t.Errorf("the other config is told %+v", got)
	}
	want.UnitFiles = false
	if got := c.forService(0); !reflect.DeepEqual(got, want) {
		t.Errorf("the config is told %+v, want %+v", got, want)
	}

	items := []Item{
		{Section: "files", Name: "/etc/x", trigger: true},
		{Section: "commands", Name: "/etc/x", trigger: true},
		{Section: "files", Name: "/etc/y", trigger: true},
	}
	noteRestarts(items, []Item{{Name: "web", causes: []string{`files "/etc/x"`}}})
	if !slices.Equal(items[0].Restarts, []string{"web"}) || items[1].Restarts != nil || items[2].Restarts != nil {
		t.Errorf("restarts = %+v", items)
	}
}

func TestReportOutcomes(t *testing.T) {
	f := func(items []Item, err error, outcome, summary string) {
		t.Helper()
		var r Report
		r.Finish(items, err, sys.NewMask([]string{"secret-value"}))
		if r.Outcome != outcome || r.Summary() != summary || strings.Contains(string(r.JSON()), "secret-value") {
			t.Errorf("report = %s, %q, want %s, %q:\n%s", r.Outcome, r.Summary(), outcome, summary, r.JSON())
		}
	}
	changed := Item{Changed: true}
	f(nil, nil, Success, "0 items, 0 changed")
	f([]Item{changed}, nil, Success, "1 item, 1 changed")
	f([]Item{changed, {}, {Degraded: "x"}}, nil, Degraded, "3 items, 1 changed, 1 degraded")
	f([]Item{changed, {Changed: true, Resumed: true}}, errors.New("secret-value"), Failed, "2 items, 1 changed")
	f(nil, &metadata.PathError{Path: "p", Err: commands.ErrReboot}, Reboot, "0 items, 0 changed")
}

// A dry run makes no group, so that it must know which ones would be there
// when the users' turn comes: those of earlier configs too.
func TestDryRunForeseesGroupsOfTheSameRun(t *testing.T) {
	r, _ := newRun(t)
	r.System.DryRun = true
	items, err := r.Apply(t.Context(), configs(t, `{"configSets": {"default": ["a", "b"]},
		"a": {"groups": {"g": {}}, "users": {"u": {"groups": ["g"]}}},
		"b": {"users": {"v": {"groups": ["g", "u"]}, "w": {"groups": ["absent"]}}}}`))
	if err != nil || len(items) != 4 {
		t.Fatalf("Apply = %+v, %v, want 4 items", items, err)
	}
	for _, item := range items {
		if (item.Degraded != "") != (item.Name == "w") {
			t.Errorf("%s: degraded %q", item.Path, item.Degraded)
		}
	}
}

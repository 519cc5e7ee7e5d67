package hup

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A guest is a machine with hooks, and the Heat that it asks. Actions append
// to the file $OUT.
type guest struct {
	t     *testing.T
	root  string
	pass  *Pass
	heat  map[string]Resource
	asked []string // resources, in order
	log   bytes.Buffer
}

func newGuest(t *testing.T, list ...hooks.Hook) *guest {
	t.Helper()
	g := &guest{t: t, root: t.TempDir(), heat: map[string]Resource{}}
	g.pass = &Pass{
		Config: hooks.Config{Stack: "stack", Interval: time.Minute, Hooks: list},
		System: &sys.System{
			Root: g.root, Run: sys.Exec, Log: slog.New(slog.NewTextHandler(&g.log, nil)),
			Environ: []string{"PATH=" + os.Getenv("PATH"), "OUT=" + filepath.Join(g.root, "out")},
		},
		Cache: metadata.Cache{Dir: filepath.Join(g.root, "cache")},
		Describe: func(_ context.Context, id string) (Resource, error) {
			g.asked = append(g.asked, id)
			r, ok := g.heat[id]
			if !ok {
				return r, errors.New("Heat does not tell of " + id)
			}
			return r, nil
		},
	}
	return g
}

// on makes a hook; path is what follows Resources.
func on(t *testing.T, name, triggers, path, action string) hooks.Hook {
	t.Helper()
	h := hooks.Hook{Name: name, Path: "Resources." + path, Action: action, Triggers: strings.Split(triggers, ","), Timeout: time.Minute}
	var err error
	if h.Target, err = hooks.ParsePath(h.Path); err != nil {
		t.Fatal(err)
	}
	return h
}

func document(t *testing.T, text string) metadata.Document {
	t.Helper()
	d, err := metadata.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// tell sets what Heat has for a resource.
func (g *guest) tell(id, text string) {
	g.t.Helper()
	g.heat[id] = Resource{Status: "UPDATE_COMPLETE", Metadata: document(g.t, text)}
}

// applied is what cfn-init has left in the cache.
func (g *guest) applied(id, text string) {
	g.t.Helper()
	if err := g.pass.Cache.Save(document(g.t, text), id); err != nil {
		g.t.Fatal(err)
	}
}

// run makes a pass, and returns what its actions wrote.
func (g *guest) run() string {
	g.t.Helper()
	if err := g.pass.Run(g.t.Context()); err != nil {
		g.t.Errorf("Run: %v", err)
	}
	return g.wrote()
}

// runFails is run for a pass with an error that holds a text.
func (g *guest) runFails(want string) string {
	g.t.Helper()
	if err := g.pass.Run(g.t.Context()); err == nil || !strings.Contains(err.Error(), want) {
		g.t.Errorf("Run: %v, want an error with %q", err, want)
	}
	return g.wrote()
}

// wrote is what the actions wrote since it was last asked, lines parted by |.
func (g *guest) wrote() string {
	path := filepath.Join(g.root, "out")
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		g.t.Fatal(err)
	}
	os.Remove(path)
	return strings.ReplaceAll(strings.TrimSpace(string(data)), "\n", "|")
}

func (g *guest) statePath() string { return g.pass.System.Path(StatePath) }

func (g *guest) state() *state {
	g.t.Helper()
	s, err := (*Memory)(nil).load(g.statePath())
	if err != nil {
		g.t.Fatal(err)
	}
	return s
}

// say is an action that writes which hook fires and why.
const say = `echo "$CFN_HOOK $CFN_TRIGGER" >>"$OUT"`

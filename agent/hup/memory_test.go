package hup

import (
	"errors"
	"os"
	"testing"
)

// fill has nothing be written where the state is, as on a full disk, until
// free is called: in place of the directory is a file, which even root cannot
// write into.
func (g *guest) fill() (free func()) {
	g.t.Helper()
	dir := g.pass.System.Path("/var/lib/cfn-hup")
	if err := os.Rename(dir, dir+".away"); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		g.t.Fatal(err)
	}
	return func() {
		g.t.Helper()
		if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
			g.t.Fatal(err)
		}
	}
}

// A disk that is full is why many a service fails: it is no reason to start it
// for ever, nor to run an action at each pass.
func TestDaemonOnFullDiskRemembers(t *testing.T) {
	g := newGuest(t, on(t, "u", "post.update", "R.Metadata.v", say), on(t, "s", "service.restarted", "R.Metadata", told))
	g.pass.Memory = &Memory{}
	state := map[string]string{"httpd": "up"}
	starts := g.serve(state)
	g.tell("R", withServices)
	g.run()
	free := g.fill()
	g.tell("R", `{"v": 2, `+withServices[1:])
	g.tell("S", `{}`)
	g.pass.Resource = "S" // of which nothing is stored yet
	state["httpd"] = "broken"
	if got, want := g.runFails("keep what was seen: "), "service.restarted R httpd failed"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	g.tell("R", `{"v": 3, `+withServices[1:])
	if got, want := g.runFails("keep what was seen: "), "u post.update|service.restarted R httpd failed"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	for _, want := range []string{"service.restarted R httpd failed", "service.restarted R httpd limit", "service.restarted R httpd limit"} {
		if got := g.runFails("keep what was seen: "); got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	if list, err := g.pass.Memory.Status(g.statePath(), g.pass.Config.Hooks); err != nil || list[0].Event != "post.update" || g.pass.Memory.Err() == nil {
		t.Errorf("Status: %+v, %v; Err: %v", list, err, g.pass.Memory.Err())
	}
	free()
	if got, want := g.run(), "service.restarted R httpd limit"; got != want || len(*starts) != 3 {
		t.Errorf("with room again: told %q, want %q, and started %q", got, want, *starts)
	}
	if err := g.pass.Memory.Err(); err != nil {
		t.Errorf("with room again: Err = %v", err)
	}
	g.pass.Memory = &Memory{} // another daemon
	if got, want := g.run(), "service.restarted R httpd limit"; got != want || len(*starts) != 3 {
		t.Errorf("another daemon: told %q, want %q, and started %q", got, want, *starts)
	}
}

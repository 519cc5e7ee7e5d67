package accounts

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A tree is a system below a temporary root that has the account files of a
// small machine, and whose Runner records what is run.
type tree struct {
	*sys.System
	ran []string
}

func newTree(t *testing.T, answer sys.Runner) *tree {
	t.Helper()
	root := t.TempDir()
	write(t, root+"/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nweb:x:500:600::/srv/web:/sbin/nologin\n")
	write(t, root+"/etc/group", "root:x:0:\nweb:x:600:\nwheel:x:10:root,web\nadm:x:4:root\nempty:x:601:\n")
	tr := &tree{}
	tr.System = &sys.System{Root: root, Log: slog.New(slog.DiscardHandler)}
	tr.Run = func(ctx context.Context, c sys.Cmd) (sys.Result, error) {
		args := slices.Clone(c.Args)
		for i, a := range args {
			if a == root {
				args[i] = "ROOT"
			}
		}
		tr.ran = append(tr.ran, strings.Join(args, " "))
		if answer == nil {
			return sys.Result{}, nil
		}
		return answer(ctx, c)
	}
	return tr
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what string, got, want sys.Outcome) {
	t.Helper()
	if got.Name != want.Name || got.Action != want.Action || got.Changed != want.Changed || got.Trigger != want.Trigger ||
		got.Degraded != want.Degraded {
		t.Errorf("%s = %+v, want %+v", what, got, want)
	}
}

func TestApplyGroup(t *testing.T) {
	made := func(name, action string) sys.Outcome {
		return sys.Outcome{Name: name, Action: action, Changed: true, Trigger: true}
	}
	tests := []struct {
		name  string
		group metadata.Group
		want  sys.Outcome
		ran   string
	}{
		// heat-cfntools failed with an AttributeError on null properties: the
		// zero value asks for nothing but the group.
		{"null properties, which stopped heat-cfntools", metadata.Group{Name: "new"}, made("new", "create"), "groupadd --prefix ROOT -- new"},
		{"number", metadata.Group{Name: "new", GID: "23"}, made("new", "create with gid 23"), "groupadd --prefix ROOT --gid 23 -- new"},
		{"exists", metadata.Group{Name: "web"}, sys.Outcome{Name: "web"}, ""},
		{"exists with the number", metadata.Group{Name: "web", GID: "0600"}, sys.Outcome{Name: "web"}, ""},
		{"exists with another number", metadata.Group{Name: "web", GID: "7"},
			sys.Outcome{Name: "web", Degraded: "group web exists with gid 600, not 7: left as it is"}, ""},
		{"option", metadata.Group{Name: "-o"}, sys.Outcome{Name: "-o", Degraded: `"-o" cannot be the name of a group`}, ""},
		{"line of its own", metadata.Group{Name: "a\nb"}, sys.Outcome{Name: "a\nb", Degraded: `"a\nb" cannot be the name of a group`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, nil)
			got, err := ApplyGroup(t.Context(), tr.System, tt.group)
			if err != nil {
				t.Fatalf("ApplyGroup(%+v) failed: %v", tt.group, err)
			}
			equal(t, "ApplyGroup", got, tt.want)
			if ran := strings.Join(tr.ran, "; "); ran != tt.ran {
				t.Errorf("ApplyGroup(%+v) ran %q, want %q", tt.group, ran, tt.ran)
			}
		})
	}
}

func TestApplyUser(t *testing.T) {
	made := func(name, action string) sys.Outcome {
		return sys.Outcome{Name: name, Action: action, Changed: true, Trigger: true}
	}
	tests := []struct {
		name string
		user metadata.User
		want sys.Outcome
		ran  string
	}{
		{"null properties, which stopped heat-cfntools", metadata.User{Name: "new"}, made("new", "create"),
			"useradd --prefix ROOT --shell /sbin/nologin -- new"},
		{"everything", metadata.User{Name: "new", UID: "50", Groups: []string{"wheel", "4"}, Home: "/tmp"},
			made("new", "create with uid 50, home /tmp, groups wheel, 4"),
			"useradd --prefix ROOT --uid 50 --home-dir /tmp --groups wheel,4 --shell /sbin/nologin -- new"},
		{"group of the same name", metadata.User{Name: "empty"}, made("empty", "create"),
			"useradd --prefix ROOT --gid empty --shell /sbin/nologin -- empty"},
		{"exists", metadata.User{Name: "web", UID: "500", Groups: []string{"wheel", "10", "web"}, Home: "/srv/web/"}, sys.Outcome{Name: "web"}, ""},
		{"exists, in more groups than asked for", metadata.User{Name: "web"}, sys.Outcome{Name: "web"}, ""},
		{"exists with other properties", metadata.User{Name: "web", UID: "7", Home: "/tmp"},
			sys.Outcome{Name: "web", Degraded: "user web exists with uid 500, not 7 and home /srv/web, not /tmp: left as it is"}, ""},
		// heat-cfntools never changed a user that was there.
		{"exists, group missing, which heat-cfntools left out", metadata.User{Name: "web", Groups: []string{"wheel", "adm", "601"}},
			made("web", "add to groups adm, 601"), "usermod --prefix ROOT --append --groups adm,601 -- web"},
		{"option", metadata.User{Name: "-D"}, sys.Outcome{Name: "-D", Degraded: `"-D" cannot be the name of a user`}, ""},
		{"two groups in one", metadata.User{Name: "new", Groups: []string{"adm,root"}},
			sys.Outcome{Name: "new", Degraded: `"adm,root" cannot be the name of a group`}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := newTree(t, nil)
			got, err := ApplyUser(t.Context(), tr.System, tt.user, Coming{})
			if err != nil {
				t.Fatalf("ApplyUser(%+v) failed: %v", tt.user, err)
			}
			equal(t, "ApplyUser", got, tt.want)
			if ran := strings.Join(tr.ran, "; "); ran != tt.ran {
				t.Errorf("ApplyUser(%+v) ran %q, want %q", tt.user, ran, tt.ran)
			}
		})
	}
}

func TestApplyUserDebianHasNologinElsewhere(t *testing.T) {
	tr := newTree(t, nil)
	write(t, tr.Root+"/usr/sbin/nologin", "")
	if _, err := ApplyUser(t.Context(), tr.System, metadata.User{Name: "new"}, Coming{}); err != nil {
		t.Fatal(err)
	}
	if want := "useradd --prefix ROOT --shell /usr/sbin/nologin -- new"; !slices.Equal(tr.ran, []string{want}) {
		t.Errorf("ApplyUser ran %q, want %q", tr.ran, want)
	}
}

func TestDryRunRunsNothing(t *testing.T) {
	tr := newTree(t, nil)
	tr.DryRun = true
	got, err := ApplyUser(t.Context(), tr.System, metadata.User{Name: "web", UID: "7", Groups: []string{"adm"}}, Coming{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "ApplyUser", got, sys.Outcome{Name: "web", Action: "add to groups adm", Changed: true, Trigger: true,
		Degraded: "user web exists with uid 500, not 7: left as it is"})
	if len(tr.ran) > 0 {
		t.Errorf("a dry run ran %q, want nothing", tr.ran)
	}
}

// useradd fails on a group that is not there; a dry run foresees it, unless
// an earlier item may make it.
func TestDryRunForeseesAbsentGroups(t *testing.T) {
	f := func(user metadata.User, coming Coming, action, degraded string) {
		t.Helper()
		tr := newTree(t, nil)
		tr.DryRun = true
		got, err := ApplyUser(t.Context(), tr.System, user, coming)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "ApplyUser", got, sys.Outcome{Name: user.Name, Action: action, Changed: true, Trigger: true, Degraded: degraded})
	}
	fresh := metadata.User{Name: "new", Groups: []string{"wheel", "docker", "77"}}
	there := metadata.User{Name: "web", Groups: []string{"wheel", "docker"}}
	const degraded = "there is no group docker yet, and nothing here makes it: add it to the groups section"
	f(fresh, Coming{}, "create with groups wheel, docker, 77", degraded)
	f(there, Coming{}, "add to groups docker", degraded)
	f(fresh, Coming{Groups: []string{"docker"}}, "create with groups wheel, docker, 77", "")
	f(there, Coming{Packages: true}, "add to groups docker (there is no group docker yet)", "")
}

// heat-cfntools ended with a traceback when groupadd was not installed, and
// left no trace on the exit status when it failed.
func TestFailuresOfToolsAreDegraded(t *testing.T) {
	tests := []struct {
		name   string
		answer sys.Runner
		want   string
	}{
		{"a missing tool, which crashed heat-cfntools", func(ctx context.Context, c sys.Cmd) (sys.Result, error) {
			return sys.Exec(ctx, sys.Cmd{Args: c.Args, Env: []string{"PATH=" + t.TempDir()}})
		}, "groupadd is not installed"},
		{"a failing tool, which heat-cfntools only logged", func(context.Context, sys.Cmd) (sys.Result, error) {
			return sys.Result{Status: 4, Stderr: []byte("groupadd: GID '10' already exists\n")}, nil
		}, "groupadd: exit status 4: groupadd: GID '10' already exists"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ApplyGroup(t.Context(), newTree(t, tt.answer).System, metadata.Group{Name: "new", GID: "10"})
			if err != nil {
				t.Fatal(err)
			}
			equal(t, "ApplyGroup", got, sys.Outcome{Name: "new", Degraded: tt.want})
		})
	}
}

func TestCancelledIsAnError(t *testing.T) {
	cause := errors.New("told to stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	tr := newTree(t, func(context.Context, sys.Cmd) (sys.Result, error) {
		cancel(cause)
		return sys.Result{}, cause
	})
	if _, err := ApplyGroup(ctx, tr.System, metadata.Group{Name: "new"}); !errors.Is(err, cause) {
		t.Errorf("ApplyGroup = %v, want %v", err, cause)
	}
}

// On the running machine the accounts of a directory service count too: they
// are not in the files, and getent and id know them.
func TestAccountsOfADirectoryService(t *testing.T) {
	dir := t.TempDir()
	stub(t, dir, "getent", `case "$1 $2" in
"passwd ldapuser") echo "ldapuser:*:7001:7000::/home/ldapuser:/bin/sh" ;;
"group ldapstaff") echo "ldapstaff:*:7000:" ;;
"group ldapops") echo "ldapops:*:7002:ldapuser" ;;
*) exit 2 ;;
esac`)
	stub(t, dir, "id", `echo 7000 7002`)
	stub(t, dir, "usermod", `exit 1`)
	s := &sys.System{Run: sys.Exec, Environ: []string{"PATH=" + dir + ":/usr/bin:/bin"}, Log: slog.New(slog.DiscardHandler)}
	got, err := ApplyUser(t.Context(), s, metadata.User{Name: "ldapuser", UID: "7001", Groups: []string{"ldapops", "ldapstaff"}}, Coming{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "ApplyUser", got, sys.Outcome{Name: "ldapuser"})
}

// The arguments must suit the real tools, and a second run must change
// nothing. They write to a tree only for root.
func TestRealTools(t *testing.T) {
	if _, err := exec.LookPath("useradd"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and the shadow tools")
	}
	tr := newTree(t, sys.Exec)
	tr.Environ = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	apply := func(changed bool) {
		t.Helper()
		g, err := ApplyGroup(t.Context(), tr.System, metadata.Group{Name: "app", GID: "700"})
		if err != nil || g.Degraded != "" || g.Changed != changed {
			t.Errorf("ApplyGroup(app) = %+v, %v, want changed %v", g, err, changed)
		}
		for _, user := range []metadata.User{
			{Name: "app", UID: "701", Groups: []string{"wheel", "4"}, Home: "/srv/app"},
			{Name: "web", Groups: []string{"adm"}},
		} {
			u, err := ApplyUser(t.Context(), tr.System, user, Coming{})
			if err != nil || u.Degraded != "" || u.Changed != changed {
				t.Errorf("ApplyUser(%s) = %+v, %v, want changed %v", user.Name, u, err, changed)
			}
		}
	}
	apply(true)
	apply(false)
	for file, want := range map[string]string{
		"passwd": "app:!:701:700::/srv/app:/sbin/nologin\n",
		"group":  "wheel:x:10:root,web,app\nadm:x:4:root,app,web\n",
	} {
		data, err := os.ReadFile(tr.Path("/etc/" + file))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s = %q, %v, want %q in it", file, data, err, want)
		}
	}
}

func stub(t *testing.T, dir, name, script string) {
	t.Helper()
	write(t, filepath.Join(dir, name), "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
}

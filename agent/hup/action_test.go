package hup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// heat-cfntools told an action nothing.
func TestActionIsToldWhatChanged(t *testing.T) {
	const show = `env | grep ^CFN_ | grep -v _FILE= | LC_ALL=C sort >>"$OUT"`
	f := func(path string, old, now Resource, want string) {
		t.Helper()
		g := newGuest(t, on(t, "h", all, path, show))
		g.pass.System.Environ = append(g.pass.System.Environ, "CFN_OLD_METADATA=outer", "CFN_NEW_X=outer", "CFN_SERVICE=outer", "CFN_HOOK=outer", "CFN_INIT_RUNNING=1")
		g.heat["R"] = old
		g.run()
		g.heat["R"] = now
		want = strings.ReplaceAll(want, "REST", "CFN_RESOURCE=R|CFN_STACK=stack|CFN_TRIGGER=post.")
		if got := g.run(); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	doc := func(text string) Resource {
		return Resource{Metadata: document(t, text), PhysicalID: "id-" + text[:1], LastUpdated: time.Unix(int64(len(text)), 0)}
	}
	f("R.Metadata.a", doc(`{"a": "one"}`), doc(`{"a": {"b": [1, "x y"]}}`),
		`CFN_HOOK=h|CFN_INIT_RUNNING=1|CFN_NEW_METADATA={"b": [1, "x y"]}|CFN_OLD_METADATA=one|RESTupdate`)
	f("R.Metadata.a", doc(`{}`), doc(`{"a": "it's \"$HOME\" é"}`), `CFN_HOOK=h|CFN_INIT_RUNNING=1|CFN_NEW_METADATA=it's "$HOME" é|RESTadd`)
	f("R.Metadata.a", doc(`{"a": false}`), doc(`{"a": null}`), `CFN_HOOK=h|CFN_INIT_RUNNING=1|CFN_OLD_METADATA=false|RESTremove`)
	f("R.PhysicalResourceId", Resource{PhysicalID: "one"}, Resource{PhysicalID: "two"},
		`CFN_HOOK=h|CFN_INIT_RUNNING=1|CFN_NEW_PHYSICAL_RESOURCE_ID=two|CFN_OLD_PHYSICAL_RESOURCE_ID=one|RESTupdate`)
	f("R", Resource{LastUpdated: time.Unix(0, 0)}, Resource{LastUpdated: time.Unix(1, 0)},
		`CFN_HOOK=h|CFN_INIT_RUNNING=1|CFN_NEW_LAST_UPDATED=1970-01-01T00:00:01Z|CFN_OLD_LAST_UPDATED=1970-01-01T00:00:00Z|RESTupdate`)
	// A variable cannot hold it, a file can.
	f("R.Metadata.a", doc(`{"a": 1}`), doc(`{"a": "\u0000"}`), `CFN_HOOK=h|CFN_INIT_RUNNING=1|CFN_OLD_METADATA=1|RESTupdate`)
}

// Linux refuses to start a program with a variable of 128 KiB or more.
func TestValueTooLongForVariableComesByFile(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata.a",
		`echo "${#CFN_OLD_METADATA} ${#CFN_NEW_METADATA} $(wc -c <"$CFN_OLD_METADATA_FILE") $(wc -c <"$CFN_NEW_METADATA_FILE")" >>"$OUT"
		stat -c %a "$CFN_NEW_METADATA_FILE" "$(dirname "$CFN_NEW_METADATA_FILE")" >>"$OUT"`))
	g.pass.Config.Hooks[0].Triggers = []string{"post.update"}
	g.tell("R", `{"a": "short"}`)
	g.run()
	g.tell("R", `{"a": "`+strings.Repeat("x", 200<<10)+`"}`)
	if got, want := g.run(), "5 0 5 204800|600|700"; got != want {
		t.Errorf("action saw %q, want %q", got, want)
	}
	g.tell("R", `{"a": "`+strings.Repeat("x", maxVariable)+`"}`)
	if got, want := g.run(), fmt.Sprintf("0 %d 204800 %[1]d|600|700", maxVariable); got != want {
		t.Errorf("action saw %q, want %q", got, want)
	}
	if left, err := os.ReadDir(g.pass.System.Path(actionsDir)); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestValuesOfKilledActionAreRemoved(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata", say))
	g.tell("R", `{}`)
	left := filepath.Join(g.pass.System.Path(actionsDir), "action-1/new")
	if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(left, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.run()
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", left, err)
	}
}

// heat-cfntools changed the effective uid alone, and dash and bash set it back
// to the real one: an action with runas ran as root, with root's groups.
func TestRunAsReallyDropsPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	nobody, err := sys.LookupUser(t.Context(), "nobody")
	if err != nil {
		t.Fatal(err)
	}
	g := newGuest(t, on(t, "h", all, "R.Metadata.a",
		`grep -E '^(Uid|Gid|Groups):' /proc/self/status | tr -s '\t ' ' '; id -un; echo "$HOME $USER $LOGNAME $SHELL"; pwd; cat "$CFN_NEW_METADATA_FILE"`))
	g.pass.Config.Hooks[0].RunAs = "nobody"
	g.pass.System.Environ = append(g.pass.System.Environ, "HOME=/root", "USER=root")
	g.tell("R", `{"a": "value"}`)
	run := filepath.Join(g.root, "run")
	if err := os.MkdirAll(run, 0o711); err != nil {
		t.Fatal(err)
	}
	for dir := run; dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&0o001 == 0 {
			if err := os.Chmod(dir, 0o711); err != nil {
				t.Fatal(err)
			}
		}
	}
	var out strings.Builder
	g.pass.Output = &out
	g.run()
	id, group := fmt.Sprint(nobody.UID), fmt.Sprint(nobody.GID)
	want := "Uid: " + strings.Repeat(id+" ", 3) + id + "\nGid: " + strings.Repeat(group+" ", 3) + group + "\nGroups: " + group + " \n" +
		"nobody\n" + nobody.Home + " nobody nobody " + nobody.Shell + "\n" + nobody.Dir() + "\nvalue"
	if got := out.String(); got != want {
		t.Errorf("action ran as\n%s\nwant\n%s", got, want)
	}
}

// In heat-cfntools an unknown user gave a status that nobody looked at.
func TestUnknownUserFailsTheHook(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata", say), on(t, "other", all, "R.Metadata", say))
	g.pass.Config.Hooks[0].RunAs = "nobody-of-that-name"
	g.tell("R", `{}`)
	if got, want := g.runFails(`hook h: runas: unknown user "nobody-of-that-name"`), "other post.add"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
	if got := g.state().Hooks[key(g.pass.Config.Hooks[0])]; got.Failures != 1 {
		t.Errorf("state = %+v, want one failure", got)
	}
}

func TestActionIsRunAsToldToRunner(t *testing.T) {
	var got sys.Cmd
	g := newGuest(t, on(t, "h", all, "R.Metadata", "a && b"))
	g.pass.Config.Hooks[0].Timeout = 5 * time.Minute
	g.pass.System.Run = func(_ context.Context, c sys.Cmd) (sys.Result, error) {
		got = c
		return sys.Result{}, nil
	}
	g.tell("R", `{}`)
	g.run()
	if got.Shell != "a && b" || got.User != "" || got.Dir != "" || got.Timeout != 5*time.Minute {
		t.Errorf("ran %+v", got)
	}
}

func TestActionThatRunsTooLongIsEnded(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata", `sleep 60`))
	g.pass.Config.Hooks[0].Timeout = 50 * time.Millisecond
	g.tell("R", `{}`)
	g.runFails("hook h: its action: timed out after 50ms")
}

func TestSecretsOfMetadataAreMasked(t *testing.T) {
	g := newGuest(t, on(t, "h", all, "R.Metadata.password", `echo "it is $CFN_NEW_METADATA"; echo "was ${CFN_OLD_METADATA}, now $CFN_NEW_METADATA" >&2; exit 1`))
	g.applied("R", `{"password": "old-password"}`)
	g.tell("R", `{"password": "new-password"}`)
	var out strings.Builder
	g.pass.Output = &out
	g.runFails("hook h: its action: exit status 1: was ********, now ********")
	if got, want := out.String(), "it is ********\nwas ********, now ********\n"; got != want {
		t.Errorf("output %q, want %q", got, want)
	}
	if text := g.log.String(); strings.Contains(text, "-password") {
		t.Errorf("log has it: %s", text)
	}
	list, err := g.pass.Memory.Status(g.statePath(), g.pass.Config.Hooks)
	if err != nil || strings.Contains(list[0].Text, "-password") {
		t.Errorf("Status = %+v, %v", list, err)
	}
}

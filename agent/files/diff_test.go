package files

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

func TestDryRunShowsAndChangesNothing(t *testing.T) {
	s := system(t)
	put(t, s, "/etc/a.conf", "one\ntwo\nthree\n", 0o644)
	s.DryRun = true
	o := apply(t, s, withMode(file("/etc/a.conf", "one\n2\nthree\n"), 0o644))
	expect(t, o, "write", true, true)
	if want := "--- /etc/a.conf\n+++ /etc/a.conf\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"; o.Diff != want {
		t.Errorf("Diff = %q, want %q", o.Diff, want)
	}
	o = apply(t, s, withMode(file("/new/b", "text\n"), 0o644))
	if want := "--- /dev/null\n+++ /new/b\n@@ -0,0 +1 @@\n+text\n"; o.Diff != want || o.Action != "create, mode 0644" {
		t.Errorf("outcome = %+v, want create, mode 0644 with %q", o, want)
	}
	o = apply(t, s, symlink("/l", "to"))
	if want := "--- /dev/null\n+++ /l -> to\n"; o.Diff != want {
		t.Errorf("Diff = %q, want %q", o.Diff, want)
	}
	expect(t, apply(t, s, withMode(file("/etc/a.conf", "one\ntwo\nthree\n"), 0o600)), "mode 0644 to 0600", true, false)
	for _, path := range []string{"/new", "/l"} {
		if _, err := os.Lstat(s.Path(path)); err == nil {
			t.Errorf("%s was made in a dry run", path)
		}
	}
	if get(t, s, "/etc/a.conf") != "one\ntwo\nthree\n" || mode(t, s, "/etc/a.conf") != 0o644 {
		t.Error("/etc/a.conf was changed in a dry run")
	}
}

func TestDiffShowsNoSecret(t *testing.T) {
	s := system(t)
	s.Mask = sys.NewMask([]string{"known-to-the-metadata"})
	put(t, s, "/private", "hunter2 old\n", 0o600)
	put(t, s, "/bin", "a\x00b", 0o644)
	put(t, s, "/masked", "password=hunter1\n", 0o644)
	s.DryRun = true
	const secret = "hunter2"
	private := []metadata.File{
		withMode(file("/new", secret), 0o600), withMode(file("/private", secret), 0o644), withMode(file("/private", secret), 0o640),
	}
	for _, f := range private {
		if o := apply(t, s, f); o.Diff != "content differs (private file, not shown)\n" {
			t.Errorf("Diff of %s = %q, want it not shown", f.Path, o.Diff)
		}
	}
	if o := apply(t, s, withMode(file("/bin", secret), 0o644)); o.Diff != "binary content differs\n" {
		t.Errorf("Diff = %q, want binary content differs", o.Diff)
	}
	if o := apply(t, s, withMode(file("/masked", "password="+secret+"\n"), 0o644)); o.Diff != "content differs in what is masked\n" {
		t.Errorf("Diff = %q, want content differs in what is masked", o.Diff)
	}
	for _, line := range []string{
		"password = hunter2", "PASSWORD:hunter2", `"db_password": "hunter2, and \" more hunter2"`, "requirepass hunter2", "AWSSecretKey=hunter2",
		"--token hunter2 x", "api-key: 'hunter2 hunter2'", "mysql://root:hunter2@db/x", "known-to-the-metadata", `secret => "hunter2"`,
		"-----BEGIN RSA PRIVATE KEY-----\nhunter2\nhunter2\n-----END RSA PRIVATE KEY-----",
	} {
		o := apply(t, s, withMode(file("/new", line+"\n"), 0o644))
		if strings.Contains(o.Diff, secret) || strings.Contains(o.Diff, "known-to") || !strings.Contains(o.Diff, sys.Masked) {
			t.Errorf("Diff of %q = %q, want the secret masked", line, o.Diff)
		}
	}
}

func TestDryRunOfASource(t *testing.T) {
	s := system(t)
	put(t, s, "/src", "new", 0o600)
	put(t, s, "/there", "old", 0o644)
	s.DryRun = true
	for path, want := range map[string]string{"/there": "content differs: file:///src\n", "/not": "content of file:///src\n"} {
		o := apply(t, s, withMode(metadata.File{Path: path, Source: "file:///src"}, 0o644))
		if !o.Changed || o.Diff != want {
			t.Errorf("outcome = %+v, want a change that names the URL", o)
		}
	}
	s.DryRun = false
	apply(t, s, withMode(metadata.File{Path: "/there", Source: "/src"}, 0o644))
	s.DryRun = true
	expect(t, apply(t, s, withMode(metadata.File{Path: "/there", Source: "/src"}, 0o644)), "", false, false)
}

// It was said to differ, which nobody knew.
func TestDryRunOfASourceThatCannotBeFetched(t *testing.T) {
	s := system(t)
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	put(t, s, "/there", "old", 0o644)
	s.DryRun = true
	want := "would be written from " + srv.URL + "/x?token=[cut]: it could not be fetched: 404 Not Found\n"
	for path, action := range map[string]string{"/there": "write, mode 0644 to 0400", "/not": "create, mode 0400"} {
		o := apply(t, s, withMode(metadata.File{Path: path, Source: srv.URL + "/x?token=xyzzy"}, 0o400))
		if !o.Changed || o.Diff != want || o.Action != action || o.Degraded != "" {
			t.Errorf("outcome of %s = %+v, want %s with %q", path, o, action, want)
		}
	}
	// An earlier item may bring it.
	o := apply(t, s, metadata.File{Path: "/not", Source: "/brought"})
	if want := "would be written from /brought: it could not be fetched: no such file or directory\n"; o.Diff != want {
		t.Errorf("Diff = %q, want %q", o.Diff, want)
	}
}

// A plan told neither the mode of a new file nor whose it will be.
func TestActionSaysModeAndOwner(t *testing.T) {
	s := system(t)
	s.DryRun = true
	put(t, &sys.System{Root: s.Root}, "/old", "x", 0o644)
	me, my := strconv.Itoa(os.Geteuid()), strconv.Itoa(os.Getegid())
	f := withMode(file("/new", "x"), 0o755)
	f.Owner, f.Group = me, my
	expect(t, apply(t, s, f), "create, mode 0755, owner "+me+":"+my, true, true)
	f.Mode, f.Group = metadata.Mode{}, ""
	expect(t, apply(t, s, f), "create, owner "+me, true, true)
	f.Owner, f.Group = "", my
	expect(t, apply(t, s, f), "create, group "+my, true, true)
	f.Owner, f.Path = me, "/old"
	expect(t, apply(t, s, f), "", false, false)
	f.Content, f.Mode = []byte("y"), metadata.Mode{Bits: 0o755, Set: true}
	expect(t, apply(t, s, f), "write, mode 0644 to 0755", true, true)
	if os.Geteuid() == 0 {
		f.Owner, f.Group = "app", "app"
		expect(t, apply(t, s, f), "write, mode 0644 to 0755, owner app:app", true, true)
	}
}

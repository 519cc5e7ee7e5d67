package files

import (
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

const root = "root:x:0:0:root:/root:/bin/sh\n"

// system is a tree with two accounts of its own.
func system(t testing.TB) *sys.System {
	t.Helper()
	s := &sys.System{Root: t.TempDir(), Run: sys.Exec, Log: slog.New(slog.DiscardHandler)}
	put(t, s, "/etc/passwd", root+"app:x:1234:2345::/:/bin/sh\n", 0o644)
	put(t, s, "/etc/group", "root:x:0:\napp:x:2345:\n", 0o644)
	return s
}

func put(t testing.TB, s *sys.System, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := s.MkdirAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(path), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.Path(path), sys.FileMode(uint32(mode))); err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s *sys.System, path string) string {
	t.Helper()
	data, err := os.ReadFile(s.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func mode(t testing.TB, s *sys.System, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(s.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func file(path, text string) metadata.File {
	return metadata.File{Path: path, Content: []byte(text), HasContent: true}
}

func withMode(f metadata.File, bits uint32) metadata.File {
	f.Mode = metadata.Mode{Bits: bits, Set: true}
	return f
}

func symlink(path, target string) metadata.File {
	f := file(path, target)
	f.Mode = metadata.Mode{Bits: 0o644, Set: true, Symlink: true}
	return f
}

func apply(t testing.TB, s *sys.System, f metadata.File) sys.Outcome {
	t.Helper()
	c := &fetch.Client{Retry: retry.Policy{Tries: 1}}
	o, err := Apply(t.Context(), s, c, f)
	if err != nil {
		t.Fatalf("Apply(%s) = %v, want success", f.Path, err)
	}
	return o
}

// expect compares what of an outcome decides about reports and restarts.
func expect(t testing.TB, o sys.Outcome, action string, changed, trigger bool) {
	t.Helper()
	if o.Action != action || o.Changed != changed || o.Trigger != trigger || o.Degraded != "" {
		t.Errorf("outcome = %+v, want action %q, changed %v, trigger %v", o, action, changed, trigger)
	}
}

func TestNewFileWithItsParents(t *testing.T) {
	s := system(t)
	old := syscall.Umask(0o077)
	o := apply(t, s, withMode(file("/etc/app/app.conf", "a=1\n"), 0o640))
	syscall.Umask(old)
	expect(t, o, "create", true, true)
	if got := get(t, s, "/etc/app/app.conf"); got != "a=1\n" {
		t.Errorf("content = %q, want a=1", got)
	}
	if m, d := mode(t, s, "/etc/app/app.conf"), mode(t, s, "/etc/app"); m != 0o640 || d != fs.ModeDir|0o755 {
		t.Errorf("modes = %v in %v, want 0640 in 0755, whatever the umask", m, d)
	}
	if err := Sync(s, []string{"/etc/app/app.conf", "/etc/app/other", "/none/x"}); err != nil {
		t.Errorf("Sync = %v, want nil", err)
	}
}

func TestSecondApplyChangesNothing(t *testing.T) {
	s := system(t)
	for _, f := range []metadata.File{
		file("/a", "text"), file("/empty", ""), withMode(file("/b", "x"), 0o4755), symlink("/l", "/dangling"),
		{Path: "/t", Content: []byte("{{x}}"), HasContent: true, HasContext: true},
		file("/big", strings.Repeat("0123456789abcdef", 20000)),
	} {
		apply(t, s, f)
		before, _ := os.Lstat(s.Path(f.Path))
		expect(t, apply(t, s, f), "", false, false)
		after, _ := os.Lstat(s.Path(f.Path))
		if !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
			t.Errorf("%s was written again", f.Path)
		}
	}
}

func TestChangedContentIsFoundAnywhere(t *testing.T) {
	s := system(t)
	text := []byte(strings.Repeat("x", 200000))
	apply(t, s, file("/big", string(text)))
	text[len(text)-1] = 'y'
	expect(t, apply(t, s, file("/big", string(text))), "write", true, true)
}

// aws-cfn-bootstrap refused an empty content ("File specified without source
// or content").
func TestEmptyContentIsAnEmptyFile(t *testing.T) {
	s := system(t)
	expect(t, apply(t, s, file("/empty", "")), "create", true, true)
	if got := get(t, s, "/empty"); got != "" {
		t.Errorf("content = %q, want none", got)
	}
}

// heat-cfntools opened the target before it had the bytes, and left it with
// nothing in it when the content was not a string.
func TestTargetIsNeverTruncated(t *testing.T) {
	s := system(t)
	put(t, s, "/a", "old", 0o644)
	old, err := os.Open(s.Path("/a"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	apply(t, s, file("/a", `{"b": 1}`))
	data := make([]byte, 10)
	if n, _ := old.Read(data); string(data[:n]) != "old" {
		t.Errorf("a reader of the old file sees %q, want old", data[:n])
	}
}

// heat-cfntools wrote a file before its chmod: a 000400 secret was readable
// for a moment.
func TestSecretIsNeverReadable(t *testing.T) {
	s := system(t)
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	seen := make(chan fs.FileMode, 1000)
	stop := make(chan struct{})
	go func() {
		defer close(seen)
		for {
			select {
			case <-stop:
				return
			default:
			}
			entries, _ := os.ReadDir(s.Path("/d"))
			for _, e := range entries {
				if info, err := e.Info(); err == nil && info.Mode()&0o077 != 0 {
					seen <- info.Mode()
					return
				}
			}
		}
	}()
	for i := range 20 {
		apply(t, s, withMode(file("/d/secret", fmt.Sprint("key", i)), 0o400))
	}
	close(stop)
	for m := range seen {
		t.Errorf("a file of mode %v was seen, want none that others can read", m)
	}
}

func TestModeAloneRestartsNothing(t *testing.T) {
	s := system(t)
	put(t, s, "/a", "x", 0o644)
	before, _ := os.Stat(s.Path("/a"))
	expect(t, apply(t, s, withMode(file("/a", "x"), 0o600)), "change mode 0644 to 0600", true, false)
	after, _ := os.Stat(s.Path("/a"))
	if !os.SameFile(before, after) || after.Mode() != 0o600 {
		t.Errorf("the file was replaced, mode %v, want the same file with 0600", after.Mode())
	}
}

func TestWithoutAMode(t *testing.T) {
	s := system(t)
	put(t, s, "/old", "x", 0o4711)
	apply(t, s, file("/old", "y"))
	if m := sys.Bits(mode(t, s, "/old")); m != 0o4711 {
		t.Errorf("mode of a file that was there = %o, want 4711", m)
	}
	for mask, want := range map[int]fs.FileMode{0o022: 0o644, 0: 0o664, 0o077: 0o600} {
		old := syscall.Umask(mask)
		apply(t, s, file(fmt.Sprintf("/new%o", mask), "y"))
		syscall.Umask(old)
		if m := mode(t, s, fmt.Sprintf("/new%o", mask)); m != want {
			t.Errorf("mode of a new file with umask %o = %v, want %v", mask, m, want)
		}
	}
}

// heat-cfntools wrote through a symbolic link that was at the path.
func TestSymlinkAtThePathIsReplacedNotFollowed(t *testing.T) {
	s := system(t)
	put(t, s, "/target", "untouched", 0o640)
	if err := os.Symlink("target", s.Path("/a")); err != nil {
		t.Fatal(err)
	}
	expect(t, apply(t, s, withMode(file("/a", "new"), 0o600)), "replace the symbolic link by a file", true, true)
	if got := get(t, s, "/target"); got != "untouched" || mode(t, s, "/target") != 0o640 {
		t.Errorf("the link's target holds %q with mode %v, want it untouched", got, mode(t, s, "/target"))
	}
	if m := mode(t, s, "/a"); m != 0o600 {
		t.Errorf("mode = %v, want a regular file 0600", m)
	}
}

// aws-cfn-bootstrap gave the link's mode to what it points to;
// heat-cfntools wrote the target's name into a regular file.
func TestSymlinkLeavesTheTargetAlone(t *testing.T) {
	s := system(t)
	put(t, s, "/target", "x", 0o640)
	expect(t, apply(t, s, symlink("/l", s.Path("/target"))), "link to "+s.Path("/target"), true, true)
	if got, err := os.Readlink(s.Path("/l")); err != nil || got != s.Path("/target") || mode(t, s, "/target") != 0o640 {
		t.Errorf("link = %q, %v, target's mode %v, want a link and 0640", got, err, mode(t, s, "/target"))
	}
	expect(t, apply(t, s, symlink("/l", "elsewhere\n")), "link to elsewhere", true, true)
	put(t, s, "/f", "a file", 0o644)
	expect(t, apply(t, s, symlink("/f", "/dangling")), "link to /dangling", true, true)
	if got, err := os.Readlink(s.Path("/f")); got != "/dangling" {
		t.Errorf("Readlink = %q, %v, want /dangling", got, err)
	}
	left, _ := filepath.Glob(s.Path("/.cfn-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestUnknownOwnerIsDegraded(t *testing.T) {
	s := system(t)
	f := file("/a", "x")
	f.Owner, f.Group = "nobody-here", "none-here"
	o := apply(t, s, f)
	const want = `unknown user "nobody-here": the owner is left as it is; unknown group "none-here": the group is left as it is`
	if o.Degraded != want || !o.Changed || get(t, s, "/a") != "x" {
		t.Errorf("outcome = %+v, want the file written and %s", o, want)
	}
	if again := apply(t, s, f); again.Changed || again.Degraded != want {
		t.Errorf("second outcome = %+v, want no change, degraded", again)
	}
}

func owner(t *testing.T, s *sys.System, path string) [2]uint32 {
	t.Helper()
	info, err := os.Lstat(s.Path(path))
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return [2]uint32{st.Uid, st.Gid}
}

// Both outcomes are right: a process that is not root cannot give files away.
func TestOwner(t *testing.T) {
	s := system(t)
	f := withMode(file("/a", "x"), 0o4750)
	f.Owner, f.Group = "app", "2345"
	o := apply(t, s, f)
	if os.Geteuid() != 0 {
		const want = "the owner cannot be app: not running as root; the group cannot be 2345: not running as root"
		if o.Degraded != want || get(t, s, "/a") != "x" {
			t.Errorf("outcome = %+v, want degraded: %s", o, want)
		}
		return
	}
	if got := owner(t, s, "/a"); got != [2]uint32{1234, 2345} || sys.Bits(mode(t, s, "/a")) != 0o4750 {
		t.Errorf("owner = %v, mode %v, want 1234:2345 with 4750", got, mode(t, s, "/a"))
	}
	expect(t, apply(t, s, f), "", false, false)
	f.Owner = "root"
	expect(t, apply(t, s, f), "change owner", true, false)
	if got := owner(t, s, "/a"); got != [2]uint32{0, 2345} || sys.Bits(mode(t, s, "/a")) != 0o4750 {
		t.Errorf("owner = %v, mode %v, want 0:2345, setuid kept", got, mode(t, s, "/a"))
	}
	f.Owner, f.Group, f.Content = "", "", []byte("y")
	apply(t, s, f)
	if got := owner(t, s, "/a"); got != [2]uint32{0, 2345} {
		t.Errorf("owner after a write that names none = %v, want 0:2345 kept", got)
	}
	l := symlink("/l", "a")
	l.Owner = "app"
	apply(t, s, l)
	if got := owner(t, s, "/l"); got[0] != 1234 || owner(t, s, "/a")[0] != 0 {
		t.Errorf("owner of the link = %v, of its target %v, want 1234 and 0", got, owner(t, s, "/a"))
	}
	l.Owner = "root"
	expect(t, apply(t, s, l), "change owner", true, false)
}

func TestNeitherContentNorSource(t *testing.T) {
	s := system(t)
	o := apply(t, s, metadata.File{Path: "/a"})
	if o.Degraded != "it has neither content nor source: nothing is written" || o.Changed {
		t.Errorf("outcome = %+v, want degraded and unchanged", o)
	}
	if _, err := os.Lstat(s.Path("/a")); err == nil {
		t.Error("a file was made")
	}
}

func TestFatal(t *testing.T) {
	s := system(t)
	put(t, s, "/file", "x", 0o644)
	put(t, s, "/dir/x", "x", 0o644)
	if err := syscall.Mkfifo(s.Path("/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := file("/m", "{{#a}}secret")
	broken.HasContext = true
	noAuth := metadata.File{Path: "/s", Source: "http://127.0.0.1:1/x", Authentication: "who"}
	for want, f := range map[string]metadata.File{
		"file etc/motd: the path must be absolute, such as /etc/motd":      file("etc/motd", "x"),
		"file /: the path must be absolute, such as /etc/motd":             file("/", "x"),
		"write /dir: a directory is in the way":                            file("/dir", "x"),
		"write /file/x: a parent of it is not a directory":                 file("/file/x", "x"),
		"write /fifo: what is there is neither a file nor a symbolic link": file("/fifo", "x"),
		"symbolic link /l: give the path that it points to as its content": {Path: "/l", Source: "/file", Mode: metadata.Mode{Symlink: true}},
		"render /m as Mustache: line 1: Section a has no closing tag":      broken,
		"get http://127.0.0.1:1/x: authentication \"who\" is not an entry of AWS::CloudFormation::Authentication: add it there, or correct the name": noAuth,
	} {
		o, err := Apply(t.Context(), s, new(fetch.Client), f)
		if err == nil || err.Error() != want || o.Changed {
			t.Errorf("Apply(%s) = %+v, %v, want error %s", f.Path, o, err, want)
		}
	}
}

// The kernel lets nobody, not even root, make a file in /sys.
func TestDiskErrorIsOneLineAboutTheFile(t *testing.T) {
	s := system(t)
	s.Root = "/sys"
	_, err := Apply(t.Context(), s, new(fetch.Client), file("/cfn-agent-test", "x"))
	if err == nil || !strings.HasPrefix(err.Error(), "write /cfn-agent-test: ") || strings.ContainsAny(err.Error(), "\n") ||
		strings.Contains(err.Error(), "/.cfn") || !strings.HasSuffix(err.Error(), "(what was there is unchanged)") {
		t.Errorf("Apply = %v, want one line that names the file alone", err)
	}
}

func TestSource(t *testing.T) {
	s := system(t)
	body, status := "v1", http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(body))
	}))
	defer srv.Close()
	f := metadata.File{Path: "/a", Source: srv.URL + "/f?token=xyzzy", Mode: metadata.Mode{Bits: 0o600, Set: true}}
	expect(t, apply(t, s, f), "create", true, true)
	expect(t, apply(t, s, f), "", false, false)
	body = "v2"
	expect(t, apply(t, s, f), "write", true, true)

	// heat-cfntools stored the error page.
	body, status = "<html>oops", http.StatusGone
	o := apply(t, s, f)
	if want := "get " + srv.URL + "/f?token=[cut]: 410 Gone: the file is left as it is"; o.Degraded != want || o.Changed || get(t, s, "/a") != "v2" {
		t.Errorf("outcome = %+v with %q, want degraded: %s", o, get(t, s, "/a"), want)
	}
	status = http.StatusOK
	f.SHA256 = strings.Repeat("0", 64)
	if o := apply(t, s, f); !strings.Contains(o.Degraded, "its SHA-256 is") || o.Changed || get(t, s, "/a") != "v2" {
		t.Errorf("outcome = %+v, want degraded by the digest, the old file kept", o)
	}
	f.SHA256, f.HasContext, f.Context = "", true, map[string]any{"x": 1.0}
	body = "x={{x}}"
	expect(t, apply(t, s, f), "write", true, true)
	if got := get(t, s, "/a"); got != "x=1" {
		t.Errorf("rendered source = %q, want x=1", got)
	}
}

func TestContentWinsOverSource(t *testing.T) {
	s := system(t)
	f := file("/a", "content")
	f.Source = "http://127.0.0.1:1/never"
	expect(t, apply(t, s, f), "create", true, true)
}

func TestDownloadLeavesNothingBehind(t *testing.T) {
	s := system(t)
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	put(t, s, "/src", "x", 0o600)
	apply(t, s, metadata.File{Path: "/a", Source: "/src"})
	apply(t, s, metadata.File{Path: "/a", Source: "file:///none"})
	s.DryRun = true
	apply(t, s, metadata.File{Path: "/a", Source: "/src"})
	if entries, _ := os.ReadDir(tmp); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func setup1000(b *testing.B) (*sys.System, []metadata.File) {
	s := system(b)
	list := make([]metadata.File, 1000)
	for i := range list {
		list[i] = withMode(file(fmt.Sprintf("/d/%04d", i), fmt.Sprintf("file %d\n", i)), 0o644)
	}
	if err := s.MkdirAll("/d"); err != nil {
		b.Fatal(err)
	}
	return s, list
}

// What the disk takes for 1,000 files, each and its directory synced.
func BenchmarkBare1000(b *testing.B) {
	for b.Loop() {
		s, list := setup1000(b)
		for _, f := range list {
			w, err := os.OpenFile(s.Path(f.Path), os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				b.Fatal(err)
			}
			w.Write(f.Content)
			w.Sync()
			w.Close()
			d, _ := os.Open(s.Path("/d"))
			d.Sync()
			d.Close()
		}
	}
}

func BenchmarkApply1000(b *testing.B) {
	for b.Loop() {
		s, list := setup1000(b)
		applyAll(b, s, list)
	}
}

// The second run reads, and writes nothing.
func BenchmarkSecondApply1000(b *testing.B) {
	s, list := setup1000(b)
	applyAll(b, s, list)
	for b.Loop() {
		applyAll(b, s, list)
	}
}

func applyAll(b *testing.B, s *sys.System, list []metadata.File) {
	paths := make([]string, 0, len(list))
	for _, f := range list {
		if apply(b, s, f).Changed {
			paths = append(paths, f.Path)
		}
	}
	if err := Sync(s, paths); err != nil {
		b.Fatal(err)
	}
}

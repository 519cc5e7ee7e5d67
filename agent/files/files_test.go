package files

import (
	"fmt"
	"io/fs"
	"log/slog"
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
	expect(t, o, "create, mode 0640", true, true)
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
	expect(t, apply(t, s, withMode(file("/a", "x"), 0o600)), "mode 0644 to 0600", true, false)
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
		"file etc/motd: the path must be absolute, such as /etc/motd":                                                                                file("etc/motd", "x"),
		"file /: the path must be absolute, such as /etc/motd":                                                                                       file("/", "x"),
		"write /dir: a directory is in the way":                                                                                                      file("/dir", "x"),
		"write /file/x: a parent of it is not a directory":                                                                                           file("/file/x", "x"),
		"write /fifo: what is there is neither a file nor a symbolic link":                                                                           file("/fifo", "x"),
		"symbolic link /l: give the path that it points to as its content":                                                                           {Path: "/l", Source: "/file", Mode: metadata.Mode{Symlink: true}},
		"render /m as Mustache: line 1: section \"a\" has no closing tag":                                                                            broken,
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

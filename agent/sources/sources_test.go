package sources

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

func system(t testing.TB) *sys.System {
	t.Helper()
	s := &sys.System{Root: t.TempDir(), Run: sys.Exec, Log: slog.New(slog.DiscardHandler)}
	put(t, s, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1234:2345::/:/bin/sh\n")
	put(t, s, "/etc/group", "root:x:0:\napp:x:2345:\n")
	return s
}

func put(t testing.TB, s *sys.System, name, text string) {
	t.Helper()
	if err := s.MkdirAll(path.Dir(name)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.Path(name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.Path(name), 0o644); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// tree lists what is below a directory: "path mode content".
func tree(t testing.TB, s *sys.System, dir string) []string {
	t.Helper()
	list := []string{}
	err := filepath.WalkDir(s.Path(dir), func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == s.Path(dir) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		switch mode := info.Mode(); {
		case mode.IsRegular():
			data, _ := os.ReadFile(p)
			text = " " + string(data)
		case mode&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			text = " -> " + target
		}
		name, _ := filepath.Rel(s.Path(dir), p)
		list = append(list, fmt.Sprintf("%s %v%s", name, info.Mode(), text))
		return nil
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return list
}

// give puts an archive into the system and returns a source for it.
func give(t testing.TB, s *sys.System, data []byte, name string) metadata.Source {
	t.Helper()
	put(t, s, "/in/"+name, string(data))
	return metadata.Source{Dir: "/srv/app", URL: "file:///in/" + name}
}

func run(t testing.TB, s *sys.System, src metadata.Source) sys.Outcome {
	t.Helper()
	o, err := Apply(t.Context(), s, &fetch.Client{Retry: retry.Policy{Tries: 1}}, src)
	if err != nil {
		t.Fatalf("Apply(%s) = %v, want success", src.Dir, err)
	}
	return o
}

func changed(t testing.TB, s *sys.System, src metadata.Source, want bool) {
	t.Helper()
	if o := run(t, s, src); o.Changed != want || o.Trigger != want || o.Degraded != "" || (o.Action != "") != want {
		t.Errorf("Apply(%s) = %+v, want changed %v", src.Dir, o, want)
	}
}

func expectTree(t testing.TB, s *sys.System, dir string, want ...string) {
	t.Helper()
	if got := tree(t, s, dir); !slices.Equal(got, want) {
		t.Errorf("%s holds\n\t%s\nwant\n\t%s", dir, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// heat-cfntools took the kind from the name: it skipped .xz, and any URL with
// a query, without a word.
func TestContentDecidesTheKind(t *testing.T) {
	plain := makeTar(t, file("x.txt", "hello"))
	for name, data := range map[string][]byte{
		"tar":           plain,
		"gzip":          gzipped(t, plain),
		"xz":            xzipped(t, plain),
		"zstd":          zstdipped(t, plain),
		"zip":           makeZip(t, zipMember{"x.txt", "hello", 0o644}),
		"zip.tar.gz":    append([]byte("#!/bin/sh\nexit\n"), makeZip(t, zipMember{"x.txt", "hello", 0o644})...),
		"tar-as-it.zip": plain,
	} {
		s := system(t)
		changed(t, s, give(t, s, data, name), true)
		expectTree(t, s, "/srv/app", "x.txt -rw-r--r-- hello")
	}
	s := system(t)
	changed(t, s, give(t, s, unbase64(t, bzipTar), "b"), true)
	expectTree(t, s, "/srv/app", "x.txt -rw-r--r-- bzipped\n")
}

func TestSingleCompressedFile(t *testing.T) {
	for name, data := range map[string][]byte{
		"a.sh.gz": gzipped(t, []byte("text")), "a.sh.xz": xzipped(t, []byte("text")), "a.sh": zstdipped(t, []byte("text")), "a.sh.GZ": gzipped(t, []byte("text")),
	} {
		s := system(t)
		changed(t, s, give(t, s, data, name), true)
		expectTree(t, s, "/srv/app", "a.sh -rw-r--r-- text")
	}
	s := system(t)
	changed(t, s, give(t, s, unbase64(t, bzip), "x.bz2"), true)
	expectTree(t, s, "/srv/app", "x -rw-r--r-- bzipped\n")
	// A disk image begins with zeros, as the end of a tar archive does.
	s = system(t)
	zeros := strings.Repeat("\x00", 100<<10)
	changed(t, s, give(t, s, gzipped(t, []byte(zeros)), "disk.img.gz"), true)
	expectTree(t, s, "/srv/app", "disk.img -rw-r--r-- "+zeros)
}

func TestEmptyArchives(t *testing.T) {
	for name, data := range map[string][]byte{"tar": makeTar(t), "tgz": gzipped(t, makeTar(t)), "zip": makeZip(t)} {
		s := system(t)
		changed(t, s, give(t, s, data, name), true)
		expectTree(t, s, "/srv/app")
		changed(t, s, give(t, s, data, name), false)
	}
}

// heat-cfntools left a.sh out without a word; so are the others no archives.
func TestNoArchive(t *testing.T) {
	good := gzipped(t, makeTar(t, file("x", strings.Repeat("hello", 1000))))
	for name, data := range map[string][]byte{
		"a.sh":      []byte("#!/bin/sh\necho hello\n"),
		"empty":     {},
		"truncated": good[:len(good)-20],
		"checksum":  append(good[:len(good)-8:len(good)-8], "00000000"...),
		"cut.zip":   makeZip(t, zipMember{"x", "hello", 0o644})[:60],
		"cut.tar":   makeTar(t, file("x", strings.Repeat("hello", 1000)))[:2000],
	} {
		s := system(t)
		put(t, s, "/srv/app/there", "old")
		o := run(t, s, give(t, s, data, name))
		if o.Changed || !strings.HasPrefix(o.Degraded, "unpack file:///in/"+name+": ") || !strings.HasSuffix(o.Degraded, ": /srv/app is left as it is") {
			t.Errorf("%s: outcome = %+v, want degraded", name, o)
		}
		expectTree(t, s, "/srv", "app drwxr-xr-x", "app/there -rw-r--r-- old")
	}
}

// The URLs of GitHub: heat-cfntools followed no redirect, took a tag with a
// dot for a suffix, and made an empty name of a slash at the end. The level
// that all members share is kept.
func TestGitHubForms(t *testing.T) {
	archive := gzipped(t, makeTar(t, special("pax_global_header", tar.TypeXGlobalHeader), dir("owner-repo-0a1b2c/"), file("owner-repo-0a1b2c/README", "x")))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/codeload/") {
			http.Redirect(w, r, "/codeload/x", http.StatusFound)
			return
		}
		w.Write(archive)
	}))
	defer srv.Close()
	for _, p := range []string{"/o/r/tarball/master", "/o/r/tarball/v1.0", "/o/r/zipball/master/", "/o/r/archive/v1.tar.gz?x=1", "/o/r/tarball/it's%20$(touch%20x)"} {
		s := system(t)
		changed(t, s, metadata.Source{Dir: "/srv/app", URL: srv.URL + p}, true)
		expectTree(t, s, "/srv/app", "owner-repo-0a1b2c drwxr-xr-x", "owner-repo-0a1b2c/README -rw-r--r-- x")
	}
}

func TestModesAndTimes(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t,
		withMode(dir("./d/"), 0o1750), withMode(file("./d/x", "x"), 0o6755), withMode(file("ro/y", "y"), 0o400), link("l", "d/x"), hardlink("h", "ro/y"), dir("./")), "a")
	changed(t, s, src, true)
	expectTree(t, s, "/srv/app", "d dtrwxr-x---", "d/x -rwxr-xr-x x", "h -r-------- y", "l Lrwxrwxrwx -> d/x", "ro drwxr-xr-x", "ro/y -r-------- y")
	for _, name := range []string{"d", "d/x", "h"} {
		if info, err := os.Stat(s.Path("/srv/app/" + name)); err != nil || !info.ModTime().Equal(epoch) {
			t.Errorf("time of %s = %v, %v, want %v", name, info.ModTime(), err, epoch)
		}
	}
	s = system(t)
	changed(t, s, give(t, s, makeZip(t,
		zipMember{"d/", "", 0}, zipMember{"d/x", "x", 0}, zipMember{"s", "x", 0o4750}, zipMember{"l", "d/x", fs.ModeSymlink | 0o777}), "a"), true)
	expectTree(t, s, "/srv/app", "d drwxr-xr-x", "d/x -rw-r--r-- x", "l Lrwxrwxrwx -> d/x", "s -rwxr-x--- x")
}

// Both outcomes are right: a process that is not root owns all it unpacks.
func TestOwners(t *testing.T) {
	s := system(t)
	changed(t, s, give(t, s, makeTar(t,
		withOwner(file("by-name", ""), "app", 77), withOwner(file("by-number", ""), "gone", 1234), withOwner(file("unknown", ""), "gone", 77)), "a"), true)
	want := map[string][2]int{"by-name": {1234, 2345}, "by-number": {1234, 0}, "unknown": {0, 0}}
	for name, ids := range want {
		if os.Geteuid() != 0 {
			ids = [2]int{os.Geteuid(), os.Getegid()}
		}
		if got := owner(t, s.Path("/srv/app/"+name)); got != ids {
			t.Errorf("owner of %s = %v, want %v", name, got, ids)
		}
	}
}

func TestExistingFilesAreReplacedOthersLeft(t *testing.T) {
	s := system(t)
	put(t, s, "/srv/app/d/x", "old")
	put(t, s, "/srv/app/d/mine", "mine")
	put(t, s, "/outside", "untouched")
	if err := os.Chmod(s.Path("/srv/app/d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../outside", s.Path("/srv/app/y")); err != nil {
		t.Fatal(err)
	}
	changed(t, s, give(t, s, makeTar(t, dir("d"), file("d/x", "new"), file("y", "new"), file("z", "1"), file("z", "2")), "a"), true)
	expectTree(t, s, "/srv/app", "d drwx------", "d/mine -rw-r--r-- mine", "d/x -rw-r--r-- new", "y -rw-r--r-- new", "z -rw-r--r-- 2")
	if data, _ := os.ReadFile(s.Path("/outside")); string(data) != "untouched" {
		t.Errorf("what the link pointed to = %q, want it untouched", data)
	}
}

func TestDirectoryThatIsALink(t *testing.T) {
	s := system(t)
	put(t, s, "/data/there", "old")
	if err := s.MkdirAll("/srv"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../data", s.Path("/srv/app")); err != nil {
		t.Fatal(err)
	}
	src := give(t, s, makeTar(t, file("x", "new")), "a")
	changed(t, s, src, true)
	expectTree(t, s, "/data", "there -rw-r--r-- old", "x -rw-r--r-- new")
	expectTree(t, s, "/srv", "app Lrwxrwxrwx -> ../data")
	changed(t, s, src, false)
}

func TestRootAsDirectory(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t, file("usr/local/x", "x")), "a")
	src.Dir = "/"
	changed(t, s, src, true)
	changed(t, s, src, false)
	expectTree(t, s, "/usr", "local drwxr-xr-x", "local/x -rw-r--r-- x")
}

// A link in /tmp that another user made led root to where it pointed.
func TestDirectoryByALinkOfAnotherUserIsFatal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make the link of another user")
	}
	s := system(t)
	src := give(t, s, makeTar(t, file("x", "1")), "a")
	src.Dir = "/tmp/app/sub"
	put(t, s, "/tmp/x", "")
	put(t, s, "/srv/there", "")
	err := errors.Join(os.Chmod(s.Path("/tmp"), 0o777|fs.ModeSticky), os.Symlink("../srv", s.Path("/tmp/app")), os.Lchown(s.Path("/tmp/app"), 1234, 2345))
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, s, "/srv")
	o, err := Apply(t.Context(), s, new(fetch.Client), src)
	want := "source /tmp/app/sub: " + s.Path("/tmp/app") + " is a symbolic link of user 1234 in a directory that everybody may write to: it is not followed"
	if err == nil || err.Error() != want || o.Changed {
		t.Errorf("Apply = %+v, %v, want %s", o, err, want)
	}
	expectTree(t, s, "/srv", before...)
}

func TestRelativeDirectoryIsFatal(t *testing.T) {
	s := system(t)
	_, err := Apply(t.Context(), s, new(fetch.Client), metadata.Source{Dir: "srv/app", URL: "/x"})
	if want := "source srv/app: the directory must be absolute, such as /srv/app"; err == nil || err.Error() != want {
		t.Errorf("Apply = %v, want %s", err, want)
	}
}

// heat-cfntools took a download that failed for one that worked.
func TestFailedDownloadIsDegraded(t *testing.T) {
	s := system(t)
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	o := run(t, s, metadata.Source{Dir: "/srv/app", URL: srv.URL + "/a?Signature=xyzzy"})
	if want := "get " + srv.URL + "/a?Signature=[cut]: 404 Not Found: /srv/app is left as it is"; o.Degraded != want || o.Changed {
		t.Errorf("outcome = %+v, want degraded: %s", o, want)
	}
	expectTree(t, s, "/srv")
}

func TestDryRunOnlyLooks(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t, file("x", "1")), "a")
	s.DryRun = true
	before := tree(t, s, "/")
	o := run(t, s, src)
	if want := "unpack file:///in/a into /srv/app"; !o.Changed || o.Action != want {
		t.Errorf("outcome = %+v, want changed, %s", o, want)
	}
	expectTree(t, s, "/", before...)
	s.DryRun = false
	changed(t, s, src, true)
	s.DryRun = true
	changed(t, s, src, false)
	give(t, s, makeTar(t, file("x", "22")), "a")
	before = tree(t, s, "/")
	changed(t, s, src, true)
	expectTree(t, s, "/", before...)
}

func TestNoAccessToOthers(t *testing.T) {
	s := system(t)
	archive := makeTar(t, file("x", "1"))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(archive) }))
	defer srv.Close()
	changed(t, s, metadata.Source{Dir: "/srv/app", URL: srv.URL + "/a?token=xyzzy"}, true)
	for _, line := range tree(t, s, stateDir) {
		if !strings.Contains(line, ".json -rw------- ") && line != "download drwx------" || strings.Contains(line, "xyzzy") {
			t.Errorf("%s holds %q, want private files without the URL", stateDir, line)
		}
	}
	if info, err := os.Stat(s.Path(stateDir)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of %s = %v, %v, want 0700", stateDir, info.Mode(), err)
	}
}

package sources

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// heat-cfntools fetched and unpacked everything on every run.
func TestUnchangedArchiveIsNotDownloaded(t *testing.T) {
	s := system(t)
	data, sent := makeTar(t, file("x", "1"), link("l", "x"), dir("d")), 0
	at := time.Now()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-Modified-Since") == "" {
			sent++
		}
		http.ServeContent(w, r, "", at, bytes.NewReader(data))
	}))
	defer srv.Close()
	src := metadata.Source{Dir: "/srv/app", URL: srv.URL}
	changed(t, s, src, true)
	changed(t, s, src, false)
	if sent != 1 {
		t.Errorf("the archive was asked for %d times without a condition, want once", sent)
	}
	data, at = makeTar(t, file("x", "2")), at.Add(time.Minute)
	changed(t, s, src, true)
	expectTree(t, s, "/srv/app", "d drwxr-xr-x", "l Lrwxrwxrwx -> x", "x -rw-r--r-- 2")
}

func TestSameBytesAreNotUnpackedAgain(t *testing.T) {
	s := system(t)
	data := makeTar(t, file("x", "1"))
	requests := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests++; w.Write(data) }))
	defer srv.Close()
	src := metadata.Source{Dir: "/srv/app", URL: srv.URL + "/a.tar?temp_url_sig=1"}
	changed(t, s, src, true)
	changed(t, s, src, false)
	src.URL = srv.URL + "/a.tar?temp_url_sig=2"
	changed(t, s, src, false)
	if requests != 3 {
		t.Errorf("%d requests, want 3", requests)
	}
	// With a digest there is nothing to ask.
	src.SHA256 = digest(string(data))
	changed(t, s, src, false)
	if requests != 3 {
		t.Errorf("%d requests, want none for a known digest", requests-3)
	}
}

func TestTreeThatIsNotIntactIsUnpackedAgain(t *testing.T) {
	damage := map[string]func(dir string) error{
		"file removed": func(dir string) error { return os.Remove(filepath.Join(dir, "x")) },
		"file changed": func(dir string) error { return os.WriteFile(filepath.Join(dir, "x"), []byte("2"), 0o644) },
		"link removed": func(dir string) error { return os.Remove(filepath.Join(dir, "l")) },
		"file now link": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "x")), os.Symlink("y", filepath.Join(dir, "x")))
		},
		"all of it gone": func(dir string) error { return os.RemoveAll(dir) },
	}
	for name, f := range damage {
		s := system(t)
		src := give(t, s, makeTar(t, file("x", "1"), link("l", "x")), "a")
		changed(t, s, src, true)
		if err := f(s.Path("/srv/app")); err != nil {
			t.Fatal(err)
		}
		if o := run(t, s, src); !o.Changed {
			t.Errorf("%s: not unpacked again", name)
		}
		expectTree(t, s, "/srv/app", "l Lrwxrwxrwx -> x", "x -rw-r--r-- 1")
		changed(t, s, src, false)
	}
}

func TestOtherFilesDoNotCount(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t, file("d/x", "1")), "a")
	changed(t, s, src, true)
	put(t, s, "/srv/app/d/mine", "x")
	changed(t, s, src, false)
}

// A config's files and commands change what its sources brought, every time.
func TestSettledTreeIsIntact(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t, file("conf", "default"), file("setup", "x")), "a")
	if err := Settle(s, src); err != nil {
		t.Errorf("Settle before the first run = %v, want nil", err)
	}
	changed(t, s, src, true)
	put(t, s, "/srv/app/conf", "mine")
	if err := os.Remove(s.Path("/srv/app/setup")); err != nil {
		t.Fatal(err)
	}
	if err := Settle(s, src); err != nil {
		t.Fatal(err)
	}
	changed(t, s, src, false)
	expectTree(t, s, "/srv/app", "conf -rw-r--r-- mine")
}

func TestLeftoversOfAKilledRunAreRemoved(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t, file("x", "1")), "a")
	u := unpacking{System: s, src: src}
	for _, dir := range []string{"/srv", "/srv/app", "/"} {
		put(t, s, dir+"/"+u.stageName()+"/half", "x")
	}
	put(t, s, stateDir+"/download/get-1", "x")
	changed(t, s, src, true)
	expectTree(t, s, "/srv", "app drwxr-xr-x", "app/x -rw-r--r-- 1")
	expectTree(t, s, stateDir+"/download")
	if _, err := os.Lstat(s.Path("/" + u.stageName())); err == nil {
		t.Error("the stage of a killed run is still there")
	}
}

// What is half moved when the machine goes down must not count as unpacked.
func TestStateIsForgottenBeforeTheFirstMove(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t, file("x", "1")), "a")
	changed(t, s, src, true)
	if err := forget(s, src); err != nil {
		t.Fatal(err)
	}
	changed(t, s, src, true)
	put(t, s, statePath("/srv/app"), "{half")
	changed(t, s, src, true)
}

func TestCancelledRunIsAnError(t *testing.T) {
	s := system(t)
	src := give(t, s, makeTar(t, file("x", "1")), "a")
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("shutting down")
	cancel(cause)
	if _, err := Apply(ctx, s, new(fetch.Client), src); !errors.Is(err, cause) {
		t.Errorf("Apply = %v, want %v", err, cause)
	}
	expectTree(t, s, "/srv")
}

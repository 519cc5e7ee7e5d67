package files

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/metadata"
)

func TestSource(t *testing.T) {
	s := system(t)
	body, status := "v1", http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		w.Write([]byte(body))
	}))
	defer srv.Close()
	f := metadata.File{Path: "/a", Source: srv.URL + "/f?token=xyzzy", Mode: metadata.Mode{Bits: 0o600, Set: true}}
	expect(t, apply(t, s, f), "create, mode 0600", true, true)
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

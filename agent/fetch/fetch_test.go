package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

func quick(tries int) retry.Policy {
	return retry.Policy{First: time.Millisecond, Tries: tries, Total: time.Minute}
}

func system(t *testing.T) *sys.System {
	return &sys.System{Root: t.TempDir(), Run: sys.Exec, Log: slog.New(slog.DiscardHandler)}
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func read(t *testing.T, f *File) string {
	t.Helper()
	data, err := os.ReadFile(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

func empty(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%s holds %v, %v, want nothing left", dir, entries, err)
	}
}

func TestGetIntoAPrivateFile(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		io.WriteString(w, "hello")
	})
	dir := t.TempDir()
	f, err := new(Client).Get(t.Context(), system(t), Request{URL: srv.URL + "/a", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, f); got != "hello" || f.Size != 5 || f.SHA256 != sum("hello") || f.ETag != `"v1"` || f.LastModified == "" {
		t.Errorf("Get = %q, %+v, want hello with its size, digest and validators", got, f)
	}
	if info, _ := os.Stat(f.Path); info.Mode() != 0o600 {
		t.Errorf("mode = %v, want 0600", info.Mode())
	}
	if err := f.Remove(); err != nil {
		t.Error(err)
	}
	empty(t, dir)
}

// heat-cfntools ran curl without -f and stored error pages as content.
func TestErrorPageIsNotContent(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "oh no", http.StatusGone) })
	dir := t.TempDir()
	_, err := new(Client).Get(t.Context(), system(t), Request{URL: srv.URL + "/a?sig=xyzzy", Dir: dir})
	if want := "get " + srv.URL + "/a?sig=[cut]: 410 Gone"; err == nil || err.Error() != want {
		t.Errorf("Get = %v, want %s", err, want)
	}
	empty(t, dir)
}

// heat-cfntools ran curl without -L, so that GitHub's archives came empty.
func TestRedirectsAreFollowed(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/b" {
			http.Redirect(w, r, "/b", http.StatusFound)
			return
		}
		io.WriteString(w, "there")
	})
	f, err := new(Client).Get(t.Context(), system(t), Request{URL: srv.URL + "/a", Dir: t.TempDir()})
	if err != nil || read(t, f) != "there" {
		t.Errorf("Get = %v, want there", err)
	}
}

func TestRedirectLoopEnds(t *testing.T) {
	requests := 0
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { requests++; http.Redirect(w, r, "/a", http.StatusFound) })
	_, err := (&Client{Retry: quick(3)}).Get(t.Context(), system(t), Request{URL: srv.URL + "/a", Dir: t.TempDir()})
	if err == nil || requests != maxRedirects {
		t.Errorf("Get = %v after %d requests, want an error after %d", err, requests, maxRedirects)
	}
}

// heat-cfntools retried nothing.
func TestRetries(t *testing.T) {
	for _, tt := range []struct {
		status int
		tries  int
	}{{503, 3}, {500, 3}, {429, 3}, {408, 3}, {425, 3}, {403, 3}, {404, 3}, {400, 1}, {410, 1}, {206, 1}} {
		tries := 0
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) { tries++; w.WriteHeader(tt.status) })
		_, err := (&Client{Retry: quick(3)}).Get(t.Context(), system(t), Request{URL: srv.URL, Dir: t.TempDir()})
		if se, ok := errors.AsType[*StatusError](err); !ok || se.Status != tt.status || tries != tt.tries {
			t.Errorf("status %d: %v after %d tries, want that status after %d", tt.status, err, tries, tt.tries)
		}
	}
}

func TestRefusedConnectionIsRetried(t *testing.T) {
	_, err := (&Client{Retry: quick(2)}).Get(t.Context(), system(t), Request{URL: "http://127.0.0.1:1/a?token=xyzzy", Dir: t.TempDir()})
	if !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "xyzzy") {
		t.Errorf("Get = %v, want connection refused without the token", err)
	}
	if !temporary(err, 0) {
		t.Errorf("temporary(%v) = false, want true", err)
	}
}

func TestTruncatedBodyIsNoticedAndFetchedFromScratch(t *testing.T) {
	tries := 0
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tries++
		w.Header().Set("Content-Length", "10")
		if tries == 1 {
			io.WriteString(w, "01234")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "abcdefghij")
	})
	f, err := (&Client{Retry: quick(2)}).Get(t.Context(), system(t), Request{URL: srv.URL, Dir: t.TempDir()})
	if err != nil || read(t, f) != "abcdefghij" || f.SHA256 != sum("abcdefghij") {
		t.Errorf("Get = %v, want the second body alone", err)
	}
	tries = 0
	_, err = (&Client{Retry: quick(1)}).Get(t.Context(), system(t), Request{URL: srv.URL, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "the body ended after 5 of 10 bytes") {
		t.Errorf("Get = %v, want the body ended after 5 of 10 bytes", err)
	}
}

func TestRetryAfterBeyondTotalEnds(t *testing.T) {
	tries := 0
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		tries++
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	_, err := (&Client{Retry: quick(5)}).Get(t.Context(), system(t), Request{URL: srv.URL, Dir: t.TempDir()})
	if err == nil || tries != 1 {
		t.Errorf("Get = %v after %d tries, want an error after 1", err, tries)
	}
	header := http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}
	if d := retryAfter(header); d < 58*time.Minute || d > time.Hour {
		t.Errorf("retryAfter(in an hour) = %v, want about 1h", d)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	tries := 0
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries == 1 {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	start := time.Now()
	_, err := (&Client{Retry: quick(5)}).Get(t.Context(), system(t), Request{URL: srv.URL, Dir: t.TempDir()})
	if took := time.Since(start); err != nil || took < time.Second {
		t.Errorf("Get = %v after %v, want success after 1s", err, took)
	}
}

// heat-cfntools had no time limit anywhere.
func TestSilentServerIsGivenUp(t *testing.T) {
	gate := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			io.WriteString(w, "part")
			w.(http.Flusher).Flush()
		}
		<-gate
	})
	defer close(gate)
	c := &Client{Retry: quick(1), Header: 20 * time.Millisecond, Idle: 20 * time.Millisecond}
	if _, err := c.Get(t.Context(), system(t), Request{URL: srv.URL + "/header", Dir: t.TempDir()}); !errors.Is(err, errTooSlow) {
		t.Errorf("Get of a URL without an answer = %v, want %v", err, errTooSlow)
	}
	c.Header = time.Minute
	if _, err := c.Get(t.Context(), system(t), Request{URL: srv.URL + "/body", Dir: t.TempDir()}); !errors.Is(err, errIdle) {
		t.Errorf("Get of a body that stops = %v, want %v", err, errIdle)
	}
}

func TestCancelledDownload(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("shutting down")
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { cancel(cause); <-r.Context().Done() })
	if _, err := new(Client).Get(ctx, system(t), Request{URL: srv.URL, Dir: t.TempDir()}); !errors.Is(err, cause) {
		t.Errorf("Get = %v, want %v", err, cause)
	}
}

func TestConditionalGet(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "a", time.Unix(1e9, 0), strings.NewReader("hello"))
	})
	s, dir := system(t), t.TempDir()
	f, err := new(Client).Get(t.Context(), s, Request{URL: srv.URL, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	f.Remove()
	again, err := new(Client).Get(t.Context(), s, Request{URL: srv.URL, Dir: dir, LastModified: f.LastModified})
	if err != nil || !again.NotModified || again.Path != "" {
		t.Errorf("Get = %+v, %v, want NotModified", again, err)
	}
	empty(t, dir)
}

func TestLocalFiles(t *testing.T) {
	s := system(t)
	if err := os.WriteFile(filepath.Join(s.Root, "a b"), []byte("local"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"/a b", "file:///a%20b", "file:/a%20b", "file://localhost/a%20b", "/a b#sha256=" + sum("local")} {
		f, err := new(Client).Get(t.Context(), s, Request{URL: url, Dir: t.TempDir()})
		if err != nil || read(t, f) != "local" {
			t.Errorf("Get(%s) = %v, want local", url, err)
			continue
		}
		again, err := new(Client).Get(t.Context(), s, Request{URL: url, Dir: t.TempDir(), ETag: f.ETag})
		if err != nil || !again.NotModified {
			t.Errorf("Get(%s) again = %+v, %v, want NotModified", url, again, err)
		}
	}
}

func TestWhatCannotBeFetched(t *testing.T) {
	s := system(t)
	if err := syscall.Mkfifo(filepath.Join(s.Root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"/fifo":                    "get /fifo: not a regular file",
		"/none":                    "get /none: no such file or directory",
		"a.tgz":                    "get a.tgz: neither a URL nor an absolute path",
		"ftp://u:p@h/x":            "get ftp://h/x: scheme ftp is not supported: use http, https, s3 or file",
		"http:///x":                "get http:///x: the URL has no host",
		"http://u:hunter2@h\x01/x": "get http://h\x01/x: not a URL",
		"file://host/x":            "get file://host/x: a file: URL needs an absolute path and no host, such as file:///srv/a.tar",
		"s3://bucket":              "get s3://bucket: an s3 URL needs a bucket and a key: s3://bucket/key",
		"/fifo#sha256=12":          "get /fifo: its sha256 is not 64 hexadecimal digits",
	} {
		if _, err := new(Client).Get(t.Context(), s, Request{URL: url, Dir: t.TempDir()}); err == nil || err.Error() != want {
			t.Errorf("Get(%q) = %v, want %s", url, err, want)
		}
	}
}

func TestDigestIsEnforced(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	s, good, bad := system(t), sum("hello"), sum("other")
	for _, tt := range []struct {
		r  Request
		ok bool
	}{
		{Request{URL: srv.URL, SHA256: good}, true},
		{Request{URL: srv.URL, SHA256: strings.ToUpper(good)}, true},
		{Request{URL: srv.URL + "#sha256=" + good}, true},
		{Request{URL: srv.URL, SHA256: bad}, false},
		{Request{URL: srv.URL + "#sha256=" + bad}, false},
		{Request{URL: srv.URL + "#sha256=" + bad, SHA256: good}, false},
	} {
		dir := t.TempDir()
		tt.r.Dir = dir
		f, err := new(Client).Get(t.Context(), s, tt.r)
		if (err == nil) != tt.ok {
			t.Errorf("Get(%+v) = %v, want success %v", tt.r, err, tt.ok)
		}
		f.Remove()
		empty(t, dir)
	}
}

func TestTooLarge(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		tries := 0
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			tries++
			if chunked {
				w.(http.Flusher).Flush()
			}
			io.WriteString(w, "0123456789")
		})
		dir := t.TempDir()
		_, err := (&Client{Limit: 9, Retry: quick(3)}).Get(t.Context(), system(t), Request{URL: srv.URL, Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "larger than the limit of 9 bytes") || tries != 1 {
			t.Errorf("chunked %v: Get = %v after %d tries, want larger than the limit, once", chunked, err, tries)
		}
		empty(t, dir)
	}
}

func TestFullDiskIsNotRetried(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	w := &sink{file: full, limit: 100, hash: sha256.New()}
	if _, err := w.Write([]byte("x")); !errors.Is(err, syscall.ENOSPC) || temporary(fmt.Errorf("get: %w", err), 0) {
		t.Errorf("Write = %v, temporary, want no space left, not temporary", err)
	}
}

func TestBytesAreTakenAsStored(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			t.Error("the request asks for a compressed answer")
		}
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "\x1f\x8bnot unpacked")
	})
	f, err := new(Client).Get(t.Context(), system(t), Request{URL: srv.URL, Dir: t.TempDir()})
	if err != nil || read(t, f) != "\x1f\x8bnot unpacked" {
		t.Errorf("Get = %v, want the bytes as stored", err)
	}
}

func TestShown(t *testing.T) {
	for raw, want := range map[string]string{
		"http://h/p":                "http://h/p",
		"http://user:pw@h:80/p?a=b": "http://h:80/p?a=b",
		"http://u:p@ss@h/p":         "http://h/p",
		"http://h/p@x":              "http://h/p@x",
		"https://b.s3.amazonaws.com/k?X-Amz-Signature=a&X-Amz-Date=2": "https://b.s3.amazonaws.com/k?X-Amz-Signature=[cut]&X-Amz-Date=2",
		"http://h/v1/AUTH_x/o?temp_url_sig=abc&temp_url_expires=1":    "http://h/v1/AUTH_x/o?temp_url_sig=[cut]&temp_url_expires=1",
		"http://h/?%73ig=abc": "http://h/?sig=[cut]",
		"http://h/?abcdef":    "http://h/?[cut]",
		"http://h/#secret":    "http://h/",
	} {
		if got := Shown(raw); got != want {
			t.Errorf("Shown(%s) = %s, want %s", raw, got, want)
		}
	}
}

func TestBaseName(t *testing.T) {
	for raw, want := range map[string]string{
		"http://h/a/b.gz?x=/c": "b.gz", "http://h/a/b.gz/": "b.gz", "http://h/": "", "http://h": "", "/a/b.bz2": "b.bz2",
		"http://h/a/..": "", "http://h/a%2Fb": "b", "http://h/%2e%2e": "", "/a/b#sha256=00": "b", "http://h/a/..%2f": "",
	} {
		if got := BaseName(raw); got != want {
			t.Errorf("BaseName(%s) = %q, want %q", raw, got, want)
		}
	}
}

package admin

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Whatever the process would let others do with new files, nobody else ever
// reaches the socket: not before its group and mode are set either.
func TestSocketIsPrivateFromItsFirstMoment(t *testing.T) {
	dir, err := os.MkdirTemp("", "cfn-watch-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	const lax = 0o002
	before := syscall.Umask(lax)
	defer syscall.Umask(before)
	l, err := bind(filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(filepath.Join(dir, "s")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket begins with mode %v, %v, want 0600", info.Mode(), err)
	}
	if got := syscall.Umask(lax); got != lax {
		t.Errorf("files are made with umask %#o afterwards, want %#o", got, lax)
	}
	for i := range 50 { // somebody looks all the time
		path, done := filepath.Join(dir, strconv.Itoa(i)), make(chan os.FileMode)
		go func() {
			for seen := os.FileMode(0); ; {
				info, err := os.Stat(path)
				if err == nil {
					seen |= info.Mode().Perm()
				}
				if seen&0o060 != 0 {
					done <- seen
					return
				}
			}
		}()
		l, err := Listen(path)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if seen := <-done; seen != 0o660 {
			t.Fatalf("the socket had mode %v for a moment, want 0600 and then 0660", seen)
		}
	}
}

// raw calls without our client.
func (d *desk) raw(name, body string) (*http.Response, error) {
	dial := func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", d.Socket) }
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	return client.Post("http://cfn-watch/"+name, "application/json", strings.NewReader(body))
}

// What is not there is told from what cannot be, for programs that ask without
// our client.
func TestStatusOfAnswers(t *testing.T) {
	d := newDesk(t)
	d.alarm("p", "both")
	d.alarm("q", "both")
	for _, tt := range []struct {
		call, body string
		want       int
	}{
		{"set-state", `{"alarm": "none", "state": "OK"}`, http.StatusNotFound},
		{"history", `{"alarm": "none"}`, http.StatusNotFound},
		{"reset", `{"target": "none"}`, http.StatusNotFound},
		{"stauts", `{}`, http.StatusNotFound},
		{"set-state", `{"alarm": "both", "state": "OK"}`, http.StatusConflict},
		{"set-state", `{"alarm": "p/both", "state": "` + string(watch.OK) + `"}`, http.StatusOK},
		{"history", `{"alarm": 1}`, http.StatusBadRequest},
	} {
		resp, err := d.raw(tt.call, tt.body)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.call, tt.body, resp.StatusCode, tt.want)
		}
	}
}

// The folder of the default path, in /run, is gone after each boot.
func TestListenMakesTheFolder(t *testing.T) {
	dir, err := os.MkdirTemp("", "cfn-watch-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := Listen(filepath.Join(dir, "run", "s"))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// A path that was mistyped costs nobody a file.
func TestListenLeavesWhatIsNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(path); err == nil {
		l.Close()
		t.Error("a socket took the place of a file")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "kept" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch/admin"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// A running is a server in this process whose configuration is rewritten.
type running struct {
	*server
	t      *testing.T
	dir    string
	client admin.Client
	end    func() // stops it as a signal does
}

// write replaces the configuration: what every one of the test has, and then
// some lines.
func (r *running) write(lines ...string) {
	r.t.Helper()
	all := append([]string{
		"[store]", "path = " + filepath.Join(r.dir, "state.db"), "[alarms]", "dir = " + filepath.Join(r.dir, "rules"),
		"[server]", "listen = 127.0.0.1:0", "metrics = 127.0.0.1:0", "admin = " + filepath.Join(r.dir, "s")}, lines...)
	r.put("conf", strings.Join(all, "\n"))
}

func (r *running) put(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// start serves with the least there can be.
func start(t *testing.T) *running {
	r := prepare(t)
	r.write()
	r.serve()
	return r
}

// prepare makes a folder for a server that is to be written and then served.
func prepare(t *testing.T) *running {
	dir, err := os.MkdirTemp("", "cfn-watch-") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	return &running{t: t, dir: dir, client: admin.Client{Socket: filepath.Join(dir, "s")}}
}

// serve serves with what was written.
func (r *running) serve() {
	t := r.t
	t.Helper()
	g := &global{env: &env{}, config: filepath.Join(r.dir, "conf")}
	r.server = &server{reread: g.load, getenv: g.env.getenv, log: slog.New(slog.DiscardHandler), hangups: make(chan os.Signal, 1)}
	c, err := g.load()
	if err != nil {
		t.Fatal(err)
	}
	r.replace(c)
	if r.store, err = store.Open(t.Context(), c.store.path, store.Options{Log: r.log}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.build(t.Context()), r.listen()); err != nil {
		t.Fatal(err)
	}
	s, ended := r.server, make(chan error)
	ctx, stop := context.WithCancel(t.Context())
	go func() { ended <- s.run(ctx) }()
	r.end = sync.OnceFunc(func() {
		stop()
		if err := errors.Join(<-ended, s.store.Close()); err != nil {
			t.Error(err)
		}
		s.close()
	})
	t.Cleanup(r.end)
}

// post asks the API as the owner of a key does, and returns what comes back.
func (r *running) post(key awsquery.Credentials, form url.Values) string {
	r.t.Helper()
	text, err := askAPI(r.t.Context(), r.selftest.url, key, time.Now(), form)
	if err != nil {
		return err.Error()
	}
	return "200 " + text
}

// await waits for what comes about in another goroutine of the server.
func (r *running) await(what string, is func() bool) {
	r.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%s: not within two minutes", what)
		}
	}
}

// get is an answer of the address for scrapers.
func (r *running) get(path string) string {
	r.t.Helper()
	resp, err := http.Get("http://" + r.scrapers.Addr().String() + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf("%d\n%s", resp.StatusCode, text)
}

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cfn-agent/cfn-agent/watch/admin"
)

// serveVariable makes a process of this test the server.
const serveVariable = "CFN_WATCH_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveVariable) != "" { // a process of a test, which it can kill
		os.Args = []string{"cfn-watch", "serve"}
		main()
	}
	testscript.Main(m, map[string]func(){"cfn-watch": main})
}

// TestScripts runs the program as operators do. Every script has a
// configuration of its own, with ports that nobody else has.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			// The path of a socket is short, and that of a test is not.
			dir, err := os.MkdirTemp("", "cfn-watch-")
			if err != nil {
				return err
			}
			e.Defer(func() { os.RemoveAll(dir) })
			config := strings.Join([]string{
				"[server]", "listen = 127.0.0.1:0", "metrics = 127.0.0.1:0", "admin = " + filepath.Join(dir, "admin.sock"),
				"[store]", "path = " + filepath.Join(e.WorkDir, "state.db"), "",
			}, "\n")
			path := filepath.Join(e.WorkDir, "base.conf")
			e.Setenv("SOCKET", filepath.Join(dir, "admin.sock"))
			e.Setenv("CFN_WATCH_CONFIG", path)
			return os.WriteFile(path, []byte(config), 0o644)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serving": waitServing},
	})
}

// waitServing is the script command "serving": the server answers, or comes to
// within a while.
func waitServing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: serving")
	}
	client := admin.Client{Socket: ts.Getenv("SOCKET")}
	var err error
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		var st admin.Status
		if err = client.Call(context.Background(), "status", admin.Nothing{}, &st); err == nil {
			ts.Setenv("LISTEN", st.Listen)
			return
		}
	}
	ts.Fatalf("the server does not answer: %v", err)
}

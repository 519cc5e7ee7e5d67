package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// listenNotify is the script command "notify FILE": a socket as systemd gives
// it to a service with Type=notify, whose messages go to the file.
func listenNotify(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: notify FILE")
	}
	dir, err := os.MkdirTemp("", "notify") // the path of a socket is short
	ts.Check(err)
	ts.Defer(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	ts.Check(err)
	out, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	done := make(chan struct{})
	ts.Defer(func() { conn.Close(); <-done })
	go func() {
		defer close(done)
		defer out.Close()
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			if _, err := out.WriteString(string(buf[:n]) + "\n"); err != nil {
				return
			}
		}
	}()
	ts.Setenv("NOTIFY_SOCKET", path)
}

// waitUntil is the script command "until FILE TEXT": the file holds the text,
// or comes to within a while.
func waitUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: until FILE TEXT")
	}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(data), args[1]) {
			return
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Check(err)
		}
		if time.Now().After(end) {
			ts.Fatalf("%s does not hold %q: %s", args[0], args[1], data)
		}
	}
}

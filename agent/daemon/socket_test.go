package daemon

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a client says or does, the next one is answered.
func TestSocket(t *testing.T) {
	g := newGuest(t, "[check a]\nprobe = exec:a\ninterval = 1h\n[jbo x]\n")
	if _, err := AskStatus(t.Context(), g.root); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("without a daemon: %v, want %v", err, ErrNoDaemon)
	}
	g.write(SocketPath, "what a killed daemon has left")
	l, err := Listen(g.root)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(g.root, SocketPath)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info.Mode(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served, ended := make(chan struct{}), make(chan error)
	go func() {
		ended <- g.d.Run(ctx, func() {
			go func() { g.d.Serve(ctx, l); close(served) }()
		})
	}()
	for _, text := range []string{"", "\n", "nothing\n", "status", strings.Repeat("x", 100000), "GET / HTTP/1.1\r\n\r\n"} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = conn.Write([]byte(text)) // the daemon may have hung up
		conn.Close()
	}
	s, err := AskStatus(t.Context(), g.root)
	if err != nil || len(s.Checks) != 1 || s.Checks[0].State != New || len(s.Problems) != 1 || s.PID != os.Getpid() {
		t.Errorf("status %+v, %v", s, err)
	}
	if err := AskPoll(t.Context(), g.root); err != nil {
		t.Errorf("AskPoll: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	// One that is being stopped is none: not one of which all is well.
	if s, err := AskStatus(t.Context(), g.root); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("of a stopped daemon: %+v, %v, want %v", s, err, ErrNoDaemon)
	}
	if err := AskPoll(t.Context(), g.root); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("AskPoll of a stopped daemon: %v, want %v", err, ErrNoDaemon)
	}
	l.Close()
	<-served
	if _, err := AskStatus(t.Context(), g.root); !errors.Is(err, ErrNoDaemon) {
		t.Errorf("after the daemon: %v, want %v", err, ErrNoDaemon)
	}
}

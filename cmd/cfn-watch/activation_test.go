package main

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch/admin"
)

// A parent starts the server as systemd does: it passes sockets on, and says in
// the environment how many, to which process and by what names (sd_listen_fds(3)).
type parent struct {
	*running
	passed []*os.File
	env    string // of a shell that becomes the server
}

// file is the socket as it is passed on.
func file(t *testing.T, socket interface{ File() (*os.File, error) }) *os.File {
	t.Helper()
	f, err := socket.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// serve starts the server and waits until it answers, or has ended. It returns
// where it listens, or what it said.
func (p *parent) serve() (listens, said string) {
	t := p.t
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command("/bin/sh", "-c", p.env+` exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), serveVariable+"=1", configVariable+"="+filepath.Join(p.dir, "conf"))
	cmd.ExtraFiles, cmd.Stdout, cmd.Stderr = p.passed, &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if listens != "" {
			if err := <-ended; err != nil {
				t.Errorf("the server ends with %v: %s", err, out.String())
			}
		}
	}()
	for {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("the server has ended, and nobody asked it to")
			}
			return "", out.String()
		case <-time.After(20 * time.Millisecond):
			var st admin.Status
			if p.client.Call(t.Context(), "status", admin.Nothing{}, &st) == nil {
				return st.Listen, ""
			}
		}
	}
}

func TestSocketsOfSystemd(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	stream, datagrams := file(t, tcp.(*net.TCPListener)), file(t, udp.(*net.UDPConn))
	passed := tcp.Addr().String()
	for name, tt := range map[string]struct {
		env    string
		passed []*os.File
		want   string // where it listens; empty: where it is configured to
		said   string // instead: it does not start
	}{
		"one":                       {"LISTEN_PID=$$ LISTEN_FDS=1", []*os.File{stream}, passed, ""},
		"one with a name":           {"LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=guests", []*os.File{stream}, passed, ""},
		"none":                      {"LISTEN_PID=$$ LISTEN_FDS=0", []*os.File{stream}, "", ""},
		"of another process":        {"LISTEN_PID=1 LISTEN_FDS=1", []*os.File{stream}, "", ""},
		"two":                       {"LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=guests:guests", []*os.File{stream, stream}, "", "systemd passes 2 sockets on"},
		"two, one of them datagram": {"LISTEN_PID=$$ LISTEN_FDS=2", []*os.File{stream, datagrams}, "", "systemd passes 2 sockets on"},
		"datagrams":                 {"LISTEN_PID=$$ LISTEN_FDS=1", []*os.File{datagrams}, "", "let its socket unit have a ListenStream="},
	} {
		t.Run(name, func(t *testing.T) {
			p := &parent{prepare(t), tt.passed, tt.env}
			p.write()
			listens, said := p.serve()
			switch {
			case tt.said != "" && (listens != "" || !strings.Contains(said, tt.said)):
				t.Errorf("it listens at %q, says %q, want it to end with %q", listens, said, tt.said)
			case tt.said == "" && listens == "":
				t.Errorf("it does not start: %s", said)
			case tt.want != "" && listens != tt.want, tt.said == "" && tt.want == "" && listens == passed:
				t.Errorf("it listens at %s, the socket passed on is %s", listens, passed)
			}
		})
	}
}

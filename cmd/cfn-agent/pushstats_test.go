package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/daemon"
	"github.com/cfn-agent/cfn-agent/agent/lock"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

// Two of cron that look at the same moment whether a daemon sends the heartbeat
// do not take each other for it.
func TestHeartbeatIsHeldByDaemonAlone(t *testing.T) {
	e := &env{root: t.TempDir()}
	l, err := lock.Try(filepath.Join(e.root, stats.HeartbeatPath))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Release()
	f := func(note, watch string, want bool) {
		t.Helper()
		if err := l.Note(note); err != nil {
			t.Fatal(err)
		}
		o := pushStatsOptions{watch: watch}
		o.selection.Names = []string{stats.Heartbeat}
		if got := o.heldElsewhere(e); got != want {
			t.Errorf("noted %q, watch %q: held elsewhere is %v, want %v", note, watch, got, want)
		}
	}
	f("", "", false)
	f("\n", "", true)
	f("\n", "a", false)
	f("a\n", "a", true)
	f("a\n", "", false)
}

// A slip in the file, before the daemon is told to read it or after it refused
// to, took the server's address away when the way to it was looked for again:
// a guest whose heartbeat ends is restarted.
func TestServerOfDaemonIsThatOfItsConfiguration(t *testing.T) {
	e := &env{root: t.TempDir(), stderr: os.Stderr}
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(e.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(cfnapi.CredentialsFile, "AWSAccessKeyId=k\nAWSSecretKey=s\n")
	write(stats.AgentConfig, "[main]\nwatch-url = http://watch:1/\n")
	c := daemon.Load(e.root)
	write(stats.AgentConfig, "[main\nwatch-url = http://other:1/\n")
	r := &resident{hupRun{e: e, logs: e.openLogs("cfn-agent", "", false)}}
	for environ, want := range map[string]string{"": "http://watch:1/v1/", stats.ServerVariable + "=http://environ:1/": "http://environ:1/v1/"} {
		e.environ = []string{environ}
		if p, err := r.pusher(c); err != nil || p.Endpoint.String() != want {
			t.Errorf("with %q in the environment: %v, %v, want %s", environ, p, err, want)
		}
	}
}

// What only root may do is said to be so.
func TestDaemonIsForRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else for a time")
	}
	e := &env{root: t.TempDir(), stdout: os.Stdout, stderr: os.Stderr}
	if err := os.Mkdir(filepath.Join(e.root, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatal(err)
	}
	_, lockErr := takeDaemonLock(e)
	_, askErr := daemon.AskStatus(t.Context(), e.root)
	if err := syscall.Seteuid(0); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{lockErr, askErr} {
		if err == nil || !strings.HasPrefix(err.Error(), "must run as root: ") {
			t.Errorf("%v, want that it must run as root", err)
		}
	}
}

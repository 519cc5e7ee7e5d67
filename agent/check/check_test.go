package check

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// checker looks at the real machine, or at a tree below root.
func checker(root, path string) *Checker {
	return &Checker{System: &sys.System{Root: root, Run: sys.Exec, Environ: []string{"PATH=" + path}, Log: slog.New(slog.DiscardHandler)}}
}

func parse(t testing.TB, text string) Probe {
	t.Helper()
	p, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// brief is for probes that use up their time-out, and for no others. It is long
// enough for a busy machine to connect, or to begin to answer: else another
// fault is found. Those that need it run at the same time.
const brief = time.Second

// probe makes a probe that is to find a fault.
func probe(t *testing.T, c *Checker, p Probe, f Fault) error {
	t.Helper()
	if f == Silent || f == Slow || f == Unexpected && p.kind == kindTCP {
		p.Timeout = brief
	}
	return c.Check(t.Context(), p)
}

// want compares what a probe finds with a fault and words of its line.
func want(t *testing.T, name string, err error, f Fault, text string) {
	t.Helper()
	if f == "" {
		if err != nil {
			t.Errorf("%s: Check = %v, want it to pass", name, err)
		}
		return
	}
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Fault != f || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%s: Check = %v, want %s: %q", name, err, f, text)
	}
}

// listen serves each connection with fn, on a port of loopback.
func listen(t *testing.T, fn func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { conn.Close() })
			go fn(conn)
		}
	}()
	t.Cleanup(func() { l.Close(); cancel(); <-done })
	return l.Addr().String()
}

// closed is an address nobody listens at.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	hang := make(chan struct{})
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "all is well") })
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/broken", http.StatusFound) })
	mux.HandleFunc("/broken", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "x", http.StatusInternalServerError) })
	mux.HandleFunc("/silent", func(http.ResponseWriter, *http.Request) { <-hang })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "begin")
		w.(http.Flusher).Flush()
		<-hang
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	defer close(hang)
	var all sync.WaitGroup
	defer all.Wait()
	f := func(target, expect string, fault Fault, text string) {
		p := parse(t, target)
		p.Expect = expect
		all.Go(func() { want(t, target, probe(t, checker("", ""), p, fault), fault, text) })
	}
	f(server.URL+"/ok", "", "", "")
	f(server.URL+"/ok", "is well", "", "")
	f(server.URL+"/ok", "is ill", Unexpected, `the answer does not hold "is ill"`)
	f(server.URL+"/moved", "", "", "")
	f(server.URL+"/broken", "", Status, "/broken: HTTP 500 Internal Server Error")
	f(server.URL+"/none", "", Status, "HTTP 404")
	f(server.URL+"/silent", "", Silent, "connected, but no answer within 1s")
	f(server.URL+"/slow", "", Slow, "the answer was not complete within 1s")
	f("http://"+closed(t)+"/", "", Closed, "nobody listens: connection refused")
	f("http://no-such-host.invalid/", "", Closed, "no-such-host.invalid")
	f("http://"+listen(t, func(net.Conn) {}), "", Silent, "no answer")
	f("http://"+listen(t, func(c net.Conn) { c.Close() }), "", Broken, "closed without an answer")
	f("http://"+listen(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n") }), "", Broken, "malformed HTTP")
	f("https://"+listen(t, func(net.Conn) {}), "", Silent, "no answer")
}

// What a server says before its answer is no answer: the hints of RFC 8297 come
// to whoever asks.
func TestHTTPAnswersAfterHints(t *testing.T) {
	for status, f := range map[string]Fault{"200 OK": "", "503 Service Unavailable": Status} {
		address := listen(t, func(c net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\nHTTP/1.1 "+status+"\r\nContent-Length: 2\r\n\r\nok")
			}
		})
		p := parse(t, "http://"+address+"/")
		p.Expect = "ok"
		want(t, status, checker("", "").Check(t.Context(), p), f, "HTTP 503")
	}
}

// That this process has no file left says nothing of a service.
func TestProbeWithoutAFileLeft(t *testing.T) {
	err := (&way{}).fault(&net.OpError{Op: "dial", Err: os.NewSyscallError("socket", syscall.EMFILE)}, time.Second)
	want(t, "dial", err, Unable, "too many open files")
}

// What operators must tell apart has a kind and a line of its own, and is told
// within the time-out; at once, where there is nothing to wait for.
func TestFaultsAreToldApart(t *testing.T) {
	t.Parallel()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer broken.Close()
	drip := func(c net.Conn) { // never quiet, never done
		io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for err := error(nil); err == nil; _, err = io.WriteString(c, ".") {
			<-tick.C
		}
	}
	lines := map[string]string{}
	for _, c := range []struct {
		name, probe string
		fault       Fault
		line        string
	}{
		{"process absent", "process:no-such-process", Absent, "there is no process no-such-process"},
		{"port closed", "http://" + closed(t), Closed, "nobody listens: connection refused"},
		{"port open but silent", "http://" + listen(t, func(net.Conn) {}), Silent, "connected, but no answer within 1s"},
		{"HTTP 500", broken.URL, Status, "HTTP 500 Internal Server Error"},
		{"slow", "http://" + listen(t, drip), Slow, "the answer was not complete within 1s"},
		{"wrong certificate", secure.URL, Certificate, "bad certificate: x509: certificate signed by unknown authority"},
	} {
		p := parse(t, c.probe)
		start := time.Now()
		err := probe(t, checker("", ""), p, c.fault)
		if took := time.Since(start); took > DefaultTimeout {
			t.Errorf("%s: told after %v, want within %v at most", c.name, took, DefaultTimeout)
		}
		want(t, c.name, err, c.fault, c.probe+": "+c.line)
		if err == nil {
			continue
		}
		line := strings.TrimPrefix(err.Error(), c.probe)
		if other, ok := lines[line]; ok {
			t.Errorf("%s and %s are both told as %q", c.name, other, line)
		}
		lines[line] = c.name
	}
}

func TestWrongCertificate(t *testing.T) {
	serve := func(address string) *httptest.Server {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		_ = server.Listener.Close()
		var err error
		if server.Listener, err = net.Listen("tcp", address); err != nil {
			t.Fatal(err)
		}
		server.StartTLS()
		t.Cleanup(server.Close)
		return server
	}
	right, other := serve("127.0.0.1:0"), serve("127.0.0.2:0") // both with a certificate for 127.0.0.1
	roots := x509.NewCertPool()
	roots.AddCert(right.Certificate())
	c := checker("", "")
	want(t, "unknown authority", c.Check(t.Context(), parse(t, right.URL)), Certificate, "certificate signed by unknown authority")
	c.Roots = roots
	want(t, "wrong name", c.Check(t.Context(), parse(t, other.URL)), Certificate, "not 127.0.0.2")
	want(t, "right", c.Check(t.Context(), parse(t, right.URL)), Status, "HTTP 404")
}

func TestTCP(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	defer all.Wait()
	f := func(name, address, expect string, fault Fault, text string) {
		p := parse(t, "tcp:"+address)
		p.Expect = expect
		all.Go(func() { want(t, name, probe(t, checker("", ""), p, fault), fault, text) })
	}
	say := func(s string) func(net.Conn) { return func(c net.Conn) { io.WriteString(c, s) } }
	f("port closed", closed(t), "", Closed, "nobody listens: connection refused")
	f("open and silent, text expected", listen(t, func(net.Conn) {}), "220", Silent, "connected, but no answer within 1s")
	f("a banner", listen(t, say("220 mail\r\n")), "", "", "")
	f("the banner expected", listen(t, say("220 mail\r\n")), "220", "", "")
	f("another banner", listen(t, say("421 busy\r\n")), "220", Unexpected, `what came does not hold "220"`)
	f("another banner, and closed", listen(t, func(c net.Conn) { say("421")(c); c.Close() }), "220", Unexpected, "does not hold")
	silent := parse(t, "tcp:"+listen(t, func(net.Conn) {}))
	silent.Timeout = brief
	want(t, "open and silent, nothing expected", checker("", "").Check(t.Context(), silent), "", "")
	f("a proxy for a service that is gone", listen(t, func(c net.Conn) { c.Close() }), "", Broken, "closed without an answer")
}

func TestExec(t *testing.T) {
	t.Parallel()
	c := checker("", os.Getenv("PATH"))
	f := func(command string, fault Fault, text string) {
		t.Helper()
		want(t, command, probe(t, c, parse(t, "exec:"+command), fault), fault, text)
	}
	f("true", "", "")
	f("echo one; echo two >&2; exit 3", Status, "exec:echo: exit status 3: two")
	f("exit 4", Status, "exit status 4")
	f("exec sleep 60", Slow, "it had not ended within 1s")
	begun := time.Now()
	f("trap '' TERM; while :; do sleep 60; done", Slow, "it had not ended within 1s")
	if took := time.Since(begun); took >= brief+sys.Grace { // which others have for their end
		t.Errorf("a command that does not heed SIGTERM kept the check for %v", took)
	}
	f("nosuchprogram --password=geheim", Status, "exit status 127")
	f("echo 'cannot log in with password=geheim at http://u:geheim@db/'; exit 1", Status,
		"exit status 1: cannot log in with password="+sys.Masked+" at http://"+sys.Masked+"@db/")
	c.System.Mask = sys.NewMask([]string{"what-was-given"})
	f("echo refused: what-was-given; exit 1", Status, "exit status 1: refused: "+sys.Masked)
}

// A stub stands in for systemctl, which tells what systemd 252 told.
func TestUnit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stub := `#!/bin/sh
[ "$LC_ALL" = C ] && [ "$1 $2 $3" = "show --property=LoadState,ActiveState,SubState,Result --" ] || exit 9
case $4 in
up) printf 'Result=success\nLoadState=loaded\nActiveState=active\nSubState=running\n' ;;
failed.service) printf 'Result=exit-code\nLoadState=loaded\nActiveState=failed\nSubState=failed\n' ;;
stopped) printf 'Result=success\nLoadState=loaded\nActiveState=inactive\nSubState=dead\n' ;;
none) printf 'Result=success\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n' ;;
hang) exec sleep 60 ;;
*) echo 'System has not been booted with systemd as init system' >&2; exit 1 ;;
esac
`
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(stub), 0o755); err != nil {
		t.Fatal(err)
	}
	c := checker("", dir+":"+os.Getenv("PATH"))
	f := func(unit string, fault Fault, text string) {
		t.Helper()
		want(t, unit, probe(t, c, parse(t, "unit:"+unit), fault), fault, text)
	}
	f("up", "", "")
	f("failed.service", Down, "unit:failed.service: it is failed (failed), result exit-code")
	f("stopped", Down, "it is inactive (dead)")
	f("none", Absent, "there is no unit none")
	f("hang", Slow, "systemd did not answer within 1s")
	f("nobus", Unable, "not been booted with systemd")
	want(t, "no systemctl", checker("", "/nonexistent").Check(t.Context(), parse(t, "unit:up")), Unable, "systemctl is not installed")
}

func TestProcess(t *testing.T) {
	root := t.TempDir()
	for pid, p := range map[string][2]string{
		"1":    {"1 (systemd) S 0 1", "/sbin/init\x00"},
		"20":   {"20 (nginx) S 1 20", "nginx: master process /usr/sbin/nginx\x00"},
		"21":   {"21 (a) b) (c) R 1 20", ""},
		"22":   {"22 (gone) Z 1 20", ""},
		"23":   {"23 (bash) S 1 20", "-bash\x00"},
		"24":   {"24 (a-very-long-nam) S 1 20", "/opt/a-very-long-name\x00-x\x00"},
		"25":   {"25 (another-long-sc) S 1 20", "/bin/sh\x00/opt/another-long-script\x00"},
		"26":   {"", ""},
		"self": {"1 (self) S", "self\x00"},
	} {
		dir := filepath.Join(root, "proc", pid)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i, name := range []string{"stat", "cmdline"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(p[i]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := checker(root, "")
	for _, name := range []string{"systemd", "init", "nginx", "a) b) (c", "bash", "a-very-long-name", "another-long-script"} {
		want(t, name, c.process(Probe{kind: kindProcess, target: name}), "", "")
	}
	for _, name := range []string{"gone", "self", "ngin", "another-long-sc2", "httpd"} {
		want(t, name, c.Check(t.Context(), parse(t, "process:"+name)), Absent, "process:"+name+": there is no process "+name)
	}
	want(t, "no /proc", checker(t.TempDir(), "").Check(t.Context(), parse(t, "process:x")), Unable, "proc")
}

func TestProcessOfThisMachine(t *testing.T) {
	// What runs this test is a process of another name than the test's own.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", os.Getppid()))
	if err != nil {
		t.Fatal(err)
	}
	parent, _ := parseStat(stat)
	want(t, parent, checker("", "").Check(t.Context(), parse(t, "process:"+parent)), "", "")
	self := filepath.Base(os.Args[0])
	want(t, self, checker("", "").Check(t.Context(), parse(t, "process:"+self)), Absent, "there is no process")
}

func TestAllRunsAtTheSameTime(t *testing.T) {
	var probes []Probe
	var asked sync.WaitGroup
	for range 20 { // each is answered once all are asked
		asked.Add(1)
		probes = append(probes, parse(t, "http://"+listen(t, func(c net.Conn) {
			asked.Done()
			asked.Wait()
			io.WriteString(c, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		})))
	}
	probes = append(probes, parse(t, "exec:true"), Probe{})
	errs := checker("", os.Getenv("PATH")).All(t.Context(), probes)
	for i, err := range errs[:20] {
		want(t, fmt.Sprint(i), err, Status, probes[i].String()+": HTTP 404")
	}
	want(t, "exec", errs[20], "", "")
	want(t, "none", errs[21], Unable, "nothing to probe")
}

package stats

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/metric"
)

// proxy serves data at a socket, once it was asked rightly.
func proxy(t *testing.T, socket string, data []byte) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked := make([]byte, len("show stat\n"))
			if _, err := io.ReadFull(conn, asked); err == nil && string(asked) == "show stat\n" {
				conn.Write(data)
			}
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
}

// shortDir is a directory whose path leaves room for that of a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func recordedProxy(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/haproxy-2.6.12.csv")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// heat-cfntools ran echo and socat, mixed bytes with text on Python 3, and
// took a server that is "UP 2/3" for one that is down.
func TestHAProxy(t *testing.T) {
	dir := shortDir(t)
	socket := filepath.Join(dir, "s")
	proxy(t, socket, recordedProxy(t))
	want := []metric.Datapoint{
		{Name: "RequestCount", Unit: "Counter", Value: 8},
		{Name: "HTTPCode_ELB_4XX", Unit: "Counter", Value: 3},
		{Name: "HTTPCode_ELB_5XX", Unit: "Counter", Value: 2},
		{Name: "HTTPCode_Backend_2XX", Unit: "Counter", Value: 2},
		{Name: "HTTPCode_Backend_3XX", Unit: "Counter", Value: 1},
		{Name: "HTTPCode_Backend_4XX", Unit: "Counter", Value: 2},
		{Name: "HTTPCode_Backend_5XX", Unit: "Counter", Value: 2},
		{Name: "Latency", Unit: "Seconds", Value: 0.02},
		{Name: "HealthyHostCount", Unit: "Counter", Value: 3},
		{Name: "UnHealthyHostCount", Unit: "Counter", Value: 2},
	}
	for i := range want {
		want[i].Namespace = "AWS/ELB"
	}
	got, err := Gather(t.Context(), dir, Selection{Names: []string{Proxy, ProxyLatency}, HAProxySocket: socket})
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Gather(haproxy) = %v, %v, want %v", got, err, want)
	}
	got, err = Gather(t.Context(), dir, Selection{Names: []string{ProxyLatency}, HAProxySocket: socket})
	if err != nil || !reflect.DeepEqual(got, want[7:8]) {
		t.Errorf("Gather(haproxy-latency) = %v, %v, want %v", got, err, want[7:8])
	}
}

// A socket file that a HAProxy left behind does not hide that of the next.
func TestHAProxyIsFoundAtBothSockets(t *testing.T) {
	root := shortDir(t)
	for _, dir := range []string{"tmp", "run/haproxy"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(root, "tmp/.haproxy-stats")})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	s := Selection{Names: []string{Proxy}}
	_, err = Gather(t.Context(), root, s)
	if err == nil || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), "run/haproxy/admin.sock: connect: no such file") {
		t.Errorf("Gather = %v, want both sockets in the error", err)
	}
	proxy(t, filepath.Join(root, "run/haproxy/admin.sock"), recordedProxy(t))
	if got, err := Gather(t.Context(), root, s); err != nil || len(got) != 10 {
		t.Errorf("Gather = %v, %v, want 10 datapoints of the second socket", got, err)
	}
}

func TestServerServes(t *testing.T) {
	for status, want := range map[string]bool{
		"UP": true, "UP 1/3": true, "UP 2/3": true, "no check": true,
		"DOWN": false, "DOWN 1/2": false, "MAINT": false, "MAINT (via a/b)": false, "DRAIN": false, "NOLB": false, "": false, "UPSIDE": false,
	} {
		if got := serves(status); got != want {
			t.Errorf("serves(%q) = %v, want %v", status, got, want)
		}
	}
}

// heat-cfntools took the figures of the last frontend and backend alone.
func TestHAProxyAddsUpItsProxies(t *testing.T) {
	text := "# pxname,svname,status,type,check_duration,hrsp_2xx,hrsp_4xx,req_tot,last_chk,\n" +
		"a,FRONTEND,OPEN,0,,1,2,3,,\n" + "b,FRONTEND,OPEN,0,,,,,,\n" + "c,FRONTEND,OPEN,0,,10,20,30,,\n" +
		"a,BACKEND,UP,1,,5,,,,\n" + "c,BACKEND,UP,1,,6,,,,\n" +
		"a,s,UP 1/3,2,7,,,,\"Layer7 \"\"x\"\", and\nmore\",\n" + "a,t,DOWN 1/2,2,1200,,,,\n" + "l,sock,OPEN,3,,,,,,\n\n"
	want := proxyStats{requests: 33, elb4xx: 22, backend2xx: 11, healthy: 1, unhealthy: 1, latency: 1200}
	if got, err := parseHAProxy(text); err != nil || got != want {
		t.Errorf("parseHAProxy = %+v, %v, want %+v", got, err, want)
	}
}

func TestCutRecord(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		fields, rest := cutRecord(text + "\nnext")
		if !reflect.DeepEqual(fields, want) || rest != "next" {
			t.Errorf("cutRecord(%q) = %q, %q, want %q", text, fields, rest, want)
		}
	}
	f("", "")
	f("a,b", "a", "b")
	f("a,,b,\r", "a", "", "b", "")
	f(`"a,b",c`, "a,b", "c")
	f("\"a\nb\"\r", "a\nb")
	f(`"","""",""",""",x`, "", `"`, `","`, "x")
	f(`"a"b,c"d`, "ab", `c"d`)
	if fields, rest := cutRecord(`a,"open`); !reflect.DeepEqual(fields, []string{"a", "open"}) || rest != "" {
		t.Errorf("cutRecord of an open quote = %q, %q", fields, rest)
	}
}

func TestHAProxyThatIsNone(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "HAProxy told nothing",
		"\n":                         "HAProxy told nothing",
		"Permission denied\n\n":      "it is not the answer of HAProxy",
		"# pxname,svname,status\n":   "no column type",
		"Unknown command: show stat": "it is not the answer",
	} {
		if got, err := parseHAProxy(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseHAProxy(%q) = %+v, %v, want %q", text, got, err, want)
		}
	}
}

func FuzzParseHAProxy(f *testing.F) {
	f.Add(string(recordedProxy(f)))
	f.Add("# pxname,svname,status,type,check_duration\na,b,UP 1/3,2,7\n\"a\",\"b\nc\",no check,2,\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseHAProxy(text)
		if err != nil {
			return
		}
		if n := s.healthy + s.unhealthy; n > uint64(len(text)) {
			t.Errorf("parseHAProxy counts %d servers in %d bytes", n, len(text))
		}
		for _, p := range s.datapoints(false) {
			if err := p.Check(); err != nil || p.Value < 0 {
				t.Errorf("parseHAProxy gives %v: %v", p, err)
			}
		}
	})
}

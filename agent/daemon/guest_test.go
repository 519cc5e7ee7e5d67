package daemon

import (
	"context"
	"crypto/x509"
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

	"github.com/cfn-agent/cfn-agent/agent/hup"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/nova"
)

// A guest is a daemon on a machine of its own, with the Heat and the alarm
// server that it talks to. In a synctest bubble its time is the bubble's, and
// its clock can be set and its machine suspended. Its functions are called one
// at a time; a test looks at what they share by do.
type guest struct {
	t    *testing.T
	root string
	d    *Daemon

	mu        sync.Mutex // guards what follows
	step      time.Duration
	slept     time.Duration
	start     time.Time
	polls     []time.Time
	heat      func(id string) (hup.Resource, error)
	run       func(c sys.Cmd) (status int)
	takes     func(c sys.Cmd) time.Duration
	server    func() int   // the status of its answer; or one of those below
	received  []url.Values // datapoints, in order
	requests  int
	restarted []string
	restart   func(unit string) error
	notified  []string
	log       strings.Builder
}

// What a server may do in place of answering.
const (
	refuses = 0
	hangs   = -1
)

const instanceID = "11111111-2222-3333-4444-555555555555"

func newGuest(t *testing.T, conf string) *guest {
	t.Helper()
	g := &guest{
		t: t, root: t.TempDir(), start: time.Now(),
		heat: func(id string) (hup.Resource, error) {
			return hup.Resource{}, errors.New("Heat does not tell of " + id)
		},
		run:     func(sys.Cmd) int { return 0 },
		takes:   func(sys.Cmd) time.Duration { return 0 },
		server:  func() int { return http.StatusOK },
		restart: func(string) error { return nil },
	}
	g.write("/proc/sys/kernel/random/boot_id", "boot\n")
	g.write(stats.AgentConfig, conf)
	g.d = g.newDaemon(instanceID)
	return g
}

// newDaemon is another daemon on the same machine.
func (g *guest) newDaemon(instance string) *Daemon {
	endpoint := &url.URL{Scheme: "http", Host: "watch", Path: "/v1/"}
	log := slog.New(slog.NewTextHandler(&lockedWriter{w: &g.log}, nil))
	return &Daemon{
		System: &sys.System{Root: g.root, Run: g.command, Log: log},
		Cache:  metadata.Cache{Dir: filepath.Join(g.root, "cache")},
		Heat:   g.way,
		Pusher: func(Config) (*stats.Pusher, error) {
			return &stats.Pusher{
				HTTP: &http.Client{Transport: roundTripper(g.take)}, Endpoint: endpoint, Log: log,
				Credentials: awsquery.Credentials{AccessKey: "a", SecretKey: "s"},
				Retry:       stats.DefaultRetry(), Spool: g.spool(),
			}, nil
		},
		Instance: func(context.Context) (nova.Instance, error) { return nova.Instance{UUID: instance}, nil },
		Roots:    func(Config) *x509.CertPool { return nil },
		Mask:     func(text string) string { return text },
		Output:   func() (io.Writer, func()) { return io.Discard, func() {} },
		Restart: func(_ context.Context, _ *sys.System, unit string) error {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.restarted = append(g.restarted, unit)
			return g.restart(unit)
		},
		Notify: func(state string) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.notified = append(g.notified, state)
		},
		Now: g.now,
	}
}

func (g *guest) spool() stats.Spool { return stats.Spool{Path: filepath.Join(g.root, stats.SpoolPath)} }

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// write puts a file on the machine.
func (g *guest) write(path, content string) {
	g.t.Helper()
	path = filepath.Join(g.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// now is the guest's own time.
func (g *guest) now() Instant {
	g.mu.Lock()
	defer g.mu.Unlock()
	up := time.Since(g.start) + g.slept
	return Instant{Wall: g.start.Add(up + g.step).Round(0), Up: time.Hour + up}
}

// set moves the clock on the wall.
func (g *guest) set(by time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.step += by
}

// suspend has the machine sleep for so long: no timer runs meanwhile.
func (g *guest) suspend(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slept += d
}

// do calls f while nothing of the guest is called.
func (g *guest) do(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *guest) command(ctx context.Context, c sys.Cmd) (sys.Result, error) {
	var status int
	var takes time.Duration
	g.do(func() { status, takes = g.run(c), g.takes(c) })
	if takes > 0 {
		select {
		case <-ctx.Done():
			return sys.Result{Status: 143}, context.Cause(ctx)
		case <-time.After(takes):
		}
	}
	return sys.Result{Status: status}, nil
}

func (g *guest) way(Config, hooks.Config) Heat {
	return Heat{
		From: "http://heat/v1/", Close: func() {}, Ahead: func() (time.Duration, bool) { return 0, true },
		Describe: func(_ context.Context, id string) (hup.Resource, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.polls = append(g.polls, time.Now())
			return g.heat(id)
		},
	}
}

// take is the alarm server.
func (g *guest) take(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	points := datapoints(form)
	var status int
	g.do(func() { status = g.server() })
	switch status {
	case hangs:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case refuses:
		return nil, errors.New("connection refused")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests++
	if status == http.StatusOK {
		g.received = append(g.received, points...)
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}},
		Body: io.NopCloser(strings.NewReader("<PutMetricDataResponse/>")), Request: r,
	}, nil
}

// datapoints takes a request apart.
func datapoints(form url.Values) []url.Values {
	var list []url.Values
	for n := 1; ; n++ {
		prefix := fmt.Sprintf("MetricData.member.%d.", n)
		point := url.Values{}
		for key, value := range form {
			if rest, ok := strings.CutPrefix(key, prefix); ok {
				point[rest] = value
			}
		}
		if len(point) == 0 {
			return list
		}
		list = append(list, point)
	}
}

// names are the names of the metrics received since it was last asked.
func (g *guest) names() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var names []string
	for _, p := range g.received {
		names = append(names, p.Get("MetricName"))
	}
	g.received = nil
	return strings.Join(names, " ")
}

// daemon runs the daemon for so long, while during does something; both may
// be nil or 0.
func (g *guest) daemon(length time.Duration, during func()) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(g.t.Context())
	begun, ended := make(chan struct{}), make(chan error)
	go func() { ended <- g.d.Run(ctx, func() { close(begun) }) }()
	<-begun
	if during != nil {
		during()
	}
	time.Sleep(length)
	cancel()
	if err := <-ended; err != nil {
		g.t.Errorf("Run: %v", err)
	}
}

func document(t *testing.T, text string) metadata.Document {
	t.Helper()
	d, err := metadata.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

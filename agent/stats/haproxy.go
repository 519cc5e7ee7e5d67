package stats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
)

// HAProxySockets returns where HAProxy's socket is looked for: that of Heat's
// load balancer, then that of distributions.
func HAProxySockets() []string { return []string{"/tmp/.haproxy-stats", "/run/haproxy/admin.sock"} }

const (
	haproxyTimeout = 5 * time.Second
	haproxyLimit   = 16 << 20 // of an answer: some 50,000 servers
)

// haproxy returns what HAProxy tells of itself, or of that the latency alone.
func haproxy(ctx context.Context, root, socket string, latencyOnly bool) ([]metric.Datapoint, error) {
	sockets := []string{socket}
	if socket == "" {
		sockets = nil
		for _, path := range HAProxySockets() {
			sockets = append(sockets, filepath.Join("/", root, path))
		}
	}
	var errs error
	for _, path := range sockets {
		s, err := askHAProxy(ctx, path)
		if err == nil {
			return s.datapoints(latencyOnly), nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, fmt.Errorf("read the statistics of HAProxy: %w", errs)
}

func askHAProxy(ctx context.Context, socket string) (proxyStats, error) {
	ctx, cancel := context.WithTimeout(ctx, haproxyTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return proxyStats{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := io.WriteString(conn, "show stat\n"); err != nil {
		return proxyStats{}, err
	}
	data, err := io.ReadAll(io.LimitReader(conn, haproxyLimit))
	if err != nil {
		return proxyStats{}, fmt.Errorf("%s: %w", socket, err)
	}
	s, err := parseHAProxy(string(data))
	if err != nil {
		return s, fmt.Errorf("%s: %w", socket, err)
	}
	return s, nil
}

// proxyStats are the figures of a HAProxy, over all of its frontends, backends
// and servers.
type proxyStats struct {
	requests, elb4xx, elb5xx                       uint64
	backend2xx, backend3xx, backend4xx, backend5xx uint64
	healthy, unhealthy                             uint64
	latency                                        uint64 // of the slowest check, in ms
}

// Values of the column type.
const (
	typeFrontend = "0"
	typeBackend  = "1"
	typeServer   = "2"
)

// parseHAProxy reads the answer to "show stat": CSV with a header, as the
// HAProxy Management Guide has it in "Statistics and monitoring". Columns are
// found by name, since versions differ in how many there are.
func parseHAProxy(text string) (proxyStats, error) {
	var s proxyStats
	header, rest := cutRecord(text)
	switch {
	case strings.TrimSpace(text) == "":
		return s, errors.New("HAProxy told nothing")
	case !strings.HasPrefix(header[0], "# "):
		return s, fmt.Errorf("it is not the answer of HAProxy to \"show stat\": %.60q", header[0])
	}
	column := map[string]int{}
	for i, name := range header {
		column[name] = i
	}
	for _, name := range []string{"type", "status"} {
		if _, ok := column[name]; !ok {
			return s, fmt.Errorf("the answer of HAProxy has no column %s", name)
		}
	}
	for rest != "" {
		var line []string
		line, rest = cutRecord(rest)
		s.add(func(name string) string {
			if i, ok := column[name]; ok && i < len(line) {
				return line[i]
			}
			return ""
		})
	}
	return s, nil
}

// cutRecord cuts the first line off CSV as RFC 4180 has it, and into its
// fields. (The package encoding/csv costs more than the rest of this file.)
func cutRecord(text string) (fields []string, rest string) {
	for {
		var field string
		field, text = cutField(text)
		fields = append(fields, field)
		if text == "" {
			return fields, ""
		}
		end := text[0] == '\n'
		if text = text[1:]; end {
			return fields, text
		}
	}
}

// cutField cuts the first field off; rest begins with what ends it.
func cutField(text string) (field, rest string) {
	var b strings.Builder
	for again := false; strings.HasPrefix(text, `"`); again = true {
		if again {
			b.WriteByte('"') // two of them within a field mean one
		}
		field, text, _ = strings.Cut(text[1:], `"`)
		b.WriteString(field)
	}
	end := strings.IndexAny(text, ",\n")
	if end < 0 {
		end = len(text)
	}
	b.WriteString(strings.TrimSuffix(text[:end], "\r"))
	return b.String(), text[end:]
}

// add counts one line. heat-cfntools took the last frontend and backend for
// all of them.
func (s *proxyStats) add(field func(string) string) {
	number := func(name string) uint64 {
		n, _ := strconv.ParseUint(field(name), 10, 64) // empty in mode tcp, and where nothing is known yet
		return n
	}
	switch field("type") {
	case typeFrontend:
		s.requests += number("req_tot")
		s.elb4xx += number("hrsp_4xx")
		s.elb5xx += number("hrsp_5xx")
	case typeBackend:
		s.backend2xx += number("hrsp_2xx")
		s.backend3xx += number("hrsp_3xx")
		s.backend4xx += number("hrsp_4xx")
		s.backend5xx += number("hrsp_5xx")
	case typeServer:
		if serves(field("status")) {
			s.healthy++
		} else {
			s.unhealthy++
		}
		s.latency = max(s.latency, number("check_duration"))
	}
}

// serves says whether HAProxy sends requests to a server of a status. "UP 1/3"
// is one whose last checks failed, though not often enough to be down, and "no
// check" one that is never asked.
func serves(status string) bool {
	return status == "UP" || strings.HasPrefix(status, "UP ") || status == "no check"
}

// latency is the name of the metric that can be had alone.
const latency = "Latency"

func (s proxyStats) datapoints(latencyOnly bool) []metric.Datapoint {
	var points []metric.Datapoint
	for _, f := range [...]struct {
		name  string
		value uint64
	}{
		{"RequestCount", s.requests},
		{"HTTPCode_ELB_4XX", s.elb4xx},
		{"HTTPCode_ELB_5XX", s.elb5xx},
		{"HTTPCode_Backend_2XX", s.backend2xx},
		{"HTTPCode_Backend_3XX", s.backend3xx},
		{"HTTPCode_Backend_4XX", s.backend4xx},
		{"HTTPCode_Backend_5XX", s.backend5xx},
		{latency, s.latency},
		{"HealthyHostCount", s.healthy},
		{"UnHealthyHostCount", s.unhealthy},
	} {
		p := metric.Datapoint{Namespace: LoadBalancer, Name: f.name, Unit: string(counter), Value: float64(f.value)}
		if f.name == latency {
			p.Unit, p.Value = "Seconds", p.Value/1000
		}
		if f.name == latency || !latencyOnly {
			points = append(points, p)
		}
	}
	return points
}

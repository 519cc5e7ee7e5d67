//go:build system

package stats

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

// balancer starts Debian's HAProxy with its socket below root, in front of a
// server that answers with the status that the path asks for. It returns the
// socket, and the URL of the frontend.
func balancer(t *testing.T, root, socket string) (string, string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		w.WriteHeader(max(status, http.StatusOK))
	}))
	t.Cleanup(server.Close)
	up := server.Listener.Addr().String()
	socket = filepath.Join(root, socket)
	if err := os.MkdirAll(filepath.Dir(socket), 0o755); err != nil {
		t.Fatal(err)
	}
	front := freeAddress(t)
	// Each server is checked once, and then left as it is.
	config := fmt.Sprintf(`global
  stats socket %s level admin
  max-spread-checks 1ms
defaults
  mode http
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  default-server inter 1h fall 1 rise 1
frontend web
  bind %s
  http-request return status 403 if { path /refused }
  default_backend servers
backend servers
  server up %s check
  server unchecked %s
  server down %s check
  server drained %s check
  server parked %s check
frontend second
  bind %s
backend idle
  server alone %s check
`, socket, front, up, up, freeAddress(t), up, up, freeAddress(t), up)
	file := filepath.Join(root, "haproxy.cfg")
	write(t, file, config)
	cmd := exec.CommandContext(t.Context(), "/usr/sbin/haproxy", "-db", "-f", file)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy: %s", log.String())
		}
	})
	return socket, "http://" + front
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// command asks HAProxy; "" is what it says before it listens.
func command(socket, line string) string {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return ""
	}
	defer conn.Close()
	io.WriteString(conn, line+"\n")
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

// statLines are the lines of "show stat", each by the names of its columns.
func statLines(t *testing.T, socket string) []map[string]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(command(socket, "show stat"), "# "))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var lines []map[string]string
	for i, row := range rows {
		if i == 0 {
			continue
		}
		line := map[string]string{}
		for j, name := range rows[0] {
			line[name] = row[j]
		}
		lines = append(lines, line)
	}
	return lines
}

// await waits until HAProxy tells what is awaited.
func await(t *testing.T, socket, what string, told func(answer string) bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		if answer := command(socket, "show stat"); answer != "" && told(answer) {
			return
		}
		<-tick.C
	}
	t.Fatalf("HAProxy did not %s within a minute: %s", what, command(socket, "show stat"))
}

// counted says whether the frontends count so many answers: each is counted
// only after it was sent.
func counted(t *testing.T, socket string, want int) bool {
	t.Helper()
	sum := 0
	for _, line := range statLines(t, socket) {
		if line["svname"] == "FRONTEND" {
			for _, class := range []string{"2xx", "3xx", "4xx", "5xx"} {
				n, _ := strconv.Atoi(line["hrsp_"+class])
				sum += n
			}
		}
	}
	return sum == want
}

// The numbers are those that HAProxy tells, with servers up, down, draining
// and in maintenance, at either of the sockets that are looked for.
func TestHAProxyOfDebian(t *testing.T) {
	for _, path := range HAProxySockets() {
		t.Run(filepath.Base(path), func(t *testing.T) {
			root := shortDir(t)
			socket, front := balancer(t, root, path)
			await(t, socket, "check its servers", func(answer string) bool { return !strings.Contains(answer, ",INI,") })
			for _, line := range []string{"set server servers/drained state drain", "set server servers/parked state maint"} {
				if answer := strings.TrimSpace(command(socket, line)); answer != "" {
					t.Fatalf("%s: %s", line, answer)
				}
			}
			paths := []string{"200", "200", "204", "304", "404", "500", "502", "refused"}
			for _, path := range paths {
				resp, err := http.Get(front + "/" + path)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
			}
			await(t, socket, "count its answers", func(string) bool { return counted(t, socket, len(paths)) })
			wantNumbers(t, root, socket)
			command(socket, "set server servers/drained state ready")
			if got := hosts(t, root); got != [2]float64{4, 2} {
				t.Errorf("healthy and unhealthy after one came back = %v, want 4 and 2", got)
			}
		})
	}
}

// wantNumbers compares a reading with what was asked of the servers, and with
// what "show stat" tells, added up here.
func wantNumbers(t *testing.T, root, socket string) {
	t.Helper()
	got := map[string]float64{}
	points, err := Gather(t.Context(), root, Selection{Names: []string{Proxy}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		got[p.Name] = p.Value
	}
	want := map[string]float64{
		"RequestCount": 8, "HTTPCode_ELB_4XX": 2, "HTTPCode_ELB_5XX": 2,
		"HTTPCode_Backend_2XX": 3, "HTTPCode_Backend_3XX": 1, "HTTPCode_Backend_4XX": 1, "HTTPCode_Backend_5XX": 2,
		"HealthyHostCount": 3, "UnHealthyHostCount": 3,
		"Latency": got["Latency"], // it is the time that a check took
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Gather(haproxy) = %v, want %v", got, want)
	}
	if told := told(t, socket); !reflect.DeepEqual(got, told) {
		t.Errorf("Gather(haproxy) = %v, want what show stat tells: %v", got, told)
	}
}

// told adds up "show stat".
func told(t *testing.T, socket string) map[string]float64 {
	t.Helper()
	sum := map[string]float64{"HealthyHostCount": 0, "UnHealthyHostCount": 0}
	columns := map[string]map[string]string{
		"FRONTEND": {"RequestCount": "req_tot", "HTTPCode_ELB_4XX": "hrsp_4xx", "HTTPCode_ELB_5XX": "hrsp_5xx"},
		"BACKEND": {"HTTPCode_Backend_2XX": "hrsp_2xx", "HTTPCode_Backend_3XX": "hrsp_3xx",
			"HTTPCode_Backend_4XX": "hrsp_4xx", "HTTPCode_Backend_5XX": "hrsp_5xx"},
	}
	status := map[string]string{}
	for _, line := range statLines(t, socket) {
		for metric, column := range columns[line["svname"]] {
			n, _ := strconv.ParseFloat(line[column], 64)
			sum[metric] += n
		}
		if columns[line["svname"]] != nil {
			continue
		}
		status[line["svname"]] = line["status"]
		if s := line["status"]; s == "UP" || s == "no check" {
			sum["HealthyHostCount"]++
		} else {
			sum["UnHealthyHostCount"]++
		}
		ms, _ := strconv.ParseFloat(line["check_duration"], 64)
		sum["Latency"] = max(sum["Latency"], ms/1000)
	}
	want := map[string]string{"up": "UP", "unchecked": "no check", "down": "DOWN", "drained": "DRAIN", "parked": "MAINT", "alone": "UP"}
	if !reflect.DeepEqual(status, want) {
		t.Errorf("HAProxy has its servers as %v, want %v", status, want)
	}
	return sum
}

// hosts are the healthy and the unhealthy servers.
func hosts(t *testing.T, root string) (n [2]float64) {
	t.Helper()
	points, err := Gather(t.Context(), root, Selection{Names: []string{Proxy}})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		switch p.Name {
		case "HealthyHostCount":
			n[0] = p.Value
		case "UnHealthyHostCount":
			n[1] = p.Value
		}
	}
	return n
}

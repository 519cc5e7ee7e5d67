package main

import (
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"cfn-agent": main, "cfn-init": main, "cfn-get-metadata": main, "cfn-signal": main, "cfn-create-aws-symlinks": main,
		"cfn-hup": main, "cfn-push-stats": main,
	})
}

// TestScripts runs the program as its users do. Every script has a root of
// its own in $ROOT, which the program takes for "/".
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			root := filepath.Join(e.WorkDir, "root")
			e.Setenv("ROOT", root)
			e.Setenv("CFN_ROOT", root)
			for _, dir := range []string{"etc/cfn", "var/log", "run"} {
				if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"heat":     startHeat,
			"notify":   listenNotify,
			"until":    waitUntil,
			"heat-tls": startTLSHeat,
			"mode":     checkMode,
			"count":    countRequests,
		},
	})
}

// A fakeHeat answers DescribeStackResource with the metadata in a file, and
// takes signals. It checks no signature: that is tested against a real Heat.
type fakeHeat struct {
	mu       sync.Mutex
	metadata string // path of a file; a status such as "403" is answered as a refusal
	requests []string
}

var heats sync.Map // *testscript.TestScript to *fakeHeat

// startHeat is the script command "heat FILE|STATUS": a server that Heat's
// files on the guest point to. Called again it changes what is answered.
func startHeat(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: heat FILE|STATUS")
	}
	if old, ok := heats.Load(ts); ok {
		h := old.(*fakeHeat)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.metadata = args[0]
		return
	}
	serveHeat(ts, args[0], (*httptest.Server).Start)
}

// startTLSHeat is the script command "heat-tls FILE CA": as heat, over HTTPS;
// the certificate of the authority is written to CA.
func startTLSHeat(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: heat-tls FILE CA")
	}
	server := serveHeat(ts, args[0], (*httptest.Server).StartTLS)
	block := &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(block), 0o644))
}

func serveHeat(ts *testscript.TestScript, metadata string, start func(*httptest.Server)) *httptest.Server {
	h := &fakeHeat{metadata: metadata}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.answer(ts, w, r) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // clients hang up on purpose
	start(server)
	ts.Defer(server.Close)
	heats.Store(ts, h)
	ts.Defer(func() { heats.Delete(ts) })
	ts.Setenv("HEAT", server.URL)
	dir := filepath.Join(ts.Getenv("ROOT"), "var/lib/heat-cfntools")
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, "cfn-metadata-server"), []byte(server.URL+"/v1/\n"), 0o600))
	return server
}

func (h *fakeHeat) answer(ts *testscript.TestScript, w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	h.requests = append(h.requests, fmt.Sprintf("%s %s %s", r.Method, r.URL.EscapedPath(), body))
	status := http.StatusOK
	if _, err := fmt.Sscanf(h.metadata, "%d", &status); err == nil && status != http.StatusOK {
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameterValue</Code><Message>The Stack (%s) could not be found.</Message></Error></ErrorResponse>", r.URL.Query().Get("StackName"))
		return
	}
	if strings.HasPrefix(string(body), "Action=PutMetricData&") {
		io.WriteString(w, "<PutMetricDataResponse/>")
		return
	}
	if strings.Contains(r.URL.Path, "/waitcondition/") {
		io.WriteString(w, "<resource>WaitHandle</resource>")
		return
	}
	var text strings.Builder
	if err := xml.EscapeText(&text, []byte(ts.ReadFile(h.metadata))); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, `<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail>
<Metadata>%s</Metadata><StackId>arn:openstack:heat::t:stacks/s/6</StackId><ResourceType>OS::Nova::Server</ResourceType><ResourceStatus>CREATE_COMPLETE</ResourceStatus>
</StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`, text.String())
}

// countRequests is the script command "count N [TEXT]": so many requests that
// hold a text have come; with "some" for N, one at least.
func countRequests(ts *testscript.TestScript, neg bool, args []string) {
	h, ok := heats.Load(ts)
	if !ok || len(args) == 0 || neg {
		ts.Fatalf("usage: count N [TEXT], after heat")
	}
	heat := h.(*fakeHeat)
	heat.mu.Lock()
	defer heat.mu.Unlock()
	n, text := 0, strings.Join(args[1:], " ")
	for _, r := range heat.requests {
		if strings.Contains(r, text) {
			n++
		}
	}
	if fmt.Sprint(n) != args[0] && (args[0] != "some" || n == 0) {
		ts.Fatalf("%d requests hold %q, want %s: %q", n, text, args[0], heat.requests)
	}
}

// checkMode is the script command "mode MODE PATH...".
func checkMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mode MODE PATH...")
	}
	for _, path := range args[1:] {
		info, err := os.Lstat(ts.MkAbs(path))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", path, got, args[0])
		}
	}
}

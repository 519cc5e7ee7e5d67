package signal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/metadata/cfnapi"
)

const (
	stackARN = "arn:openstack:heat::72e8852e54094689a89a76f87c8c1576:stacks/t3/5bd66e27-5259-4ae3-b6ba-98681889ac96"
	waitPath = "/v1/waitcondition/arn%3Aopenstack%3Aheat%3A%3A72e8852e54094689a89a76f87c8c1576%3Astacks/t3/5bd66e27-5259-4ae3-b6ba-98681889ac96/resources/WaitHandle"
	signPath = "/v1/signal/arn%3Aopenstack%3Aheat%3A%3A72e8852e54094689a89a76f87c8c1576%3Astacks/t3/5bd66e27-5259-4ae3-b6ba-98681889ac96/resources/Policy"
)

var (
	quick = retry.Policy{First: time.Millisecond, Factor: 1, Total: time.Minute, Tries: 8}
	keys  = awsquery.Credentials{AccessKey: "4567", SecretKey: "hush-hush"}
	done  = Signal{Status: Success, Reason: "all fine", UniqueID: "sig1", Data: "some data"}
)

// A post is what a fake Heat was sent.
type post struct {
	method, uri, contentType string
	body                     []byte
}

// keys of the JSON object in the body, sorted.
func (p post) keys() string {
	var m map[string]any
	if json.Unmarshal(p.body, &m) != nil {
		return "no JSON object"
	}
	var names []string
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// heat is a fake heat-api-cfn: answer decides on each signal.
type heat struct {
	*httptest.Server
	mu    sync.Mutex
	posts []post
}

func newHeat(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, p post)) *heat {
	t.Helper()
	h := &heat{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p := post{r.Method, r.RequestURI, strings.Join(r.Header.Values("Content-Type"), ","), body}
		h.mu.Lock()
		h.posts = append(h.posts, p)
		h.mu.Unlock()
		answer(w, r, p)
	}))
	t.Cleanup(h.Close)
	return h
}

// always answers the same recording.
func always(t *testing.T, name string) func(http.ResponseWriter, *http.Request, post) {
	return func(w http.ResponseWriter, _ *http.Request, _ post) { replay(t, w, name) }
}

// handle is a wait condition handle that takes bodies of these keys only.
func handle(t *testing.T, names string) func(http.ResponseWriter, *http.Request, post) {
	return func(w http.ResponseWriter, _ *http.Request, p post) {
		if p.keys() != names {
			replay(t, w, "wait-put-no-uniqueid")
			return
		}
		replay(t, w, "cfn-signal-1.4.2")
	}
}

// replay writes a recorded answer.
func replay(t *testing.T, w http.ResponseWriter, name string) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".response.http")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		t.Error(err)
	}
}

// presigned is a URL of path on h as Heat makes it, signed at the time made.
func (h *heat) presigned(path string, made time.Time) string {
	return h.URL + path + "?SignatureMethod=HmacSHA256&SignatureVersion=2&AWSAccessKeyId=d4d2386c" +
		"&Timestamp=" + url.QueryEscape(made.UTC().Format("2006-01-02T15:04:05Z")) + "&Signature=Y2twB%2BZZ%3D"
}

func (h *heat) sender() *Sender { return &Sender{HTTP: h.Client(), Retry: quick} }

// resource is a client for resource name of stack t3 on h.
func (h *heat) resource(t *testing.T, name string) *cfnapi.Client {
	t.Helper()
	u, err := url.Parse(h.URL + "/v1/")
	if err != nil {
		t.Fatal(err)
	}
	return &cfnapi.Client{HTTP: h.Client(), Endpoint: u, Credentials: keys, Stack: "t3", Resource: name, Retry: quick}
}

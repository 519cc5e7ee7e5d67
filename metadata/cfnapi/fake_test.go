package cfnapi

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// quick retries as the default does, without its waits.
var quick = retry.Policy{First: time.Millisecond, Factor: 1, Total: time.Minute, Tries: 8}

// replay writes a recorded answer.
func replay(t testing.TB, w http.ResponseWriter, name string) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".response.http")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Content-Type", "X-Openstack-Request-Id"} {
		w.Header().Set(name, resp.Header.Get(name))
	}
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		t.Error(err)
	}
}

// script serves one recorded answer after another, the last for ever, and
// counts the requests.
func script(t *testing.T, names ...string) (*httptest.Server, *atomic.Int32) {
	t.Helper()
	n := new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := int(n.Add(1)) - 1
		replay(t, w, names[min(i, len(names)-1)])
	}))
	t.Cleanup(s.Close)
	return s, n
}

// client asks s for resource Guest of stack t3.
func client(t *testing.T, s *httptest.Server) *Client {
	t.Helper()
	u, err := url.Parse(s.URL + "/v1/")
	if err != nil {
		t.Fatal(err)
	}
	return &Client{
		HTTP: s.Client(), Endpoint: u, Stack: "t3", Resource: "Guest", Retry: quick,
		Credentials: awsquery.Credentials{AccessKey: "e843ae12", SecretKey: "hush-hush"},
	}
}

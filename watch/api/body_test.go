package api

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// large sends a push by a guest from an address, larger than what anybody may
// have the server hold; its body comes when rest is closed.
func (w *world) large(t *testing.T, from string, rest <-chan struct{}) int {
	t.Helper()
	body := encode(t, obj{"Namespace", strings.Repeat("n", room), "MetricData", arr{}}, true)
	r := post(t, "/service/"+service+"/operation/PutMetricData", body)
	r.RemoteAddr = from + ":1234"
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	r.Header.Set("Amz-Sdk-Invocation-Id", newID())
	sign(t, "GUEST", r, body, time.Now())
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(body[:room])), after(rest), strings.NewReader(string(body[room:]))))
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	return got.Code
}

// after is an empty reader that waits.
type after <-chan struct{}

func (a after) Read([]byte) (int, error) { <-a; return 0, io.EOF }

// Who has no key may send large bodies, slowly: they took memory for each, without
// end. Those of one address keep out neither those of others, nor heartbeats, and
// who is kept out is not silent for that.
func TestLargeBodiesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{})
		w.heartbeat(t, "a", "web")
		if got := w.do(t, "GUEST", "PutMetricData", heartbeatOf("a")); got.Code != 200 {
			t.Fatalf("first push: %d", got.Code)
		}
		rest, now := make(chan struct{}), make(chan struct{})
		close(now)
		codes := make(chan int)
		for range maxBodies / 2 {
			go func() { codes <- w.large(t, "192.0.2.7", rest) }()
		}
		synctest.Wait()
		for range 5 {
			w.settle(t, time.Minute)
			if code := w.large(t, "192.0.2.7", now); code != 503 {
				t.Errorf("one more from there: %d, want 503", code)
			}
		}
		if got := w.stateOf(t, "a"); got == watch.Firing {
			t.Error("who is kept out is silent")
		}
		if code := w.large(t, "192.0.2.8", now); code != 400 {
			t.Errorf("one from elsewhere: %d, want it read, and refused for what it says", code)
		}
		if got := w.do(t, "GUEST", "PutMetricData", heartbeatOf("a")); got.Code != 200 {
			t.Errorf("heartbeat: %d, want 200", got.Code)
		}
		close(rest)
		for range maxBodies / 2 {
			if code := <-codes; code != 400 {
				t.Errorf("the first of them: %d, want 400", code)
			}
		}
		if code := w.large(t, "192.0.2.7", now); code != 400 {
			t.Errorf("when there is room again: %d, want 400", code)
		}
	})
}

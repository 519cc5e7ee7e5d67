package signal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// The request of heat-cfntools 1.4.2 and ours are the same but for the
// headers of curl and the spaces in the JSON: same keys in the same order, no
// Content-Type, "{" first.
func TestFakeHeatSignalAsRecorded(t *testing.T) {
	data, err := os.ReadFile("testdata/cfn-signal-1.4.2.request.http")
	if err != nil {
		t.Fatal(err)
	}
	want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	h := newHeat(t, handle(t, "Data Reason Status UniqueId"))
	if err := h.sender().Send(t.Context(), Request{URL: h.URL + want.RequestURI, Signal: done}); err != nil {
		t.Fatal(err)
	}
	var wantBody bytes.Buffer
	body, err := io.ReadAll(want.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&wantBody, body); err != nil {
		t.Fatal(err)
	}
	got := h.posts[0]
	if got.method != "PUT" || got.uri != want.RequestURI || got.contentType != "" || string(got.body) != wantBody.String() {
		t.Errorf("sent %s %s %q %s, want PUT %s without Content-Type, %s", got.method, got.uri, got.contentType, got.body, want.RequestURI, &wantBody)
	}
}

// The signature covers the path and query as Heat wrote them, so they go out
// byte for byte; net/http would tidy what it parses.
func TestURLIsSentByteForByte(t *testing.T) {
	for _, uri := range []string{
		waitPath + "?b=2&a=1&Signature=x%2By%3D&Timestamp=2026-11-20T22%3a36%3A21Z",
		"/v1/waitcondition/arn%3aopenstack%3Aheat%3A%3At%3Astacks%2Fs%2F1%2Fresources%2FR?Signature=a",
		"/v1/waitcondition/arn:openstack:heat::t:stacks/s/1/resources/R?Timestamp=2026-11-20T22:30:55Z&Signature=a",
		"/heat-api-cfn/v1/waitcondition/arn%3Aopenstack%3Aheat%3A%3At%3Astacks/s/1/resources/a%2520b%2Fc?Signature=%2b",
		"/v1/waitcondition/arn%3Ax/..//./R?Signature=a&&x",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		head := make(chan string, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				head <- err.Error()
				return
			}
			defer conn.Close()
			r := bufio.NewReader(conn)
			line, _ := r.ReadString('\n')
			text, _ := r.ReadString('}')
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			head <- line + text
		}()
		s := &Sender{HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
		if err := s.Send(t.Context(), Request{URL: "http://" + l.Addr().String() + uri, Signal: done}); err != nil {
			t.Error(err)
		}
		got := <-head
		if want := "PUT " + uri + " HTTP/1.1\r\nHost: " + l.Addr().String() + "\r\n"; !strings.HasPrefix(got, want) {
			t.Errorf("sent %q, want it to begin %q", got, want)
		}
		if strings.Contains(got, "Content-Type") {
			t.Errorf("sent a Content-Type: %q", got)
		}
		l.Close()
	}
}

// heat-cfntools ran curl without --fail: a refused signal, and so a lost one,
// ended with status 0.
func TestRefusedSignalIsAnError(t *testing.T) {
	for name, tt := range map[string]struct {
		want  string
		tries int // 500 is capped, and each try sends both bodies
	}{
		"wait-put-bad-status":    {"HTTP 500 InternalFailure: The request processing has failed due to an internal error (Heat says so too when the handle does not take what was sent)", 6},
		"wait-put-empty":         {"HTTP 500 Internal Server Error", 6},
		"wait-put-bad-signature": {"HTTP 403 AccessDenied: User is not authorized to perform action (is the URL whole and unchanged? quote it in the shell)", 8},
	} {
		h := newHeat(t, always(t, name))
		url := h.presigned(waitPath, time.Now())
		err := h.sender().Send(t.Context(), Request{URL: url, Signal: done})
		want := "signal " + strings.Replace(url, "Y2twB%2BZZ%3D", "[cut]", 1) + ": " + tt.want
		if err == nil || err.Error() != want || len(h.posts) != tt.tries {
			t.Errorf("%s: Send = %v after %d requests, want %s after %d", name, err, len(h.posts), want, tt.tries)
		}
	}
}

func TestSignalIsRetried(t *testing.T) {
	n := 0
	h := newHeat(t, func(w http.ResponseWriter, r *http.Request, p post) {
		if n++; n < 5 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		replay(t, w, "cfn-signal-1.4.2")
	})
	if err := h.sender().Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now()), Signal: done}); err != nil || n != 5 {
		t.Errorf("Send = %v after %d requests, want nil after 5", err, n)
	}
}

func TestUnreachableHeatIsAnErrorWithoutSignature(t *testing.T) {
	s := &Sender{HTTP: &http.Client{Transport: &http.Transport{}}}
	err := s.Send(t.Context(), Request{URL: "http://127.0.0.1:1" + waitPath + "?Signature=Y2tw", Signal: done})
	if err == nil || strings.Contains(err.Error(), "Y2tw") {
		t.Errorf("Send = %v, want an error without the signature", err)
	}
}

// heat-cfntools always sent PUT: the URLs of scaling policies and software
// deployments, which are signed for POST, answered 404 and nobody saw it.
func TestSignalURLsArePosted(t *testing.T) {
	h := newHeat(t, func(w http.ResponseWriter, r *http.Request, p post) {})
	url := h.presigned(signPath, time.Now())
	sig := Default(Failure)
	sig.UniqueID = "i"
	if err := h.sender().Send(t.Context(), Request{URL: url, Signal: sig}); err != nil {
		t.Fatal(err)
	}
	got := h.posts[0]
	const want = `{"data":"Application has completed configuration.","deploy_status_code":1,"deploy_stderr":"Configuration failed.",` +
		`"deploy_stdout":"Application has completed configuration.","id":"i","reason":"Configuration failed.","status":"FAILURE"}`
	if got.method != "POST" || h.URL+got.uri != url || got.contentType != "application/json" || string(got.body) != want {
		t.Errorf("sent %s %s %q %s, want POST %s application/json %s", got.method, got.uri, got.contentType, got.body, url, want)
	}
}

// A stack may be named as a route is.
func TestRouteIsWhatStandsBeforeTheARN(t *testing.T) {
	for path, want := range map[string]string{
		waitPath: "waitcondition", signPath: "signal",
		"/v1/signal/arn:openstack:heat::t:stacks/waitcondition/1/resources/R":                     "signal",
		"/signal/v1/waitcondition/arn%3Aopenstack%3Aheat%3A%3At%3Astacks%2Fsignal%2F1%2Fresource": "waitcondition",
		"/bucket/key": "",
	} {
		u, err := parseURL("http://h" + path)
		if err != nil {
			t.Fatal(err)
		}
		if got := route(u); got != want {
			t.Errorf("route(%s) = %q, want %q", path, got, want)
		}
	}
}

// heat-cfntools knew the body of AWS handles only, and the CFN_SIGNAL URL of
// an OS::Heat::WaitConditionHandle, which looks the same, answers 500 to it.
func TestHandleOfLowerCaseKeys(t *testing.T) {
	h := newHeat(t, handle(t, "data id reason status"))
	if err := h.sender().Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now()), Signal: done}); err != nil {
		t.Fatal(err)
	}
	const want = `{"data":"some data","id":"sig1","reason":"all fine","status":"SUCCESS"}`
	if n := len(h.posts); n != 2 || string(h.posts[1].body) != want {
		t.Errorf("sent %d bodies, last %s, want 2, %s", n, h.posts[n-1].body, want)
	}
}

// Heat 19 takes a minute to answer 500 to a body that a handle rejects, longer
// than we wait.
func TestHandleOfLowerCaseKeysThatHangs(t *testing.T) {
	stop := make(chan struct{})
	h := newHeat(t, func(w http.ResponseWriter, r *http.Request, p post) {
		if p.keys() != "data id reason status" {
			<-stop
			return
		}
		replay(t, w, "cfn-signal-1.4.2")
	})
	defer close(stop)
	s := h.sender()
	s.HTTP = &http.Client{Transport: &impatient{http.Transport{ResponseHeaderTimeout: 50 * time.Millisecond, DisableKeepAlives: true}}}
	s.Retry = retry.Policy{}
	if err := s.Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now()), Signal: done}); err != nil {
		t.Errorf("Send = %v, want nil", err)
	}
}

// impatient waits for its first answer alone no longer than its limit: one that
// comes takes a while on a busy machine.
type impatient struct{ http.Transport }

func (i *impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := i.Transport.RoundTrip(r)
	i.ResponseHeaderTimeout = 0
	return resp, err
}

func TestAWSHandleGetsOneBodyOnly(t *testing.T) {
	h := newHeat(t, handle(t, "Data Reason Status UniqueId"))
	odd := Signal{Status: Failure, Reason: "line\n\"quoted\" <&> \xff", UniqueID: "00000"}
	if err := h.sender().Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now()), Signal: odd}); err != nil {
		t.Fatal(err)
	}
	want := `{"Status":"FAILURE","Reason":"line\n\"quoted\" <&> \ufffd","UniqueId":"00000","Data":""}`
	if len(h.posts) != 1 || string(h.posts[0].body) != want {
		t.Errorf("sent %d bodies, first %s, want 1, %s", len(h.posts), h.posts[0].body, want)
	}
}

// heat-cfntools sent any size, and gave no help.
func TestTooLargeSignalIsNotSent(t *testing.T) {
	h := newHeat(t, always(t, "cfn-signal-1.4.2"))
	sig := done
	sig.Data = strings.Repeat("x", 1<<20)
	err := h.sender().Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now()), Signal: sig})
	if err == nil || !strings.Contains(err.Error(), "Heat takes at most 1048576") || len(h.posts) != 0 {
		t.Errorf("Send = %v after %d requests, want a refusal after none", err, len(h.posts))
	}
}

func TestURLOfAShell(t *testing.T) {
	h := newHeat(t, always(t, "cfn-signal-1.4.2"))
	for _, format := range []string{"  %s\r\n", `"%s"`, `'%s'`, `" %s "`} {
		url := strings.Replace(format, "%s", h.presigned(waitPath, time.Now()), 1)
		if err := h.sender().Send(t.Context(), Request{URL: url, Signal: done}); err != nil {
			t.Errorf("Send to %q = %v, want nil", url, err)
		}
	}
	for url, want := range map[string]string{
		"":                   "the signal URL is empty: was the handle variable empty?",
		` "" `:               "the signal URL is empty: was the handle variable empty?",
		"WaitHandle":         "the signal URL is not an http or https URL: is it the Ref of a wait condition handle?",
		"ftp://h/?Signature": "the signal URL is not an http or https URL: is it the Ref of a wait condition handle?",
		"http://h\n/x":       "the signal URL is not an http or https URL: is it the Ref of a wait condition handle?",
	} {
		if err := h.sender().Send(t.Context(), Request{URL: url, Signal: done}); err == nil || err.Error() != want {
			t.Errorf("Send to %q = %v, want %q", url, err, want)
		}
	}
}

func TestIgnoreComplete(t *testing.T) {
	for message, benign := range map[string]bool{
		"Resource Handle is in CREATE_COMPLETE state and cannot be signaled":                           true,
		"A bad or out-of-range value was supplied:Signal resource during SUSPEND is not supported.":    true,
		"A bad or out-of-range value was supplied:The Stack (t3) could not be found.":                  false,
		"Stack:arn is in CREATE_FAILED state and can not be signalled, and it is not supported at all": false,
	} {
		h := newHeat(t, func(w http.ResponseWriter, r *http.Request, p post) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, "<ErrorResponse><Error><Code>ValidationError</Code><Message>"+message+"</Message></Error></ErrorResponse>")
		})
		r := Request{URL: h.presigned(waitPath, time.Now()), Signal: done}
		if err := h.sender().Send(t.Context(), r); err == nil {
			t.Errorf("%s: Send = nil, want an error", message)
		}
		s := h.sender()
		s.IgnoreComplete = true
		if err := s.Send(t.Context(), r); (err == nil) != benign {
			t.Errorf("%s: Send with IgnoreComplete = %v, want success %v", message, err, benign)
		}
	}
}

func TestNothingLoggedHoldsTheSignature(t *testing.T) {
	h := newHeat(t, always(t, "wait-put-bad-signature"))
	var out strings.Builder
	s := h.sender()
	s.Credentials = keys
	s.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	err := s.Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now().Add(-time.Hour)), Signal: done})
	for _, secret := range []string{"Y2twB", "hush-hush"} {
		if text := out.String() + err.Error(); strings.Contains(text, secret) {
			t.Errorf("log or error holds %q: %s", secret, text)
		}
	}
	if e, ok := errors.AsType[*awsquery.Error](err); !ok || e.Status != 403 {
		t.Errorf("Send = %v, want the refusal inside", err)
	}
}

func TestStalledHeatIsGivenUp(t *testing.T) {
	stop := make(chan struct{})
	h := newHeat(t, func(w http.ResponseWriter, r *http.Request, p post) { <-stop })
	defer close(stop)
	s := h.sender()
	s.HTTP = &http.Client{Transport: &http.Transport{ResponseHeaderTimeout: 30 * time.Millisecond, DisableKeepAlives: true}}
	s.Retry = retry.Policy{Tries: 2}
	if err := s.Send(t.Context(), Request{URL: h.presigned(waitPath, time.Now()), Signal: done}); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("Send = %v, want a time-out", err)
	}
}

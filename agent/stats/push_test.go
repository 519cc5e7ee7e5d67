package stats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

var keys = awsquery.Credentials{AccessKey: "4567", SecretKey: "geheim"}

// An alarmServer records requests, and answers the n-th with the n-th handler,
// or the last one.
type alarmServer struct {
	*httptest.Server
	mu       sync.Mutex
	answers  []http.HandlerFunc
	requests []*http.Request
	pushed   [][]metric.Datapoint
}

func took(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, `<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"/>`)
}

func refuse(status int, code string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>no</Message></Error></ErrorResponse>", code)
	}
}

func startServer(t *testing.T, answers ...http.HandlerFunc) *alarmServer {
	t.Helper()
	s := &alarmServer{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		points, err := metric.Parse(form)
		if err != nil {
			t.Errorf("server got %q: %v", body, err)
		}
		s.checkSignature(t, r, body)
		s.requests, s.pushed = append(s.requests, r), append(s.pushed, points)
		answer := s.answers[0]
		if len(s.answers) > 1 {
			s.answers = s.answers[1:]
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// checkSignature signs what came again, as the server that knows the key does.
func (s *alarmServer) checkSignature(t *testing.T, r *http.Request, body []byte) {
	at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		t.Error(err)
	}
	again, err := http.NewRequest(http.MethodPost, s.URL+r.URL.EscapedPath(), nil)
	if err != nil {
		t.Error(err)
		return
	}
	again.Header.Set("Content-Type", r.Header.Get("Content-Type"))
	if err := awsquery.SignV4(context.Background(), again, body, keys, "heat", "monitoring", at); err != nil {
		t.Error(err)
	}
	if got, want := r.Header.Get("Authorization"), again.Header.Get("Authorization"); got != want {
		t.Errorf("Authorization = %q, want %q", got, want)
	}
}

func (s *alarmServer) pusher(t *testing.T) *Pusher {
	t.Helper()
	endpoint, err := Server(t.TempDir(), s.URL, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return &Pusher{
		HTTP: s.Client(), Endpoint: endpoint, Credentials: keys,
		Retry: retry.Policy{First: time.Millisecond, Tries: 3, Total: 10 * time.Second},
		Spool: Spool{filepath.Join(t.TempDir(), "spool")},
	}
}

func push(t *testing.T, p *Pusher, want Result, wantErr string, points ...metric.Datapoint) {
	t.Helper()
	got, err := p.Push(t.Context(), points)
	if got != want || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
		t.Errorf("Push = %+v, %v, want %+v, %q", got, err, want, wantErr)
	}
	if err != nil && strings.Contains(err.Error(), string(keys.SecretKey)) {
		t.Errorf("Push: the error %v holds the key", err)
	}
}

func kept(t *testing.T, p *Pusher) []metric.Datapoint {
	t.Helper()
	k, err := p.Spool.Load()
	if err != nil {
		t.Fatal(err)
	}
	return k.Points
}

// heat-cfntools made a request for each metric, over plain HTTP, to port 8003
// and the path /v1 of whatever host.
func TestPushIsOneSignedRequest(t *testing.T) {
	s := startServer(t, took)
	var points []metric.Datapoint
	for i := range 12 {
		points = append(points, beat(i, time.Time{}))
	}
	push(t, s.pusher(t), Result{Sent: 12}, "", points...)
	if len(s.requests) != 1 || s.requests[0].Method != "POST" || s.requests[0].URL.String() != "/v1/" || !reflect.DeepEqual(s.pushed[0], points) {
		t.Errorf("%d requests, first %v: %v, want one POST /v1/ of all, without times", len(s.requests), s.requests[0].URL, s.pushed[0])
	}
	elb := beat(1, time.Time{})
	elb.Namespace = LoadBalancer
	push(t, s.pusher(t), Result{Sent: 2}, "", elb, points[0])
	if len(s.requests) != 3 {
		t.Errorf("%d requests, want one for each namespace", len(s.requests)-1)
	}
}

func TestPushTellsRefusal(t *testing.T) {
	for _, answer := range []http.HandlerFunc{
		refuse(400, "InvalidParameterValue"), refuse(403, "AccessDenied"), refuse(404, ""),
		func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://monitoring.us-east-1.amazonaws.com/", http.StatusFound)
		},
	} {
		s := startServer(t, answer)
		p := s.pusher(t)
		push(t, p, Result{}, "push to "+s.URL+"/v1/: ", beat(1, time.Time{}))
		if n := len(kept(t, p)); n != 0 || len(s.requests) != 1 {
			t.Errorf("%d kept, %d requests, want a refusal to be neither kept nor repeated", n, len(s.requests))
		}
	}
	s := startServer(t, took)
	push(t, s.pusher(t), Result{Sent: 1}, "its name", beat(1, time.Time{}), metric.Datapoint{Namespace: "n"})
}

func TestPushKeepsWhatCannotGoNow(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"503":         refuse(503, "ServiceUnavailable"),
		"Retry-After": refuse(503, "ServiceUnavailable", "Retry-After", "3600"),
		"500":         refuse(500, "InternalFailure"),
		"429":         refuse(429, ""),
		"throttling":  refuse(400, "Throttling"),
		"a portal":    func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>welcome</html>") },
		"hang up":     func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
	} {
		s := startServer(t, answer)
		p := s.pusher(t)
		before := time.Now().Add(-time.Millisecond)
		push(t, p, Result{Spooled: 2}, "", beat(1, time.Time{}), beat(2, time.Time{}))
		s.Close() // it is done with its requests
		list := kept(t, p)
		if len(list) != 2 || list[0].Time.Before(before) || list[0].Time.After(time.Now()) {
			t.Errorf("%s: kept %v, want both with their time", name, list)
		}
		if want := map[bool]int{true: 1, false: 3}[name == "Retry-After"]; len(s.requests) != want {
			t.Errorf("%s: %d requests, want %d", name, len(s.requests), want)
		}
		for _, r := range s.requests {
			if got, want := r.Header.Get("Authorization"), s.requests[0].Header.Get("Authorization"); got != want {
				t.Errorf("%s: signed again for another try: the server would count it twice", name)
			}
		}
	}
}

func TestPushReplaysWithTrueTimes(t *testing.T) {
	p := startServer(t, took).pusher(t)
	p.Endpoint = mustServer(t, "http://127.0.0.1:1") // nobody listens
	minute := func(n int) time.Time {
		return time.Now().Add(time.Duration(n) * time.Minute).UTC().Truncate(time.Millisecond)
	}
	old := []metric.Datapoint{beat(1, minute(-50)), beat(2, minute(-40))}
	add(t, p.Spool, time.Now(), append([]metric.Datapoint{beat(0, minute(-70))}, old...)...)
	push(t, p, Result{Spooled: 1}, "", beat(3, minute(-1)))
	back := startServer(t, took)
	p.Endpoint, p.HTTP = mustServer(t, back.URL), back.Client()
	live := beat(4, time.Time{})
	push(t, p, Result{Sent: 1, Replayed: 3}, "", live)
	got := back.pushed
	if len(got) != 2 || !reflect.DeepEqual(got[0], []metric.Datapoint{live}) || len(got[1]) != 3 || !reflect.DeepEqual(got[1][:2], old) {
		t.Errorf("pushed %v, want the live one and then those kept, with their times", got)
	}
	if list := kept(t, p); len(list) != 0 {
		t.Errorf("kept %v after the replay, want none", list)
	}
}

func mustServer(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := Server(t.TempDir(), address, "", "")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A guest whose clock is behind is not refused for ever, and its kept
// datapoints get the times of the server's clock.
func TestPushWithAWrongClock(t *testing.T) {
	ahead := 2 * time.Hour
	date := func(w http.ResponseWriter) {
		w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
	}
	s := startServer(t,
		func(w http.ResponseWriter, r *http.Request) { date(w); refuse(403, "SignatureDoesNotMatch")(w, r) },
		func(w http.ResponseWriter, r *http.Request) { date(w); took(w, r) })
	p := s.pusher(t)
	measured := time.Now().Add(-10 * time.Minute)
	add(t, p.Spool, time.Now(), beat(1, measured), beat(2, time.Now().Add(24*time.Hour)))
	push(t, p, Result{Sent: 1, Replayed: 2}, "", beat(3, time.Time{}))
	signed, err := time.Parse("20060102T150405Z", s.requests[1].Header.Get("X-Amz-Date"))
	if d := signed.Sub(time.Now().Add(ahead)); err != nil || d.Abs() > time.Minute {
		t.Errorf("signed again for %v, %v, want the server's time", signed, err)
	}
	for i, want := range []time.Time{measured.Add(ahead), time.Now().Add(ahead)} {
		if d := s.pushed[2][i].Time.Sub(want); d.Abs() > time.Minute {
			t.Errorf("replayed with time %v, want %v", s.pushed[2][i].Time, want)
		}
	}
}

// A daemon that has learned of a wrong clock is not refused at each push, and
// learns that the clock has been set.
func TestPusherRemembersTheClocks(t *testing.T) {
	var ahead time.Duration
	s := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		now := time.Now().Add(ahead).UTC()
		w.Header().Set("Date", now.Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || now.Sub(signed).Abs() > 15*time.Minute {
			refuse(403, "AccessDenied")(w, r)
			return
		}
		took(w, r)
	})
	p := s.pusher(t)
	for _, step := range []struct {
		ahead    time.Duration
		requests int
	}{{0, 1}, {time.Hour, 2}, {time.Hour, 1}, {-time.Hour, 2}, {0, 2}, {10 * time.Minute, 1}} {
		s.requests = nil
		ahead = step.ahead
		push(t, p, Result{Sent: 1}, "", beat(1, time.Time{}))
		if len(s.requests) != step.requests {
			t.Errorf("server %v ahead: %d requests, want %d", ahead, len(s.requests), step.requests)
		}
	}
}

func TestPushIsKeptWhenStopped(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	hang := make(chan struct{})
	s := startServer(t, func(http.ResponseWriter, *http.Request) { cancel(errors.New("stopped by a signal")); <-hang })
	defer close(hang)
	p := s.pusher(t)
	got, err := p.Push(ctx, []metric.Datapoint{beat(1, time.Time{})})
	if want := (Result{Spooled: 1}); got != want || err != nil || len(kept(t, p)) != 1 {
		t.Errorf("Push = %+v, %v, %d kept, want %+v", got, err, len(kept(t, p)), want)
	}
}

func TestPushWithoutASpool(t *testing.T) {
	s := startServer(t, refuse(503, "ServiceUnavailable"))
	p := s.pusher(t)
	p.Spool = Spool{}
	push(t, p, Result{}, "HTTP 503", beat(1, time.Time{}))
	p.Spool.Path = "/proc/no/spool"
	push(t, p, Result{}, "lock the spool", beat(1, time.Time{}))
}

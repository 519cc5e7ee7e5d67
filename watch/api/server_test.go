package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// The keys of the tests: each kind of caller has one.
const keys = `[GUEST]
secret = s-guest
project = p1
stack = web

[READER]
secret = s-reader
project = p1
role = reader

[MEMBER]
secret = s-member
project = p1
role = member

[FOREIGN]
secret = s-foreign
project = p2
role = member

[FOREIGNGUEST]
secret = s-fguest
project = p1
stack = other
`

var secrets = map[string]string{
	"GUEST": "s-guest", "READER": "s-reader", "MEMBER": "s-member", "FOREIGN": "s-foreign", "FOREIGNGUEST": "s-fguest",
}

// A world is an engine behind a served API.
type world struct {
	engine  *watch.Engine
	handler *Handler
	url     string
}

// newWorld serves on a socket; unserved does not, as a bubble of synctest wants
// it.
func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	w := unserved(t, o)
	s := httptest.NewUnstartedServer(nil)
	s.Config = Server(w.handler)
	s.Start()
	t.Cleanup(s.Close)
	w.url = s.URL
	return w
}

func unserved(t testing.TB, o Options) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := auth.OpenKeyFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{engine: watch.New(watch.Options{AlarmsPerProject: 1_000_000})}
	if err := w.engine.Start(context.Background(), time.Now()); err != nil {
		t.Fatal(err)
	}
	w.handler = New(w.engine, auth.New(auth.Options{File: file}).Verify, o)
	return w
}

// heartbeat defines an alarm on heartbeats in project p1.
func (w *world) heartbeat(t testing.TB, name, stack string) {
	t.Helper()
	_, err := w.engine.Define(t.Context(), time.Now(), watch.Caller{Project: "p1", Role: watch.Member}, watch.Alarm{
		Name: name, Namespace: "system/linux", Metric: "Heartbeat", Statistic: watch.SampleCount, Period: time.Minute, Periods: 1,
		Threshold: 1, Comparison: watch.Less, Missing: watch.MissingBreaching, Stack: stack, Origin: watch.FromAPI,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) fed(t testing.TB, name string) bool {
	t.Helper()
	v, ok := w.engine.View(time.Now(), "p1", name)
	if !ok {
		t.Fatalf("there is no alarm %s", name)
	}
	return v.Fed
}

// An asked is what was answered.
type asked struct {
	status int
	header http.Header
	body   string
}

// ask sends a request that access signs.
func (w *world) ask(t testing.TB, access string, r *http.Request, body []byte) asked {
	t.Helper()
	sign(t, access, r, body, time.Now())
	return send(t, r)
}

// sign signs all headers of a request, as SDKs do.
func sign(t testing.TB, access string, r *http.Request, body []byte, now time.Time) {
	t.Helper()
	sum := sha256.Sum256(body)
	creds := aws.Credentials{AccessKeyID: access, SecretAccessKey: secrets[access]}
	if err := v4.NewSigner().SignHTTP(t.Context(), creds, r, hex.EncodeToString(sum[:]), "monitoring", "heat", now); err != nil {
		t.Fatal(err)
	}
}

func send(t testing.TB, r *http.Request) asked {
	t.Helper()
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return asked{res.StatusCode, res.Header, string(b)}
}

func (w *world) query(t testing.TB, access, form string) asked {
	t.Helper()
	return w.ask(t, access, w.queryRequest(t, form), []byte(form))
}

func (w *world) queryRequest(t testing.TB, form string) *http.Request {
	t.Helper()
	r := newRequest(t, w.url+"/v1/", []byte(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func (w *world) json(t testing.TB, access, action, body string) asked {
	t.Helper()
	r := newRequest(t, w.url+"/v1", []byte(body))
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", service+"."+action)
	return w.ask(t, access, r, []byte(body))
}

func (w *world) cbor(t testing.TB, access, action string, body []byte) asked {
	t.Helper()
	r := newRequest(t, w.url+"/v1/service/"+service+"/operation/"+action, body)
	r.Header.Set("Content-Type", "application/cbor")
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	return w.ask(t, access, r, body)
}

func newRequest(t testing.TB, url string, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPushInEachProtocol(t *testing.T) {
	now := time.Now()
	w := newWorld(t, Options{})
	push := func(alarm string) (query, json string, cbor []byte) {
		return "Action=PutMetricData&Version=2010-08-01&Namespace=system%2Flinux&MetricData.member.1.MetricName=Heartbeat&MetricData.member.1.Value=1" +
				"&MetricData.member.1.Unit=Count&MetricData.member.1.Dimensions.member.1.Name=AlarmName&MetricData.member.1.Dimensions.member.1.Value=" + alarm,
			`{"Namespace":"system/linux","MetricData":[{"MetricName":"Heartbeat","Value":1,"Timestamp":` + string(must(stamp(now).MarshalJSON())) + `,"Dimensions":[{"Name":"AlarmName","Value":"` + alarm + `"}]}]}`,
			encode(t, obj{"Namespace", "system/linux", "MetricData", arr{obj{"MetricName", "Heartbeat", "Value", 1.0,
				"Dimensions", arr{obj{"Name", "AlarmName", "Value", alarm}}}}}, true)
	}
	for i, f := range []func(alarm string) asked{
		func(alarm string) asked { q, _, _ := push(alarm); return w.query(t, "GUEST", q) },
		func(alarm string) asked { _, j, _ := push(alarm); return w.json(t, "GUEST", "PutMetricData", j) },
		func(alarm string) asked { _, _, c := push(alarm); return w.cbor(t, "GUEST", "PutMetricData", c) },
	} {
		alarm := string("abc"[i])
		w.heartbeat(t, alarm, "web")
		got := f(alarm)
		if got.status != 200 || !w.fed(t, alarm) || got.header.Get("Date") == "" || got.header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("push %d: %d %v %s, fed %v, want 200 with Date and request id, and fed", i, got.status, got.header, got.body, w.fed(t, alarm))
		}
	}
}

func zip(t testing.TB, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(body)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The signature is of the body as it comes, compressed.
func TestCompressedPush(t *testing.T) {
	w := newWorld(t, Options{})
	w.heartbeat(t, "a", "web")
	body := zip(t, encode(t, obj{"Namespace", "n", "MetricData", arr{obj{"MetricName", "Heartbeat", "Value", 1,
		"Dimensions", arr{obj{"Name", "AlarmName", "Value", "a"}}}}}, true))
	r := newRequest(t, w.url+"/service/"+service+"/operation/PutMetricData", body)
	r.Header.Set("Content-Encoding", "gzip")
	if got := w.ask(t, "GUEST", r, body); got.status != 200 || !w.fed(t, "a") {
		t.Errorf("compressed push: %d %s, fed %v", got.status, got.body, w.fed(t, "a"))
	}
}

// Who announces a body that does not come has not proved who he is yet.
func TestAnnouncedBodyTakesNoRoom(t *testing.T) {
	r := httptest.NewRequest("POST", "/v1/", strings.NewReader("short"))
	r.ContentLength = maxBody
	const times = 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		r.Body = io.NopCloser(strings.NewReader("short"))
		if body, err := readBody(httptest.NewRecorder(), r); err != nil || string(body) != "short" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / times; per > 128<<10 {
		t.Errorf("%d bytes are taken for a body of five", per)
	}
}

// A client that asks first (Expect: 100-continue) need not send what is refused.
func TestBodyThatIsTooLargeIsNotAskedFor(t *testing.T) {
	r := httptest.NewRequest("POST", "/v1/", unwanted{t})
	r.ContentLength = maxBody + 1
	_, err := readBody(httptest.NewRecorder(), r)
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != 413 {
		t.Errorf("readBody = %v, want 413", err)
	}
}

type unwanted struct{ t *testing.T }

func (u unwanted) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

func TestBodiesAreBounded(t *testing.T) {
	w := newWorld(t, Options{})
	big := []byte(strings.Repeat("a", maxBody+1))
	if got := w.ask(t, "MEMBER", w.queryRequest(t, string(big)), big); got.status != 413 || !strings.Contains(got.body, "larger than 1048576 bytes") {
		t.Errorf("1 MiB and a byte: %d %s, want 413", got.status, got.body)
	}
	bomb := zip(t, bytes.Repeat([]byte("a"), maxPlain+1))
	r := newRequest(t, w.url+"/v1/", bomb)
	r.Header.Set("Content-Encoding", "gzip")
	if got := w.ask(t, "MEMBER", r, bomb); got.status != 413 || !strings.Contains(got.body, "larger than 8388608 bytes once decompressed") {
		t.Errorf("8 MiB and a byte in %d bytes: %d %s, want 413", len(bomb), got.status, got.body)
	}
}

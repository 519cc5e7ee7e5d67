package cfnapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/retry"
	"github.com/cfn-agent/cfn-agent/metadata"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

var _ metadata.Fetcher = (*Client)(nil)

var recordedDetail = Detail{
	StackID:            "arn:openstack:heat::72e8852e54094689a89a76f87c8c1576:stacks/t3/5bd66e27-5259-4ae3-b6ba-98681889ac96",
	ResourceType:       "Test::Guest",
	PhysicalResourceID: "77cc12d2-4816-4e4d-890e-c0605bd4367e",
	Status:             "UPDATE_COMPLETE",
	LastUpdated:        time.Date(2026, 11, 20, 22, 31, 3, 0, time.UTC),
	Metadata:           []byte(`{"AWS::CloudFormation::Init": {"config": {"files": {"/tmp/cfn-test/hello": {"content": "fourth version\n"}}}}}`),
}

// Metadata comes as JSON text inside XML by default, and as a JSON object
// where a server insists on JSON. heat-cfntools knew the second only.
func TestFakeHeatDescribe(t *testing.T) {
	for _, name := range []string{"describe-v4-xml-default", "describe-v4-json", "describe-by-arn"} {
		s, _ := script(t, name)
		got, err := client(t, s).Describe(t.Context())
		if err != nil || !reflect.DeepEqual(got, recordedDetail) {
			t.Errorf("Describe(%s) = %+v, %v, want %+v", name, got, err, recordedDetail)
		}
	}
}

func TestFakeHeatFetch(t *testing.T) {
	s, _ := script(t, "describe-v4-xml-default")
	doc, err := client(t, s).Fetch(t.Context())
	if err != nil || string(doc.Bytes()) != string(recordedDetail.Metadata) {
		t.Errorf("Fetch = %s, %v, want %s", doc.Bytes(), err, recordedDetail.Metadata)
	}
}

// The request is byte for byte the recorded one but for what a signature
// changes: the path with its slash, no ContentType, no form. The old tools
// asked for JSON, and took Heat's errors, sent as 200, for metadata.
func TestFakeHeatRequest(t *testing.T) {
	data, err := os.ReadFile("testdata/describe-v4-xml-default.request.http")
	if err != nil {
		t.Fatal(err)
	}
	want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	var got *http.Request
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		replay(t, w, "describe-v4-xml-default")
	}))
	defer s.Close()
	c := client(t, s)
	c.Region = "RegionOne"
	if _, err := c.Describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got.Method != want.Method || got.RequestURI != want.RequestURI {
		t.Errorf("request = %s %s, want %s %s", got.Method, got.RequestURI, want.Method, want.RequestURI)
	}
	auth := got.Header.Get("Authorization")
	for _, part := range []string{"/RegionOne/cloudformation/aws4_request, SignedHeaders=host;x-amz-date, Signature=", "AWS4-HMAC-SHA256 Credential=e843ae12/"} {
		if !strings.Contains(auth, part) {
			t.Errorf("Authorization = %q, want it to hold %q", auth, part)
		}
	}
}

// Errors of authentication are XML whatever was asked for, those of the
// engine may be 200 and a string: heat-cfntools ended in a TypeError. All end
// in one line with the server's words and without the traceback it appends.
func TestFakeHeatRefusals(t *testing.T) {
	for name, want := range map[string]string{
		"error-unknown-stack-xml":      "HTTP 400 InvalidParameterValue: A bad or out-of-range value was supplied:The Stack (nosuch) could not be found.",
		"error-unknown-stack":          "HTTP 200 OK: The Stack (nosuch) could not be found.",
		"error-forbidden-resource":     "HTTP 200 OK: You are not authorized to use this action.",
		"error-forbidden-resource-xml": "HTTP 403 AccessDenied: User is not authorized to perform action:You are not authorized to use this action.",
		"error-bad-signature-xml":      "HTTP 403 AccessDenied: User is not authorized to perform action",
		"describe-v4-nopath-slash":     "HTTP 404 Not Found: 404 Not Found The resource could not be found.",
	} {
		s, n := script(t, name)
		c := client(t, s)
		c.Endpoint.User = url.UserPassword("u", "hush-hush")
		_, err := c.Describe(t.Context())
		want := "describe resource Guest of stack t3 at " + s.URL + "/v1/: " + want
		if err == nil || err.Error() != want {
			t.Errorf("%s: Describe = %v, want %s", name, err, want)
		}
		wantTries := int32(1)
		if strings.Contains(want, "HTTP 40") && !strings.Contains(want, "HTTP 400") {
			wantTries = 8 // it may be too early for the stack's user
		}
		if n.Load() != wantTries {
			t.Errorf("%s: %d requests, want %d", name, n.Load(), wantTries)
		}
	}
}

// heat-cfntools tried once: a Heat that restarts as the guest boots left the
// guest without configuration.
func TestFakeHeat503ThenAnswer(t *testing.T) {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n < 4 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		replay(t, w, "describe-v4-xml-default")
	}))
	defer s.Close()
	if _, err := client(t, s).Describe(t.Context()); err != nil || n != 4 {
		t.Errorf("Describe = %v after %d requests, want nil after 4", err, n)
	}
}

func TestFakeHeatRefusedConnectionThenAnswer(t *testing.T) {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n < 3 {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		replay(t, w, "describe-v4-xml-default")
	}))
	defer s.Close()
	c := client(t, s)
	c.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	if _, err := c.Describe(t.Context()); err != nil || n != 3 {
		t.Errorf("Describe = %v after %d requests, want nil after 3", err, n)
	}
}

func TestFakeHeatInternalErrorsAreCapped(t *testing.T) {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		http.Error(w, "", http.StatusInternalServerError)
	}))
	defer s.Close()
	if _, err := client(t, s).Describe(t.Context()); err == nil || n != 3 {
		t.Errorf("Describe = %v after %d requests, want an error after 3", err, n)
	}
}

// Keystone refuses what was signed more than 15 minutes ago. A guest whose
// clock is an hour behind could never ask; it now signs with the time that
// the refusal carries.
func TestFakeHeatClockOneHourBehind(t *testing.T) {
	n := 0
	heatNow := func() time.Time { return time.Now().Add(time.Hour) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Date", heatNow().UTC().Format(http.TimeFormat))
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err != nil || heatNow().Sub(signed) > 15*time.Minute {
			replay(t, w, "error-expired-20min")
			return
		}
		replay(t, w, "describe-v4-xml-default")
	}))
	defer s.Close()
	var out strings.Builder
	c := client(t, s)
	c.Retry = retry.Policy{}
	c.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if _, err := c.Describe(t.Context()); err != nil || n != 2 {
		t.Errorf("Describe = %v after %d requests, want nil after 2", err, n)
	}
	if out.Len() == 0 {
		t.Error("the clock was corrected silently")
	}
}

func TestSkew(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := func(date string, want time.Duration, wantOK bool) {
		t.Helper()
		got, ok := Skew(http.Header{"Date": {date}}, now)
		if got != want || ok != wantOK {
			t.Errorf("Skew(%q) = %v, %v, want %v, %v", date, got, ok, want, wantOK)
		}
	}
	f("Fri, 02 Jan 2026 03:09:05 GMT", 5*time.Minute, false)
	f("Fri, 02 Jan 2026 03:09:06 GMT", 5*time.Minute+time.Second, true)
	f("Fri, 02 Jan 2026 02:04:05 GMT", -time.Hour, true)
	f("yesterday", 0, false)
	f("", 0, false)
}

// A Heat of 2013 looks for the signature in the query only.
func TestFakeHeatThatKnowsOnlyVersion2(t *testing.T) {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		if r.URL.Query().Get("Signature") == "" {
			replay(t, w, "error-no-signature")
			return
		}
		if v := r.URL.Query().Get("SignatureVersion"); v != "2" || r.Header.Get("Authorization") != "" {
			t.Errorf("SignatureVersion = %q with Authorization %q, want 2 alone", v, r.Header.Get("Authorization"))
		}
		replay(t, w, "describe-v4-xml-default")
	}))
	defer s.Close()
	if _, err := client(t, s).Describe(t.Context()); err != nil || n != 2 {
		t.Errorf("Describe = %v after %d requests, want nil after 2", err, n)
	}
}

func TestFakeHeatThatTakesNoSignatureIsAskedTwice(t *testing.T) {
	s, n := script(t, "error-no-signature")
	_, err := client(t, s).Describe(t.Context())
	e, ok := errors.AsType[*awsquery.Error](err)
	if !ok || e.Code != "IncompleteSignature" || n.Load() != 2 {
		t.Errorf("Describe = %v after %d requests, want IncompleteSignature after 2", err, n.Load())
	}
}

// heat-cfntools spoke plain HTTP only, whatever cfn-metadata-server said.
func TestFakeHeatTLSWithPrivateCA(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		replay(t, w, "describe-v4-xml-default")
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	root := t.TempDir()
	bundle := writeCA(t, root, s)
	for name, tt := range map[string]struct {
		options TransportOptions
		ok      bool
	}{
		"system roots":              {TransportOptions{Root: t.TempDir()}, false},
		"CA_OVERRIDE":               {TransportOptions{Root: t.TempDir(), CAOverride: bundle}, true},
		"/etc/cfn/ca-override.pem":  {TransportOptions{Root: root}, true},
		"--insecure":                {TransportOptions{Root: t.TempDir(), Insecure: true}, true},
		"validate_certificates = 0": {TransportOptions{Root: bootRoot(t, "[Boto]\nhttps_validate_certificates = 0\n")}, true},
		"validate_certificates = 1": {TransportOptions{Root: bootRoot(t, "[Boto]\nhttps_validate_certificates = 1\n")}, false},
	} {
		tr, err := NewTransport(tt.options)
		if err != nil {
			t.Fatal(err)
		}
		c := client(t, s)
		c.HTTP = &http.Client{Transport: tr}
		_, err = c.Describe(t.Context())
		if (err == nil) != tt.ok {
			t.Errorf("%s: Describe = %v, want success %v", name, err, tt.ok)
		}
		tr.CloseIdleConnections()
	}
}

// Endpoints that lie, cut, or send a page instead: a clear line, no panic, no
// metadata.
func TestFakeHeatBadAnswers(t *testing.T) {
	const xmlBegin = "<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail>"
	for name, tt := range map[string]struct{ body, want string }{
		"empty":        {"", "bad answer: it is empty"},
		"cut XML":      {xmlBegin + "<Metadata>{&quot;a", "bad answer: its XML is cut or damaged after 99 bytes: XML syntax error on line 1: unexpected EOF"},
		"cut JSON":     {`{"DescribeStackResourceResponse": {`, "bad answer: its JSON is cut or damaged after 35 bytes: unexpected end of JSON input"},
		"a login page": {"<html><head><title>Sign in</title></head></html>", `bad answer: it does not describe a resource: a page titled "Sign in"`},
		"other JSON":   {`{"versions": []}`, "bad answer: it does not describe a resource: "},
		"text":         {"hello", "bad answer: it does not describe a resource: hello"},
		"an error":     {`{"ErrorResponse":{"Error":{"Code":"C","Message":"m"}}}`, "HTTP 200 C: m"},
	} {
		n := 0
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n++
			io.WriteString(w, tt.body)
		}))
		_, err := client(t, s).Describe(t.Context())
		s.Close()
		if err == nil || !strings.HasSuffix(err.Error(), "/v1/: "+tt.want) || n > 3 {
			t.Errorf("%s: Describe = %v after %d requests, want %q after at most 3", name, err, n, tt.want)
		}
	}
}

// A few kilobytes of gzip can hold gigabytes.
func TestFakeHeatAnswerThatIsAGzipBomb(t *testing.T) {
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		for range 20 {
			_, _ = z.Write(make([]byte, 1<<20))
		}
		_ = z.Close()
	}))
	defer s.Close()
	_, err := client(t, s).Describe(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), "answer is larger than 16777216 bytes") || n != 1 {
		t.Errorf("Describe = %v after %d requests, want a refusal of its size after 1", err, n)
	}
}

func TestFakeHeatMetadataThatIsNotJSON(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"DescribeStackResourceResponse":{"DescribeStackResourceResult":{"StackResourceDetail":{"Metadata":"{'a"}}}}`)
	}))
	defer s.Close()
	_, err := client(t, s).Fetch(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "metadata of resource Guest of stack t3: ") {
		t.Errorf("Fetch = %v, want an error that names the resource", err)
	}
}

// heat-cfntools had no time-out at all.
func TestFakeHeatThatStalls(t *testing.T) {
	stop := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-stop }))
	defer s.Close()
	defer close(stop)
	tr, err := NewTransport(TransportOptions{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if tr.ResponseHeaderTimeout != 30*time.Second || tr.TLSHandshakeTimeout != 10*time.Second {
		t.Errorf("time-outs = %v, %v, want 30s, 10s", tr.ResponseHeaderTimeout, tr.TLSHandshakeTimeout)
	}
	tr.ResponseHeaderTimeout = 30 * time.Millisecond
	c := client(t, s)
	c.HTTP, c.Retry.Tries = &http.Client{Transport: tr}, 2
	if _, err := c.Describe(t.Context()); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Errorf("Describe = %v, want a time-out", err)
	}
}

func TestDescribeEndsWithItsContext(t *testing.T) {
	s, _ := script(t, "error-bad-signature-xml")
	c := client(t, s)
	c.Retry = retry.Policy{First: time.Hour, Tries: 8}
	cause := errors.New("shutting down")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, cause)
	defer cancel()
	if _, err := c.Describe(ctx); !errors.Is(err, cause) {
		t.Errorf("Describe = %v, want %v", err, cause)
	}
}

func TestDescribeWithoutCredentials(t *testing.T) {
	c := &Client{Stack: "s", Resource: "r"}
	if _, err := c.Describe(t.Context()); !errors.Is(err, ErrNoCredentials) {
		t.Errorf("Describe = %v, want %v", err, ErrNoCredentials)
	}
}

func TestNothingSecretIsLogged(t *testing.T) {
	s, _ := script(t, "error-no-signature", "error-bad-signature-xml")
	var out strings.Builder
	c := client(t, s)
	c.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, err := c.Describe(t.Context())
	text := out.String() + fmt.Sprintf("%v %+v", err, c)
	for _, secret := range []string{"hush-hush", "Signature="} {
		if strings.Contains(text, secret) {
			t.Errorf("log or error holds %q: %s", secret, text)
		}
	}
}

// heat-cfntools needed boto 2, which Python 3.12 cannot import. Its one
// dependency on the answer's shape was the JSON form: the one recorded from
// cfn-init 1.4.2 still reads.
func TestFakeHeatAnswerToOldCfnInit(t *testing.T) {
	s, _ := script(t, "cfn-init-1.4.2")
	d, err := client(t, s).Describe(t.Context())
	if err != nil || d.Status != "CREATE_COMPLETE" || !bytes.Contains(d.Metadata, []byte(`"mode": "000640"`)) {
		t.Errorf("Describe = %+v, %v, want the recorded metadata", d, err)
	}
}

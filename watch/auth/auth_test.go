package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
	"github.com/cfn-agent/cfn-agent/watch"
)

var discard = slog.New(slog.DiscardHandler)

const push = "Action=PutMetricData&Version=2010-08-01&Namespace=system%2Flinux&MetricData.member.1.MetricName=Heartbeat&MetricData.member.1.Value=1&MetricData.member.1.Unit=Count&MetricData.member.1.Dimensions.member.1.Name=AlarmName&MetricData.member.1.Dimensions.member.1.Value=st-HeartbeatFailureAlarm"

// signed is a push as a server gets it, signed at a time with version 4.
func signed(t testing.TB, access, secret string, at time.Time) *http.Request {
	t.Helper()
	r, err := http.NewRequest("POST", "http://watch.test:8003/v1/", strings.NewReader(push))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c := awsquery.Credentials{AccessKey: access, SecretKey: awsquery.Secret(secret)}
	if err := awsquery.SignV4(context.Background(), r, []byte(push), c, "heat", awsquery.CloudWatch, at); err != nil {
		t.Fatal(err)
	}
	return r
}

// signedV2 is the same in the query of a GET, signed with version 2.
func signedV2(t testing.TB, access, secret string, at time.Time) *http.Request {
	t.Helper()
	r, err := http.NewRequest("GET", "http://watch.test:8003/v1/?"+push, nil)
	if err != nil {
		t.Fatal(err)
	}
	awsquery.SignV2(r, awsquery.Credentials{AccessKey: access, SecretKey: awsquery.Secret(secret)}, at)
	return r
}

// bodyOf is the body that signed and signedV2 sign.
func bodyOf(r *http.Request) []byte {
	if r.Method == "GET" {
		return nil
	}
	return []byte(push)
}

// code is the code of a refusal, or empty.
func code(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	if err != nil {
		return "not an *Error: " + err.Error()
	}
	return ""
}

const keys = `
[file]
secret = of#the;file
project = p1
stack = web
`

func keyFile(t testing.TB, text string) *KeyFile {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	write(t, path, text)
	f, err := OpenKeyFile(path, discard)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func issued(t *testing.T) func(context.Context, string) (*Key, error) {
	keys := map[string]*Key{
		"issued": {Caller: watch.Caller{Access: "issued", Project: "p2", Role: watch.Member}, Checker: awsquery.Checker{Secret: "s2"}, Expires: start.Add(time.Hour)},
		"file":   {Caller: watch.Caller{Access: "file", Project: "p2", Role: watch.Member}, Checker: awsquery.Checker{Secret: "of another source"}},
	}
	return func(_ context.Context, access string) (*Key, error) {
		if access == "broken" {
			return nil, errors.New("disk I/O error")
		}
		return keys[access], nil
	}
}

func TestVerify(t *testing.T) {
	v := New(Options{File: keyFile(t, keys), Issued: issued(t)})
	file := watch.Caller{Access: "file", Project: "p1", Stack: "web", Role: watch.Guest}
	mine := watch.Caller{Access: "issued", Project: "p2", Role: watch.Member}
	ask := func(access, secret string, ahead time.Duration) *http.Request {
		return signed(t, access, secret, start.Add(ahead))
	}
	tampered := ask("file", "of#the;file", 0)
	tampered.Host = "other.test"
	noTime := signedV2(t, "file", "of#the;file", time.Time{})
	for name, tt := range map[string]struct {
		r      *http.Request
		at     time.Time // of arrival, after start
		want   watch.Caller
		code   string
		status int
	}{
		"a key of the file":            {ask("file", "of#the;file", time.Second), start, file, "", 0},
		"an issued key":                {ask("issued", "s2", time.Second), start, mine, "", 0},
		"version 2":                    {signedV2(t, "file", "of#the;file", start), start, file, "", 0},
		"14 minutes old":               {ask("file", "of#the;file", -14*time.Minute), start, file, "", 0},
		"14 minutes ahead":             {ask("file", "of#the;file", 14*time.Minute), start, file, "", 0},
		"16 minutes old":               {ask("file", "of#the;file", -16*time.Minute), start, watch.Caller{}, RequestExpired, 403},
		"16 minutes ahead":             {ask("file", "of#the;file", 16*time.Minute), start, watch.Caller{}, RequestExpired, 403},
		"no time":                      {noTime, start, watch.Caller{}, awsquery.IncompleteSignature, 400},
		"another secret":               {ask("file", "other", 0), start, watch.Caller{}, SignatureDoesNotMatch, 403},
		"the first source decides":     {ask("file", "of another source", 0), start, watch.Caller{}, SignatureDoesNotMatch, 403},
		"changed after it was signed":  {tampered, start, watch.Caller{}, SignatureDoesNotMatch, 403},
		"an unknown key":               {ask("nobody", "x", 0), start, watch.Caller{}, InvalidClientTokenID, 403},
		"an issued key that expired":   {ask("issued", "s2", time.Hour), start.Add(time.Hour), watch.Caller{}, InvalidClientTokenID, 403},
		"a store that cannot be asked": {ask("broken", "x", 0), start, watch.Caller{}, ServiceUnavailable, 503},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := awsquery.ReadSignature(tt.r, bodyOf(tt.r))
			if err != nil {
				t.Fatal(err)
			}
			p, err := v.Verify(t.Context(), tt.r, bodyOf(tt.r), tt.at)
			if got := code(err); got != tt.code {
				t.Fatalf("Verify = %v, want code %q", err, tt.code)
			}
			if err == nil {
				if p.Caller != tt.want || p.Replayed {
					t.Errorf("Verify = %+v, replayed %v, want %+v", p.Caller, p.Replayed, tt.want)
				}
				return
			}
			e, _ := errors.AsType[*Error](err)
			if e.Status != tt.status || e.Access != s.Access || (e.RetryAfter > 0) != (e.Status == 503) || strings.Contains(e.Error(), "\n") {
				t.Errorf("Verify = %+v, want status %d, access key %s", e, tt.status, s.Access)
			}
		})
	}
	for name, tt := range map[string]struct{ got, want int64 }{
		"accepted": {v.Counters.Accepted.Load(), 5}, "expired": {v.Counters.Expired.Load(), 2}, "unknown": {v.Counters.Unknown.Load(), 2},
		"mismatched": {v.Counters.Mismatched.Load(), 3}, "incomplete": {v.Counters.Incomplete.Load(), 1}, "unverified": {v.Counters.Unverified.Load(), 1},
	} {
		if tt.got != tt.want {
			t.Errorf("counted %s: %d, want %d", name, tt.got, tt.want)
		}
	}
}

func TestVerifyUnsigned(t *testing.T) {
	v := New(Options{})
	r := &http.Request{Method: "POST", URL: &url.URL{Path: "/"}, Host: "h", Header: http.Header{}}
	_, err := v.Verify(t.Context(), r, []byte("{}"), start)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Status != 400 || e.Code != awsquery.IncompleteSignature || e.Access != "" {
		t.Errorf("Verify = %+v, want 400 IncompleteSignature", err)
	}
}

// A push whose answer was lost comes again with the same signature; one that
// was refused may be repeated too.
func TestReplay(t *testing.T) {
	v := New(Options{File: keyFile(t, keys)})
	r := signed(t, "file", "of#the;file", start)
	verify := func(want bool) *Pass {
		t.Helper()
		p, err := v.Verify(t.Context(), r, bodyOf(r), start)
		if err != nil {
			t.Fatal(err)
		}
		if p.Replayed != want {
			t.Errorf("Replayed = %v, want %v", p.Replayed, want)
		}
		return p
	}
	p := verify(false)
	verify(true).Done(false) // while the first is being answered
	verify(true)
	p.Done(false)
	verify(false).Done(true)
	verify(true)
	r = signed(t, "file", "of#the;file", start.Add(time.Second))
	verify(false)
}

func BenchmarkVerify(b *testing.B) {
	v := New(Options{File: keyFile(b, keys)})
	now := time.Now()
	r := signed(b, "file", "of#the;file", now)
	body := bodyOf(r)
	b.ReportAllocs()
	for b.Loop() {
		p, err := v.Verify(b.Context(), r, body, now)
		if err != nil {
			b.Fatal(err)
		}
		p.Done(false)
	}
}

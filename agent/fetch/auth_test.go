package fetch

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata"
)

var (
	s3Auth = metadata.Authentication{Name: "s3", Type: metadata.AuthS3, AccessKeyID: "AKID", SecretKey: "s3cr3t-key", Buckets: []string{"bucket", "my.bucket"}}
	basic  = metadata.Authentication{Name: "basic", Type: metadata.AuthBasic, Username: "me", Password: "pw",
		URIs: []string{"web.example.org", "other.example.org:8080", "https://api.example.org/private/"}}
)

func TestWhichCredentials(t *testing.T) {
	endpoint := metadata.Authentication{Name: "ceph", Type: metadata.AuthS3, Buckets: []string{"data"}, Endpoint: "http://rgw:7480/swift"}
	c := &Client{Auth: []metadata.Authentication{basic, s3Auth, endpoint}}
	for raw, want := range map[string]string{
		"https://bucket.s3.amazonaws.com/k":                     "s3",
		"https://bucket.s3.eu-central-1.amazonaws.com/k":        "s3",
		"https://bucket.s3-eu-west-1.amazonaws.com/k":           "s3",
		"https://s3.amazonaws.com/bucket/k":                     "s3",
		"https://s3.dualstack.us-west-2.amazonaws.com/bucket/k": "s3",
		"https://my.bucket.s3.amazonaws.com/k":                  "s3",
		"https://bucket.s3.cn-north-1.amazonaws.com.cn/k":       "s3",
		"s3://bucket/k":                                 "s3",
		"https://s3.amazonaws.com/other/k":              "",
		"https://bucket.example.org/k":                  "",
		"https://bucket.s3.amazonaws.com.example.org/k": "",
		"http://rgw:7480/swift/data/k":                  "ceph",
		"http://data.rgw:7480/k":                        "ceph",
		"http://rgw:7480/swift/other/k":                 "",
		"http://web.example.org/x":                      "basic",
		"http://WEB.example.org:99/x":                   "basic",
		"http://other.example.org:8080/x":               "basic",
		"http://other.example.org/x":                    "",
		"https://api.example.org/private/x":             "basic",
		"https://api.example.org/private":               "basic",
		"https://api.example.org:443/private/x":         "basic",
		"https://api.example.org/private-not/x":         "",
		"https://api.example.org/private/../x":          "",
		"http://api.example.org/private/x":              "",
		"https://api.example.org.evil/private/x":        "",
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.auth(u, "")
		if got := name(a); got != want || err != nil {
			t.Errorf("auth(%s) = %q, %v, want %q", raw, got, err, want)
		}
	}
}

func name(a *metadata.Authentication) string {
	if a == nil {
		return ""
	}
	return a.Name
}

func TestUnknownAuthenticationNameIsAnError(t *testing.T) {
	_, err := (&Client{Auth: []metadata.Authentication{basic}}).Get(t.Context(), system(t), Request{URL: "http://h/", Authentication: "none"})
	if _, ok := errors.AsType[*UnknownAuthenticationError](err); !ok || !strings.Contains(err.Error(), `"none"`) {
		t.Errorf("Get = %v, want an UnknownAuthenticationError that names it", err)
	}
}

func TestNamedCredentialsAreSent(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != "me" || p != "pw" {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	c := &Client{Auth: []metadata.Authentication{basic}}
	if _, err := c.Get(t.Context(), system(t), Request{URL: srv.URL, Authentication: "basic", Dir: t.TempDir()}); err != nil {
		t.Errorf("Get = %v, want success", err)
	}
	if _, err := c.Get(t.Context(), system(t), Request{URL: srv.URL, Dir: t.TempDir()}); err == nil {
		t.Error("Get without a name sent the credentials to a host they do not cover")
	}
}

func TestCredentialsStayWithTheirHost(t *testing.T) {
	got := "nothing"
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Get("Authorization") + r.Header.Get("Referer") + r.Header.Get("X-Amz-Content-Sha256")
		io.WriteString(w, "x")
	})
	for _, auth := range []metadata.Authentication{basic, s3Auth} {
		// The other server differs in its port alone.
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
		c := &Client{Auth: []metadata.Authentication{auth}}
		_, err := c.Get(t.Context(), system(t), Request{URL: srv.URL + "?sig=x", Authentication: auth.Name, Dir: t.TempDir()})
		if err != nil || got != "" {
			t.Errorf("%s: Get = %v; the other host got %q, want nothing", auth.Name, err, got)
		}
	}
}

func TestCredentialsSurviveARedirectOnTheSameHost(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _, ok := r.BasicAuth()
		switch {
		case !ok:
			w.WriteHeader(http.StatusBadRequest)
		case r.URL.Path == "/":
			http.Redirect(w, r, "/b", http.StatusFound)
		}
	})
	c := &Client{Auth: []metadata.Authentication{basic}}
	if _, err := c.Get(t.Context(), system(t), Request{URL: srv.URL, Authentication: "basic", Dir: t.TempDir()}); err != nil {
		t.Errorf("Get = %v, want success", err)
	}
}

// A roundTripper plays a service at any host.
type roundTripper func(*http.Request) *http.Response

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func play(t *testing.T, h func(w *httptest.ResponseRecorder, r *http.Request)) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) *http.Response {
		w := httptest.NewRecorder()
		h(w, r)
		return w.Result()
	})}
}

func scope(r *http.Request) string {
	_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=AKID/")
	rest, _, _ = strings.Cut(rest, ",")
	_, rest, _ = strings.Cut(rest, "/")
	return rest
}

func TestS3IsSigned(t *testing.T) {
	endpoint := s3Auth
	endpoint.Endpoint = "http://rgw:7480"
	for _, tt := range []struct {
		auth                   metadata.Authentication
		url, region, to, scope string
	}{
		{s3Auth, "s3://bucket/a b", "", "https://bucket.s3.us-east-1.amazonaws.com/a%20b", "us-east-1/s3/aws4_request"},
		{s3Auth, "s3://bucket/k?versionId=7", "", "https://bucket.s3.us-east-1.amazonaws.com/k?versionId=7", "us-east-1/s3/aws4_request"},
		{s3Auth, "s3://bucket/k", "eu-west-1", "https://bucket.s3.eu-west-1.amazonaws.com/k", "eu-west-1/s3/aws4_request"},
		{s3Auth, "s3://bucket/k", "RegionOne", "https://bucket.s3.us-east-1.amazonaws.com/k", "us-east-1/s3/aws4_request"},
		{s3Auth, "s3://my.bucket/k", "", "https://s3.us-east-1.amazonaws.com/my.bucket/k", "us-east-1/s3/aws4_request"},
		{s3Auth, "https://bucket.s3-eu-west-1.amazonaws.com/k", "us-west-2", "https://bucket.s3-eu-west-1.amazonaws.com/k", "eu-west-1/s3/aws4_request"},
		{endpoint, "s3://bucket/k", "RegionOne", "http://rgw:7480/bucket/k", "RegionOne/s3/aws4_request"},
		{endpoint, "s3://bucket/k", "", "http://rgw:7480/bucket/k", "us-east-1/s3/aws4_request"},
	} {
		var to, got string
		c := &Client{Auth: []metadata.Authentication{tt.auth}, Region: tt.region, HTTP: play(t, func(w *httptest.ResponseRecorder, r *http.Request) {
			to, got = r.URL.String(), scope(r)
		})}
		if _, err := c.Get(t.Context(), system(t), Request{URL: tt.url, Dir: t.TempDir()}); err != nil || to != tt.to || got != tt.scope {
			t.Errorf("Get(%s) in %q = %v, at %s signed for %s, want %s for %s", tt.url, tt.region, err, to, got, tt.to, tt.scope)
		}
	}
}

// The signature of a GET as in "Authenticating Requests: Using the
// Authorization Header" of the Amazon S3 API Reference.
func TestS3SignatureCoversHostAndHash(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "https://examplebucket.s3.amazonaws.com/test.txt", nil)
	a := metadata.Authentication{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	r.Header.Set("Range", "bytes=0-9")
	if err := sign(t.Context(), r, &a, "us-east-1", time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	const want = "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
	if got := r.Header.Get("Authorization"); !strings.HasSuffix(got, want) {
		t.Errorf("sign = %s, want ...%s", got, want)
	}
}

func TestS3FollowsItsRegion(t *testing.T) {
	const body = `<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region></Error>`
	answers := map[string]func(w *httptest.ResponseRecorder){
		"301 with the region alone": func(w *httptest.ResponseRecorder) {
			w.Header().Set("X-Amz-Bucket-Region", "eu-central-1")
			w.WriteHeader(http.StatusMovedPermanently)
		},
		"307 with the location": func(w *httptest.ResponseRecorder) {
			w.Header().Set("Location", "https://bucket.s3.eu-central-1.amazonaws.com/k")
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"400 with the region in its body": func(w *httptest.ResponseRecorder) {
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, body)
		},
	}
	for name, answer := range answers {
		requests := 0
		c := &Client{Auth: []metadata.Authentication{s3Auth}, HTTP: play(t, func(w *httptest.ResponseRecorder, r *http.Request) {
			requests++
			if !strings.HasPrefix(scope(r), "eu-central-1/") {
				answer(w)
			}
		})}
		if _, err := c.Get(t.Context(), system(t), Request{URL: "s3://bucket/k", Dir: t.TempDir()}); err != nil || requests != 2 {
			t.Errorf("%s: Get = %v after %d requests, want success after 2", name, err, requests)
		}
	}
}

func TestS3ClockIsCorrectedOnce(t *testing.T) {
	ahead := time.Now().Add(time.Hour)
	requests := 0
	c := &Client{Retry: quick(1), Auth: []metadata.Authentication{s3Auth}, HTTP: play(t, func(w *httptest.ResponseRecorder, r *http.Request) {
		requests++
		w.Header().Set("Date", ahead.UTC().Format(http.TimeFormat))
		if at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); err != nil || at.Before(ahead.Add(-time.Minute)) {
			w.WriteHeader(http.StatusForbidden)
		}
	})}
	if _, err := c.Get(t.Context(), system(t), Request{URL: "s3://bucket/k", Dir: t.TempDir()}); err != nil || requests != 2 {
		t.Errorf("Get = %v after %d requests, want success after 2", err, requests)
	}
}

func FuzzShown(f *testing.F) {
	f.Add("http://user:pw@h/p?sig=abc&b=c#d")
	f.Add("s3://b/k")
	f.Fuzz(func(t *testing.T, raw string) {
		shown := Shown(raw)
		if u, err := url.Parse(shown); err == nil && u.User != nil {
			t.Errorf("Shown(%q) = %q, which has a user", raw, shown)
		}
		if strings.ContainsRune(BaseName(raw), '/') {
			t.Errorf("BaseName(%q) = %q, want no slash", raw, BaseName(raw))
		}
	})
}

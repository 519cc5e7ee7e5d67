package awsquery

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// get asks a server once through x, which may be the zero value.
func get(t *testing.T, x Exchange, address string) (Answer, error) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if x.HTTP == nil {
		x.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	}
	return x.Do(t.Context(), u, func(ctx context.Context, u *url.URL) (*http.Request, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", u.String(), nil)
		if err == nil {
			req.Header.Set("Authorization", "signed for "+u.Host)
		}
		return req, err
	})
}

func serve(t *testing.T, f http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func TestRefusalIsAnError(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(503)
		io.WriteString(w, `<ErrorResponse><Error><Code>ServiceUnavailable</Code><Message>later</Message></Error></ErrorResponse>`)
	})
	a, err := get(t, Exchange{}, s.URL)
	e, ok := errors.AsType[*Error](err)
	if want := (Error{503, "ServiceUnavailable", "later", 3 * time.Second}); !ok || *e != want || a.Status != 503 {
		t.Errorf("Do = %d, %v, want 503, %v", a.Status, err, &want)
	}
}

func TestEndlessAnswerIsCutShort(t *testing.T) {
	sent := make(chan int64, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(w, io.LimitReader(zeros{}, 1<<30))
		sent <- n
	})
	_, err := get(t, Exchange{Limit: 1 << 20}, s.URL)
	if err == nil || err.Error() != "answer is larger than 1048576 bytes" {
		t.Errorf("Do = %v, want a complaint about the size", err)
	}
	if n := <-sent; n > 100<<20 {
		t.Errorf("the server could send %d bytes, want it stopped early", n)
	}
	if (&Patience{}).Worth(err, time.Now()) {
		t.Errorf("Worth(%v) = true, want false", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestSilentServerIsGivenUp(t *testing.T) {
	stop := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a few bytes, then ")
		w.(http.Flusher).Flush()
		<-stop
	})
	defer close(stop)
	_, err := get(t, Exchange{Idle: 50 * time.Millisecond}, s.URL)
	if err == nil || err.Error() != "read answer: no byte came for 50ms" {
		t.Errorf("Do = %v, want the silence named", err)
	}
	if !(&Patience{}).Worth(err, time.Now()) {
		t.Errorf("Worth(%v) = false, want true", err)
	}
}

// slow gives a byte every 50 seconds, of a bubble's time.
type slow struct{}

func (slow) Read(p []byte) (int, error) {
	time.Sleep(50 * time.Second)
	return copy(p, "x"), nil
}

func TestSlowAnswerIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		got, err := Exchange{}.read(cancel, slow{}, 6)
		if string(got) != "xxxxxx" || err != nil || ctx.Err() != nil {
			t.Errorf("read = %q, %v, %v, want xxxxxx: it was never silent for a minute", got, err, context.Cause(ctx))
		}
	})
}

func TestRedirectInACircle(t *testing.T) {
	hits := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		hits++
		http.Redirect(w, r, map[string]string{"/a": "/b", "/b": "/a"}[r.URL.Path], http.StatusFound)
	})
	_, err := get(t, Exchange{}, s.URL+"/a")
	if err == nil || !strings.Contains(err.Error(), "redirected in a circle") || hits != 2 {
		t.Errorf("Do = %v after %d requests, want the circle named after 2", err, hits)
	}
}

func TestEndlessRedirects(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
	})
	_, err := get(t, Exchange{}, s.URL+"/a")
	if err == nil || !strings.Contains(err.Error(), "redirected more than 5 times") {
		t.Errorf("Do = %v, want it given up", err)
	}
}

func TestRedirectToAnotherHostGetsNoSignature(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	other := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { t.Errorf("the other host was asked: %v", r.Header) })}}
	other.Start()
	defer other.Close()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/v1/?Signature=abc", http.StatusTemporaryRedirect)
	})
	_, err = get(t, Exchange{}, s.URL)
	if err == nil || !strings.Contains(err.Error(), other.URL+"/v1/?Signature=[cut]") {
		t.Errorf("Do = %v, want the other host named and the signature cut", err)
	}
}

func TestRedirectOnTheSameHostIsSignedAnew(t *testing.T) {
	var got string
	second := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Get("Authorization") })
	first := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, second.URL, http.StatusMovedPermanently)
	})
	_, err := get(t, Exchange{}, first.URL)
	if want := "signed for " + strings.TrimPrefix(second.URL, "http://"); err != nil || got != want {
		t.Errorf("Do = %v, Authorization %q, want %q", err, got, want)
	}
}

func TestNoRedirectFromHTTPSToHTTP(t *testing.T) {
	u, _ := url.Parse("https://h/v1/")
	if next, err := follow(u, "http://h/v1/"); err == nil {
		t.Errorf("follow = %v, want an error", next)
	}
	if next, err := follow(u, "/other"); err != nil || next.String() != "https://h/other" {
		t.Errorf("follow = %v, %v, want https://h/other", next, err)
	}
}

func TestConnectionErrorHoldsNoSignature(t *testing.T) {
	_, err := get(t, Exchange{}, "http://127.0.0.1:1/v1/?Signature=abc")
	if err == nil || strings.Contains(err.Error(), "abc") {
		t.Errorf("Do = %v, want an error without the URL", err)
	}
}

func TestUnknownCertificateIsFinal(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	_, err := get(t, Exchange{}, s.URL)
	if err == nil || (&Patience{}).Worth(err, time.Now()) {
		t.Errorf("Worth(%v) = true, want false", err)
	}
}

func TestPatience(t *testing.T) {
	now := time.Now()
	f := func(status int, after time.Duration, want ...bool) {
		t.Helper()
		var p Patience
		p.Start(now)
		for i, w := range want {
			if got := p.Worth(&Error{Status: status}, now.Add(after)); got != w {
				t.Errorf("Worth(%d) after %v, time %d = %v, want %v", status, after, i+1, got, w)
			}
		}
	}
	f(400, 0, false)
	f(405, 0, false)
	f(408, time.Hour, true)
	f(425, time.Hour, true)
	f(429, time.Hour, true)
	for _, status := range []int{401, 403, 404} {
		f(status, 59*time.Second, true)
		f(status, 61*time.Second, false)
	}
	f(500, 0, true, true, false)
	f(502, time.Hour, true, true, true, true)
	f(503, time.Hour, true)
	f(504, time.Hour, true)
	f(200, 0, false)
	f(304, 0, false)
}

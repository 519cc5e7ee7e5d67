package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A server without a file descriptor left takes no new connection, while those
// that it has go on.
func TestSelftestNoticesAServerThatTakesNoConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
	})}
	go h.Serve(l)
	t.Cleanup(func() { h.Close() })
	s := newSelftest(l.Addr(), false, func(time.Time, string) {})
	if err := s.push(t.Context()); err != nil {
		t.Fatalf("a push to a server that hears: %v", err)
	}
	l.Close()
	if s.push(t.Context()) == nil {
		t.Error("a push passes though the server takes no connection: it went over one that was there")
	}
}

func TestSelftestNeedsAnAnswerThatIsGood(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "too much to do", http.StatusServiceUnavailable)
	}))
	defer h.Close()
	s := newSelftest(h.Listener.Addr(), false, nil)
	if err := s.push(t.Context()); err == nil || err.Error() != "503 Service Unavailable: too much to do" {
		t.Errorf("push = %v, want what the server answered", err)
	}
}

// One failure may be chance; two in a row are deafness, which lasts until a
// push passes.
func TestSelftestIsDeafAfterTwoFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pushes, deaf := "", ""
		s := newSelftest(&net.TCPAddr{IP: net.IPv4zero, Port: 1}, true, func(time.Time, string) { deaf += "d" })
		s.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Scheme != "https" || r.URL.Host != "localhost:1" {
				t.Errorf("pushed to %s, want https://localhost:1", r.URL)
			}
			next := "x.xx.xxx."[len(pushes)]
			pushes += string(next)
			deaf += "|"
			if next == 'x' {
				return nil, errors.New("refused")
			}
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), 47*time.Second)
		defer cancel()
		s.run(ctx, func() bool { return true })
		if want := "||||d|||d|d|"; deaf != want {
			t.Errorf("deaf %q, want %q", deaf, want)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

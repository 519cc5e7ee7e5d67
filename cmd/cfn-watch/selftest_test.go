package main

import (
	"io"
	"net"
	"net/http"
	"testing"
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

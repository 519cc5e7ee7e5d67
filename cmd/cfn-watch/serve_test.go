package main

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a network of one listener.
type pipes chan net.Conn

func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }
func (p pipes) Close() error   { close(p); return nil }

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// A request that does not end at one server keeps no other open: all stop at
// once, and what is not done when the time is over is cut off.
func TestServersShutDownTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stopped := make(chan time.Time, 2)
		var servers []*http.Server
		begin := func(name string, takes time.Duration) (answer chan error) {
			l, answer := make(pipes), make(chan error, 1)
			h := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(takes):
				case <-r.Context().Done():
				}
			})}
			servers = append(servers, h)
			go func() {
				h.Serve(l)
				stopped <- time.Now()
			}()
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				l <- theirs
				return ours, nil
			}}}
			go func() {
				resp, err := client.Get("http://" + name)
				if err == nil {
					resp.Body.Close()
				}
				answer <- err
			}()
			synctest.Wait()
			return answer
		}
		hangs, slow := begin("hangs", time.Hour), begin("slow", drain/2)
		now := time.Now()
		shutDown(t.Context(), servers)
		if took := time.Since(now); took < drain || took > drain+time.Second {
			t.Errorf("took %s, want %s", took, drain)
		}
		for range servers {
			if at := <-stopped; !at.Equal(now) {
				t.Errorf("a server took requests for %s more", at.Sub(now))
			}
		}
		if err := <-slow; err != nil {
			t.Errorf("the slow request was answered with %v", err)
		}
		if err := <-hangs; err == nil {
			t.Error("the one that hangs was answered")
		}
	})
}

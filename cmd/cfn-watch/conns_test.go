package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd is connections to a bounded listener that an HTTP server is behind.
type crowd struct {
	t      *testing.T
	at     *bounded
	secure bool
}

func newCrowd(t *testing.T, most int, secure bool) *crowd {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{t: t, at: newBounded(l, most, nil), secure: secure}
	h := &http.Server{ConnState: noteState, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, r.Body)
	})}
	t.Cleanup(func() { h.Close() })
	l = c.at
	if secure {
		cert, key := writePair(t, t.TempDir(), 1, time.Now())
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}})
	}
	go h.Serve(l)
	return c
}

// open connects from an address of this machine.
func (c *crowd) open(from string) net.Conn {
	c.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: time.Minute}
	conn, err := d.DialContext(c.t.Context(), "tcp", c.at.Addr().String())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	if c.secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

// ask makes a request whose body is sent, or is awaited for ever.
func (c *crowd) ask(conn net.Conn, whole bool) error {
	text := "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok"
	if !whole {
		text = strings.TrimSuffix(text, "k")
	}
	if _, err := io.WriteString(conn, text); err != nil || !whole {
		return err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "ok" {
		return fmt.Errorf("%s, %v", body, err)
	}
	return nil
}

// ended says that the server closed a connection, and waits for it.
func ended(conn net.Conn) bool {
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// await waits until so many connections are open, of which so many are active.
func (c *crowd) await(open, active int) {
	c.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		c.at.mu.Lock()
		o, a := len(c.at.open), 0
		for one := range c.at.open {
			if one.active.Load() {
				a++
			}
		}
		c.at.mu.Unlock()
		if o == open && a == active {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%d connections are open, %d active, want %d and %d", o, a, open, active)
		}
	}
}

// Whoever opens as many connections as there may be shuts nobody out: neither
// with silent ones nor with requests that do not end.
func TestOneAddressShutsOutNobody(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, busy := range []bool{false, true} {
			const most = 8
			c := newCrowd(t, most, secure)
			for range 3 * most {
				conn := c.open("127.0.0.2")
				if busy {
					_ = c.ask(conn, false) // it may be turned away
				}
			}
			if busy {
				c.await(most, most)
			} else {
				c.await(most, 0)
			}
			for i := range most / 2 {
				if err := c.ask(c.open("127.0.0.3"), true); err != nil {
					t.Errorf("tls %t, busy %t: request %d of another address: %v", secure, busy, i, err)
				}
			}
			c.at.mu.Lock()
			if n := len(c.at.open); n > most {
				t.Errorf("%d connections are open, want %d at most", n, most)
			}
			c.at.mu.Unlock()
		}
	}
}

// Where nobody has more than others, an idle connection yields, and one with a
// request under way does not.
func TestIdleConnectionsYield(t *testing.T) {
	c := newCrowd(t, 2, false)
	idle := c.open("127.0.0.3")
	if err := c.ask(idle, true); err != nil {
		t.Fatal(err)
	}
	c.await(1, 0) // it was active before it was answered
	busy := c.open("127.0.0.2")
	if err := c.ask(busy, false); err != nil {
		t.Fatal(err)
	}
	c.await(2, 1)
	third := c.open("127.0.0.4")
	if err := c.ask(third, false); err != nil || !ended(idle) {
		t.Errorf("the idle connection did not yield: %v", err)
	}
	c.await(2, 2)
	if !ended(c.open("127.0.0.5")) {
		t.Error("there is no place, and one was given")
	}
	if _, err := io.WriteString(busy, "k"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(busy), nil)
	if err != nil {
		t.Fatalf("a request that was under way: %v", err)
	}
	resp.Body.Close()
	third.Close()
	c.await(1, 0)
}

// tired is a listener that takes no connection for a time, as where a process may
// open no more files.
type tired struct {
	net.Listener
	until time.Time
}

func (l tired) Accept() (net.Conn, error) {
	if time.Now().Before(l.until) {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	time.Sleep(time.Second)
	return nil, net.ErrClosed
}

// A server that can take no connection hears nobody, also where it does not push
// to itself.
func TestServerThatTakesNoConnectionIsDeaf(t *testing.T) {
	for takes, want := range map[time.Duration]int{4 * time.Second: 0, 18 * time.Second: 3} {
		synctest.Test(t, func(t *testing.T) {
			var told []string
			b := newBounded(tired{until: time.Now().Add(takes)}, 10, func(_ time.Time, cause string) { told = append(told, cause) })
			h := &http.Server{ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
			if err := h.Serve(closeless{b}); !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
			if len(told) != want || want > 0 && told[0] != "connections cannot be taken: accept: too many open files" {
				t.Errorf("none taken for %s: told %q, want %d", takes, told, want)
			}
		})
	}
}

// closeless is a listener with nothing to close.
type closeless struct{ net.Listener }

func (closeless) Close() error { return nil }

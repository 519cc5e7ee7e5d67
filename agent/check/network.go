package check

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// readLimit is how much of an answer is looked at.
const readLimit = 1 << 20

// A way is how far a connection has come.
type way struct {
	connected atomic.Bool // to the port
	open      atomic.Bool // TLS is agreed on too, if there is any
	answered  atomic.Bool // something came
}

// dial connects, over TLS if config is not nil.
func (w *way) dial(ctx context.Context, address string, config *tls.Config) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	w.connected.Store(true)
	if config != nil {
		t := tls.Client(conn, config)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		conn = t
	}
	w.open.Store(true)
	return answering{conn, w}, nil
}

// answering is a connection that notes that something came.
type answering struct {
	net.Conn
	way *way
}

func (a answering) Read(p []byte) (int, error) {
	n, err := a.Conn.Read(p)
	if n > 0 {
		a.way.answered.Store(true)
	}
	return n, err
}

// http asks for the URL, straight: no proxy, no redirect followed, and no
// http.Transport, which logs and loses what a server says before it is asked.
func (c *Checker) http(ctx context.Context, p Probe) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.target, nil)
	if err != nil {
		return fault(Unable, errors.New("it cannot be asked for"))
	}
	req.Close = true
	if user := req.URL.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	var config *tls.Config
	port := "80"
	if strings.EqualFold(req.URL.Scheme, "https") {
		config = &tls.Config{RootCAs: c.Roots, ServerName: req.URL.Hostname()}
		port = "443"
	}
	if given := req.URL.Port(); given != "" {
		port = given
	}
	var w way
	conn, err := w.dial(ctx, net.JoinHostPort(req.URL.Hostname(), port), config)
	if err != nil {
		return w.fault(err, p.Timeout)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := req.Write(conn); err != nil {
		return w.fault(err, p.Timeout)
	}
	resp, err := answer(conn, req)
	if err != nil {
		return w.fault(err, p.Timeout)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		return faultf(Status, "HTTP %s", cutText(resp.Status, 60))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, readLimit))
	if err != nil {
		return w.fault(err, p.Timeout)
	}
	if !bytes.Contains(body, []byte(p.Expect)) {
		return faultf(Unexpected, "the answer does not hold %q", cutText(p.Expect, 60))
	}
	return nil
}

// answer reads the answer to a request, past the hints that may come before it.
func answer(conn io.Reader, req *http.Request) (*http.Response, error) {
	for r := bufio.NewReader(io.LimitReader(conn, 2*readLimit)); ; {
		resp, err := http.ReadResponse(r, req)
		if err != nil || resp.StatusCode/100 != 1 {
			return resp, err
		}
	}
}

// tcp connects. Without a text to expect the connection must stay open, or
// say something, until the time is over: a proxy accepts for a service that
// is gone, and closes.
func (c *Checker) tcp(ctx context.Context, p Probe) error {
	var w way
	conn, err := w.dial(ctx, p.target, nil)
	if err != nil {
		return w.fault(err, p.Timeout)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	var got []byte
	buffer := make([]byte, 4096)
	for len(got) < readLimit {
		n, err := conn.Read(buffer)
		got = append(got, buffer[:n]...)
		silent := errors.Is(err, os.ErrDeadlineExceeded)
		switch {
		case p.Expect == "" && (n > 0 || silent):
			return nil
		case p.Expect != "" && bytes.Contains(got, []byte(p.Expect)):
			return nil
		case err != nil && (len(got) == 0 || !silent && !errors.Is(err, io.EOF)):
			return w.fault(err, p.Timeout)
		case err != nil:
			return faultf(Unexpected, "what came does not hold %q", cutText(p.Expect, 60))
		}
	}
	return faultf(Unexpected, "what came does not hold %q", cutText(p.Expect, 60))
}

// fault tells from an error, and from how far it had come, what is wrong with
// a service.
func (w *way) fault(err error, timeout time.Duration) error {
	connected, answered := w.connected.Load(), w.answered.Load()
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return faultf(Certificate, "bad certificate: %w", certificateError(err))
	}
	late := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, os.ErrDeadlineExceeded)
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM):
		return fault(Unable, err)
	case late && answered:
		return faultf(Slow, "the answer was not complete within %v", timeout)
	case late && connected:
		return faultf(Silent, "connected, but no answer within %v", timeout)
	case late:
		return faultf(Unreachable, "no connection within %v", timeout)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fault(Closed, errors.New("nobody listens: connection refused"))
	case unknown || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH):
		return fault(Closed, err)
	case w.open.Load() && !answered || errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return fault(Broken, errors.New("the connection was closed without an answer"))
	}
	return fault(Broken, err)
}

// certificateError is the reason alone, without the certificates.
func certificateError(err error) error {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return e
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return e
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return e
	}
	return err
}

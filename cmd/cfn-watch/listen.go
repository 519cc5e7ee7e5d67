package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// listen opens the address that guests push to. A socket that systemd passes
// on (sd_listen_fds(3)) goes before the configured address: the program then
// needs no right to the port, and no push is lost while it is restarted.
func listen(c *config, log *slog.Logger, deaf func(time.Time, string)) (net.Listener, error) {
	l, err := passedOn()
	if err != nil {
		return nil, err
	}
	if l == nil {
		if l, err = net.Listen("tcp", c.server.listen); err != nil {
			return nil, fmt.Errorf("%w: is another server there? [server] listen says where", err)
		}
	}
	most, err := mostConnections()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	l = newBounded(l, most, deaf)
	if c.server.cert == "" {
		if tcp, ok := l.Addr().(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			log.Warn("plain http: signatures are safe, what guests push can be read; [server] cert and key turn TLS on", "listen", l.Addr().String())
		}
		return l, nil
	}
	certs := &certificate{cert: c.server.cert, key: c.server.key, log: log}
	if err := certs.load(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: certs.get,
	}), nil
}

// passedOn is the socket that systemd passes on; nil: none.
func passedOn() (net.Listener, error) {
	passed, err := activation.Listeners()
	switch {
	case err != nil:
		return nil, fmt.Errorf("take the socket of systemd: %w", err)
	case len(passed) == 0:
		return nil, nil
	case len(passed) > 1:
		return nil, fmt.Errorf("systemd passes %d sockets on: there is a use for one, for what guests push: let its socket unit have one ListenStream=", len(passed))
	case passed[0] == nil:
		return nil, errors.New("the socket that systemd passes on is none that connections come to: let its socket unit have a ListenStream=")
	}
	return passed[0], nil
}

// certificateAge is how long a certificate is used before its files are looked
// at again.
const certificateAge = 10 * time.Second

// A certificate is read again when its files change. One that cannot be read
// leaves the last one in use, and is said once.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu      sync.Mutex
	now     *tls.Certificate
	stamp   [2]time.Time // of the files that were read, or tried
	checked time.Time
}

func (c *certificate) load() error {
	at := c.stamps() // of files that change after this, the next look tells
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return fmt.Errorf("load the certificate: [server] cert = %s, key = %s: %w", c.cert, c.key, err)
	}
	c.now = &pair
	c.stamp, c.checked = at, time.Now()
	return nil
}

func (c *certificate) stamps() (at [2]time.Time) {
	for i, path := range []string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < certificateAge {
		return c.now, nil
	}
	c.checked = time.Now()
	at := c.stamps()
	if at == c.stamp {
		return c.now, nil
	}
	c.stamp = at
	if err := c.load(); err != nil {
		c.log.Error("the certificate has changed and cannot be used: the last one stays in use", "err", err)
	} else {
		c.log.Info("certificate read again", "path", c.cert)
	}
	return c.now, nil
}

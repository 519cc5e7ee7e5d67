package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	groups         = 1000 // guests; for Pushgateway, groups of metrics
	atOnce         = 8    // requests
	gatewayAddress = "127.0.0.1:19091"
)

// perSecond is how many requests a second of the processors there were.
func perSecond(n int, cost time.Duration) float64 { return float64(n) / cost.Seconds() }

// compareIntake measures signed heartbeats over connections that stay, against
// the bare handler for the same requests, and Pushgateway for a push of each
// guest in its own form.
func (s setting) compareIntake(ctx context.Context) ([]row, error) {
	dir, done, err := s.scratch()
	if err != nil {
		return nil, err
	}
	defer done()
	g, ours, err := s.serve(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	bare, err := start(ctx, dir, floorAddress, os.Args[0], floorCommand, "-listen", floorAddress)
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	gateway, err := start(ctx, dir, gatewayAddress, "prometheus-pushgateway", "--web.listen-address="+gatewayAddress)
	if err != nil {
		return nil, err
	}
	defer gateway.stop()

	client := keepAlive(atOnce)
	defer client.CloseIdleConnections()
	var watch, floor time.Duration
	const turns, each = 20, 4
	last := time.Now()
	for range turns { // in turns: the machine may be slower now than then
		for _, side := range []struct {
			to   *time.Duration
			p    *process
			base string
		}{{&watch, ours, "http://" + watchAddress}, {&floor, bare, "http://" + floorAddress}} {
			requests, err := g.rounds(ctx, each, side.base, last)
			if err != nil {
				return nil, err
			}
			d, err := cost(func() error { return send(client, requests, atOnce) }, side.p)
			if err != nil {
				return nil, err
			}
			*side.to += d
		}
		last = last.Add(-each * time.Second)
	}
	var pushes []*http.Request
	for round := range 2 {
		for i := range g.n {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s/metrics/job/heartbeat/instance/guest%d", gatewayAddress, i),
				strings.NewReader(fmt.Sprintf("heartbeat %d\n", round)))
			if err != nil {
				return nil, err
			}
			pushes = append(pushes, r)
		}
	}
	if err := send(client, pushes[:g.n], atOnce); err != nil { // its groups, once, uncounted
		return nil, err
	}
	peer, err := cost(func() error { return send(client, pushes[g.n:], atOnce) }, gateway)
	if err != nil {
		return nil, err
	}
	mine := perSecond(turns*each*g.n, watch)
	return []row{
		{"signed heartbeats per CPU second, against a bare handler", mine, perSecond(turns*each*g.n, floor), "/s", 0.5, true},
		{"the same, against Pushgateway with 1,000 groups", mine, perSecond(g.n, peer), "/s", 20, true},
	}, nil
}

// compareTLS measures a push of each guest within two seconds, each over a
// connection of its own.
func (s setting) compareTLS(ctx context.Context) ([]row, error) {
	dir, done, err := s.scratch()
	if err != nil {
		return nil, err
	}
	defer done()
	cert, key, err := writeCertificate(dir)
	if err != nil {
		return nil, err
	}
	g, ours, err := s.serve(ctx, dir, "[server]", "cert = "+cert, "key = "+key)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	bare, err := start(ctx, dir, floorAddress, os.Args[0], floorCommand, "-listen", floorAddress, "-cert", cert, "-key", key)
	if err != nil {
		return nil, err
	}
	defer bare.stop()
	client := handshakes()
	var watch, floor time.Duration
	const turns = 5
	for range turns {
		for _, side := range []struct {
			to   *time.Duration
			p    *process
			base string
		}{{&watch, ours, "https://" + watchAddress}, {&floor, bare, "https://" + floorAddress}} {
			requests, err := g.rounds(ctx, 1, side.base, time.Now())
			if err != nil {
				return nil, err
			}
			d, err := cost(func() error { return spread(client, requests, 2*time.Second) }, side.p)
			if err != nil {
				return nil, fmt.Errorf("1,000 connections to %s: %w", side.p.name, err)
			}
			*side.to += d
		}
	}
	micros := func(d time.Duration) float64 { return float64(d.Microseconds()) / groups / turns }
	return []row{{"CPU per push over a new TLS connection, against a bare handler", micros(watch), micros(floor), "µs", 1.2, false}}, nil
}

// spread sends requests evenly over a time, each in a goroutine of its own, and
// wants all answered.
func spread(client *http.Client, requests []*http.Request, over time.Duration) error {
	failed := make(chan error, len(requests))
	begin := time.Now()
	for i, r := range requests {
		time.Sleep(time.Until(begin.Add(over * time.Duration(i) / time.Duration(len(requests)))))
		go func() { failed <- one(client, r) }()
	}
	var errs []error
	for range requests {
		if err := <-failed; err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 3 {
		errs = append(errs[:3], fmt.Errorf("and %d more", len(errs)-3))
	}
	return errors.Join(errs...)
}

// writeCertificate writes an ECDSA certificate, and its key.
func writeCertificate(dir string) (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return "", "", err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	return cert, key, errors.Join(
		os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
}

package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// selftestEvery is how often the server makes sure that it can be heard.
const selftestEvery = 5 * time.Second

// A selftest pushes to the server's own address, as a guest does. What is deaf
// without knowing judges every guest silent.
type selftest struct {
	url  string
	key  awsquery.Credentials
	http *http.Client
	deaf func(now time.Time, cause string)
}

// newSelftest makes a key of its own for a server that listens at addr.
func newSelftest(addr net.Addr, secure bool, deaf func(time.Time, string)) *selftest {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	host := addr.String()
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		host = net.JoinHostPort("localhost", fmt.Sprint(tcp.Port))
	}
	return &selftest{
		url:  scheme + "://" + host + "/v1/",
		key:  awsquery.Credentials{AccessKey: "selftest-" + rand.Text(), SecretKey: awsquery.Secret(rand.Text())},
		deaf: deaf,
		// It asks whether it is heard, not who it is: the address is its own. And
		// it asks over a new connection: those that are there go on when the
		// server cannot take another.
		http: &http.Client{Timeout: selftestEvery, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
		}},
	}
}

// run pushes until ctx is done, while it is wanted; two failures in a row are
// deafness.
func (s *selftest) run(ctx context.Context, wanted func() bool) {
	ticker := time.NewTicker(selftestEvery)
	defer ticker.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !wanted() {
			failures = 0
			continue
		}
		err := s.push(ctx)
		if err == nil || ctx.Err() != nil {
			failures = 0
			continue
		}
		if failures++; failures >= 2 {
			s.deaf(time.Now(), "the server cannot push to itself: "+err.Error())
		}
	}
}

func (s *selftest) push(ctx context.Context) error {
	body := []byte(awsquery.Encode(metric.Form([]metric.Datapoint{{Namespace: "cfn-watch", Name: "Selftest", Value: 1}})))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := awsquery.SignV4(ctx, req, body, s.key, "", awsquery.CloudWatch, time.Now()); err != nil {
		return err
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return nil
}

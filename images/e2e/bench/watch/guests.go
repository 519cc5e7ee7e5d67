package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/metric"
	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// Addresses of the servers that are measured.
const (
	watchAddress   = "127.0.0.1:18003"
	metricsAddress = "127.0.0.1:19303"
	floorAddress   = "127.0.0.1:18080"
)

// guests are as many guests, each with a stack, a key and an alarm of its own.
type guests struct {
	n               int
	dir             string
	listen, metrics string // addresses of their server
}

func newGuests(n int, dir string) guests { return guests{n, dir, watchAddress, metricsAddress} }

func (g guests) key(i int) awsquery.Credentials {
	return awsquery.Credentials{AccessKey: fmt.Sprintf("%032x", i), SecretKey: awsquery.Secret(fmt.Sprintf("%032x", i*7+1))}
}

func (g guests) alarm(i int) string { return fmt.Sprintf("stack-%06d-HeartbeatFailureAlarm", i) }

// configure writes the server's files; lines are more of the configuration.
func (g guests) configure(lines ...string) error {
	var keys, rules strings.Builder
	rules.WriteString("Defaults: {Project: p, Namespace: system/linux, MetricName: Heartbeat, Statistic: SampleCount, " +
		"ComparisonOperator: LessThanThreshold, Threshold: 1, Period: 60, EvaluationPeriods: 1, TreatMissingData: breaching}\n")
	for i := range g.n {
		k := g.key(i)
		fmt.Fprintf(&keys, "[%s]\nsecret = %s\nproject = p\nstack = stack-%06d\n", k.AccessKey, string(k.SecretKey), i)
		fmt.Fprintf(&rules, "%s: {Stack: stack-%06d}\n", g.alarm(i), i)
	}
	conf := append([]string{
		"[server]", "listen = " + g.listen, "metrics = " + g.metrics, "admin = " + filepath.Join(g.dir, "admin.sock"),
		"[store]", "path = " + filepath.Join(g.dir, "state.db"),
		"[keys]", "file = " + filepath.Join(g.dir, "keys"),
		"[alarms]", "dir = " + filepath.Join(g.dir, "rules.yaml"),
		"[limits]", "rate_per_key = 100000", "burst_per_key = 100000", "rate_per_project = 1000000",
	}, lines...)
	for name, text := range map[string]string{"keys": keys.String(), "rules.yaml": rules.String(), "conf": strings.Join(conf, "\n") + "\n"} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (g guests) start(ctx context.Context, program string) (*process, error) {
	return start(ctx, g.dir, g.listen, program, "serve", "--config", filepath.Join(g.dir, "conf"))
}

// heartbeat is a push of a guest to its alarm, signed at a time.
func (g guests) heartbeat(ctx context.Context, i int, base string, at time.Time) (*http.Request, error) {
	return g.heartbeatTo(ctx, i, i, base, at)
}

// heartbeatTo is a push of a guest to the alarm of any.
func (g guests) heartbeatTo(ctx context.Context, i, alarm int, base string, at time.Time) (*http.Request, error) {
	body := []byte(awsquery.Encode(metric.Form([]metric.Datapoint{{
		Namespace: "system/linux", Name: "Heartbeat", Unit: "Count", Value: 1,
		Dimensions: map[string]string{metric.AlarmName: g.alarm(alarm), metric.InstanceID: fmt.Sprintf("%08d-0000-4000-8000-000000000000", i)},
	}})))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/v1/", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return req, awsquery.SignV4(ctx, req, body, g.key(i), "", awsquery.CloudWatch, at)
}

// rounds are pushes of all guests, so many of each, signed a second apart up to
// a time: no two may have the same signature, for the same one again is a replay
// and costs less.
func (g guests) rounds(ctx context.Context, n int, base string, last time.Time) ([]*http.Request, error) {
	var all []*http.Request
	for round := range n {
		for i := range g.n {
			r, err := g.heartbeat(ctx, i, base, last.Add(-time.Duration(round)*time.Second))
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	return all, nil
}

// scratch is a new directory for the files of a server.
func (s setting) scratch() (string, func(), error) {
	dir, err := os.MkdirTemp(s.dir, "watch-")
	return dir, func() { os.RemoveAll(dir) }, err
}

// serve starts cfn-watch for 1,000 guests.
func (s setting) serve(ctx context.Context, dir string, config ...string) (g guests, ours *process, err error) {
	g = newGuests(groups, dir)
	if err = g.configure(config...); err == nil {
		ours, err = g.start(ctx, s.program)
	}
	return g, ours, err
}

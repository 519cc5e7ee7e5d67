package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/store"
)

// Addresses of the peers.
const (
	prometheusAddress   = "127.0.0.1:19090"
	alertmanagerAddress = "127.0.0.1:19093"
)

// compareLoop measures the whole loop for 1,000 guests that push once a minute,
// with a rule for each that notices when it does not: cfn-watch, and Prometheus
// with Pushgateway and Alertmanager as Debian starts them.
func (s setting) compareLoop(ctx context.Context) ([]row, error) {
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
	peers, err := startPeers(ctx, dir)
	for _, p := range peers {
		defer p.stop()
	}
	if err != nil {
		return nil, err
	}
	client := keepAlive(atOnce)
	defer client.CloseIdleConnections()
	work := func(seconds int, to func(i int) (*http.Request, error)) error {
		begin := time.Now()
		for n := range seconds * groups / 60 {
			time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Minute / groups)))
			r, err := to(n % groups)
			if err == nil {
				err = one(client, r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	push := func(i int) (*http.Request, error) { return g.heartbeat(ctx, i, "http://"+watchAddress, time.Now()) }
	pushPeer := func(i int) (*http.Request, error) {
		return http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("http://%s/metrics/job/heartbeat/instance/guest%d", gatewayAddress, i), strings.NewReader("heartbeat 1\n"))
	}
	for i := range groups { // all are there before it counts
		r, err := pushPeer(i)
		if err == nil {
			err = one(client, r)
		}
		if err != nil {
			return nil, err
		}
	}
	both := func() error {
		failed := make(chan error, 2)
		go func() { failed <- work(s.seconds, push) }()
		go func() { failed <- work(s.seconds, pushPeer) }()
		return errors.Join(<-failed, <-failed)
	}
	var theirs time.Duration
	mine, err := cost(func() error {
		var err error
		theirs, err = cost(both, peers...)
		return err
	}, ours)
	if err != nil {
		return nil, err
	}
	return []row{{"CPU of the whole loop, 1,000 guests, against Prometheus, Pushgateway and Alertmanager", float64(mine.Milliseconds()) / float64(s.seconds),
		float64(theirs.Milliseconds()) / float64(s.seconds), "ms/s", 0.1, false}}, nil
}

// startPeers starts the three, with one rule that holds for each guest.
func startPeers(ctx context.Context, dir string) (all []*process, err error) {
	for name, text := range map[string]string{
		"prometheus.yml": "global: {scrape_interval: 15s, evaluation_interval: 15s}\n" +
			"rule_files: [rules.yml]\n" +
			"alerting: {alertmanagers: [{static_configs: [{targets: ['" + alertmanagerAddress + "']}]}]}\n" +
			"scrape_configs: [{job_name: push, honor_labels: true, static_configs: [{targets: ['" + gatewayAddress + "']}]}]\n",
		"rules.yml": "groups: [{name: heartbeat, rules: [{alert: Lost, expr: 'time() - push_time_seconds{job=\"heartbeat\"} > 135'}]}]\n",
		"am.yml":    "route: {receiver: none}\nreceivers: [{name: none}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	for _, c := range []struct {
		address, program string
		args             []string
	}{
		{gatewayAddress, "prometheus-pushgateway", []string{"--web.listen-address=" + gatewayAddress}},
		{alertmanagerAddress, "prometheus-alertmanager", []string{"--config.file=am.yml", "--storage.path=am", "--web.listen-address=" + alertmanagerAddress, "--cluster.listen-address="}},
		{prometheusAddress, "prometheus", []string{"--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--web.listen-address=" + prometheusAddress}},
	} {
		p, err := start(ctx, dir, c.address, c.program, c.args...)
		if err != nil {
			return all, err
		}
		all = append(all, p)
	}
	return all, nil
}

// timeAction measures from the last heartbeat of a guest until the command of
// its alarm begins, with many other alarms in the store.
func (s setting) timeAction(ctx context.Context) ([]row, error) {
	dir, done, err := s.scratch()
	if err != nil {
		return nil, err
	}
	defer done()
	if err := fill(ctx, filepath.Join(dir, "state.db"), s.alarms); err != nil {
		return nil, err
	}
	ran := filepath.Join(dir, "ran")
	g := newGuests(1, dir)
	script := filepath.Join(dir, "act")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o700); err != nil {
		return nil, err
	}
	if err := g.configure("[exec act]", "argv = "+script, "user = root"); err != nil {
		return nil, err
	}
	rule := g.alarm(0) + ": {Project: p, Stack: stack-000000, Namespace: system/linux, MetricName: Heartbeat, Statistic: SampleCount, ComparisonOperator: LessThanThreshold, " +
		"Threshold: 1, Period: 10, EvaluationPeriods: 1, TreatMissingData: breaching, Tolerance: 1s, AlarmActions: ['cfnwatch:exec:act']}\n"
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(rule), 0o600); err != nil {
		return nil, err
	}
	ours, err := g.start(ctx, s.program)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	client := keepAlive(1)
	defer client.CloseIdleConnections()
	var last time.Time
	for range 13 { // longer than the silence that is allowed: the server must have listened
		r, err := g.heartbeat(ctx, 0, "http://"+watchAddress, time.Now())
		if err == nil {
			err = one(client, r)
		}
		if err != nil {
			return nil, err
		}
		last = time.Now()
		time.Sleep(time.Second)
	}
	for {
		info, err := os.Stat(ran)
		if err == nil {
			const silence = 11
			return []row{{fmt.Sprintf("silence beyond the allowed until the command runs, with %d alarms", s.alarms), info.ModTime().Sub(last).Seconds() - silence, 0, "s", 1.5, false}}, nil
		}
		if time.Since(last) > time.Minute {
			return nil, errors.New("the command did not run within a minute")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// fill makes a store with heartbeat alarms that nothing feeds yet.
func fill(ctx context.Context, path string, n int) error {
	st, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return err
	}
	for i := range n {
		a := watch.Alarm{
			Project: fmt.Sprintf("%032x", i/1000), Name: fmt.Sprintf("other-%07d-HeartbeatFailureAlarm", i), Namespace: "system/linux", Metric: "Heartbeat",
			Statistic: watch.SampleCount, Comparison: watch.Less, Threshold: 1, Period: time.Minute, Periods: 1, Missing: watch.MissingBreaching,
			Revision: 1, ActionsEnabled: true, Origin: watch.FromAPI, Stack: fmt.Sprintf("other-%07d", i),
		}
		if _, err := st.PutAlarm(ctx, a, nil); err != nil {
			return errors.Join(err, st.Close())
		}
	}
	return st.Close()
}

package main

import (
	"context"
	"database/sql"
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

// A fleet is a server with so many alarms, of which some are pushed to, spread
// over all of them and in no order of theirs.
type fleet struct {
	guests
	alarms, pushed int
	server         *process
	cost           time.Duration
}

// compareFleet measures a push over HTTP to a server with many alarms, against
// one with few. What both do each second anyhow, as looking at their alarms, is
// in it.
func (s setting) compareFleet(ctx context.Context) ([]row, error) {
	fleets := []*fleet{
		{alarms: 1_000, pushed: 1_000, guests: guests{n: groups, listen: watchAddress, metrics: metricsAddress}},
		{alarms: 1_000_000, pushed: 30_000, guests: guests{n: groups, listen: "127.0.0.1:18004", metrics: "127.0.0.1:19304"}},
	}
	for _, f := range fleets {
		dir, done, err := s.scratch()
		if err != nil {
			return nil, err
		}
		defer done()
		f.dir = dir
		if err := f.start(ctx, s.program); err != nil {
			return nil, err
		}
		defer f.server.stop()
	}
	client := keepAlive(atOnce)
	defer client.CloseIdleConnections()
	begin := time.Now()
	for _, f := range fleets { // each alarm once, uncounted: it is OK, and its key known
		if err := f.push(ctx, client, 0, f.pushed, begin.Add(-10*time.Minute)); err != nil {
			return nil, err
		}
		f.cost = 0
	}
	const turns, each = 12, 5_000
	for turn := range turns { // in turns: the machine may be slower now than then
		for _, f := range fleets {
			if err := f.push(ctx, client, turn*each, each, begin); err != nil {
				return nil, err
			}
		}
	}
	micros := func(f *fleet) float64 { return float64(f.cost.Microseconds()) / turns / each }
	return []row{{"CPU per push over HTTP with 1,000,000 alarms, against 1,000", micros(fleets[1]), micros(fleets[0]), "µs", 1.3, false}}, nil
}

// push pushes so many of an endless row of heartbeats, which are signed a second
// apart for each time that all alarms had one, up to a time.
func (f *fleet) push(ctx context.Context, client *http.Client, from, n int, last time.Time) error {
	var requests []*http.Request
	for i := from; i < from+n; i++ {
		alarm := i * 7919 % f.pushed * (f.alarms / f.pushed)
		r, err := f.heartbeatTo(ctx, alarm%f.n, alarm, "http://"+f.listen, last.Add(-time.Duration(i/f.pushed)*time.Second))
		if err != nil {
			return err
		}
		requests = append(requests, r)
	}
	d, err := cost(func() error { return send(client, requests, atOnce) }, f.server)
	f.cost += d
	return err
}

// start makes the store and starts the server, which has no rules.
func (f *fleet) start(ctx context.Context, program string) error {
	path := filepath.Join(f.dir, "state.db")
	if err := f.fill(ctx, path); err != nil {
		return err
	}
	if err := f.configure(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.dir, "rules.yaml"), []byte("Defaults: {Project: p}\n"), 0o600); err != nil {
		return err
	}
	var err error
	f.server, err = f.guests.start(ctx, program)
	return err
}

// fill makes a store with as many alarms that any of the guests may feed: one,
// and then its copies, for a million commits would take long.
func (f *fleet) fill(ctx context.Context, path string) error {
	st, err := store.Open(ctx, path, store.Options{})
	if err != nil {
		return err
	}
	_, err = st.PutAlarm(ctx, watch.Alarm{
		Project: "p", Name: f.alarm(0), Namespace: "system/linux", Metric: "Heartbeat", Statistic: watch.SampleCount, Comparison: watch.Less,
		Threshold: 1, Period: time.Minute, Periods: 1, Missing: watch.MissingBreaching, Revision: 1, ActionsEnabled: true, Origin: watch.FromAPI, Stack: "*",
	}, nil)
	if err := errors.Join(err, st.Close()); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	for _, table := range []string{"alarm", "state"} {
		if err == nil {
			err = f.copies(ctx, db, table)
		}
	}
	return errors.Join(err, db.Close())
}

// copies copies the one row of a table of alarms.
func (f *fleet) copies(ctx context.Context, db *sql.DB, table string) error {
	rows, err := db.QueryContext(ctx, "SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return err
	}
	var columns []string
	for rows.Next() {
		var column string
		if err := rows.Scan(&column); err != nil {
			return err
		}
		switch column {
		case "id", "alarm_id":
			column += " + i"
		case "name":
			column = "printf('stack-%06d-HeartbeatFailureAlarm', i)" // as alarm has it
		}
		columns = append(columns, column)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < %d) "+
		"INSERT INTO %s SELECT %s FROM %[2]s, n", f.alarms, table, strings.Join(columns, ", ")))
	return err
}

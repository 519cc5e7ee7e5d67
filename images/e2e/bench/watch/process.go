package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// floorCommand makes this program the bare handler.
const floorCommand = "floor"

// floor is a server that reads each request and answers 200.
func floor(args []string) error {
	f := flag.NewFlagSet(floorCommand, flag.ContinueOnError)
	listen := f.String("listen", "", "address")
	cert, key := f.String("cert", "", "certificate"), f.String("key", "", "its key")
	if err := f.Parse(args); err != nil {
		return err
	}
	server := &http.Server{Addr: *listen, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
		}
	})}
	if *cert != "" {
		return server.ListenAndServeTLS(*cert, *key)
	}
	return server.ListenAndServe()
}

// A process is a server that runs, and is ended by stop.
type process struct {
	cmd  *exec.Cmd
	name string
}

// start starts a server and waits until its address takes connections.
func start(ctx context.Context, dir, address, program string, args ...string) (*process, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	log, err := os.Create(filepath.Join(dir, filepath.Base(program)+"-"+strings.ReplaceAll(address, ":", "-")+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.Dir = log, log, dir
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &process{cmd: cmd, name: filepath.Base(program)}
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return p, conn.Close()
		}
		if time.Now().After(end) {
			p.stop()
			return nil, fmt.Errorf("%s does not listen at %s: see %s", program, address, log.Name())
		}
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// ticks is how many clock ticks a second /proc counts in, on Linux (proc(5)).
const ticks = 100

// used is what a process has used of the processors.
func (p *process) used() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, after, found := strings.Cut(string(data), ") ")
	fields := strings.Fields(after)
	if !found || len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat is not as proc(5) has it", p.cmd.Process.Pid)
	}
	user, userErr := strconv.ParseInt(fields[11], 10, 64)
	system, systemErr := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks, errors.Join(userErr, systemErr)
}

// cost is what processes use of the processors while work is done.
func cost(work func() error, processes ...*process) (time.Duration, error) {
	var sum time.Duration
	count := func(sign time.Duration) error {
		for _, p := range processes {
			d, err := p.used()
			if err != nil {
				return err
			}
			sum += sign * d
		}
		return nil
	}
	if err := count(-1); err != nil {
		return 0, err
	}
	err := work()
	return sum, errors.Join(err, count(1))
}

// keepAlive is a client with as many connections as are given work at once.
func keepAlive(connections int) *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
}

// handshakes is a client that connects anew for each request.
func handshakes() *http.Client {
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ClientSessionCache: nil},
	}}
}

// send sends requests, some at once, and wants 2xx for each.
func send(client *http.Client, requests []*http.Request, atOnce int) error {
	next := make(chan *http.Request)
	failed := make(chan error, atOnce)
	for range atOnce {
		go func() {
			var err error
			for r := range next {
				if err == nil {
					err = one(client, r)
				}
			}
			failed <- err
		}()
	}
	for _, r := range requests {
		next <- r
	}
	close(next)
	var errs []error
	for range atOnce {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

func one(client *http.Client, r *http.Request) error {
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answers %s: %.200s", r.URL.Host, resp.Status, text)
	}
	return err
}

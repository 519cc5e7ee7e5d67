package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// A program is a command line that is measured.
type program struct {
	args []string
	env  []string // besides our own environment
}

// A usage is what one run cost, its own children included, or the median of
// many runs.
type usage struct {
	cpu  time.Duration // user and system
	wall time.Duration
	peak int64 // of resident memory, in KiB
}

// run returns what the program printed and cost.
func (p program) run() (string, usage, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(p.args[0], p.args[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := cmd.Run()
	u := usage{wall: time.Since(start)}
	if err != nil {
		return "", u, fmt.Errorf("%s: %w\n%s", p.args, err, stderr.Bytes())
	}
	r := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	u.cpu, u.peak = cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime(), r.Maxrss
	return stdout.String(), u, nil
}

func median(all []usage) usage {
	return usage{
		cpu:  middle(all, func(u usage) time.Duration { return u.cpu }),
		wall: middle(all, func(u usage) time.Duration { return u.wall }),
		peak: middle(all, func(u usage) int64 { return u.peak }),
	}
}

func middle[T int64 | time.Duration](all []usage, of func(usage) T) T {
	values := make([]T, len(all))
	for i, u := range all {
		values[i] = of(u)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// ownPeak is our own peak of memory so far, in KiB. A child starts with that
// of its parent, so a child's below it would be ours.
func ownPeak() (int64, error) {
	var r syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return r.Maxrss, err
}

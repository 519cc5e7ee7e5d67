package main

import (
	"time"

	"github.com/cfn-agent/cfn-agent/metadata"
)

// A duration is an option whose value is a time: 90 (seconds), 90s, 5m, 1h.
type duration time.Duration

// String is the time as it is shown as a default; no time is not shown.
func (d *duration) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

// Set reads the time.
func (d *duration) Set(text string) error {
	v, err := metadata.ParseDuration(text)
	*d = duration(v)
	return err
}

// Type is what help calls the value.
func (d *duration) Type() string { return "time" }

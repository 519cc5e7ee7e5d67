package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// inside are the bounds of what is measured without a server around it, by the
// benchmarks of the packages.
var inside = []struct {
	what, benchmark, unit string
	bound                 float64
	least                 bool
}{
	{"resident memory per heartbeat alarm, 1,000,000 alarms", "Fleet/1000000", "B/alarm", 1024, false},
	{"idle sweep of 1,000,000 healthy alarms", "Fleet/1000000", "%core-idle", 5, false},
	{"1,000,000 alarms silent at once: judged, recorded, held (200,000, scaled)", "Storm", "cpu-s/M", 60, false},
	{"its longest tick, by the wall clock", "Storm", "ms/longest-tick", 1000, false},
	{"its resident memory, against that before", "Storm", "x-memory", 1.5, false},
	{"1,000,000 alarms silent at once: judged alone", "Fleet/1000000", "s/all-silent", 60, false},
	{"its longest tick", "Fleet/1000000", "ms/longest-tick", 1000, false},
	{"its resident memory, against that before", "Fleet/1000000", "x-memory-silent", 1.5, false},
	{"transitions made durable a second", "Record/transitions", "transitions/cpu-s", 20_000, true},
	{"start with 1,000,000 alarms: open", "Start", "open-cpu-s/M", 5, false},
	{"start with 1,000,000 alarms: load", "Start", "load-cpu-s/M", 10, false},
}

// measureInside runs the benchmarks once each.
func (s setting) measureInside(ctx context.Context) ([]row, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark(Fleet|Record|Start|Storm)$", "-timeout", "30m", "-benchtime", "1x",
		"./watch", "./watch/store")
	cmd.Dir, cmd.Stderr = s.root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go test -bench: %w\n%s", err, out)
	}
	figures := parseBenchmarks(out)
	var rows []row
	for _, b := range inside {
		v, found := figures[b.benchmark+" "+b.unit]
		if !found {
			return nil, fmt.Errorf("no benchmark %s tells %s:\n%s", b.benchmark, b.unit, out)
		}
		rows = append(rows, row{what: b.what, ours: v, unit: b.unit, bound: b.bound, least: b.least})
	}
	return rows, nil
}

// parseBenchmarks reads what go test prints: figures by "NAME UNIT", the name
// without Benchmark and the number of processors.
func parseBenchmarks(out []byte) map[string]float64 {
	figures := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
		for i := 2; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				figures[name+" "+fields[i+1]] = v
			}
		}
	}
	return figures
}

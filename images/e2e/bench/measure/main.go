// Command measure compares what the guest's tools cost with what others do
// for the same work, and fails when a bound is exceeded. All that is compared
// is measured in one run, in turns, so that a busy machine slows both alike;
// of each it takes the median. See bench.sh, which prepares all it needs.
package main

import (
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
)

// A setting is where the programs are, and how often each is run.
type setting struct {
	tools   string // directory of our cfn-* tools
	bare    string // directory of bareclient and barefiles
	scratch string // directory on a disk: on tmpfs a sync costs nothing
	goRuns  int
	pyRuns  int
	fsRuns  int
	minutes int
	polls   int
}

func main() {
	var s setting
	flag.StringVar(&s.tools, "tools", "", "`directory` of our cfn-* tools")
	flag.StringVar(&s.bare, "bare", "", "`directory` of bareclient and barefiles")
	flag.StringVar(&s.scratch, "scratch", "", "`directory` on a disk")
	flag.IntVar(&s.goRuns, "runs", 31, "runs of each of our tools and of the bare client")
	flag.IntVar(&s.pyRuns, "old-runs", 7, "runs of each tool of heat-cfntools")
	flag.IntVar(&s.fsRuns, "file-runs", 7, "runs of each way to write and to read the files")
	flag.IntVar(&s.minutes, "minutes", 3, "minutes over which cfn-agent run is measured")
	flag.IntVar(&s.polls, "polls", 1000, "polls after which the memory of cfn-agent run is measured")
	flag.Parse()
	held, all, err := s.measure()
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	fmt.Printf("bench: %d of %d bounds hold\n", held, all)
	if held != all {
		os.Exit(1)
	}
}

// measure prints the table.
func (s setting) measure() (held, all int, err error) {
	var rows []row
	for _, part := range []func() ([]row, error){s.compareTools, s.comparePush, s.compareFiles, s.compareRun} {
		more, err := part()
		if err != nil {
			return 0, 0, err
		}
		rows = append(rows, more...)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tours\tother\tratio\tbound\tok")
	for _, r := range rows {
		ok := "no"
		if r.holds() {
			ok = "yes"
			held++
		}
		all++
		fmt.Fprintf(w, "%s\t%s\t%s\t%.3f\t%.3f\t%s\n", r.what, r.text(r.ours), r.text(r.other), r.ratio(), r.bound, ok)
	}
	return held, all, w.Flush()
}

// A row is one bound: ours may be at most bound times the other.
type row struct {
	what        string
	ours, other float64
	bound       float64
	unit        string
}

func (r row) ratio() float64          { return r.ours / r.other }
func (r row) holds() bool             { return r.ratio() <= r.bound }
func (r row) text(v float64) string   { return fmt.Sprintf("%.1f %s", v, r.unit) }
func (u usage) milliseconds() float64 { return float64(u.cpu.Microseconds()) / 1000 }
func (u usage) megabytes() float64    { return float64(u.peak) / 1024 }
func (u usage) elapsed() float64      { return float64(u.wall.Microseconds()) / 1000 }

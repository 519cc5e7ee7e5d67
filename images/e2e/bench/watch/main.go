// Command watch measures what cfn-watch costs, beside a bare HTTP handler that
// reads each request and answers 200, and beside Debian's Prometheus,
// Pushgateway and Alertmanager for the same guests and rule. Only what the
// server process uses of the processors is counted, from /proc; all that is
// compared is measured in one run. It fails when a bound is exceeded. See
// bench-watch.sh, which prepares all it needs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
)

// A setting is what is measured with.
type setting struct {
	program string // cfn-watch
	root    string // of the checkout, whose benchmarks are run too; empty: they are not
	dir     string // for its store, on a disk
	seconds int    // of the whole loop
	alarms  int    // of the store from which an action is timed
	only    string // part that is measured; empty: all
}

// A row is one bound.
type row struct {
	what        string
	ours, other float64 // other 0: the bound is of ours alone
	unit        string
	bound       float64
	least       bool // the bound is the least, not the most
}

func (r row) value() float64 {
	if r.other == 0 {
		return r.ours
	}
	return r.ours / r.other
}

func (r row) holds() bool {
	if r.least {
		return r.value() >= r.bound
	}
	return r.value() <= r.bound
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == floorCommand {
		if err := floor(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "watch:", err)
			os.Exit(1)
		}
		return
	}
	var s setting
	flag.StringVar(&s.program, "program", "bin/cfn-watch", "cfn-watch")
	flag.StringVar(&s.root, "root", "", "checkout whose benchmarks are run too")
	flag.StringVar(&s.dir, "dir", "", "`directory` on a disk, for stores")
	flag.IntVar(&s.seconds, "seconds", 120, "seconds over which the whole loop is measured")
	flag.IntVar(&s.alarms, "alarms", 100_000, "alarms of the store from which an action is timed")
	flag.StringVar(&s.only, "only", "", "`part` that alone is measured: intake, fleet, tls, loop, action or inside")
	flag.Parse()
	held, all, err := s.measure(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "watch:", err)
		os.Exit(1)
	}
	fmt.Printf("bench-watch: %d of %d bounds hold\n", held, all)
	if held != all {
		os.Exit(1)
	}
}

// measure prints the table.
func (s setting) measure(ctx context.Context) (held, all int, err error) {
	var rows []row
	for _, part := range []struct {
		name    string
		measure func(context.Context) ([]row, error)
	}{{"intake", s.compareIntake}, {"fleet", s.compareFleet}, {"tls", s.compareTLS}, {"loop", s.compareLoop}, {"action", s.timeAction}, {"inside", s.measureInside}} {
		if s.only != "" && s.only != part.name || part.name == "inside" && s.root == "" {
			continue
		}
		more, err := part.measure(ctx)
		if err != nil {
			return 0, 0, err
		}
		rows = append(rows, more...)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\tours\tother\tvalue\tbound\tok")
	for _, r := range rows {
		ok, word := "no", "≤"
		if r.holds() {
			ok = "yes"
			held++
		}
		if r.least {
			word = "≥"
		}
		all++
		other := "-"
		if r.other != 0 {
			other = fmt.Sprintf("%.1f %s", r.other, r.unit)
		}
		fmt.Fprintf(w, "%s\t%.1f %s\t%s\t%.3f\t%s %.3f\t%s\n", r.what, r.ours, r.unit, other, r.value(), word, r.bound, ok)
	}
	return held, all, w.Flush()
}

package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

func newExplainCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "explain ALARM|TARGET",
		Short: "Say why something was done, or was not",
		Long: `Say why something was done, or was not: what came and since when nothing did, how
it was judged, what that asked for, what each gate answered, what was done and
answered, and what happens next.

ALARM is its name, or PROJECT/NAME; TARGET is what an action is about, as
"cfn-watch actions -o json" names it.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: g.completeAlarms,
		RunE: func(c *cobra.Command, args []string) error {
			return ask(g, c, "explain", admin.ExplainRequest{Name: args[0]}, showExplanation)
		},
	}
}

func showExplanation(w io.Writer, e admin.Explanation) {
	if e.Alarm != nil {
		explainAlarm(w, e, e.Alarm)
	} else {
		fmt.Fprintf(w, "target\t%s\n", e.Target)
	}
	section(w, "transitions", e.Transitions, func(h watch.Event) string { return clock(h.At) + "  " + h.Summary })
	section(w, "gates", e.Gates, func(h watch.Event) string { return clock(h.At) + "  " + h.Summary })
	for _, s := range e.Storms {
		fmt.Fprintf(w, "storm\t%s\n", storm(s))
	}
	for _, s := range e.Suspended {
		fmt.Fprintf(w, "suspended\t%s, by %s%s\n", s, s.Owner, reasonAndEnd(s))
	}
	if len(e.Actions) == 0 {
		fmt.Fprintln(w, "actions\tnone was ever wanted")
	}
	for _, a := range slices.Backward(e.Actions) {
		fmt.Fprintf(w, "action\t%s: %s, wanted by %s/%s in %s at %s\n", a.Action, a.Status, a.Project, a.Alarm, a.State, clock(a.Born))
		for _, s := range a.Steps {
			fmt.Fprintf(w, "\t  %s  %s\n", clock(s.At), step(s))
		}
		if a.Gate != "" {
			fmt.Fprintf(w, "\t  gate %s: %s\n", a.Gate, a.Why)
		}
	}
	fmt.Fprintf(w, "next\t%s\n", e.Next)
}

// section prints a list, the newest last, under a name.
func section[T any](w io.Writer, name string, newestFirst []T, line func(T) string) {
	for _, x := range slices.Backward(newestFirst) {
		fmt.Fprintf(w, "%s\t%s\n", name, line(x))
		name = ""
	}
}

func explainAlarm(w io.Writer, e admin.Explanation, a *outbox.AlarmState) {
	fmt.Fprintf(w, "alarm\t%s/%s, from %s %s\n", a.Project, a.Name, a.Origin, a.File)
	fmt.Fprintf(w, "rule\t%s\n", a.Rule)
	if a.Allowed > 0 {
		fmt.Fprintf(w, "samples\tlast %s; usually every %s; silence allowed %s\n", ago(a.Arrived, e.Now), a.Usual.Round(time.Second), a.Allowed)
	}
	section(w, "samples", a.Points, func(p watch.Datapoint) string {
		if p.Count == 0 {
			return clock(p.Time) + "  none"
		}
		return fmt.Sprintf("%s  count %g, sum %g, min %g, max %g", clock(p.Time), p.Count, p.Sum, p.Min, p.Max)
	})
	fmt.Fprintf(w, "listening\tsince %s; for this alarm since %s\n", clock(e.Listening), clock(a.Heard))
	now := ""
	switch {
	case a.Silent:
		now = "; silent now"
	case a.Overdue:
		now = "; overdue now"
	}
	fmt.Fprintf(w, "state\t%s since %s: %s%s\n", a.State, clock(a.Since), a.Reason, now)
	if !a.Enabled {
		fmt.Fprintln(w, "\tits actions are switched off")
	}
}

// step is a step of an action, in a line.
func step(s outbox.Step) string {
	text := string(s.Status)
	if s.HTTP != 0 {
		text += fmt.Sprintf(", HTTP %d", s.HTTP)
	}
	if s.Request != "" {
		text += ", request " + s.Request
	}
	if s.Text != "" {
		text += ": " + s.Text
	}
	return text
}

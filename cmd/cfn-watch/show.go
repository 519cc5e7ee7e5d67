package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

func newStatusCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Say whether the server hears, judges and acts, and what it holds back",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return ask(g, c, "status", admin.Nothing{}, showStatus)
		},
	}
}

func showStatus(w io.Writer, s admin.Status) {
	now := time.Now()
	fmt.Fprintf(w, "listens\tat %s, without a break since %s (%s)\n", s.Listen, clock(s.Listening), ago(s.Listening, now))
	health := "all is well"
	if s.Problem != "" {
		health = s.Problem
	}
	fmt.Fprintf(w, "health\t%s\n", health)
	fmt.Fprintf(w, "heard\t%d pushes since the start at %s\n", s.Pushes, clock(s.Started))
	fmt.Fprintf(w, "alarms\t%d OK, %d ALARM, %d INSUFFICIENT_DATA\n", s.Totals.OK, s.Totals.Firing, s.Totals.NoData)
	fmt.Fprintf(w, "guests\t%d push, %d are overdue\n", s.Alive, s.Totals.Overdue)
	if s.Keystone != nil {
		fmt.Fprintf(w, "keystone\t%s\n", *s.Keystone)
	}
	var open []string
	for _, status := range slices.Sorted(maps.Keys(s.Actions)) {
		open = append(open, fmt.Sprintf("%d %s", s.Actions[status], status))
	}
	if open == nil {
		open = []string{"none is open"}
	}
	fmt.Fprintf(w, "actions\t%s\n", strings.Join(open, ", "))
	for _, a := range s.Held {
		fmt.Fprintf(w, "held\t%s of %s/%s: %s: %s\n", a.Action, a.Project, a.Alarm, a.Gate, a.Why)
	}
	for _, st := range s.Storms {
		fmt.Fprintf(w, "storm\t%s\n", storm(st))
	}
	for _, p := range s.Suspended {
		fmt.Fprintf(w, "suspended\t%s, by %s%s\n", p, p.Owner, reasonAndEnd(p))
	}
	if len(s.NeverFed) > 0 {
		fmt.Fprintf(w, "never fed\t%s\n", strings.Join(s.NeverFed, ", "))
	}
	for _, r := range s.Refused {
		fmt.Fprintf(w, "refused\t%s\n", refused(r))
	}
	if more := s.Refusals - len(s.Refused); more > 0 {
		fmt.Fprintf(w, "refused\tpushes of %d more access keys\n", more)
	}
	for _, m := range s.Misrouted {
		fmt.Fprintf(w, "misrouted\t%s\n", misrouted(m))
	}
}

func storm(s outbox.Storm) string {
	text := fmt.Sprintf("in %s since %s: %d of %d guests overdue", s.Domain, clock(s.Since), s.Overdue, s.Alive)
	if s.Waived {
		return text + "; an operator lets actions go"
	}
	return text + "; nothing is restarted (cfn-watch resume --storm " + s.Domain + " lets actions go)"
}

func reasonAndEnd(p outbox.Suspension) string {
	text := ""
	if p.Reason != "" {
		text = ": " + p.Reason
	}
	if !p.Until.IsZero() {
		text += ", until " + clock(p.Until)
	}
	return text
}

// refused says what it means that pushes of a key are refused.
func refused(r watch.Refused) string {
	means := "while they come, such alarms are not judged silent before " + clock(r.Until)
	if r.Over {
		means = "such alarms are judged silent since " + clock(r.Until)
	}
	return fmt.Sprintf("access key %s (%s): its pushes are refused or cannot be verified since %s; %s", r.Access, strings.Join(r.Alarms, ", "), clock(r.Since), means)
}

// misrouted says what an operator can do about guests that push to an alarm
// which their key may not feed.
func misrouted(m watch.Misroute) string {
	return fmt.Sprintf("%d guests of stack %s push to %s/%s, which is not of that stack: set its Stack: %s", m.Guests, m.Stack, m.Project, m.Alarm, m.Stack)
}

func newAlarmsCommand(g *global) *cobra.Command {
	var in admin.AlarmsRequest
	var state string
	c := &cobra.Command{
		Use:   "alarms",
		Short: "List the alarms",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			in.State = watch.State(strings.ToUpper(state))
			if !slices.Contains([]watch.State{"", watch.OK, watch.Firing, watch.NoData}, in.State) {
				return &usageError{fmt.Errorf("--state: %q is none of OK, ALARM and INSUFFICIENT_DATA", state)}
			}
			now := time.Now()
			return askEach(g, c, "alarms", in, "PROJECT\tALARM\tSTATE\tSINCE\tLAST PUSH\tREASON", func(w io.Writer, a admin.Alarm) {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", a.Project, a.Name, a.State, ago(a.Since, now), lastPush(a, now), a.Reason)
			})
		},
	}
	c.Flags().StringVar(&in.Project, "project", "", "of this project alone")
	c.Flags().StringVar(&state, "state", "", "in this state alone: OK, ALARM or INSUFFICIENT_DATA")
	return c
}

// lastPush is when an alarm was fed, as far as it is known: of alarms that are
// no heartbeats only whether there are samples.
func lastPush(a admin.Alarm, now time.Time) string {
	switch {
	case !a.Arrived.IsZero():
		return ago(a.Arrived, now)
	case a.Fed:
		return "yes"
	}
	return "-"
}

func newActionsCommand(g *global) *cobra.Command {
	var in admin.ActionsRequest
	c := &cobra.Command{
		Use:   "actions",
		Short: "List the actions that have not ended, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return ask(g, c, "actions", in, showActions)
		},
	}
	c.Flags().BoolVar(&in.All, "all", false, "also those that have ended")
	return c
}

func showActions(w io.Writer, list []outbox.Explained) {
	fmt.Fprintln(w, "WANTED\tALARM\tACTION\tSTATUS\tGATE\tWHY")
	for _, a := range list {
		fmt.Fprintf(w, "%s\t%s/%s\t%s\t%s\t%s\t%s\n", clock(a.Born), a.Project, a.Alarm, a.Action, a.Status, orDash(a.Gate), orDash(a.Why))
	}
}

func newHistoryCommand(g *global) *cobra.Command {
	var in admin.HistoryRequest
	c := &cobra.Command{
		Use:               "history [ALARM]",
		Short:             "Tell what happened, the newest last",
		Long:              "Tell what happened to an alarm, also one that is deleted, or to all; the newest last.\n\nALARM is its name, or PROJECT/NAME where several projects have one of that name.",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: g.completeAlarms,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				in.Alarm = args[0]
			}
			if g.output == "json" {
				return printEach(g, c, "history", in)
			}
			var events []watch.Event
			err := each(g, c, "history", in, func(e watch.Event) error {
				e.Data = nil
				events = append(events, e)
				return nil
			})
			if err != nil {
				return err
			}
			w := newTable(g.stdout)
			showHistory(w, events)
			return w.Flush()
		},
	}
	c.Flags().IntVar(&in.Limit, "limit", 100, "so many entries at most")
	return c
}

func showHistory(w io.Writer, events []watch.Event) {
	for _, e := range slices.Backward(events) {
		about := "-"
		if e.Alarm != "" {
			about = e.Project + "/" + e.Alarm
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", clock(e.At), e.Kind, about, e.Summary)
	}
}

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/admin"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// scopes are what can be suspended, as the outbox has them.
var scopes = []string{"alarm", "target", "stack", "project", "host", "all"}

// scopeArgs takes one of the scopes and a name, which all needs not.
func scopeArgs(c *cobra.Command, args []string) error {
	switch {
	case len(args) == 0 || !slices.Contains(scopes, args[0]):
		return fmt.Errorf("say what: %s", strings.Join(scopes, ", "))
	case args[0] == "all" && len(args) > 1:
		return fmt.Errorf("all takes no name")
	case args[0] != "all" && len(args) != 2:
		return fmt.Errorf("%s takes one name", args[0])
	}
	return nil
}

func nameOf(args []string) string {
	if len(args) > 1 {
		return args[1]
	}
	return ""
}

func newSuspendCommand(g *global) *cobra.Command {
	var in admin.SuspendRequest
	var span string
	c := &cobra.Command{
		Use:   "suspend alarm|target|stack|project|host|all [NAME]",
		Short: "Hold actions until they are resumed, or for a time",
		Long: `Hold the actions of an alarm, on a target, of a stack, a project, a host or all,
until they are resumed or for a time. Alarms are judged all the same; messages are
sent when the suspension ends, restarts are done then if they are still wanted.`,
		Example: "  cfn-watch suspend stack web --for 2h --reason 'database upgrade'",
		Args:    scopeArgs,
		RunE: func(c *cobra.Command, args []string) error {
			in.Scope, in.Name = outbox.Scope(args[0]), nameOf(args)
			if span != "" {
				d, err := parseSpan(span)
				if err != nil {
					return &usageError{fmt.Errorf("--for: %w", err)}
				}
				in.For = d
			}
			return ask(g, c, "suspend", in, func(w io.Writer, s admin.Suspended) {
				until := "until it is resumed"
				if !s.Until.IsZero() {
					until = "until " + clock(s.Until)
				}
				fmt.Fprintf(w, "%s is suspended %s\n", s.Suspension, until)
				if s.Unknown {
					fmt.Fprintln(w, unknownYet(s))
				}
			})
		},
	}
	f := c.Flags()
	f.StringVar(&span, "for", "", "time after which it ends by itself, such as 1h (default: it does not)")
	f.StringVar(&in.Reason, "reason", "", "that is shown to others")
	f.StringVar(&in.Project, "project", "", "of the alarm or stack, where several have one of that name")
	return c
}

// unknownYet warns that a suspension holds nothing, which may be a mistake of
// typing.
func unknownYet(s admin.Suspended) string {
	text := fmt.Sprintf("warning: no alarm is known of %s %s: nothing is held until there is one", s.Scope, s.Name)
	if s.Scope == outbox.OfAlarm {
		text = fmt.Sprintf("warning: no alarm %s is known: nothing is held until there is one", s.Name)
	}
	if s.Near != "" {
		text += fmt.Sprintf(" (there is %s)", s.Near)
	}
	return text
}

func newResumeCommand(g *global) *cobra.Command {
	var in admin.ResumeRequest
	c := &cobra.Command{
		Use:   "resume alarm|target|stack|project|host|all [NAME]",
		Short: "End a suspension, or let actions go in a storm",
		Example: "  cfn-watch resume stack web\n" +
			"  cfn-watch resume --storm all",
		Args: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("storm") {
				return cobra.NoArgs(c, args)
			}
			return scopeArgs(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if in.Storm == "" {
				in.Scope, in.Name = outbox.Scope(args[0]), nameOf(args)
			}
			return ask(g, c, "resume", in, func(w io.Writer, n admin.Count) {
				if in.Storm != "" {
					fmt.Fprintf(w, "actions go on in the storm of %s, within their budgets\n", in.Storm)
					return
				}
				fmt.Fprintf(w, "%d suspensions of %s ended\n", n.Count, strings.TrimSpace(string(in.Scope)+" "+in.Name))
			})
		},
	}
	f := c.Flags()
	f.StringVar(&in.Storm, "storm", "", "let actions go in the storm of this project, or of all")
	f.StringVar(&in.Project, "project", "", "of the alarm or stack")
	return c
}

func newSetStateCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:               "set-state ALARM STATE",
		Short:             "Put an alarm into a state, until it is judged again",
		Long:              "Put an alarm into a state, OK, ALARM or INSUFFICIENT_DATA, until it is judged again.\nThe actions of that state are run.",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: g.completeAlarms,
		RunE: func(c *cobra.Command, args []string) error {
			in := admin.StateRequest{Alarm: args[0], State: watch.State(strings.ToUpper(args[1]))}
			return ask(g, c, "set-state", in, said[admin.Nothing]("alarm %s is in state %s", in.Alarm, in.State))
		},
	}
}

func newTestActionCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "test-action ALARM",
		Short: "Try the actions that an alarm has for ALARM",
		Long: `Try the actions that an alarm has for the state ALARM: messages are sent, marked as
a test; what would touch a machine goes through all its gates and stops there.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: g.completeAlarms,
		RunE: func(c *cobra.Command, args []string) error {
			return ask(g, c, "test-action", admin.Ref{Alarm: args[0]}, func(w io.Writer, list []outbox.Explained) {
				for _, a := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\n", a.Action, a.Status, orDash(a.Why))
				}
				if len(list) == 0 {
					fmt.Fprintln(w, "the alarm has no actions for ALARM")
				}
			})
		},
	}
}

func newResetCommand(g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "reset TARGET",
		Short: "Forgive what was done about a target, so that it may be restarted again",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return ask(g, c, "reset", admin.TargetRequest{Target: args[0]}, func(w io.Writer, n admin.Count) {
				fmt.Fprintf(w, "%d actions on %s count no more\n", n.Count, args[0])
			})
		},
	}
}

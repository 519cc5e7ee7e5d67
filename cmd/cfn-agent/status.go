package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cfn-agent/cfn-agent/agent/daemon"
)

// statusNoDaemon is the exit status of a question that nobody answers.
const statusNoDaemon = 3

func newStatusCommand(e *env) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell how it goes with the daemon",
		Long: `Ask the daemon, cfn-agent run, for the metadata, hooks, checks, heartbeats and
jobs: when each was last done, how that went, and when it is done next.

Exit status: 0 all is well; 1 something is failing, which is named on stderr;
2 bad option; 3 there is no daemon.`,
		Example: "  cfn-agent status\n" +
			"  cfn-agent status -o json",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return usageError(c, "--output: %q is none of text, json", format)
			}
			return runStatus(c.Context(), e, format)
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "text", "text or json")
	return c
}

func runStatus(ctx context.Context, e *env, format string) error {
	s, err := daemon.AskStatus(ctx, e.root)
	if errors.Is(err, daemon.ErrNoDaemon) {
		return &exitError{statusNoDaemon, err}
	}
	if err != nil {
		return err
	}
	write := s.WriteText
	if format == "json" {
		write = s.WriteJSON
	}
	if err := write(e.stdout); err != nil {
		return err
	}
	if failing := s.Failing(); len(failing) > 0 {
		return fmt.Errorf("failing: %s", strings.Join(failing, ", "))
	}
	return nil
}

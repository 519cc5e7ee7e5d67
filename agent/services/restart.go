package services

import (
	"context"
	"errors"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// Restart restarts a service, or starts it when it does not run, and watches
// whether it stays up: its process may be there and not answer.
func Restart(ctx context.Context, s *sys.System, manager, name string) error {
	const cause = "it does not answer" // as a command that has changed something
	out, err := Apply(ctx, s, manager, metadata.Service{Name: name, Commands: []string{cause}}, Changed{Commands: []string{cause}})
	switch {
	case err != nil:
		return err
	case out.Degraded != "":
		return errors.New(out.Degraded)
	case out.Skipped != "":
		return errors.New(out.Skipped)
	}
	return nil
}

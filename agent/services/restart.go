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
	svc, changed := silent(name)
	out, err := Apply(ctx, s, manager, svc, changed)
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

// silent is a service that does not answer, as one that a command has changed
// something about: neither is helped by reading its configuration again.
func silent(name string) (metadata.Service, Changed) {
	cause := []string{"it does not answer"}
	return metadata.Service{Name: name, Commands: cause}, Changed{Commands: cause}
}

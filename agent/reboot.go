package agent

import (
	"errors"
	"fmt"
	"os"

	"github.com/cfn-agent/cfn-agent/agent/atomicfile"
	"github.com/cfn-agent/cfn-agent/agent/sys"
)

// resumeUnit is what goes on with a run after a boot. It is wanted by the
// target that every boot reaches, and takes itself away first, so that a run
// that fails is not tried at each boot again.
const (
	resumeUnit = "/etc/systemd/system/cfn-init-resume.service"
	resumeLink = "/etc/systemd/system/multi-user.target.wants/cfn-init-resume.service"
	resumeText = `[Unit]
Description=Go on with cfn-init after a boot
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStartPre=/bin/rm -f ` + resumeLink + ` ` + resumeUnit + `
ExecStart=%s
`
)

// booted is there when systemd runs the machine; see sd_booted(3).
const booted = "/run/systemd/system"

// InstallResumeUnit makes systemd run a command line once, at the next boot.
// systemd looks at its directories when it starts, so nobody needs to tell it.
// On a machine that another init runs it is an error. A tree below another
// root is one that does not run yet: nothing is known of its init.
func InstallResumeUnit(s *sys.System, command string) error {
	if s.Real() {
		if err := resumable(booted); err != nil {
			return err
		}
	}
	if err := s.MkdirAll("/etc/systemd/system/multi-user.target.wants"); err != nil {
		return fmt.Errorf("install %s: %w", resumeUnit, err)
	}
	text := fmt.Sprintf(resumeText, command)
	if err := s.WriteFile(resumeUnit, []byte(text), atomicfile.KeepOwner(0o644)); err != nil {
		return fmt.Errorf("install %s: %w", resumeUnit, err)
	}
	if err := atomicfile.Symlink(resumeUnit, s.Path(resumeLink), -1, -1); err != nil {
		return fmt.Errorf("install %s: %w", resumeUnit, err)
	}
	return nil
}

// resumable tells, from the directory that systemd makes, whether anything
// will run the unit.
func resumable(dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return errors.New("the command wants to go on after the next boot, which needs systemd")
	}
	return nil
}

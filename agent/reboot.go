package agent

import (
	"fmt"

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

// InstallResumeUnit makes systemd run a command line once, at the next boot.
// systemd looks at its directories when it starts, so nobody needs to tell it.
func InstallResumeUnit(s *sys.System, command string) error {
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

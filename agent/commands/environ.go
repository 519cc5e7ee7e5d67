package commands

import (
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// defaultPath is the PATH of a command whose env has none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// environ is the environment of a command. An env replaces all there is, as
// AWS documents it, but for what programs cannot do without. The account is
// that of runas, or nil.
func environ(s *sys.System, c metadata.Command, account *sys.Account, home string) []string {
	env := map[string]string{}
	if !c.HasEnv {
		for _, v := range s.Environ {
			name, value, _ := strings.Cut(v, "=")
			env[name] = value
		}
	}
	if account != nil {
		for name, value := range map[string]string{
			"HOME": account.Home, "USER": account.Name, "LOGNAME": account.Name, "SHELL": account.Shell,
		} {
			env[name] = value
		}
	}
	for name, value := range c.Env {
		env[name] = value
	}
	if c.HasEnv {
		for name, value := range map[string]string{"PATH": defaultPath, "HOME": home, "LANG": "C.UTF-8"} {
			if _, ok := env[name]; !ok {
				env[name] = value
			}
		}
		if marker := s.Getenv(Marker); marker != "" {
			env[Marker] = marker
		}
	}
	vars := make([]string, 0, len(env))
	for name, value := range env {
		vars = append(vars, name+"="+value)
	}
	slices.Sort(vars)
	return vars
}

func lookup(env []string, name string) string {
	for _, v := range env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

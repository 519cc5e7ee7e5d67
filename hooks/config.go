package hooks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata"
)

// mainSection is the section of cfn-hup.conf that is no hook.
const mainSection = "main"

var (
	mainKeys = []string{"stack", "credential-file", "role", "region", "url", "watch-url", "interval", "umask", "verbose"}
	// foreignKeys of [main] are for commands that AWS sends by SQS.
	foreignKeys = []string{"multi-threaded", "sqs_url"}
	// singleton and send_result are for on.command, which is skipped whole.
	hookKeys = []string{"triggers", "path", "action", "runas", "timeout", "singleton", "send_result"}
	triggers = []string{Added, Updated, Removed, ServiceRestarted}
)

// onCommand is the trigger of commands that AWS sends by SQS.
const onCommand = "on.command"

// config checks what the files say.
func (f *ini) config(file string) (Config, error) {
	c := Config{Interval: DefaultInterval, Umask: defaultUmask}
	main := f.section(mainSection)
	if main == nil {
		c.Problems = f.problems
		return c, fmt.Errorf("%w: %s has no section [main]: write one with stack = NAME", ErrNoStack, file)
	}
	problem := func(format string, args ...any) { f.problems = append(f.problems, fmt.Errorf(format, args...)) }
	if main.bad != nil {
		problem("%w: it was skipped", main.bad)
	}
	err := f.main(&c, main, problem)
	for _, s := range f.sections {
		switch {
		case s == main:
			continue
		case s.bad != nil:
			problem("%w: the hook was skipped", s.bad)
			continue
		}
		h, err := f.hook(s, problem)
		if err != nil {
			problem("%s: [%s]: %w: the hook was skipped", s.file, s.name, err)
			continue
		}
		c.Hooks = append(c.Hooks, h)
	}
	c.Problems = f.problems
	if err == nil && c.Stack == "" {
		err = fmt.Errorf("%w: %s: [main] has no stack: write stack = NAME", ErrNoStack, file)
	}
	return c, err
}

// main reads the keys of [main].
func (f *ini) main(c *Config, s *section, problem func(string, ...any)) error {
	for _, key := range unknown(s, append(foreignKeys, mainKeys...)) {
		problem("%s: [main] has an unknown key %s: the keys are %s", s.file, key, strings.Join(mainKeys, ", "))
	}
	for _, key := range foreignKeys {
		if _, ok := s.keys[key]; ok {
			problem("%s: [main]: %s is for commands that AWS sends and has no meaning here", s.file, key)
		}
	}
	for key, to := range map[string]*string{
		"stack": &c.Stack, "region": &c.Region, "url": &c.URL, "role": &c.Role, "credential-file": &c.CredentialFile,
	} {
		*to, _ = f.get(s, key)
	}
	if text, ok := f.get(s, "interval"); ok {
		d, err := ParseInterval(text)
		if err != nil {
			return fmt.Errorf("%s: [main]: interval: %w", s.file, err)
		}
		c.Interval = d
	}
	if text, ok := f.get(s, "umask"); ok {
		n, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
		if err != nil || n > 0o777 {
			return fmt.Errorf("%s: [main]: umask: %q is not a mask such as 022", s.file, text)
		}
		c.Umask = int(n)
	}
	text, _ := f.get(s, "verbose")
	c.Verbose = slices.Contains([]string{"1", "yes", "true", "on"}, strings.ToLower(text))
	return nil
}

// ParseInterval reads the time between two passes: 5 (minutes), 30s, 5m, 1h.
func ParseInterval(text string) (time.Duration, error) {
	d, err := metadata.ParseDurationIn(text, time.Minute)
	if err != nil || d < time.Second {
		return 0, fmt.Errorf("%q is not a time of a second or more: write 5 (minutes), 30s, 5m or 1h", text)
	}
	return d, nil
}

// hook reads a section as a hook.
func (f *ini) hook(s *section, problem func(string, ...any)) (Hook, error) {
	h := Hook{Name: s.name, Timeout: DefaultTimeout}
	text, _ := f.get(s, "triggers")
	for _, t := range splitList(text) {
		switch {
		case t == onCommand:
			return h, errors.New("the trigger on.command is for commands that AWS sends and is not supported")
		case slices.Contains(triggers, t):
			h.Triggers = append(h.Triggers, t)
		default:
			problem("%s: [%s]: unknown trigger %q: the triggers are %s", s.file, s.name, t, strings.Join(triggers, ", "))
		}
	}
	h.Path, _ = f.get(s, "path")
	h.Action, _ = f.get(s, "action")
	h.RunAs, _ = f.get(s, "runas")
	switch {
	case len(h.Triggers) == 0:
		return h, fmt.Errorf("it has no triggers: the triggers are %s", strings.Join(triggers, ", "))
	case h.Path == "":
		return h, errors.New("it has no path: write path = Resources.ID.Metadata")
	case h.Action == "":
		return h, errors.New("it has no action: write action = COMMAND")
	}
	var err error
	if h.Target, err = ParsePath(h.Path); err != nil {
		return h, err
	}
	if text, ok := f.get(s, "timeout"); ok {
		if h.Timeout, err = metadata.ParseDuration(text); err != nil || h.Timeout == 0 {
			return h, fmt.Errorf("timeout: %q is not a time: write 90 (seconds), 90s, 5m or 1h", text)
		}
	}
	for _, key := range unknown(s, hookKeys) {
		problem("%s: [%s] has an unknown key %s: the keys are triggers, path, action, runas, timeout", s.file, s.name, key)
	}
	return h, nil
}

// unknown are the keys of a section itself that are not among known.
func unknown(s *section, known []string) []string {
	var names []string
	for key := range s.keys {
		if !slices.Contains(known, key) {
			names = append(names, key)
		}
	}
	slices.Sort(names)
	return names
}

// splitList splits a value at commas.
func splitList(text string) []string {
	var list []string
	for _, e := range strings.Split(text, ",") {
		if e = strings.TrimSpace(e); e != "" {
			list = append(list, e)
		}
	}
	return list
}

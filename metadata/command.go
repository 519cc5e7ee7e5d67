package metadata

import (
	"strings"
)

func (n node) commands(c *Config) error {
	// By the bytes of the name: "10" before "2", capitals before small letters.
	entries, err := n.sorted("an object of commands")
	if err != nil {
		return err
	}
	return each(entries, func(e member) error {
		cmd, err := e.command()
		if err == nil && cmd.Command.Zero() {
			e.odd("left out", "there is nothing to run: give the entry a command")
		}
		c.Commands = append(c.Commands, cmd)
		return err
	})
}

func (m member) command() (Command, error) {
	c := Command{Name: m.key}
	err := m.fields(fields{
		"command": func(n node) (err error) { c.Command, err = n.line(); return },
		"test":    func(n node) (err error) { c.Test, err = n.line(); return },
		"env":     func(n node) (err error) { c.Env, err = n.env(); c.HasEnv = !n.null(); return },
		"cwd":     func(n node) (err error) { c.Dir, err = n.text("a directory"); return },
		"runas":   func(n node) (err error) { c.RunAs, err = n.text("the name of a user"); return },
		"ignoreErrors": func(n node) error {
			b, err := n.boolean()
			c.IgnoreErrors = b != nil && *b
			return err
		},
		"timeout": func(n node) error {
			if n.null() {
				return nil
			}
			d, err := n.duration()
			if c.Timeout = d; err == nil && d == 0 {
				c.Timeout = NoTimeout
			}
			return err
		},
		"waitAfterCompletion": func(n node) error {
			if s, err := n.text(`seconds, or "forever"`); err != nil {
				return err
			} else if strings.EqualFold(strings.TrimSpace(s), "forever") {
				c.WaitForever = true
				return nil
			}
			var err error
			c.Wait, err = n.duration()
			return err
		},
	})
	return c, err
}

// line reads a command line: a string for the shell, or a list of a program
// and its arguments.
func (n node) line() (CommandLine, error) {
	const want = "a shell line, or a list of a program and its arguments"
	if n.kind() == '[' {
		args, err := n.texts(want)
		if err == nil && len(args) > 0 && args[0] == "" {
			err = n.errorf("the program to run is empty")
		}
		return CommandLine{Args: args}, err
	}
	s, err := n.text(want)
	if strings.TrimSpace(s) == "" {
		s = ""
	}
	return CommandLine{Shell: s}, err
}

// env reads variables. A number or boolean becomes its text.
func (n node) env() (map[string]string, error) {
	members, err := n.members("an object of variables")
	if err != nil {
		return nil, err
	}
	env := make(map[string]string, len(members))
	return env, each(members, func(m member) (err error) {
		if m.key == "" || strings.ContainsAny(m.key, "=\x00") {
			return m.errorf("is not the name of an environment variable")
		}
		if m.kind() == 't' || m.kind() == 'f' {
			env[m.key] = string(m.raw)
			return nil
		}
		env[m.key], err = m.text("a string")
		return err
	})
}

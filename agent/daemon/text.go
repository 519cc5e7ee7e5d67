package daemon

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// WriteText writes the status for people, a line for each thing.
func (s Status) WriteText(w io.Writer) error {
	b := tabwriter.NewWriter(w, 0, 0, 1, ' ', 0)
	line := func(kind, name, format string, args ...any) {
		fmt.Fprintf(b, "%-10s\t%-16s\t%s\n", kind, name, strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
	line("daemon", fmt.Sprintf("pid %d", s.PID), "since %s", clock(s.Since))
	for _, m := range s.Metadata {
		line("metadata", m.Resource, "%s", m.text())
	}
	if s.ClockOffset != nil {
		line("clock", "of Heat", "%+.0f s ahead", *s.ClockOffset)
	}
	for _, h := range s.Hooks {
		line("hook", h.Name, "%s", join(h.Event, at(h.At), h.Result, prefixed("next try ", clock(h.Next))))
	}
	for _, name := range s.LeftAlone {
		line("service", name[strings.LastIndexByte(name, '|')+1:], "does not stay up: it is not started again for now")
	}
	for _, why := range s.Unseen {
		line("service", "", "%s", why)
	}
	for _, c := range s.Checks {
		line("check", c.Name, "%s", join(c.State, prefixed("since ", clock(c.Since)), c.Error))
	}
	h := s.Heartbeat
	paused := prefixed("paused for ", strings.Join(h.Paused, ", "))
	spool := ""
	if h.Spooled > 0 || h.Dropped > 0 {
		spool = fmt.Sprintf("%d datapoints wait, %d dropped", h.Spooled, h.Dropped)
	}
	line("heartbeat", h.Watch, "%s", join(prefixed("sent ", clock(h.Sent)), h.Answer, paused, spool))
	for _, j := range s.Jobs {
		running := ""
		if j.Running {
			running = "running"
		}
		line("job", j.Name, "%s", join(running, at(j.Ended), j.Result, prefixed("next ", clock(j.Next))))
	}
	for _, p := range s.Problems {
		line("problem", "", "%s", p)
	}
	for _, m := range s.Missing {
		line("missing", "", "%s", m)
	}
	return b.Flush()
}

func (m MetadataStatus) text() string {
	hash := m.Hash
	if len(hash) > 12 {
		hash = hash[:12]
	}
	told := join(at(m.When), prefixed("from ", m.From), prefixed("sha256 ", hash))
	if m.Error == "" {
		return told
	}
	return join(told, prefixed("asked ", clock(m.Asked)), m.Error)
}

// join puts what is not empty into one line.
func join(parts ...string) string {
	var list []string
	for _, p := range parts {
		if p != "" {
			list = append(list, p)
		}
	}
	return strings.Join(list, ", ")
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func at(t time.Time) string { return prefixed("at ", clock(t)) }

// clock is a time as it is shown; none is not.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/check"
	"github.com/cfn-agent/cfn-agent/agent/nearest"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/hooks"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A Config is what cfn-agent.conf says, with defaults for what it does not.
type Config struct {
	Main      map[string]string // keys of [main] that cfn-hup.conf has too, and that hold over it
	Resource  string            // whose metadata are polled, also without a hook; empty: those of the hooks alone
	CAFile    string            // certificates to trust in place of the system's; empty: the usual ones
	Heartbeat Heartbeat
	Checks    []Check
	Stats     *Stats // nil: none are sent
	Jobs      []Job

	// Problems are what is wrong with the file, each in one line. The rest
	// holds.
	Problems []error
	Broken   bool // the file cannot be read, or has a line that is none of a configuration
}

// A Heartbeat says that the guest is alive, as long as its checks pass.
type Heartbeat struct {
	Watch    string // alarm that it is for; empty: a plain metric
	Interval time.Duration
	While    []string // checks that must pass
}

// A Check is a service that must answer.
type Check struct {
	Name          string
	Probe         check.Probe
	Interval      time.Duration
	Failures      int    // in a row, from which on it is failing
	Restart       string // unit to restart then; empty: none
	RestartLimit  int    // restarts within RestartWindow
	RestartWindow time.Duration
	Report        string // alarm that is told of failures; empty: none
}

// Stats are readings of the machine that are sent at an interval.
type Stats struct {
	Interval  time.Duration
	Watch     string // alarm that they are for; empty: plain metrics
	Selection stats.Selection
}

// A Job is a command that is run by the clock.
type Job struct {
	Name, Schedule, Command string
	User                    string // empty: the one that the daemon runs as, which is not root
	Timeout                 time.Duration
}

// What holds when the file says nothing.
const (
	defaultHeartbeat     = time.Minute
	defaultCheckInterval = 30 * time.Second
	defaultFailures      = 3
	defaultRestartLimit  = 3
	defaultRestartWindow = 10 * time.Minute
	defaultStats         = 5 * time.Minute
	defaultJobTimeout    = time.Hour
)

// defaultMetrics leave out HAProxy, which most guests have not.
var defaultMetrics = []string{stats.MemUtil, stats.DiskUtil, stats.CPUUtil, stats.SwapUtil}

// sections are the words that begin the names of sections.
var sections = []string{"main", "heartbeat", "check", "stats", "job"}

// Load reads cfn-agent.conf below root. A file that is not there says nothing;
// one that cannot be read is a problem.
func Load(root string) Config {
	file := filepath.Join("/", root, stats.AgentConfig)
	c := Config{Main: map[string]string{}, Heartbeat: Heartbeat{Interval: defaultHeartbeat}}
	list, problems, err := hooks.ReadSections(file)
	if err != nil {
		problems = append(problems, err)
	}
	c.Problems = problems
	c.Broken = err != nil || slices.ContainsFunc(problems, isSyntax)
	for _, s := range list {
		r := &reader{Section: s, problem: func(format string, args ...any) {
			c.Problems = append(c.Problems, fmt.Errorf(file+": ["+s.Name+"]: "+format, args...))
		}}
		c.section(r)
	}
	c.checkNames(file)
	return c
}

func isSyntax(err error) bool {
	_, ok := errors.AsType[*hooks.SyntaxError](err)
	return ok
}

// section reads one section.
func (c *Config) section(r *reader) {
	if r.Bad != nil {
		c.Problems = append(c.Problems, fmt.Errorf("%w: the line was skipped", r.Bad))
		c.Broken = true
	}
	kind, name, _ := strings.Cut(strings.Join(strings.Fields(r.Name), " "), " ")
	switch {
	case kind == "main" && name == "":
		c.main(r)
	case kind == "heartbeat" && name == "":
		c.heartbeat(r)
	case kind == "stats" && name == "":
		c.stats(r)
	case kind == "check" && name != "":
		c.check(r, name)
	case kind == "job" && name != "":
		c.job(r, name)
	case kind == "check" || kind == "job":
		r.problem("it has no name: write [%s NAME]", kind)
		return
	default:
		r.problem("unknown section%s: the sections are [main], [heartbeat], [check NAME], [stats] and [job NAME]", meant(kind, sections))
		return
	}
	r.unknown()
}

func (c *Config) main(r *reader) {
	r.text("resource", &c.Resource)
	r.text("ca-file", &c.CAFile)
	for _, key := range hooks.MainKeys() {
		var value string
		if r.text(key, &value); value == "" {
			continue
		}
		if key == "interval" {
			if _, err := hooks.ParseInterval(value); err != nil {
				r.problem("interval: %v", err)
				continue
			}
		}
		c.Main[key] = value
	}
}

func (c *Config) heartbeat(r *reader) {
	r.text("watch", &c.Heartbeat.Watch)
	r.duration("interval", &c.Heartbeat.Interval, time.Second)
	r.list("while", &c.Heartbeat.While)
}

func (c *Config) check(r *reader, name string) {
	k := Check{
		Name: name, Interval: defaultCheckInterval, Failures: defaultFailures,
		RestartLimit: defaultRestartLimit, RestartWindow: defaultRestartWindow,
	}
	var probe, expect string
	timeout := check.DefaultTimeout
	r.text("probe", &probe)
	r.text("expect", &expect)
	r.duration("interval", &k.Interval, time.Second)
	r.duration("timeout", &timeout, time.Millisecond)
	r.count("failures", &k.Failures, 1)
	r.text("restart", &k.Restart)
	r.count("restart-limit", &k.RestartLimit, 0)
	r.duration("restart-window", &k.RestartWindow, time.Second)
	r.text("report", &k.Report)
	var err error
	if k.Probe, err = check.Parse(probe); err != nil {
		r.problem("%v: the check was skipped", err)
		return
	}
	k.Probe.Expect, k.Probe.Timeout = expect, timeout
	c.Checks = append(c.Checks, k)
}

func (c *Config) stats(r *reader) {
	s := &Stats{Interval: defaultStats}
	var names []string
	r.duration("interval", &s.Interval, time.Second)
	r.list("metrics", &names)
	r.text("disk-path", &s.Selection.DiskPath)
	r.text("watch", &s.Watch)
	r.text("haproxy-socket", &s.Selection.HAProxySocket)
	if names == nil {
		names = defaultMetrics
	}
	// Those two follow from checks, and have sections of their own.
	known := slices.DeleteFunc(stats.Names(), func(name string) bool { return name == stats.Heartbeat || name == stats.ServiceFailure })
	for _, name := range names {
		if !slices.Contains(known, name) {
			r.problem("unknown metric %s%s: it was skipped", name, meant(name, known))
			continue
		}
		s.Selection.Names = append(s.Selection.Names, name)
	}
	c.Stats = s
}

func (c *Config) job(r *reader, name string) {
	j := Job{Name: name, Timeout: defaultJobTimeout}
	if os.Geteuid() == 0 {
		j.User = "root"
	}
	r.text("schedule", &j.Schedule)
	r.text("command", &j.Command)
	r.text("user", &j.User)
	r.duration("timeout", &j.Timeout, time.Second)
	if j.Command == "" || j.Schedule == "" {
		r.problem("it needs schedule = FIVE FIELDS and command = LINE: the job was skipped")
		return
	}
	if _, err := parseSchedule(j.Schedule); err != nil {
		r.problem("%v: the job was skipped", err)
		return
	}
	c.Jobs = append(c.Jobs, j)
}

// checkNames drops checks that the heartbeat names and that are not there.
func (c *Config) checkNames(file string) {
	var names []string
	for _, k := range c.Checks {
		names = append(names, k.Name)
	}
	c.Heartbeat.While = slices.DeleteFunc(c.Heartbeat.While, func(name string) bool {
		if slices.Contains(names, name) {
			return false
		}
		c.Problems = append(c.Problems, fmt.Errorf("%s: [heartbeat]: while: there is no check %s%s: it was skipped", file, name, meant(name, names)))
		return true
	})
}

// meant is what a message says of the known word that is like a word.
func meant(word string, known []string) string {
	if near := nearest.Word(word, known, 2); near != "" {
		return " (is " + near + " meant?)"
	}
	return ""
}

// A reader reads the keys of a section, and remembers which it was asked for.
type reader struct {
	hooks.Section
	known   []string
	problem func(format string, args ...any)
}

func (r *reader) value(key string) string {
	r.known = append(r.known, key)
	text, _ := r.Get(key)
	return strings.TrimSpace(text)
}

func (r *reader) text(key string, to *string) {
	if text := r.value(key); text != "" {
		*to = text
	}
}

func (r *reader) list(key string, to *[]string) {
	for _, e := range strings.Split(r.value(key), ",") {
		if e = strings.TrimSpace(e); e != "" {
			*to = append(*to, e)
		}
	}
}

// duration reads a time of at least so much; a bare number is seconds.
func (r *reader) duration(key string, to *time.Duration, least time.Duration) {
	text := r.value(key)
	if text == "" {
		return
	}
	d, err := metadata.ParseDuration(text)
	if err == nil && d < least {
		err = fmt.Errorf("%q is less than %v", text, least)
	}
	if err != nil {
		r.problem("%s: %v: it stays %v", key, err, *to)
		return
	}
	*to = d
}

func (r *reader) count(key string, to *int, least int) {
	text := r.value(key)
	if text == "" {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least {
		r.problem("%s: %q is not a number of %d or more: it stays %d", key, text, least, *to)
		return
	}
	*to = n
}

// unknown tells of keys of the section itself that were not asked for.
func (r *reader) unknown() {
	for _, key := range r.Keys() {
		if !slices.Contains(r.known, key) {
			r.problem("unknown key %s%s: the keys are %s", key, meant(key, r.known), strings.Join(r.known, ", "))
		}
	}
}

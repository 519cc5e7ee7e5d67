package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/ini.v1"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// Where the configuration is looked for.
const (
	configVariable = "CFN_WATCH_CONFIG"
	defaultConfig  = "/etc/cfn-watch/cfn-watch.conf"
	defaultRules   = "/etc/cfn-watch/alarms.d"
)

// A config is what cfn-watch.conf says, with the defaults for what it does not.
type config struct {
	path string // of the file; empty: there is none

	server struct {
		listen, cert, key, metrics, admin string
		jsonLog, selftest                 bool
	}
	store struct {
		path                      string
		flush, retention, history time.Duration
	}
	keys     struct{ file string }
	keystone struct {
		cloud        string
		lookup       bool
		cache, stale time.Duration
		concurrency  int
		stackDomain  string
	}
	alarms struct {
		dir   string
		asked bool // for the folder: it must be there
	}
	limits struct {
		alarmsPerProject, seriesPerProject, series int
		ratePerKey, burstPerKey, ratePerProject    int
	}
	gates struct {
		stormCount                   int
		stormShare, stormShareDomain float64 // of 1
		bootGrace, firstBoot         time.Duration
		perTarget, perStack          []budget
		perProject, all              int     // at once
		rate                         float64 // a second
		holdFor                      time.Duration
	}
	actions struct {
		dryRun, allowPrivate      bool
		retryFor, webhookRetryFor time.Duration
		webhookSecretFile         string
		apiMay                    []string
	}
	notify struct {
		urls       []string
		alive      string
		aliveEvery time.Duration
	}
	execs []execConfig
}

// A budget is at most so many in any time so long.
type budget struct {
	count int
	in    time.Duration
}

// An execConfig is a command that alarms may name.
type execConfig struct {
	name, user   string
	argv         []string
	timeout      time.Duration
	retryUnknown bool
}

// defaults is the configuration without a file: loopback, and all that is
// written side by side in dir.
func defaults(dir string) *config {
	c := &config{}
	c.server.listen, c.server.metrics = "127.0.0.1:8003", "127.0.0.1:9303"
	c.server.admin, c.server.selftest = filepath.Join(dir, "admin.sock"), true
	c.store.path = filepath.Join(dir, "state.db")
	c.store.flush, c.store.retention, c.store.history = 10*time.Second, 3*time.Hour, 30*day
	c.keystone.cache, c.keystone.stale, c.keystone.concurrency, c.keystone.stackDomain = 5*time.Minute, day, 16, "heat"
	c.limits.alarmsPerProject, c.limits.seriesPerProject, c.limits.series = 10000, 1000, 20000
	c.limits.ratePerKey, c.limits.burstPerKey, c.limits.ratePerProject = 200, 1000, 5000
	c.gates.stormCount, c.gates.stormShare, c.gates.stormShareDomain = 2, 0.20, 0.50
	c.gates.bootGrace, c.gates.firstBoot, c.gates.holdFor = 5*time.Minute, 20*time.Minute, time.Hour
	c.gates.perTarget, c.gates.perStack = []budget{{3, time.Hour}, {6, day}}, []budget{{5, time.Hour}}
	c.gates.perProject, c.gates.all, c.gates.rate = 10, 50, 1
	c.actions.retryFor, c.actions.webhookRetryFor = 15*time.Minute, day
	c.actions.apiMay = []string{"webhook", "signal", "notify"}
	c.alarms.dir = defaultRules
	c.notify.aliveEvery = time.Minute
	return c
}

// A setting is a key of the file and how its value is taken.
type settings map[string]func(value string) error

// sections are all sections that have no name of their own, and their keys.
func (c *config) sections() map[string]settings {
	return map[string]settings{
		"server": {
			"listen": address(&c.server.listen), "cert": text(&c.server.cert), "key": text(&c.server.key),
			"metrics": address(&c.server.metrics), "admin": somewhere(&c.server.admin),
			"log": oneOf(map[string]bool{"text": false, "json": true}, &c.server.jsonLog), "selftest": yes(&c.server.selftest),
		},
		"store": {
			"path": somewhere(&c.store.path), "flush": span(&c.store.flush), "retention": span(&c.store.retention), "history": span(&c.store.history),
		},
		"keys": {"file": text(&c.keys.file)},
		"keystone": {
			"cloud": text(&c.keystone.cloud), "lookup": yes(&c.keystone.lookup), "cache": span(&c.keystone.cache),
			"stale": span(&c.keystone.stale), "concurrency": count(&c.keystone.concurrency), "stack_domain": text(&c.keystone.stackDomain),
		},
		"alarms": {"dir": func(v string) error { c.alarms.dir, c.alarms.asked = v, true; return nil }},
		"limits": {
			"alarms_per_project": count(&c.limits.alarmsPerProject), "series_per_project": count(&c.limits.seriesPerProject),
			"series": count(&c.limits.series), "rate_per_key": count(&c.limits.ratePerKey),
			"burst_per_key": count(&c.limits.burstPerKey), "rate_per_project": count(&c.limits.ratePerProject),
		},
		"gates": {
			"storm_count": count(&c.gates.stormCount), "storm_share": share(&c.gates.stormShare),
			"storm_share_domain": share(&c.gates.stormShareDomain),
			"boot_grace":         span(&c.gates.bootGrace), "first_boot": span(&c.gates.firstBoot),
			"per_target": budgets(&c.gates.perTarget), "per_stack": budgets(&c.gates.perStack),
			"per_project": count(&c.gates.perProject), "all": count(&c.gates.all), "rate": perSecond(&c.gates.rate),
			"hold_for": span(&c.gates.holdFor),
		},
		"actions": {
			"dry_run": yes(&c.actions.dryRun), "retry_for": span(&c.actions.retryFor),
			"webhook_retry_for": span(&c.actions.webhookRetryFor), "webhook_secret_file": text(&c.actions.webhookSecretFile),
			"api_may": words(&c.actions.apiMay, "webhook", "signal", "notify", "restart"), "allow_private": yes(&c.actions.allowPrivate),
		},
		"notify": {"url": webURLs(&c.notify.urls), "alive": webURL(&c.notify.alive), "alive_every": span(&c.notify.aliveEvery)},
	}
}

// sections that have a name: [exec NAME].
func (c *config) named(kind, name string) (settings, bool) {
	if kind != "exec" {
		return nil, false
	}
	c.execs = append(c.execs, execConfig{name: name, user: "nobody", timeout: time.Minute})
	e := &c.execs[len(c.execs)-1]
	return settings{
		"argv": fields(&e.argv), "user": text(&e.user), "timeout": span(&e.timeout), "retry_unknown": yes(&e.retryUnknown),
	}, true
}

// loadConfig reads the file that the option names, or else the variable, or
// else the one at its place, which may be absent. The error joins all that is
// wrong in it, each as FILE:LINE: what; with it comes what is right, if the file
// could be read.
func loadConfig(e *env, option string) (*config, error) {
	path := option
	if path == "" {
		path = e.getenv(configVariable)
	}
	asked := path != ""
	if !asked {
		path = defaultConfig
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) && !asked {
		dir := e.getenv("STATE_DIRECTORY")
		if dir == "" {
			dir = "."
		}
		return defaults(dir), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return parseConfig(path, data)
}

// parseConfig reads a configuration; path is for messages.
func parseConfig(path string, data []byte) (*config, error) {
	c := defaults("/var/lib/cfn-watch")
	c.path, c.server.admin = path, "/run/cfn-watch/admin.sock"
	file, err := ini.LoadSources(ini.LoadOptions{
		Insensitive: false, IgnoreInlineComment: true, AllowPythonMultilineValues: true, AllowDuplicateShadowValues: true, AllowShadows: true,
		KeyValueDelimiters: "=", // an address has colons
	}, data)
	if err != nil {
		return nil, unreadable(path, data, err)
	}
	lines := linesOf(data)
	var wrong []mistake
	all := c.sections()
	for _, section := range file.Sections() {
		if section.Name() == ini.DefaultSection {
			for _, k := range section.Keys() {
				wrong = append(wrong, mistake{lines[place{"", k.Name()}], fmt.Sprintf("%s stands before any [section]", k.Name())})
			}
			continue
		}
		kind, name, hasName := strings.Cut(section.Name(), " ")
		keys, known := all[section.Name()]
		if hasName {
			keys, known = c.named(kind, strings.TrimSpace(name))
		}
		if !known {
			what := fmt.Sprintf("unknown section [%s]", section.Name())
			wrong = append(wrong, mistake{lines[place{section.Name(), ""}], what + meant(section.Name(), all)})
			continue
		}
		wrong = append(wrong, take(section, keys, lines)...)
	}
	wrong = append(wrong, c.check(lines)...)
	if len(wrong) == 0 {
		return c, nil
	}
	slices.SortStableFunc(wrong, func(a, b mistake) int { return a.line - b.line })
	var errs []error
	for _, m := range wrong {
		errs = append(errs, fmt.Errorf("%s:%d: %s", path, m.line, m.what))
	}
	return c, errors.Join(errs...)
}

// unreadable is an error of the parser, which ends with the line that it is about
// and does not tell its number.
func unreadable(path string, data []byte, err error) error {
	number, at, found := 0, 0, ""
	for line := range strings.Lines(string(data)) {
		number++
		if line = strings.TrimSpace(line); len(line) > len(found) && strings.HasSuffix(strings.TrimSpace(err.Error()), line) {
			at, found = number, line
		}
	}
	if at == 0 {
		return fmt.Errorf("%s: %w", path, err)
	}
	return fmt.Errorf("%s:%d: %q is neither [SECTION] nor NAME = VALUE", path, at, found)
}

// A mistake is what is wrong at a line.
type mistake struct {
	line int
	what string
}

// take gives the values of a section to its settings.
func take(section *ini.Section, keys settings, lines map[place]int) (wrong []mistake) {
	for _, k := range section.Keys() {
		line := lines[place{section.Name(), k.Name()}]
		set, known := keys[k.Name()]
		switch values := k.ValueWithShadows(); {
		case !known:
			wrong = append(wrong, mistake{line, fmt.Sprintf("[%s] unknown key %s%s", section.Name(), k.Name(), meant(k.Name(), keys))})
		case len(values) > 1:
			wrong = append(wrong, mistake{line, fmt.Sprintf("[%s] %s is there twice", section.Name(), k.Name())})
		default:
			if err := set(k.String()); err != nil {
				wrong = append(wrong, mistake{line, fmt.Sprintf("[%s] %s: %v", section.Name(), k.Name(), err)})
			}
		}
	}
	return wrong
}

// meant names the known word that an unknown one is most like.
func meant[V any](word string, known map[string]V) string {
	names := []string{}
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	if w := nearest.Word(word, names, 3); w != "" {
		return ": did you mean " + w + "?"
	}
	return ": there are " + strings.Join(names, ", ")
}

// check finds what is wrong with keys together.
func (c *config) check(lines map[place]int) (wrong []mistake) {
	if (c.server.cert == "") != (c.server.key == "") {
		wrong = append(wrong, mistake{lines[place{"server", ""}], "[server] cert and key go together: give both, or none for plain HTTP"})
	}
	for _, e := range c.execs {
		line := lines[place{"exec " + e.name, ""}]
		if len(e.argv) == 0 || !filepath.IsAbs(e.argv[0]) {
			wrong = append(wrong, mistake{line, fmt.Sprintf("[exec %s] argv: must begin with the absolute path of a program", e.name)})
		}
		if _, err := outbox.ParseName("cfnwatch:exec:" + e.name); err != nil {
			wrong = append(wrong, mistake{line, fmt.Sprintf("[exec %s] no alarm can name it: letters, digits, dots, dashes and underscores can be", e.name)})
		}
	}
	return wrong
}

// A place is a key of a section; the section itself has no key.
type place struct{ section, key string }

// linesOf finds the line of each key and section, which the parser does not tell.
func linesOf(data []byte) map[place]int {
	lines := map[place]int{}
	section, number := "", 0
	for line := range strings.Lines(string(data)) {
		number++
		trimmed := strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(trimmed, "["); ok {
			section = strings.TrimSpace(strings.TrimSuffix(name, "]"))
			trimmed = "="
		}
		key, _, found := strings.Cut(trimmed, "=")
		if at := (place{section, strings.TrimSpace(key)}); found && lines[at] == 0 {
			lines[at] = number
		}
	}
	return lines
}

// address takes HOST:PORT.
func address(to *string) func(string) error {
	return func(v string) error {
		_, port, err := net.SplitHostPort(v)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return fmt.Errorf("%q is not HOST:PORT such as 127.0.0.1:8003", v)
		}
		*to = v
		return nil
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch/rules"
)

// everyKey is the configuration of a file that has every key, none at its
// default.
func everyKey(t *testing.T) (*config, string) {
	t.Helper()
	data, err := os.ReadFile("testdata/every.conf")
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseConfig("every.conf", data)
	if err != nil {
		t.Fatal(err)
	}
	return c, string(data)
}

func TestConfigTakesEveryKey(t *testing.T) {
	c, data := everyKey(t)
	for section, keys := range c.sections() {
		for key := range keys {
			if !strings.Contains(data, "\n"+key+" = ") {
				t.Errorf("every.conf lacks %s of [%s]", key, section)
			}
		}
	}
	if got, want := c.gates.perTarget, []budget{{2, time.Hour}, {4, 2 * day}}; !reflect.DeepEqual(got, want) {
		t.Errorf("per_target = %v, want %v", got, want)
	}
	want := []execConfig{{name: "restart", user: "root", argv: []string{"/usr/bin/systemctl", "restart", "x"}, timeout: 30 * time.Second, retryUnknown: true}}
	if !reflect.DeepEqual(c.execs, want) {
		t.Errorf("execs = %+v, want %+v", c.execs, want)
	}
	if c.gates.stormShare != 0.3 || c.gates.rate != 0.5 || !c.server.jsonLog || c.server.selftest || c.store.history != 60*day {
		t.Errorf("values are not those of the file: %+v", c)
	}
}

func TestConfigSaysAllMistakesAtOnce(t *testing.T) {
	_, err := parseConfig("c", []byte(`stray = 1
[server]
listen = nowhere
lsten = 127.0.0.1:1
cert = /x
[store]
flush = soon
flush = 1s
[severs]
[gates]
per_target = 3 an hour
storm_share = 20
rate = 0/s
[actions]
api_may = webhook, exec
dry_run = perhaps
[exec reboot]
argv = reboot
[notify]
url = https://ops.example/hook, ops.example/T0KEN
alive = ftp://ops.example/T0KEN
[exec nothing]
`))
	want := strings.TrimSpace(`
c:1: stray stands before any [section]
c:2: [server] cert and key go together: give both, or none for plain HTTP
c:3: [server] listen: "nowhere" is not HOST:PORT such as 127.0.0.1:8003
c:4: [server] unknown key lsten: did you mean listen?
c:7: [store] flush is there twice
c:9: unknown section [severs]: did you mean server?
c:11: [gates] per_target: "3 an hour" is not a budget such as 3/1h
c:12: [gates] storm_share: "20" is not a share such as 20%
c:13: [gates] rate: "0/s" is not a rate such as 1/s
c:15: [actions] api_may: "exec" is none of webhook, signal, notify, restart
c:16: [actions] dry_run: "perhaps" is neither yes nor no
c:17: [exec reboot] argv: must begin with the absolute path of a program
c:20: [notify] url: entry 2: no http or https URL such as https://ops.example/hook
c:21: [notify] alive: no http or https URL such as https://ops.example/hook
c:22: [exec nothing] argv: must begin with the absolute path of a program`)
	if err == nil || err.Error() != want {
		t.Errorf("parseConfig = %v\nwant %s", err, want)
	}
}

// What no server could begin with is said by its line, as the rest is.
func TestConfigThatCannotWork(t *testing.T) {
	for text, want := range map[string]string{
		"[store]\npath = \n":                             "c:2: [store] path: is empty, and must be a path",
		"[server]\nadmin =\n":                            "c:2: [server] admin: is empty, and must be a path",
		"[server]\nlisten = 127.0.0.1:8003 # here\n":     `c:2: [server] listen: "127.0.0.1:8003 # here" is not HOST:PORT such as 127.0.0.1:8003`,
		"[server]\nmetrics = :99999\n":                   `c:2: [server] metrics: ":99999" is not HOST:PORT such as 127.0.0.1:8003`,
		"[store]\n[server\nlisten = 127.0.0.1:8003\n":    `c:2: "[server" is neither [SECTION] nor NAME = VALUE`,
		"[store]\n\n  nothing here  \n":                  `c:3: "nothing here" is neither [SECTION] nor NAME = VALUE`,
		"[server]\nlisten 127.0.0.1:8003\n":              `c:2: "listen 127.0.0.1:8003" is neither [SECTION] nor NAME = VALUE`,
		"[exec a b]\nargv = /bin/true\n":                 "c:1: [exec a b] no alarm can name it: letters, digits, dots, dashes and underscores can be",
		"[exec a]\nargv = /bin/sh -c \"echo hi\"\n":      "c:2: [exec a] argv: quotes mean nothing here, words are parted by blanks alone: put what needs them in a script",
		"[exec a]\nargv = /bin/sh -c 'exec /bin/true'\n": "c:2: [exec a] argv: quotes mean nothing here, words are parted by blanks alone: put what needs them in a script",
	} {
		_, err := parseConfig("c", []byte(text))
		if lines := strings.Split(fmt.Sprint(err), "\n"); !slices.Contains(lines, want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// A command that cannot be run is known before the first alarm wants it.
func TestCommandsThatCannotBeRunAreTold(t *testing.T) {
	c, err := parseConfig("c", []byte("[exec fit]\nargv = /bin/sh -c true\nuser =\n[exec fit-too]\nargv = /bin/sh\nuser = 0\n"+
		"[exec gone]\nargv = /nowhere/reboot\nuser = root\n[exec nobody]\nargv = /bin/sh\nuser = no-such-user\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`[exec gone] cannot be run here: exec: "/nowhere/reboot": stat /nowhere/reboot: no such file or directory`,
		`[exec nobody] cannot be run here: user: unknown user no-such-user`,
	}
	if got := c.refusals(&rules.Set{}); !reflect.DeepEqual(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// A server that is not root cannot become nobody, as whom a command runs that says
// nothing: once it was the first alarm that told.
func TestCommandsThatTakeRootAreTold(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else for a time")
	}
	c, err := parseConfig("c", []byte("[exec a]\nargv = /bin/true\n[exec b]\nargv = /bin/true\nuser =\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.stuck(); got != nil {
		t.Errorf("root is told %q", got)
	}
	if err := syscall.Seteuid(65534); err != nil {
		t.Fatal(err)
	}
	got := c.stuck()
	if err := syscall.Seteuid(0); err != nil {
		t.Fatal(err)
	}
	if want := []string{`[exec a] cannot run as nobody: the server is not root: "user =" runs it as the server`}; !reflect.DeepEqual(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// A command that does not say so is not run by root, nor for ever.
func TestCommandsRunAsNobody(t *testing.T) {
	c, err := parseConfig("c", []byte("[exec a]\nargv = /bin/true\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []execConfig{{name: "a", user: "nobody", argv: []string{"/bin/true"}, timeout: time.Minute}}; !reflect.DeepEqual(c.execs, want) {
		t.Errorf("execs = %+v, want %+v", c.execs, want)
	}
}

// The last of two variables of one name counts, as for exec(3)'s callers.
func TestTheLastVariableCounts(t *testing.T) {
	e := &env{environ: []string{"A=1", "AB=2", "A=3"}}
	if got := e.getenv("A"); got != "3" {
		t.Errorf("A is %q, want 3", got)
	}
}

func TestExitStatus(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	e := &env{stdout: null, stderr: null, environ: []string{"STATE_DIRECTORY=" + t.TempDir()}}
	for line, want := range map[string]int{
		"--version": 0, "status": 1, "status --colour": 2, "explain": 2, "suspend planet": 2, "suspend all --for ever": 2, "check --config /nowhere": 1, "frob": 2,
	} {
		if got := run(t.Context(), e, strings.Fields(line)); got != want {
			t.Errorf("cfn-watch %s: status %d, want %d", line, got, want)
		}
	}
}

func TestWithoutConfigTheStoreIsInTheStateDirectory(t *testing.T) {
	dir := t.TempDir()
	c, err := loadConfig(&env{environ: []string{"STATE_DIRECTORY=" + dir}}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.store.path != filepath.Join(dir, "state.db") || c.server.admin != filepath.Join(dir, "admin.sock") || c.server.listen != "127.0.0.1:8003" {
		t.Errorf("defaults = %+v", c)
	}
	// Rules that were written where they belong were not read, without a word.
	if want := "/etc/cfn-watch/alarms.d"; c.alarms.dir != want {
		t.Errorf("rules are read from %q, want %q", c.alarms.dir, want)
	}
}

func TestConfigThatIsAskedForMustBeThere(t *testing.T) {
	for _, e := range []*env{{environ: []string{configVariable + "=/nowhere/c"}}, {}} {
		option := ""
		if e.environ == nil {
			option = "/nowhere/c"
		}
		if _, err := loadConfig(e, option); err == nil || !strings.Contains(err.Error(), "/nowhere/c") {
			t.Errorf("loadConfig(%q) = %v, want an error that names the file", option, err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	data, err := os.ReadFile("testdata/every.conf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add("[exec a]\nargv = /b\n[exec a]\nargv=/c\n[server\nx")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig("c", []byte(text))
		if c == nil && err == nil {
			t.Fatal("parseConfig returns neither a configuration nor what is wrong")
		}
	})
}

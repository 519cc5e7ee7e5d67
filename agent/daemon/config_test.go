package daemon

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/check"
	"github.com/cfn-agent/cfn-agent/agent/stats"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// load reads a configuration from a machine of its own.
func load(t testing.TB, text string) Config {
	t.Helper()
	root := t.TempDir()
	path := filepath.Join(root, stats.AgentConfig)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Load(root)
	for i, problem := range c.Problems {
		c.Problems[i] = errorText(strings.ReplaceAll(problem.Error(), root, ""))
	}
	return c
}

type errorText string

func (e errorText) Error() string { return string(e) }

// probe is a probe with the time-out and text that the configuration gives it.
func probe(t *testing.T, text, expect string, timeout time.Duration) check.Probe {
	t.Helper()
	p, err := check.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	p.Expect, p.Timeout = expect, timeout
	return p
}

func TestLoadTakesEveryKey(t *testing.T) {
	c := load(t, `[DEFAULT]
stack = st%%ck
[main]
resource = R
ca-file: /etc/ca.pem
interval = 5
watch-url = http://watch/
[heartbeat]
watch = H-%(stack)s
interval = 90
while = web, disk
[check web]
probe = http://127.0.0.1/
expect = hello
interval = 1m
timeout = 2s
failures = 5
restart = httpd.service
restart-limit = 1
restart-window = 1h
report = F
[check disk]
probe = exec:test -w /
[stats]
interval = 10m
metrics = mem-util, haproxy
disk-path = /var
watch = S
haproxy-socket = /run/x
[job nightly]
schedule = 0 3 * * *
command = date +%F
  echo done
user = nobody
timeout = 10m
`)
	want := Config{
		Main:     map[string]string{"stack": "st%ck", "interval": "5", "watch-url": "http://watch/"},
		Resource: "R", CAFile: "/etc/ca.pem",
		Heartbeat: Heartbeat{Watch: "H-st%ck", Interval: 90 * time.Second, While: []string{"web", "disk"}},
		Checks: []Check{
			{Name: "web", Probe: probe(t, "http://127.0.0.1/", "hello", 2*time.Second), Interval: time.Minute, Failures: 5,
				Restart: "httpd.service", RestartLimit: 1, RestartWindow: time.Hour, Report: "F"},
			{Name: "disk", Probe: probe(t, "exec:test -w /", "", 5*time.Second), Interval: 30 * time.Second, Failures: 3,
				RestartLimit: 3, RestartWindow: 10 * time.Minute},
		},
		Stats: &Stats{Interval: 10 * time.Minute, Watch: "S", Selection: stats.Selection{
			Names: []string{stats.MemUtil, stats.Proxy}, DiskPath: "/var", HAProxySocket: "/run/x"}},
		Jobs: []Job{{Name: "nightly", Schedule: "0 3 * * *", Command: "date +%F\necho done", User: "nobody", Timeout: 10 * time.Minute}},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("Load = %+v\nwant %+v", c, want)
	}
}

func TestLoadOfNothingHasDefaults(t *testing.T) {
	if c := Load(t.TempDir()); len(c.Problems) > 0 || c.Heartbeat.Interval != time.Minute || c.Stats != nil || len(c.Main) > 0 {
		t.Errorf("Load = %+v", c)
	}
}

// One line for each mistake, with what may be meant, and the rest holds.
func TestLoadTellsWhatIsWrong(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		c := load(t, text+"\n[check good]\nprobe = unit:x\n")
		var got []string
		for _, p := range c.Problems {
			got = append(got, strings.TrimPrefix(p.Error(), stats.AgentConfig+": "))
		}
		if strings.Join(got, "\n") != want {
			t.Errorf("%s: problems\n%s\nwant\n%s", text, strings.Join(got, "\n"), want)
		}
		if n := len(c.Checks); n == 0 || c.Checks[n-1].Name != "good" {
			t.Errorf("%s: what is good is not there: %+v", text, c.Checks)
		}
	}
	f("[heartbeet]\nwatch = x", "[heartbeet]: unknown section (is heartbeat meant?): the sections are [main], [heartbeat], [check NAME], [stats] and [job NAME]")
	f("[main]\nresourc = R", "[main]: unknown key resourc (is resource meant?): the keys are resource, ca-file, stack, credential-file, role, region, url, watch-url, interval, umask, verbose")
	f("[main]\ninterval = often", `[main]: interval: "often" is not a time of a second or more: write 5 (minutes), 30s, 5m or 1h`)
	f("[heartbeat]\ninterval = 0", `[heartbeat]: interval: "0" is less than 1s: it stays 1m0s`)
	f("[heartbeat]\nwhile = god, good", "[heartbeat]: while: there is no check god (is good meant?): it was skipped")
	f("[check]\nprobe = unit:x", "[check]: it has no name: write [check NAME]")
	f("[check a]\nprobe = htp://x", `[check a]: probe "htp://x": it is none of http://URL, https://URL, tcp:HOST:PORT, exec:COMMAND, unit:NAME or process:NAME: the check was skipped`)
	f("[check a]\nprobe = unit:a\nfailures = 0\nrestart-limit = -1", `[check a]: failures: "0" is not a number of 1 or more: it stays 3`+"\n"+
		`[check a]: restart-limit: "-1" is not a number of 0 or more: it stays 3`)
	f("[stats]\nmetrics = mem-utl", "[stats]: unknown metric mem-utl (is mem-util meant?): it was skipped")
	// Beside the heartbeat that waits for checks there is none that does not.
	f("[stats]\nmetrics = heartbeat, mem-util", "[stats]: unknown metric heartbeat: it was skipped")
	f("[stats]\nmetrics = service-failure, mem-util", "[stats]: unknown metric service-failure: it was skipped")
	f("[job a]\ncommand = x", "[job a]: it needs schedule = FIVE FIELDS and command = LINE: the job was skipped")
	f("[job a]\ncommand = x\nschedule = 0 0 30 2 *", `[job a]: schedule "0 0 30 2 *": it never comes: write five fields as in crontab(5), @every 5m or @reboot: the job was skipped`)
	f("[job a]\nno value\ncommand = x\nschedule = @daily", "/etc/cfn/cfn-agent.conf:2: [job a]: the line is not KEY = VALUE: the line was skipped")
}

func TestExampleOfReadmeIsRight(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "## One daemon\n")
	section, _, _ = strings.Cut(section, "\n## ")
	examples := strings.Split(section, "```ini\n")[1:]
	for _, e := range examples {
		text, _, _ := strings.Cut(e, "```")
		c := load(t, text)
		if len(c.Problems) > 0 || len(c.Checks) != 1 || len(c.Jobs) != 1 || c.Heartbeat.Watch != "mystack-HeartbeatAlarm" {
			t.Errorf("%s: %+v", text, c)
		}
	}
	if len(examples) == 0 {
		t.Error("README has no example")
	}
}

// FuzzLoad: whatever is in the file, what is taken from it can be run.
func FuzzLoad(f *testing.F) {
	f.Add("[main]\nstack = s\n[check a]\nprobe = tcp:h:1\ninterval = 1e9\n[job x]\nschedule = @every 1h\ncommand = %(x)s\n")
	f.Add("[heartbeat]\nwhile = a,,b\ninterval = 1e300\n[stats]\nmetrics=\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := load(t, text)
		for _, j := range c.Jobs {
			if _, err := parseSchedule(j.Schedule); err != nil || j.Timeout < time.Second {
				t.Errorf("job %+v: %v", j, err)
			}
		}
		for _, k := range c.Checks {
			if k.Interval < time.Second || k.Failures < 1 || k.Probe.Timeout <= 0 {
				t.Errorf("check %+v", k)
			}
		}
		if s, ok := c.Main["interval"]; ok {
			if _, err := metadata.ParseDurationIn(s, time.Minute); err != nil {
				t.Errorf("interval %q", s)
			}
		}
	})
}

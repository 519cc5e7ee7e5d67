package services

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

func TestEnabledAndRunning(t *testing.T) {
	up, down := "ActiveState=active", "ActiveState=inactive"
	on, off := "UnitFileState=enabled", "UnitFileState=disabled"
	tests := []struct {
		name             string
		unit             []string
		enabled, running *bool
		ran, action      string
	}{
		{"nothing asked", []string{down, off}, nil, nil, "", ""},
		{"enable and start", []string{down, off}, yes(), yes(), "enable x.service; start x.service", "enable, start"},
		{"as it should be", []string{up, on}, yes(), yes(), "", ""},
		{"disable and stop", []string{up, on}, no(), no(), "disable x.service; stop x.service", "disable, stop"},
		{"off as it should be", []string{down, off}, no(), no(), "", ""},
		{"enable only", []string{down, off}, yes(), nil, "enable x.service", "enable"},
		{"start only", []string{down, off}, nil, yes(), "start x.service", "start"},
		{"failed is not running", []string{"ActiveState=failed", on}, yes(), yes(), "start x.service", "start"},
		{"failed is stopped", []string{"ActiveState=failed", off}, no(), no(), "", ""},
		{"static stays off", []string{down, "UnitFileState=static"}, no(), nil, "", ""},
		{"linked is not enabled, and keeps its link", []string{down, "UnitFileState=linked"}, no(), nil, "", ""},
		{"one that ends by design", []string{down, on, "Type=oneshot"}, yes(), yes(), "start x.service", "start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSystemctl(t)
			m.unit(t, "x.service", tt.unit...)
			if slices.Contains(tt.unit, "Type=oneshot") {
				m.write(t, "x.service.becomes", "inactive")
			}
			got := m.systemctl(t, metadata.Service{Name: "x", Enabled: tt.enabled, EnsureRunning: tt.running}, Changed{})
			if ran := m.ran(t); ran != tt.ran {
				t.Errorf("ran %q, want %q", ran, tt.ran)
			}
			if got.Action != tt.action || got.Changed != (tt.action != "") || got.Degraded != "" {
				t.Errorf("outcome = %+v, want action %q", got, tt.action)
			}
		})
	}
}

// heat-cfntools had no triggers at all.
func TestTriggersWhichHeatCfntoolsIgnored(t *testing.T) {
	svc := metadata.Service{
		Name: "x", EnsureRunning: yes(),
		Files:    []string{"/etc/x.conf", "/etc/systemd/system/x.service"},
		Sources:  []string{"/opt/x/"},
		Commands: []string{"10_setup"},
		Groups:   []string{"xg"}, Users: []string{"xu"},
		Packages: map[string][]string{"yum": {"x", "y"}, "apt": {"x"}},
	}
	tests := []struct {
		name    string
		changed Changed
		verb    verb // empty: nothing is run
		causes  []string
	}{
		{"nothing changed", Changed{}, "", nil},
		{"files", Changed{Files: []string{"/etc/other", "/etc/x.conf"}}, reloadOrRestart, []string{`files "/etc/x.conf"`}},
		{"its own unit", Changed{Files: []string{"/etc/systemd/system/x.service"}}, restart, []string{`files "/etc/systemd/system/x.service"`}},
		{"sources, written otherwise", Changed{Sources: []string{"/opt/x"}}, restart, []string{`sources "/opt/x/"`}},
		{"commands", Changed{Commands: []string{"10_setup"}}, restart, []string{`commands "10_setup"`}},
		{"groups", Changed{Groups: []string{"xg"}}, restart, []string{`groups "xg"`}},
		{"users", Changed{Users: []string{"xu"}}, restart, []string{`users "xu"`}},
		{"packages", Changed{Packages: map[string][]string{"yum": {"x"}}}, restart, []string{`packages "x"`}},
		{"package of another manager", Changed{Packages: map[string][]string{"apt": {"y"}, "dnf": {"x"}}}, "", nil},
		{"other items", Changed{Files: []string{"/etc/x.conf.d"}, Commands: []string{"/etc/x.conf"}, Sources: []string{"/opt"}}, "", nil},
		{"several at once restart once", Changed{Files: []string{"/etc/x.conf"}, Packages: map[string][]string{"apt": {"x"}, "yum": {"y"}}, Users: []string{"xu"}},
			restart, []string{`packages "x"`, `packages "y"`, `users "xu"`, `files "/etc/x.conf"`}},
	}
	check := func(t *testing.T, m *machine, want, action string, causes []string, got sys.Outcome) {
		t.Helper()
		if ran := m.ran(t); ran != want {
			t.Errorf("ran %q, want %q", ran, want)
		}
		if got.Action != action || !slices.Equal(got.Causes, causes) || got.Degraded != "" {
			t.Errorf("outcome = %+v, want action %q because of %q", got, action, causes)
		}
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSystemctl(t)
			m.unit(t, "x.service", "ActiveState=active")
			want := ""
			if tt.verb != "" {
				want = string(tt.verb) + " x.service"
			}
			check(t, m, want, string(tt.verb), tt.causes, m.systemctl(t, svc, tt.changed))
			check(t, m, "", "", nil, m.systemctl(t, svc, Changed{}))

			// One that is not to run is stopped, not restarted: the AWS tool did
			// restart it.
			stopped := svc
			stopped.EnsureRunning = no()
			check(t, m, "stop x.service", "stop", tt.causes, m.systemctl(t, stopped, tt.changed))
			check(t, m, "", "", nil, m.systemctl(t, stopped, tt.changed))
		})
	}
}

func TestTriggerWithoutEnsureRunningRestarts(t *testing.T) {
	m := newSystemctl(t)
	m.unit(t, "x.service")
	m.systemctl(t, metadata.Service{Name: "x", Commands: []string{"c"}}, Changed{Commands: []string{"c"}})
	if got, want := m.ran(t), "restart x.service"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}

func TestUnitFileIsReadBeforeAnythingElse(t *testing.T) {
	m := newSystemctl(t)
	m.unit(t, "x.service")
	svc := metadata.Service{Name: "x", Enabled: yes(), EnsureRunning: yes()}
	m.systemctl(t, svc, Changed{UnitFiles: true})
	if got, want := m.ran(t), "daemon-reload; enable x.service; start x.service"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
	m.systemctl(t, svc, Changed{})
	if got := m.ran(t); got != "" {
		t.Errorf("a second time ran %q, want nothing", got)
	}
	// A file that an archive or a package brought.
	m.unit(t, "y.service", "NeedDaemonReload=yes")
	m.systemctl(t, metadata.Service{Name: "y", EnsureRunning: yes()}, Changed{})
	if got, want := m.ran(t), "daemon-reload; start y.service"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}

func TestUnitFile(t *testing.T) {
	for path, want := range map[string]bool{
		"/etc/systemd/system/x.service":                true,
		"/etc/systemd/system/x.service.d/limits.conf":  true,
		"/etc//systemd/system/../system/x.timer":       true,
		"/usr/lib/systemd/system/x.service":            true,
		"/lib/systemd/system/x.service":                true,
		"/run/systemd/system/x.service":                true,
		"/etc/init.d/x":                                true,
		"/etc/systemd/system":                          false,
		"/etc/systemd/system.conf":                     false,
		"/etc/x/etc/systemd/system/x.service":          false,
		"/srv/image/usr/lib/systemd/system/x.service":  false,
		"/etc/systemd/user/x.service":                  false,
		"/etc/systemd/system/../journald.conf.d/x.con": false,
	} {
		if got := UnitFile(path); got != want {
			t.Errorf("UnitFile(%q) = %v, want %v", path, got, want)
		}
	}
}

// heat-cfntools made foo.timer.service of foo.timer, and so on.
func TestUnitSuffixWhichHeatCfntoolsAlwaysAdded(t *testing.T) {
	for name, want := range map[string]string{
		"httpd": "httpd.service", "httpd.service": "httpd.service", "foo.timer": "foo.timer", "foo.socket": "foo.socket",
		"multi-user.target": "multi-user.target", "getty@tty1": "getty@tty1.service", "php7.4-fpm": "php7.4-fpm.service",
		"org.example.d": "org.example.d.service",
	} {
		if got := unitName(name); got != want {
			t.Errorf("unitName(%q) = %q, want %q", name, got, want)
		}
	}
	m := newSystemctl(t)
	m.unit(t, "foo.timer")
	m.systemctl(t, metadata.Service{Name: "foo.timer", Enabled: yes(), EnsureRunning: yes()}, Changed{})
	if got, want := m.ran(t), "enable foo.timer; start foo.timer"; got != want {
		t.Errorf("ran %q, want %q", got, want)
	}
}

// heat-cfntools looked at no result: each of these was success.
func TestDegraded(t *testing.T) {
	tests := []struct {
		name    string
		unit    []string
		becomes string
		service metadata.Service
		ran     string
		want    string
	}{
		{"masked", []string{"LoadState=masked"}, "", metadata.Service{Enabled: yes(), EnsureRunning: yes()}, "",
			`x.service is masked, so that it can be neither enabled nor started: run "systemctl unmask x.service" first, or take it out of the metadata`},
		{"masked and off", []string{"LoadState=masked", "UnitFileState=masked"}, "", metadata.Service{Enabled: no(), EnsureRunning: no()}, "", ""},
		{"static is started all the same", []string{"UnitFileState=static"}, "", metadata.Service{Enabled: yes(), EnsureRunning: yes()}, "start x.service",
			"x.service cannot be enabled: it is static, without an [Install] section: something else starts it"},
		{"generated", []string{"UnitFileState=generated"}, "", metadata.Service{Enabled: yes()}, "",
			"x.service cannot be enabled: it is generated: what it is generated from says when it starts"},
		{"alias", []string{"Id=y.service"}, "", metadata.Service{Enabled: yes()}, "", "x.service cannot be enabled: it is alias, another name of y.service"},
		{"alias of one that is enabled", []string{"Id=y.service", "UnitFileState=enabled"}, "", metadata.Service{Enabled: yes()}, "", ""},
		{"dies at once", []string{"Result=exit-code"}, "failed", metadata.Service{EnsureRunning: yes()}, "start x.service",
			"start x.service: it did not stay up (exit-code); the last it wrote:\n    journal of x.service"},
		{"ends at once with success", nil, "inactive", metadata.Service{EnsureRunning: yes()}, "start x.service",
			"start x.service: it ended by itself, or a condition of the unit kept it from starting; the last it wrote:\n    journal of x.service"},
		{"crashes again and again", []string{"SubState=auto-restart", "Result=signal"}, "activating", metadata.Service{EnsureRunning: yes()}, "start x.service",
			"start x.service: it ends again and again (signal); the last it wrote:\n    journal of x.service"},
		{"never arrives", nil, "activating", metadata.Service{EnsureRunning: yes()}, "start x.service",
			"start x.service: it is still activating after 100ms; the last it wrote:\n    journal of x.service"},
		{"condition", []string{"ConditionResult=no", "ConditionTimestampMonotonic=5"}, "inactive", metadata.Service{EnsureRunning: yes()}, "start x.service",
			"start x.service: it was not started: a condition or assertion of the unit does not hold; the last it wrote:\n    journal of x.service"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSystemctl(t)
			m.unit(t, "x.service", tt.unit...)
			if tt.becomes != "" {
				m.write(t, "x.service.becomes", tt.becomes)
			}
			if strings.HasSuffix(tt.want, " after 100ms; the last it wrote:\n    journal of x.service") {
				m.pace.limit = 100 * time.Millisecond
			}
			tt.service.Name = "x"
			got := m.systemctl(t, tt.service, Changed{})
			if ran := m.ran(t); got.Degraded != tt.want || ran != tt.ran {
				t.Errorf("degraded %q after %q, want %q after %q", got.Degraded, ran, tt.want, tt.ran)
			}
		})
	}
}

func TestJournalLinesAreMasked(t *testing.T) {
	m := newSystemctl(t)
	m.Mask = sys.NewMask([]string{"correct horse"})
	m.unit(t, "x.service")
	m.write(t, "x.service.becomes", "failed")
	m.write(t, "bin/journalctl", "#!/bin/sh\necho pass=correct horse\n")
	got := m.systemctl(t, metadata.Service{Name: "x", EnsureRunning: yes()}, Changed{})
	if !strings.HasSuffix(got.Degraded, "\n    pass=********") {
		t.Errorf("degraded %q, want the secret masked", got.Degraded)
	}
}

// A unit on its way up counts as running, and is looked at until it is up.
func TestActivatingCountsAsRunning(t *testing.T) {
	m := newSystemctl(t)
	m.unit(t, "x.service", "ActiveState=activating", "SubState=start")
	svc := metadata.Service{Name: "x", EnsureRunning: yes()}
	arrived := make(chan struct{})
	go func() {
		defer close(arrived)
		pause(t.Context(), 5*quick.watch)
		m.unit(t, "x.service", "ActiveState=active", "SubState=running")
	}()
	got := m.systemctl(t, svc, Changed{})
	<-arrived
	if ran := m.ran(t); ran != "" || got.Changed || got.Degraded != "" {
		t.Errorf("%+v after %q, want nothing done", got, ran)
	}
}

func TestUnknownUnit(t *testing.T) {
	m := newSystemctl(t)
	for _, name := range []string{"httpd.service", "httpd.socket", "nginx.service", "mysqld.service"} {
		m.unit(t, name)
	}
	f := func(name, want string) {
		t.Helper()
		got := m.systemctl(t, metadata.Service{Name: name, Enabled: yes(), EnsureRunning: yes()}, Changed{})
		if got.Degraded != want || got.Changed {
			t.Errorf("%s: %+v, want degraded %q", name, got, want)
		}
	}
	f("htpd", "there is no unit htpd.service; names near it: httpd.service")
	f("http", "there is no unit http.service; names near it: httpd.service")
	f("mysql", "there is no unit mysql.service; names near it: mysqld.service")
	f("postgresql", "there is no unit postgresql.service: is its package installed?")

	m.DryRun = true
	got := m.systemctl(t, metadata.Service{Name: "new", Enabled: yes(), EnsureRunning: yes()}, Changed{})
	if want := "enable, start (there is no unit new.service yet)"; got.Action != want || got.Degraded != "" {
		t.Errorf("in a dry run: %+v, want %q: an earlier item may bring it", got, want)
	}
	// Where there is nothing to do, or nothing can run, that is told too.
	got = m.systemctl(t, metadata.Service{Name: "new", EnsureRunning: no()}, Changed{})
	if want := "there is no unit new.service yet"; got.Skipped != want || got.Changed {
		t.Errorf("in a dry run: %+v, want skipped: %q", got, want)
	}
	m.write(t, "bin/systemctl", "#!/bin/sh\necho not-found; exit 4\n")
	got = m.apply(t, &systemctl{System: m.System, offline: true}, metadata.Service{Name: "new", EnsureRunning: yes()}, Changed{})
	if want := "there is no unit new.service yet; nothing runs here: the service can only be enabled"; got.Skipped != want || got.Changed {
		t.Errorf("in a dry run offline: %+v, want skipped: %q", got, want)
	}
}

func TestDryRunOnlyLooks(t *testing.T) {
	m := newSystemctl(t)
	m.DryRun = true
	m.unit(t, "x.service", "NeedDaemonReload=yes")
	m.unit(t, "y.service", "ActiveState=active", "UnitFileState=enabled")
	f := func(svc metadata.Service, want string) {
		t.Helper()
		got := m.systemctl(t, svc, Changed{UnitFiles: true, Files: []string{"/etc/f"}})
		if got.Action != want || !got.Changed {
			t.Errorf("%+v, want action %q", got, want)
		}
	}
	f(metadata.Service{Name: "x", Enabled: yes(), EnsureRunning: yes()}, "enable, start")
	f(metadata.Service{Name: "y", Enabled: no(), Files: []string{"/etc/f"}}, "disable, reload-or-restart")
	f(metadata.Service{Name: "y", EnsureRunning: no()}, "stop")
	if ran := m.ran(t); ran != "" {
		t.Errorf("a dry run ran %q, want nothing", ran)
	}
}

// heat-cfntools passed over managers it did not know without a word.
func TestUnknownManagersWhichHeatCfntoolsPassedOver(t *testing.T) {
	m := newSystemctl(t)
	f := func(manager, want string) {
		t.Helper()
		got, err := Apply(t.Context(), m.System, manager, metadata.Service{Name: "x", EnsureRunning: yes()}, Changed{})
		if err != nil || got.Degraded != want || got.Changed {
			t.Errorf("Apply(%q) = %+v, %v, want degraded %q", manager, got, err, want)
		}
	}
	f("windows", `the manager "windows" has no meaning on this machine: the service was skipped`)
	f("upstart", `the service manager "upstart" is not known: use systemd or sysvinit`)
}

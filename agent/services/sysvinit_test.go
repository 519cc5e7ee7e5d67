package services

import (
	"testing"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

const (
	serviceStub = `#!/bin/sh
f=$STATE/running.$1
case $2 in
status) [ -f "$f" ]; exit ;;
start|restart) if [ -f "$STATE/broken" ]; then echo "cannot bind"; else touch "$f"; fi ;;
stop) rm "$f" ;;
esac
echo "service $*" >>"$STATE/log"
`
	linkStub = `
case $2 in
on|enable) mkdir -p "$STATE/root/etc/rc3.d"; touch "$STATE/root/etc/rc3.d/S20$1" ;;
off|disable) rm "$STATE/root/etc/rc3.d/S20$1" ;;
esac
`
)

// The three ways in which distributions had it, as heat-cfntools knew them.
func TestSysvinit(t *testing.T) {
	all := metadata.Service{Name: "x", Enabled: yes(), EnsureRunning: yes(), Files: []string{"/etc/x.conf"}}
	none := metadata.Service{Name: "x.service", Enabled: no(), EnsureRunning: no()}
	tests := []struct {
		name             string
		stubs            []string
		up, down, change string
	}{
		{"service and chkconfig", []string{"service", "chkconfig"},
			"chkconfig x on; service x start", "chkconfig x off; service x stop", "service x restart"},
		{"service and update-rc.d", []string{"service", "update-rc.d"},
			"update-rc.d x defaults; update-rc.d x enable; service x start", "update-rc.d x disable; service x stop", "service x restart"},
		{"the script itself", []string{"chkconfig"},
			"chkconfig x on; script start", "chkconfig x off; script stop", "script restart"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newMachine(t)
			m.Environ = []string{"STATE=" + m.dir, "PATH=" + m.dir + "/bin"}
			m.write(t, "root/etc/init.d/x", "#!/bin/sh\nPATH=/usr/bin:/bin\nset -- x \"$1\"\n"+serviceStub+"sed -i 's/service x/script/' \"$STATE/log\"\n")
			for _, name := range tt.stubs {
				text := "#!/bin/sh\nPATH=/usr/bin:/bin\n" + serviceStub
				if name != "service" {
					text = "#!/bin/sh\nPATH=/usr/bin:/bin\necho \"" + name + " $*\" >>\"$STATE/log\"\n" + linkStub
				}
				m.write(t, "bin/"+name, text)
			}
			v := &sysvinit{System: m.System}
			f := func(svc metadata.Service, changed Changed, want string) {
				t.Helper()
				got := m.apply(t, v, svc, changed)
				if ran := m.ran(t); ran != want || got.Changed != (want != "") || got.Degraded != "" {
					t.Errorf("ran %q, %+v, want %q", ran, got, want)
				}
			}
			f(all, Changed{}, tt.up)
			f(all, Changed{}, "")
			f(all, Changed{Files: []string{"/etc/x.conf"}, UnitFiles: true}, tt.change)
			f(none, Changed{}, tt.down)
			f(none, Changed{}, "")
		})
	}
}

func TestSysvinitFailures(t *testing.T) {
	m := newMachine(t)
	m.write(t, "root/etc/init.d/x", "#!/bin/sh\n")
	m.write(t, "root/etc/init.d/xyz", "#!/bin/sh\n")
	m.write(t, "bin/service", serviceStub)
	m.write(t, "broken", "")
	v := &sysvinit{System: m.System}
	f := func(svc metadata.Service, want string) {
		t.Helper()
		if got := m.apply(t, v, svc, Changed{}); got.Degraded != want {
			t.Errorf("%s: %+v, want degraded %q", svc.Name, got, want)
		}
	}
	f(metadata.Service{Name: "x", EnsureRunning: yes()}, "start x: it is not running; the last it wrote:\n    cannot bind")
	f(metadata.Service{Name: "xyy", EnsureRunning: yes()}, "there is no unit xyy; names near it: xyz")
	f(metadata.Service{Name: "../x", EnsureRunning: yes()}, "there is no unit ../x: is its package installed?")
	m.Environ = []string{"STATE=" + m.dir, "PATH=" + m.dir + "/bin"} // with neither tool
	f(metadata.Service{Name: "x", Enabled: yes()}, "enable x: neither chkconfig nor update-rc.d is installed")
}

// Without a running systemd a service can still be enabled, and in a tree
// that is not the machine nothing is ever started.
func TestOffline(t *testing.T) {
	m := newSystemctl(t)
	m.unit(t, "x.service")
	m.Root = m.dir + "/root"
	m.write(t, "bin/systemctl", "#!/bin/sh\n[ \"$3 $4\" = \"--root "+m.Root+"\" ] || exit 7\n"+systemctlFrom5)
	m.write(t, "bin/real", systemctlStub)
	f := func(svc metadata.Service, ran string, want sys.Outcome) {
		t.Helper()
		got, err := Apply(t.Context(), m.System, "systemd", svc, Changed{UnitFiles: true, Files: []string{"/f"}})
		if did := m.ran(t); err != nil || did != ran || got.Action != want.Action || got.Skipped != want.Skipped || got.Degraded != want.Degraded {
			t.Errorf("ran %q, %+v, %v, want %q, %+v", did, got, err, ran, want)
		}
	}
	svc := metadata.Service{Name: "x", Enabled: yes(), EnsureRunning: yes(), Files: []string{"/f"}}
	f(svc, "enable x.service", sys.Outcome{Action: "enable"})
	f(svc, "", sys.Outcome{Skipped: "nothing runs here: the service can only be enabled"})
	m.unit(t, "x.service", "UnitFileState=masked")
	f(svc, "", sys.Outcome{Degraded: `x.service is masked, so that it can be neither enabled nor started: run "systemctl unmask x.service" first, or take it out of the metadata`})
}

const systemctlFrom5 = `shift 4
exec "$STATE/bin/real" "$@"
`

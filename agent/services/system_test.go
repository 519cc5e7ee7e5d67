//go:build system

// These tests want a machine to themselves: one that systemd runs, and for
// TestRealSysvinit one where it does not seem to. images/e2e/systemd.sh gives
// them containers.

package services

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

const unitDir = "/etc/systemd/system/"

func realSystem() *sys.System {
	return &sys.System{Run: sys.Exec, Environ: os.Environ(), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
}

// managers are the three ways to the same systemd.
func managers(t *testing.T, s *sys.System) map[string]manager {
	t.Helper()
	system, err := openBus(t.Context(), s)
	if err != nil {
		t.Fatalf("the system bus: %v", err)
	}
	t.Cleanup(system.close)
	conn, err := dbus.NewSystemdConnectionContext(t.Context())
	if err != nil {
		t.Fatalf("the socket of systemd: %v", err)
	}
	private := &bus{System: s, conn: conn, ctl: systemctl{System: s}}
	t.Cleanup(private.close)
	return map[string]manager{"system bus": system, "private socket": private, "systemctl": &systemctl{System: s}}
}

func place(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func shellOut(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-c", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return strings.TrimSpace(string(out))
}

// show is what systemd itself says of a unit.
func show(t *testing.T, unit, property string) string {
	t.Helper()
	return shellOut(t, "systemctl show --value -p "+property+" "+unit)
}

type machineUnderTest struct {
	t *testing.T
	s *sys.System
	m manager
}

func (u machineUnderTest) apply(svc metadata.Service, c Changed) sys.Outcome {
	u.t.Helper()
	j := &job{System: u.s, manager: u.m, pace: realPace, service: svc, unit: u.m.unit(svc.Name), out: sys.Outcome{Name: svc.Name}}
	return j.apply(u.t.Context(), c)
}

func (u machineUnderTest) expect(what string, got sys.Outcome, action, degraded string) {
	u.t.Helper()
	ok := got.Degraded == degraded || degraded != "" && strings.Contains(got.Degraded, degraded)
	if got.Action != action || got.Changed != (action != "") || !ok {
		u.t.Errorf("%s: %+v, want action %q, degraded %q", what, got, action, degraded)
	}
}

func TestRealSystemd(t *testing.T) {
	s := realSystem()
	for name, m := range managers(t, s) {
		t.Run(name, func(t *testing.T) {
			u := machineUnderTest{t, s, m}
			u.lifeOfAService()
			if name == "private socket" {
				return // the same calls by another way
			}
			u.unitsThatRefuse()
			u.unitsThatFail()
			u.otherUnits()
		})
	}
}

const sleeper = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"

func (u machineUnderTest) lifeOfAService() {
	t := u.t
	place(t, unitDir+"life.service", "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/touch /run/life.reloaded\n[Install]\nWantedBy=multi-user.target\n", 0o644)
	defer shellOut(t, "systemctl disable --now -q life; rm -f /run/life.reloaded "+unitDir+"life.service; systemctl daemon-reload")
	svc := metadata.Service{Name: "life", Enabled: yes(), EnsureRunning: yes(), Files: []string{"/etc/life.conf"}, Packages: map[string][]string{"apt": {"life"}}}
	u.expect("enable and start", u.apply(svc, Changed{UnitFiles: true}), "enable, start", "")
	if got := shellOut(t, "systemctl is-enabled life; systemctl is-active life"); got != "enabled\nactive" {
		t.Errorf("life is %q, want enabled and active", got)
	}
	u.expect("again", u.apply(svc, Changed{}), "", "")

	first := show(t, "life", "MainPID")
	u.expect("changed file", u.apply(svc, Changed{Files: []string{"/etc/life.conf"}}), "reload-or-restart", "")
	if _, err := os.Stat("/run/life.reloaded"); err != nil || show(t, "life", "MainPID") != first {
		t.Errorf("a changed file did not reload the unit: %v", err)
	}
	u.expect("new package", u.apply(svc, Changed{Packages: map[string][]string{"apt": {"life"}}}), "restart", "")
	second := show(t, "life", "MainPID")
	if second == first {
		t.Errorf("main process after a new package is %s, want another one", second)
	}

	// A unit that cannot reload restarts when its file changed.
	place(t, unitDir+"life.service", sleeper, 0o644)
	u.expect("changed unit", u.apply(svc, Changed{UnitFiles: true, Files: []string{"/etc/life.conf"}}), "reload-or-restart", "")
	if third := show(t, "life", "MainPID"); third == second {
		t.Errorf("main process of a unit that cannot reload is %s still, want another one", third)
	}
	place(t, unitDir+"life.service", sleeper+"# changed\n", 0o644)
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(unitDir+"life.service", later, later); err != nil {
		t.Fatal(err)
	}
	u.expect("nothing to do", u.apply(svc, Changed{}), "", "")
	if show(t, "life", "NeedDaemonReload") != "no" {
		t.Error("a unit whose file changed was not read again")
	}

	off := metadata.Service{Name: "life", Enabled: no(), EnsureRunning: no()}
	u.expect("disable and stop", u.apply(off, Changed{}), "disable, stop", "")
	u.expect("again", u.apply(off, Changed{}), "", "")
	if got := shellOut(t, "systemctl is-enabled life || true; systemctl is-active life || true"); got != "disabled\ninactive" {
		t.Errorf("life is %q, want disabled and inactive", got)
	}
}

func (u machineUnderTest) unitsThatRefuse() {
	t := u.t
	place(t, unitDir+"plain.service", sleeper, 0o644)
	place(t, unitDir+"static.service", "[Service]\nExecStart=/bin/sleep infinity\n", 0o644)
	place(t, unitDir+"other.service", sleeper, 0o644)
	if err := os.Symlink("other.service", unitDir+"alias.service"); err != nil {
		t.Fatal(err)
	}
	shellOut(t, "systemctl daemon-reload; systemctl mask -q --now masked.service")
	defer shellOut(t, "systemctl unmask -q masked; systemctl stop static; cd "+unitDir+"; rm -f plain.service static.service other.service alias.service; systemctl daemon-reload")
	on := func(name string) metadata.Service {
		return metadata.Service{Name: name, Enabled: yes(), EnsureRunning: yes()}
	}
	u.expect("masked", u.apply(on("masked"), Changed{}), "", `masked.service is masked, so that it can be neither enabled nor started: run "systemctl unmask masked.service" first`)
	u.expect("static", u.apply(on("static"), Changed{}), "start", "static.service cannot be enabled: it is static")
	u.expect("alias", u.apply(metadata.Service{Name: "alias", Enabled: yes()}, Changed{}), "", "alias.service cannot be enabled: it is alias, another name of other.service")
	u.expect("unknown", u.apply(on("plan"), Changed{}), "", "there is no unit plan.service; names near it: plain.service")
	u.expect("no name for a unit", u.apply(on("a b"), Changed{}), "", "a b.service")
}

func (u machineUnderTest) unitsThatFail() {
	t := u.t
	units := map[string]string{
		"dies":    "[Service]\nExecStart=/bin/sh -c 'seq 30; echo the key is correct horse >&2; exit 3'\n",
		"late":    "[Service]\nExecStart=/bin/sh -c 'sleep 1; echo after a second; exit 4'\n",
		"loops":   "[Service]\nRestart=always\nRestartSec=50ms\nExecStart=/bin/sh -c 'echo loop; exit 5'\n[Unit]\nStartLimitBurst=1000\n",
		"limited": "[Service]\nRestart=on-failure\nExecStart=/bin/sh -c 'test -e /run/limited.ok && exec sleep infinity'\n",
		"once":    "[Service]\nType=oneshot\nExecStart=/bin/true\n",
		"slow":    "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 1\n",
		"unmet":   "[Unit]\nConditionPathExists=/nonexistent\n" + sleeper,
		"reload":  "[Service]\nExecStart=/bin/sleep infinity\nExecReload=/bin/false\n",
	}
	for name, text := range units {
		place(t, unitDir+name+".service", text, 0o644)
		defer shellOut(t, "systemctl stop -q "+name+" || true; systemctl reset-failed -q "+name+" || true; rm -f "+unitDir+name+".service")
	}
	shellOut(t, "rm -f /run/limited.ok; systemctl daemon-reload")
	run := func(name string) sys.Outcome {
		return u.apply(metadata.Service{Name: name, EnsureRunning: yes(), Files: []string{"/f"}}, Changed{})
	}
	u.s.Mask = sys.NewMask([]string{"correct horse"})
	got := run("dies")
	u.expect("dies at once", got, "start", "start dies.service: it did not stay up (exit-code); the last it wrote:\n    ")
	if lines := strings.Count(got.Degraded, "\n"); lines != 20 || !strings.Contains(got.Degraded, "\n    the key is ********\n") {
		t.Errorf("degraded has %d lines of the journal, want 20 with the secret masked: %s", lines, got.Degraded)
	}
	u.expect("dies after a second", run("late"), "start", "it did not stay up (exit-code)")
	u.expect("dies again and again", run("loops"), "start", "it ends again and again")
	u.expect("a task that ends", run("once"), "start", "")
	u.expect("a slow task", run("slow"), "start", "")
	u.expect("a slow task that is done", run("slow"), "", "")
	u.expect("condition", run("unmet"), "start", "a condition of the unit kept it from starting")
	shellOut(t, "systemctl enable -q unmet")
	defer shellOut(t, "systemctl disable -q unmet")
	u.expect("condition of a unit that systemd keeps", run("unmet"), "start", "a condition or assertion of the unit does not hold")
	if got := run("limited"); got.Degraded == "" {
		t.Errorf("limited: %+v, want degraded", got)
	}
	shellOut(t, "for i in 1 2 3 4 5 6; do systemctl start limited; done; sleep 1; touch /run/limited.ok")
	u.expect("one that failed too often", run("limited"), "start", "")
	u.expect("start", run("reload"), "start", "")
	u.expect("a reload that fails", u.apply(metadata.Service{Name: "reload", Files: []string{"/f"}}, Changed{Files: []string{"/f"}}), "reload-or-restart", "the reload failed")
}

func (u machineUnderTest) otherUnits() {
	t := u.t
	place(t, unitDir+"tick.timer", "[Timer]\nOnActiveSec=1h\n[Install]\nWantedBy=timers.target\n", 0o644)
	place(t, unitDir+"tick.service", "[Service]\nType=oneshot\nExecStart=/bin/true\n", 0o644)
	place(t, "/etc/init.d/oldstyle", initScript, 0o755)
	shellOut(t, "systemctl daemon-reload")
	defer shellOut(t, "systemctl disable -q --now tick.timer; systemctl stop oldstyle; update-rc.d oldstyle remove; cd "+unitDir+
		"; rm -f tick.timer tick.service /etc/init.d/oldstyle; systemctl daemon-reload")
	on := func(name string) metadata.Service {
		return metadata.Service{Name: name, Enabled: yes(), EnsureRunning: yes()}
	}
	u.expect("timer", u.apply(on("tick.timer"), Changed{}), "enable, start", "")
	u.expect("timer again", u.apply(on("tick.timer"), Changed{}), "", "")
	u.expect("init script", u.apply(on("oldstyle"), Changed{}), "enable, start", "")
	u.expect("init script again", u.apply(on("oldstyle"), Changed{}), "", "")
}

const initScript = `#!/bin/sh
### BEGIN INIT INFO
# Provides: oldstyle
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: a daemon of the old style
### END INIT INFO
pid=/run/oldstyle.pid
case $1 in
start) start-stop-daemon --start --oknodo --background --make-pidfile --pidfile $pid --startas /bin/sleep -- infinity ;;
stop) start-stop-daemon --stop --oknodo --pidfile $pid && rm -f $pid ;;
restart|force-reload) $0 stop; $0 start ;;
status) start-stop-daemon --status --pidfile $pid ;;
*) exit 2 ;;
esac
`

// The whole way in, as the agent goes it: sysvinit means systemd here.
func TestRealApply(t *testing.T) {
	place(t, unitDir+"whole.service", sleeper, 0o644)
	svc := metadata.Service{Name: "whole", Enabled: yes(), EnsureRunning: yes()}
	dry := realSystem()
	dry.DryRun = true
	got, err := Apply(t.Context(), dry, "sysvinit", svc, Changed{UnitFiles: true})
	if err != nil || got.Action != "enable, start" || got.Degraded != "" {
		t.Errorf("dry run = %+v, %v, want enable, start", got, err)
	}
	got, err = Apply(t.Context(), realSystem(), "sysvinit", svc, Changed{UnitFiles: true})
	if err != nil || got.Action != "enable, start" || got.Degraded != "" {
		t.Errorf("Apply = %+v, %v, want enable, start", got, err)
	}
	if got := show(t, "whole", "ActiveState"); got != "active" {
		t.Errorf("whole.service is %s, want active", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Apply(ctx, realSystem(), "systemd", svc, Changed{}); err == nil {
		t.Error("Apply of a run that was cancelled succeeded")
	}
}

// A tree below another root: systemctl --root enables without systemd's help.
func TestRealOffline(t *testing.T) {
	s := realSystem()
	s.Root = t.TempDir()
	if err := os.MkdirAll(s.Path(unitDir), 0o755); err != nil {
		t.Fatal(err)
	}
	place(t, s.Path(unitDir+"x.service"), sleeper, 0o644)
	for _, want := range []string{"enable", ""} {
		got, err := Apply(t.Context(), s, "systemd", metadata.Service{Name: "x", Enabled: yes()}, Changed{UnitFiles: true})
		if err != nil || got.Action != want || got.Degraded != "" {
			t.Errorf("Apply = %+v, %v, want %q", got, err, want)
		}
	}
	if _, err := os.Lstat(s.Path(unitDir + "multi-user.target.wants/x.service")); err != nil {
		t.Errorf("the unit has no link: %v", err)
	}
	got, err := Apply(t.Context(), s, "systemd", metadata.Service{Name: "y", Enabled: yes()}, Changed{})
	if err != nil || got.Degraded != "there is no unit y.service; names near it: x.service" {
		t.Errorf("Apply of an unknown unit = %+v, %v", got, err)
	}
}

// Where systemd does not run the machine, its own tools for init scripts.
func TestRealSysvinit(t *testing.T) {
	s := realSystem()
	if booted(s) {
		t.Fatal("systemd seems to run this machine: start this test by images/e2e/systemd.sh")
	}
	place(t, "/etc/init.d/oldstyle", initScript, 0o755)
	f := func(svc metadata.Service, c Changed, action string) {
		t.Helper()
		svc.Name = "oldstyle"
		got, err := Apply(t.Context(), s, "sysvinit", svc, c)
		if err != nil || got.Action != action || got.Degraded != "" {
			t.Errorf("Apply(%+v) = %+v, %v, want %q", svc, got, err, action)
		}
	}
	pid := func() int {
		data, _ := os.ReadFile("/run/oldstyle.pid")
		n, _ := strconv.Atoi(string(bytes.TrimSpace(data)))
		return n
	}
	on := metadata.Service{Enabled: yes(), EnsureRunning: yes(), Files: []string{"/etc/f"}}
	f(on, Changed{}, "enable, start")
	first := pid()
	f(on, Changed{}, "")
	f(on, Changed{Files: []string{"/etc/f"}}, "reload-or-restart")
	if second := pid(); first == 0 || second == 0 || first == second {
		t.Errorf("process %d, then %d: want a restart", first, second)
	}
	f(metadata.Service{Enabled: no(), EnsureRunning: no()}, Changed{}, "disable, stop")
	f(metadata.Service{Enabled: no(), EnsureRunning: no()}, Changed{}, "")
	f(on, Changed{}, "enable, start")
}

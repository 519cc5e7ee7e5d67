package services

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/sys"
	"github.com/cfn-agent/cfn-agent/metadata"
)

// A machine has stub commands first in its PATH. They keep the state of each
// unit in a file of the directory, and write what changes it to a log.
type machine struct {
	*sys.System
	dir  string
	pace pace
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	return &machine{dir: dir, pace: quick, System: &sys.System{
		Root: filepath.Join(dir, "root"), Run: sys.Exec, Log: slog.New(slog.DiscardHandler),
		Environ: []string{"STATE=" + dir, "PATH=" + dir + "/bin:/usr/bin:/bin"},
	}}
}

func (m *machine) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	// A stub that runs meanwhile sees the one or the other.
	if err := os.WriteFile(path+".new", []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// ran returns what the stubs were told, and forgets it.
func (m *machine) ran(t *testing.T) string {
	t.Helper()
	path := filepath.Join(m.dir, "log")
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	os.Remove(path)
	return strings.ReplaceAll(strings.TrimSpace(string(data)), "\n", "; ")
}

// unit gives the stub of systemctl a unit, with properties that differ from
// those of a service that is neither enabled nor running.
func (m *machine) unit(t *testing.T, name string, properties ...string) {
	t.Helper()
	text := "Id=" + name + "\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=disabled\n" +
		"Result=success\nNRestarts=0\nType=simple\nNeedDaemonReload=no\n"
	for _, p := range properties {
		key, _, _ := strings.Cut(p, "=")
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, key+"=") {
				text = strings.Replace(text, line, "", 1)
			}
		}
		text += p + "\n"
	}
	m.write(t, "units/"+name, text)
}

// A unit with the file NAME.becomes takes that ActiveState when it is started.
const systemctlStub = `#!/bin/sh
while case $1 in --no-pager|--no-ask-password|--no-block) :;; *) false;; esac; do shift; done
verb=$1
for unit; do :; done
f=$STATE/units/$unit
set_() { sed -i "s/^$1=.*/$1=$2/" "$f"; }
case $verb in
show)
	if [ -f "$f" ]; then cat "$f"; else printf 'Id=%s\nLoadState=not-found\nActiveState=inactive\n' "$unit"; fi
	exit ;;
is-enabled)
	state=$(sed -n s/^UnitFileState=//p "$f"); echo "$state"; [ "$state" = enabled ]; exit ;;
list-unit-files)
	for f in "$STATE"/units/*; do echo "${f##*/} disabled enabled"; done; exit ;;
reset-failed) exit ;;
daemon-reload) echo daemon-reload >>"$STATE/log"; exit ;;
esac
echo "$verb $unit" >>"$STATE/log"
case $verb in
enable) set_ UnitFileState enabled; echo "Created symlink" >&2 ;;
disable) set_ UnitFileState disabled ;;
stop) set_ ActiveState inactive ;;
*) state=active; [ ! -f "$STATE/$unit.becomes" ] || state=$(cat "$STATE/$unit.becomes"); set_ ActiveState "$state" ;;
esac
`

func newSystemctl(t *testing.T) *machine {
	t.Helper()
	m := newMachine(t)
	m.Root = ""
	m.write(t, "bin/systemctl", systemctlStub)
	m.write(t, "bin/journalctl", "#!/bin/sh\n[ \"$1\" = --sync ] || echo \"journal of $2\"\n")
	return m
}

// quick is a pace for stubs, which change at once; but on a busy machine it
// takes a while to ask one.
var quick = pace{poll: time.Millisecond, watch: 5 * time.Millisecond, limit: time.Minute}

func (m *machine) apply(t *testing.T, with manager, svc metadata.Service, changed Changed) sys.Outcome {
	t.Helper()
	j := &job{System: m.System, manager: with, pace: m.pace, service: svc, unit: with.unit(svc.Name), out: sys.Outcome{Name: svc.Name}}
	return j.apply(t.Context(), changed)
}

func (m *machine) systemctl(t *testing.T, svc metadata.Service, changed Changed) sys.Outcome {
	t.Helper()
	return m.apply(t, &systemctl{System: m.System}, svc, changed)
}

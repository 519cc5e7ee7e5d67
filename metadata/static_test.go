package metadata

import (
	"strings"
	"testing"
)

// What is wrong is told all at once: who corrects a template waits minutes
// for the next message.
func TestAllMistakesAreTold(t *testing.T) {
	_, _, err := configOf(t, `{
		"users": {"u": {"uid": "abc", "groups": [["wheel"]]}, "v": {"homeDir": "rel"}},
		"files": {"etc/motd": {}, "/f": {"content": {}, "mode": "rw", "owner": []}},
		"commands": {"c": {"env": {"A": {}, "B=": "x"}}},
		"services": 7}`)
	want := []string{
		"config.users.u.uid: is not a number: it must be digits, such as 1001",
		"config.users.u.groups[0]: is a list: it must be a string",
		`config.users.v.homeDir: "rel" is a relative path: write it from the root, such as /rel`,
		`config.files["/f"].mode: "rw" is not a mode: it must be octal digits in a string, such as "000644"`,
		`config.files["/f"].owner: is a list: it must be the name of a user`,
		`config.files["etc/motd"]: a file needs an absolute path, such as /etc/motd`,
		"config.commands.c.env.A: is an object: it must be a string",
		`config.commands.c.env["B="]: is not the name of an environment variable`,
		"config.services: is a number: it must be an object of service managers",
	}
	if err == nil || err.Error() != strings.Join(want, "\n") {
		t.Errorf("Config = %v\nwant %s", err, strings.Join(want, "\n"))
	}
}

func TestAllConfigsAreTold(t *testing.T) {
	_, err := initOf(t, `{"configSets": {"default": ["a", "b", "a"]}, "a": 7, "b": {"files": 7}}`).Select("")
	if err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.HasPrefix(err.Error(), "a: ") || !strings.Contains(err.Error(), "\nb.files: ") {
		t.Errorf("Select = %v, want the mistakes of a and b, each once", err)
	}
}

// What must fail when it is applied is refused before anything is.
func TestMistakesThatTheDocumentShows(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		_, _, err := configOf(t, config)
		if err == nil || err.Error() != want {
			t.Errorf("config %s = %v\nwant %s", config, err, want)
		}
	}
	f(`{"files": {"/f": {"source": "conf/app.conf"}}}`, `config.files["/f"].source: is neither a URL nor an absolute path: it must be a URL`)
	f(`{"sources": {"/s": "app.tgz"}}`, `config.sources["/s"]: is neither a URL nor an absolute path: it must be the URL or path of an archive`)
	f(`{"files": {"/f": {"content": "a\n{{#x}}", "context": {}}}}`, `config.files["/f"].content: line 2: section "x" has no closing tag`)
	for _, config := range []string{
		`{"files": {"/f": {"source": "/srv/app.conf"}, "/g": {"source": " https://h/x "}, "/h": {"source": "s3://b/k"}}}`,
		`{"files": {"/f": {"content": "{{#x}}"}, "/g": {"content": "{{x}}", "context": {}}}}`,
		`{"sources": {"/s": "file:///srv/app.tgz", "/t": "/srv/app.tgz"}}`,
	} {
		if _, warnings, err := configOf(t, config); err != nil || len(warnings) != 0 {
			t.Errorf("config %s = %v, %v, want neither error nor warning", config, err, warnings)
		}
	}
}

// What a run does without is a warning, so that a strict run refuses it.
func TestWarningsOfWhatIsLeftOut(t *testing.T) {
	f := func(config, want string) {
		t.Helper()
		_, warnings, err := configOf(t, config)
		if err != nil || len(warnings) != 1 || warnings[0].Warning() != want {
			t.Errorf("config %s = %v, %v\nwant %s", config, warnings, err, want)
		}
	}
	f(`{"packages": {"apk": {"a": []}}}`,
		"config.packages.apk: unknown package manager: known are apt, dnf, dpkg, python, rpm, rubygems, yum, zypper: its packages are left out")
	f(`{"services": {"upstart": {"a": {}}}}`, "config.services.upstart: unknown service manager: known are systemd and sysvinit: its services are left out")
	f(`{"files": {"/f": {"mode": "000600"}}}`, `config.files["/f"]: a file needs content or a source: left out`)
	f(`{"commands": {"c": {"test": "true"}}}`, "config.commands.c: there is nothing to run: give the entry a command: left out")
	f(`{"commands": {"c": {"cmd": "true", "command": "true"}}}`, "config.commands.c.cmd: unknown key (did you mean command?): ignored")
	f(`{"files": {"/f": {"content": "", "content": "x"}}}`, `config.files["/f"].content: stands twice: the last one counts`)
	f(`{"services": {"systemd": {"s": {"enabled": "fals"}}}}`,
		`config.services.systemd.s.enabled: "fals" is neither true nor false: taken for false`)
	if _, warnings, err := configOf(t, `{"packages": {"apk": {}}, "services": {"upstart": {}}}`); err != nil || len(warnings) != 0 {
		t.Errorf("empty managers: %v, %v, want no warning", warnings, err)
	}
}

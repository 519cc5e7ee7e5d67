package hooks

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

const hook = "triggers = post.update\npath = Resources.R.Metadata\naction = true\n"

// place writes files below a directory; a name that ends in / is one.
func place(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, "/") {
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func names(c Config) string {
	var list []string
	for _, h := range c.Hooks {
		list = append(list, h.Name)
	}
	return strings.Join(list, " ")
}

// problems are the problems, without the directory.
func problems(c Config, root string) string {
	var list []string
	for _, p := range c.Problems {
		list = append(list, strings.ReplaceAll(p.Error(), root+"/", ""))
	}
	return strings.Join(list, "\n")
}

func TestLoad(t *testing.T) {
	root := place(t, map[string]string{
		"etc/cfn/cfn-hup.conf": "[main]\nstack=s\ncredential-file=/etc/cfn/keys\nregion=r\nurl=http://h:8000/v1\ninterval=1\numask=027\nverbose=True\nrole=x\n",
		"etc/cfn/hooks.conf":   "[one]\ntriggers=post.add, post.update,service.restarted\npath=Resources.R.Metadata.a\naction=/bin/x\n  --y\nrunas=web\ntimeout=5m\n",
	})
	got, err := Load(Find(root, ""))
	want := Config{
		Stack: "s", CredentialFile: "/etc/cfn/keys", Region: "r", URL: "http://h:8000/v1", Role: "x",
		Interval: time.Minute, Umask: 0o027, Verbose: true,
		Hooks: []Hook{{
			Name: "one", Path: "Resources.R.Metadata.a", Target: Target{"R", Metadata, "a"}, RunAs: "web", Action: "/bin/x\n--y",
			Triggers: []string{Added, Updated, ServiceRestarted}, Timeout: 5 * time.Minute,
		}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Load = %+v, %v, want %+v", got, err, want)
	}
}

// The files are those of the public Heat template
// cfn/F17/WordPress_Single_Instance_With_HA.yaml.
func TestFilesOfOldTemplate(t *testing.T) {
	root := place(t, map[string]string{
		"etc/cfn/cfn-hup.conf": "[main]\nstack=wordpress-single-instance-with-ha\ncredential-file=/etc/cfn/cfn-credentials\nregion=RegionOne\ninterval=1\n",
		"etc/cfn/hooks.conf":   "[cfn-http-restarted]\ntriggers=service.restarted\npath=Resources.WikiDatabase.Metadata\naction=/etc/cfn/notify-on-httpd-restarted\nrunas=root\n",
	})
	c, err := Load(Find(root, ""))
	if err != nil || c.Problems != nil || c.Interval != time.Minute || c.Stack != "wordpress-single-instance-with-ha" {
		t.Errorf("Load = %+v, %v", c, err)
	}
	if got := names(Config{Hooks: Match(c.Hooks, Event{ServiceRestarted, "WikiDatabase", "httpd"})}); got != "cfn-http-restarted" {
		t.Errorf("hooks for httpd: %q", got)
	}
}

func TestDefaults(t *testing.T) {
	root := place(t, map[string]string{"etc/cfn/cfn-hup.conf": "[main]\nstack=s\n", "etc/cfn/hooks.conf": "[h]\n" + hook})
	c, err := Load(Find(root, ""))
	if err != nil || c.Interval != 10*time.Minute || c.Umask != 0o022 || c.Hooks[0].Timeout != time.Hour || c.Hooks[0].RunAs != "" {
		t.Errorf("Load = %+v, %v", c, err)
	}
}

func TestParseInterval(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1": time.Minute, "15": 15 * time.Minute, "0.5": 30 * time.Second, "30s": 30 * time.Second, "5m": 5 * time.Minute, "1h": time.Hour,
	} {
		if got, err := ParseInterval(text); err != nil || got != want {
			t.Errorf("ParseInterval(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "soon", "1ms", "1e300"} {
		if got, err := ParseInterval(text); err == nil {
			t.Errorf("ParseInterval(%q) = %v, want an error", text, got)
		}
	}
}

// heat-cfntools read backups of editors and packagers as hooks too, in the
// order of the directory, and died of a subdirectory.
func TestOnlyConfFilesOfHooksDirectoryAreReadAndInOrder(t *testing.T) {
	h := func(name string) string { return "[" + name + "]\n" + hook }
	root := place(t, map[string]string{
		"etc/cfn/cfn-hup.conf":         "[main]\nstack=s\n",
		"etc/cfn/hooks.conf":           h("first"),
		"etc/cfn/hooks.d/20.conf":      h("third"),
		"etc/cfn/hooks.d/10.conf":      h("second"),
		"etc/cfn/hooks.d/10.conf.bak":  h("bak"),
		"etc/cfn/hooks.d/10.conf~":     h("tilde"),
		"etc/cfn/hooks.d/x.rpmsave":    h("rpmsave"),
		"etc/cfn/hooks.d/.10.conf.swp": "\x00",
		"etc/cfn/hooks.d/.hidden.conf": h("hidden"),
		"etc/cfn/hooks.d/dir.conf/":    "",
	})
	if err := os.Symlink("none", filepath.Join(root, "etc/cfn/hooks.d/lost.conf")); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Find(root, ""))
	if got, want := names(c), "first second third"; err != nil || got != want {
		t.Errorf("hooks = %q, %v, want %q", got, err, want)
	}
	want := `etc/cfn/hooks.d/.10.conf.swp does not end in .conf: it was skipped
etc/cfn/hooks.d/.hidden.conf does not end in .conf: it was skipped
etc/cfn/hooks.d/10.conf.bak does not end in .conf: it was skipped
etc/cfn/hooks.d/10.conf~ does not end in .conf: it was skipped
etc/cfn/hooks.d/dir.conf is a directory: it was skipped
etc/cfn/hooks.d/x.rpmsave does not end in .conf: it was skipped
read hooks: open etc/cfn/hooks.d/lost.conf: no such file or directory`
	if got := problems(c, root); got != want {
		t.Errorf("problems = %s\nwant %s", got, want)
	}
}

func TestLaterFileWinsKeyByKey(t *testing.T) {
	root := place(t, map[string]string{
		"etc/cfn/cfn-hup.conf":     "[main]\nstack=s\n",
		"etc/cfn/hooks.conf":       "[DEFAULT]\nrunas=web\n[h]\n" + hook,
		"etc/cfn/hooks.d/a.conf":   "[h]\naction = later\n[i]\n" + hook,
		"etc/cfn/hooks.d/b.conf":   "[i]\nrunas = root\n",
		"etc/cfn/hooks.d/c.d/none": "",
	})
	c, err := Load(Find(root, ""))
	if err != nil || len(c.Hooks) != 2 {
		t.Fatalf("Load = %+v, %v, want 2 hooks", c, err)
	}
	if h := c.Hooks[0]; h.Action != "later" || h.Path != "Resources.R.Metadata" || h.RunAs != "web" {
		t.Errorf("first hook = %+v", h)
	}
	if h := c.Hooks[1]; h.Action != "true" || h.RunAs != "root" {
		t.Errorf("second hook = %+v", h)
	}
}

// One bad section made heat-cfntools refuse all hooks.
func TestBadSectionIsSaidOnceAndTheRestHolds(t *testing.T) {
	root := place(t, map[string]string{
		"etc/cfn/cfn-hup.conf": "[main]\nstack=s\nsqs_url=x\nmulti-threaded=false\nstck=t\n",
		"etc/cfn/hooks.conf": "[good]\n" + hook + "[no-path]\ntriggers=post.add\naction=x\n[no-action]\ntriggers=post.add\npath=Resources.R\n" +
			"[no-triggers]\npath=Resources.R\naction=x\n[bad-path]\ntriggers=post.add\npath=nodot\naction=x\n" +
			"[bad-line]\n" + hook + "nonsense\n[bad-timeout]\n" + hook + "timeout=0\n" +
			"[command]\ntriggers=on.command\npath=cmd\naction=x\nsingleton=1\n[last]\n" + hook + "acton=x\n",
	})
	c, err := Load(Find(root, ""))
	if got, want := names(c), "good last"; err != nil || got != want {
		t.Errorf("hooks = %q, %v, want %q", got, err, want)
	}
	want := `etc/cfn/cfn-hup.conf: [main] has an unknown key stck: the keys are stack, credential-file, role, region, url, watch-url, interval, umask, verbose
etc/cfn/cfn-hup.conf: [main]: multi-threaded is for commands that AWS sends and has no meaning here
etc/cfn/cfn-hup.conf: [main]: sqs_url is for commands that AWS sends and has no meaning here
etc/cfn/hooks.conf: [no-path]: it has no path: write path = Resources.ID.Metadata: the hook was skipped
etc/cfn/hooks.conf: [no-action]: it has no action: write action = COMMAND: the hook was skipped
etc/cfn/hooks.conf: [no-triggers]: it has no triggers: the triggers are post.add, post.update, post.remove, service.restarted: the hook was skipped
etc/cfn/hooks.conf: [bad-path]: path "nodot" does not begin with Resources.ID: write Resources.ID.Metadata: the hook was skipped
etc/cfn/hooks.conf:22: [bad-line]: the line is not KEY = VALUE: the hook was skipped
etc/cfn/hooks.conf: [bad-timeout]: timeout: "0" is not a time: write 90 (seconds), 90s, 5m or 1h: the hook was skipped
etc/cfn/hooks.conf: [command]: the trigger on.command is for commands that AWS sends and is not supported: the hook was skipped
etc/cfn/hooks.conf: [last] has an unknown key acton: the keys are triggers, path, action, runas, timeout`
	if got := problems(c, root); got != want {
		t.Errorf("problems = %s\nwant %s", got, want)
	}
}

func TestLoadFails(t *testing.T) {
	f := func(main, hooks string, want string) {
		t.Helper()
		root := place(t, map[string]string{"etc/cfn/cfn-hup.conf": main, "etc/cfn/hooks.conf": hooks})
		if _, err := Load(Find(root, "")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load(%q, %q) = %v, want %q", main, hooks, err, want)
		}
	}
	f("[main]\n", "[h]\n"+hook, "[main] has no stack: write stack = NAME")
	f("[mian]\nstack=s\n", "[h]\n"+hook, "has no section [main]")
	f("[main]\nstack=s\ninterval=often\n", "[h]\n"+hook, `interval: "often" is not a time of a second or more: write 5 (minutes), 30s, 5m or 1h`)
	f("[main]\nstack=s\numask=8\n", "[h]\n"+hook, `umask: "8" is not a mask such as 022`)
	f("[main]\nstack=s\n", "", "no hooks were found: write some to ")

	root := place(t, map[string]string{"etc/cfn/hooks.conf": "[h]\n" + hook})
	if _, err := Load(Find(root, "")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the main file: %v", err)
	}
	root = place(t, map[string]string{"etc/cfn/cfn-hup.conf": "[main]\nstack=s\n[bad]\n"})
	c, err := Load(Find(root, ""))
	if !errors.Is(err, ErrNoHooks) || len(c.Problems) != 1 {
		t.Errorf("with one bad hook: %v, problems %v", err, c.Problems)
	}
}

func TestFindTakesDirectoryOfEitherTool(t *testing.T) {
	root := place(t, map[string]string{"aws/cfn-hup.conf": "", "heat/x.conf": "", "etc/cfn/cfn-hup.conf": ""})
	f := func(config string, want Files) {
		t.Helper()
		if got := Find(root, config); got != want {
			t.Errorf("Find(%q) = %+v, want %+v", config, got, want)
		}
	}
	etc, aws, heat := root+"/etc/cfn", root+"/aws", root+"/heat"
	f("", Files{etc + "/cfn-hup.conf", etc + "/hooks.conf", etc + "/hooks.d"})
	f(aws, Files{aws + "/cfn-hup.conf", aws + "/hooks.conf", aws + "/hooks.d"})
	f(heat, Files{etc + "/cfn-hup.conf", etc + "/hooks.conf", heat})
}

// heat-cfntools looked for the name of the event within the text of the
// triggers: post.update fired a hook for post.updatefoo.
func TestTriggersAreNamesNotSubstrings(t *testing.T) {
	root := place(t, map[string]string{
		"etc/cfn/cfn-hup.conf": "[main]\nstack=s\n",
		"etc/cfn/hooks.conf": "[foo]\ntriggers=post.updatefoo, post.add\npath=Resources.R.Metadata\naction=x\n" +
			"[other]\ntriggers=post.update\npath=Resources.S.Metadata\naction=x\n" +
			"[key]\ntriggers=post.update\npath=Resources.R.Metadata.a\naction=x\n" +
			"[service]\ntriggers=service.restarted, post.update\npath=Resources.R.Metadata\naction=x\n",
	})
	c, err := Load(Find(root, ""))
	if err != nil {
		t.Fatal(err)
	}
	if got := problems(c, root); !strings.Contains(got, `[foo]: unknown trigger "post.updatefoo"`) {
		t.Errorf("problems = %s", got)
	}
	f := func(e Event, want string) {
		t.Helper()
		if got := names(Config{Hooks: Match(c.Hooks, e)}); got != want {
			t.Errorf("Match(%+v) = %q, want %q", e, got, want)
		}
	}
	f(Event{Updated, "R", "Resources.R.Metadata"}, "service")
	longer := Hook{Path: "Resources.R.Metadata", Target: Target{"R", Metadata, ""}, Triggers: []string{"post.updatefoo"}}
	if (longer.Matches(Event{Updated, "R", "Resources.R.Metadata"})) {
		t.Errorf("%+v matches %s", longer, Updated)
	}
	f(Event{Updated, "R", "Resources.R.Metadata.a"}, "key")
	f(Event{Added, "R", "Resources.R.Metadata"}, "foo")
	f(Event{ServiceRestarted, "R", "httpd"}, "service")
	f(Event{ServiceRestarted, "S", "httpd"}, "")
	if got, want := Resources(c.Hooks), []string{"R", "S"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Resources = %q, want %q", got, want)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("[main]\nstack=s\ninterval=1\n[h]\n" + hook)
	f.Fuzz(func(t *testing.T, text string) {
		var in ini
		in.read("f", []byte(text))
		c, err := in.config("f")
		if err == nil && c.Stack == "" {
			t.Errorf("%q: neither a stack nor an error", text)
		}
		for _, h := range c.Hooks {
			if h.Action == "" || len(h.Triggers) == 0 || h.Target.Resource == "" || h.Timeout <= 0 {
				t.Errorf("%q: hook %+v", text, h)
			}
		}
	})
}

package check

import (
	"fmt"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"http://127.0.0.1:80/":               "http://127.0.0.1:80/",
		" https://u:geheim@h/p?token=geheim": "https://h/p",
		"HTTP://h":                           "http://h",
		"tcp:127.0.0.1:22":                   "tcp:127.0.0.1:22",
		"tcp:[::1]:22":                       "tcp:[::1]:22",
		"TCP: db:5432":                       "tcp:db:5432",
		"exec: /bin/x --password=geheim y":   "exec:/bin/x",
		"unit:httpd.service":                 "unit:httpd.service",
		"process:httpd":                      "process:httpd",
	} {
		if got, err := Parse(in); err != nil || fmt.Sprint(got) != want {
			t.Errorf("Parse(%q) = %v, %v, want %s", in, got, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for in, want := range map[string]string{
		"":                 `probe "": it is none of http://URL, https://URL, tcp:HOST:PORT`,
		"web":              "it is none of",
		"http:":            "it is not a URL",
		"http://":          "it is not a URL",
		"http://[::1":      "it is not a URL",
		"tcp:22":           "not of the form tcp:HOST:PORT",
		"tcp:host:ssh":     "not of the form tcp:HOST:PORT",
		"tcp::22":          "not of the form tcp:HOST:PORT",
		"tcp:host:0":       "not of the form tcp:HOST:PORT",
		"tcp:::1:22":       "not of the form tcp:HOST:PORT",
		"exec: ":           "it has no command",
		"unit:--no-pager":  "is not a name",
		"unit:a b":         "is not a name",
		"process:/bin/x":   "is not a name",
		"dns:example.test": "it is none of",
	} {
		if got, err := Parse(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v, want %q", in, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"http://h:1/", "tcp:[::1]:2", "exec:a b", "unit:x.service", "process:y", "https://u:p@h/%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		if p.String() == "" || p.kind != kindExec && p.kind != kindHTTP && strings.ContainsAny(p.String(), "\n ") {
			t.Errorf("Parse(%q).String() = %q, want a word", text, p)
		}
		again, err := Parse(string(p.kind) + ":" + p.target)
		if p.kind != kindHTTP && (err != nil || again != p) {
			t.Errorf("Parse(%q) = %+v, and again %+v, %v", text, p, again, err)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("21 (a) b) (c) R 1 20"))
	f.Add([]byte("1 ()"))
	f.Fuzz(func(t *testing.T, stat []byte) {
		command, state := parseStat(stat)
		if state != 0 && !strings.Contains(string(stat), "("+command+")") {
			t.Errorf("parseStat(%q) = %q, %q: not within it", stat, command, state)
		}
	})
}

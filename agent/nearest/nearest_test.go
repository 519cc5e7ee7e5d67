package nearest

import (
	"slices"
	"testing"
)

func TestDistance(t *testing.T) {
	f := func(a, b string, want int) {
		t.Helper()
		if got := Distance(a, b); got != want {
			t.Errorf("Distance(%q, %q) = %d, want %d", a, b, got, want)
		}
		if got := Distance(b, a); got != want {
			t.Errorf("Distance(%q, %q) = %d, want %d", b, a, got, want)
		}
	}
	f("", "", 0)
	f("abc", "", 3)
	f("kitten", "sitting", 3)
	f("httpd", "htpd", 1)
	f("ab", "ba", 2)
}

func TestWord(t *testing.T) {
	known := []string{"mode", "owner", "group"}
	for word, want := range map[string]string{"mod": "mode", "MODES": "mode", "onwer": "owner", "x": "", "groupe": "group"} {
		if got := Word(word, known, 2); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
	}
}

// An abbreviation is meant for the longer word, also when another one is
// fewer letters away.
func TestWordAbbreviated(t *testing.T) {
	known := []string{"command", "cwd", "env", "ensureRunning", "enabled", "timeout"}
	for word, want := range map[string]string{
		"cmd": "command", "CMD": "command", "comand": "command", "timeo": "timeout", "en": "env",
		"enable": "enabled", "cwdx": "cwd", "c": "cwd", "running": "",
	} {
		if got := Word(word, known, 2); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	known := []string{"httpd", "httpd-init", "sshd", "ssh", "cron", "crond", "a", "cron"}
	f := func(word string, want ...string) {
		t.Helper()
		if got := Words(word, known, 3); !slices.Equal(got, want) {
			t.Errorf("Words(%q) = %q, want %q", word, got, want)
		}
	}
	f("htpd", "httpd")
	f("http", "httpd", "httpd-init")
	f("HTTPD", "httpd", "httpd-init")
	f("crno", "cron", "crond")
	f("crons", "cron", "crond")
	f("zzzzzzzz")
	f("b", "a")
	f("", "a")
	if got := Words("http", known, 1); !slices.Equal(got, []string{"httpd"}) {
		t.Errorf("the nearest alone: %q", got)
	}
}

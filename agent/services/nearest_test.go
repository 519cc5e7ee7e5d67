package services

import (
	"slices"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"httpd.service", "httpd-init.service", "httpd.socket", "sshd.service", "ssh.service", "cron.service", "crond.service", "a.service"}
	f := func(name string, want ...string) {
		t.Helper()
		if got := nearest(name, names, 3); !slices.Equal(got, want) {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
	f("htpd.service", "httpd.service")
	f("http.service", "httpd.service", "httpd-init.service")
	f("HTTPD.socket", "httpd.socket")
	f("crno.service", "cron.service", "crond.service")
	f("crons.service", "cron.service", "crond.service")
	f("zzzzzzzz.service")
	f("b.service", "a.service")
	f(".service", "a.service")
}

func TestDistance(t *testing.T) {
	f := func(a, b string, want int) {
		t.Helper()
		if got := distance(a, b); got != want {
			t.Errorf("distance(%q, %q) = %d, want %d", a, b, got, want)
		}
	}
	f("", "", 0)
	f("abc", "", 3)
	f("kitten", "sitting", 3)
	f("httpd", "htpd", 1)
	f("ab", "ba", 2)
}

package services

import (
	"slices"
	"testing"
)

func TestNearest(t *testing.T) {
	names := []string{"httpd.service", "httpd-init.service", "httpd.socket", "sshd.service", "ssh.service", "cron.service", "crond.service", "a.service"}
	f := func(name string, want ...string) {
		t.Helper()
		if got := nearestUnits(name, names, 3); !slices.Equal(got, want) {
			t.Errorf("nearestUnits(%q) = %q, want %q", name, got, want)
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

package services

import "testing"

// A service that runs and does not answer is restarted, not only started.
func TestRestart(t *testing.T) {
	m := newSystemctl(t)
	m.unit(t, "x.service", "ActiveState=active")
	for _, name := range []string{"x", "x.service"} {
		svc, changed := silent(name)
		if out := m.systemctl(t, svc, changed); out.Action != "restart" || out.Degraded != "" {
			t.Errorf("outcome %+v", out)
		}
		if ran := m.ran(t); ran != "restart x.service" {
			t.Errorf("ran %q", ran)
		}
	}
	// Below another root nothing can be restarted, and nothing is.
	if err := Restart(t.Context(), newMachine(t).System, "sysvinit", "x"); err == nil {
		t.Error("Restart below another root is no error")
	}
}

package services

import (
	"errors"
	"testing"
)

func TestUnitsThatNeedNoStart(t *testing.T) {
	tests := []struct {
		name string
		unit []string // properties; nil: there is no such unit
		want bool
	}{
		{"running", []string{"ActiveState=active", "SubState=running"}, true},
		{"reloading", []string{"ActiveState=reloading"}, true},
		{"on its way up", []string{"ActiveState=activating", "SubState=start"}, true},
		{"queued to start", []string{"ActiveState=inactive", "Job=7"}, true},
		{"restarted by somebody, and still on its way down", []string{"ActiveState=deactivating", "SubState=stop-sigterm", "Job=7"}, true},
		{"ending by itself", []string{"ActiveState=deactivating", "SubState=stop-sigterm"}, false},
		{"tried again and again", []string{"ActiveState=activating", "SubState=auto-restart"}, false},
		{"stopped", []string{"ActiveState=inactive"}, false},
		{"failed", []string{"ActiveState=failed", "Result=exit-code"}, false},
		{"ended by design", []string{"ActiveState=inactive", "Type=oneshot"}, true},
		{"ended by design and failed", []string{"ActiveState=failed", "Type=oneshot", "Result=exit-code"}, false},
		{"not there", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := newSystemctl(t)
			if tt.unit != nil {
				m.unit(t, "x.service", tt.unit...)
			}
			st, err := (&systemctl{System: m.System}).status(t.Context(), "x.service")
			if err != nil || st.well() != tt.want {
				t.Errorf("%+v needs no start: %v, %v, want %v", st, st.well(), err, tt.want)
			}
			if ran := m.ran(t); ran != "" {
				t.Errorf("ran %q", ran)
			}
		})
	}
}

func TestNothingRunsInATree(t *testing.T) {
	m := newSystemctl(t)
	m.Root = t.TempDir()
	if up, err := Running(t.Context(), m.System, "systemd", "x"); up || !errors.Is(err, ErrNothingRuns) {
		t.Errorf("Running = %v, %v, want %v", up, err, ErrNothingRuns)
	}
}

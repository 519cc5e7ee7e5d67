package store

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/cfn-agent/cfn-agent/watch"
)

// What an alarm has in common with the one before it is kept once.
func TestAlarmsAreToldFromThoseBefore(t *testing.T) {
	s := fresh(t)
	var first, second watch.Alarm
	n := 0
	fill(t, reflect.ValueOf(&first).Elem(), &n)
	fill(t, reflect.ValueOf(&second).Elem(), &n)
	kinds := []watch.Alarm{first, {Project: "p"}, second}
	want := map[string]watch.Alarm{}
	for i := range 6 * loaders {
		a := kinds[i/2%len(kinds)]
		a.ID, a.Name = 0, fmt.Sprint("alarm ", i)
		stored, err := s.PutAlarm(t.Context(), a, nil)
		if err != nil {
			t.Fatal(err)
		}
		want[a.Name] = stored
	}
	all := loadAll(t, s)
	for name, a := range want {
		if got := all[name].Alarm; !reflect.DeepEqual(got, a) {
			t.Errorf("loaded %+v,\nwant %+v", got, a)
		}
	}
}

// What is no text in the column of actions is an error, not an alarm that does
// nothing.
func TestActionsThatCannotBeReadAreAnError(t *testing.T) {
	s := fresh(t)
	if _, err := s.PutAlarm(t.Context(), watch.Alarm{Project: "p", Name: "a", OnAlarm: []string{"cfnwatch:notify"}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.Exec("UPDATE alarm SET on_alarm = x'5b5d'"); err != nil {
		t.Fatal(err)
	}
	err := s.Load(t.Context(), func(a watch.Alarm, _ watch.Kept) error {
		t.Errorf("loaded %+v, want an error", a)
		return nil
	})
	if err == nil {
		t.Error("Load = nil, want an error")
	}
}

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

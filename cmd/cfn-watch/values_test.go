package main

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

func TestValues(t *testing.T) {
	var n int
	var d time.Duration
	var f float64
	var b bool
	var words1, words2 []string
	var list []budget
	apiMay := words(&words1, "webhook", "notify")
	for _, tt := range []struct {
		take  func(string) error
		value string
		got   any
		want  any // nil: an error, and what was there stays
	}{
		{count(&n), "1", &n, 1},
		{count(&n), "0", &n, nil},
		{count(&n), "-3", &n, nil},
		{count(&n), "1.5", &n, nil},
		{span(&d), "90m", &d, 90 * time.Minute},
		{span(&d), "2d", &d, 48 * time.Hour},
		{span(&d), "36500d", &d, 36500 * day},
		{span(&d), "213504d", &d, nil}, // more than a duration can be: it would be 25 min
		{span(&d), "0s", &d, nil},
		{span(&d), "-1h", &d, nil},
		{span(&d), "d", &d, nil},
		{share(&f), "100%", &f, 1.0},
		{share(&f), "0.5%", &f, 0.005},
		{share(&f), "0%", &f, nil},
		{share(&f), "101%", &f, nil},
		{share(&f), "NaN%", &f, nil},
		{perSecond(&f), "0.5/s", &f, 0.5},
		{perSecond(&f), "2", &f, 2.0},
		{perSecond(&f), "0/s", &f, nil},
		{perSecond(&f), "Inf/s", &f, nil},
		{yes(&b), "Yes", &b, true},
		{yes(&b), "OFF", &b, false},
		{yes(&b), "ja", &b, nil},
		{words(&words2), "a, ,b,", &words2, []string{"a", "b"}},
		{apiMay, "notify,webhook", &words1, []string{"notify", "webhook"}},
		{apiMay, "notify, exec", &words1, nil},
		{budgets(&list), "3/1h,6/1d", &list, []budget{{3, time.Hour}, {6, day}}},
		{budgets(&list), "3/1h,", &list, nil},
		{budgets(&list), "3/", &list, nil},
	} {
		before := fmt.Sprint(reflect.ValueOf(tt.got).Elem())
		err := tt.take(tt.value)
		got := reflect.ValueOf(tt.got).Elem().Interface()
		switch {
		case tt.want == nil && (err == nil || fmt.Sprint(got) != before):
			t.Errorf("%T of %q = %v, %v, want an error", got, tt.value, got, err)
		case tt.want != nil && (err != nil || !reflect.DeepEqual(got, tt.want)):
			t.Errorf("%T of %q = %v, %v, want %v", got, tt.value, got, err, tt.want)
		}
	}
}

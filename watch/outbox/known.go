package outbox

import (
	"context"
	"slices"

	"github.com/cfn-agent/cfn-agent/agent/nearest"
	"github.com/cfn-agent/cfn-agent/watch"
)

// Known says whether a suspension holds anything that there is now, and if not
// what is there by nearly that name; empty: nothing.
func (o *Outbox) Known(ctx context.Context, s Suspension) (known bool, near string, err error) {
	if s.Scope == OfAll {
		return true, "", nil
	}
	if s.Scope == OfTarget {
		rows, err := o.Store.Rows(ctx, RowQuery{Object: s.Name, Limit: 1})
		if err != nil || len(rows) > 0 {
			return true, "", err
		}
	}
	names := map[string]struct{}{}
	for v := range o.Engine.Each(o.now(), operator, watch.AlarmQuery{}) {
		for _, object := range objects(v.Alarm) {
			if s.covers(v.Project, v.Name, object, v.Stack, v.StackID) {
				return true, "", nil
			}
			names[s.Scope.nameOf(v.Alarm, object)] = struct{}{}
		}
	}
	return false, nearest.Word(s.Name, sorted(names), 3), nil
}

// nameOf is what an alarm, or what it is about, is called in a scope.
func (s Scope) nameOf(a watch.Alarm, object string) string {
	switch s {
	case OfAlarm:
		return a.Name
	case OfProject:
		return a.Project
	case OfStack:
		return a.Stack
	}
	return object
}

func sorted(names map[string]struct{}) []string {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// objects are what the rough actions of an alarm can be about.
func objects(a watch.Alarm) []string {
	list := []string{objectOf(a.Project, a.Name, a.Target)}
	for _, action := range slices.Concat(a.OnAlarm, a.OnOK, a.OnNoData) {
		if n, err := ParseName(action); err == nil && n.Rough() {
			list = append(list, n.object(a.Project, a.Name, a.Target))
		}
	}
	return list
}

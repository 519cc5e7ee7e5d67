package rules

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// Changes are what leads a server's alarms to a Set.
type Changes struct {
	Define []watch.Alarm // new ones, and those that mean something else now
	Delete []watch.Alarm // those of rules that are gone
}

// Plan compares the alarms that a server has with the rules. Alarms that did
// not come from rules are left alone, unless a rule has their name. What a
// rule does not say of tags, and of whether actions are on, stays as it is: it
// may have been set while the server ran.
func (s *Set) Plan(running []watch.Alarm) (c Changes) {
	type id struct{ project, name string }
	have := map[id]*watch.Alarm{}
	for i := range running {
		have[id{running[i].Project, running[i].Name}] = &running[i]
	}
	for _, r := range s.Rules {
		now := have[id{r.Alarm.Project, r.Alarm.Name}]
		delete(have, id{r.Alarm.Project, r.Alarm.Name})
		if now == nil {
			c.Define = append(c.Define, r.Alarm)
			continue
		}
		want := r.Alarm
		if _, said := r.said["Tags"]; !said {
			want.Tags = now.Tags
		}
		if _, said := r.said["ActionsEnabled"]; !said {
			want.ActionsEnabled = now.ActionsEnabled
		}
		if !sameMeaning(want, *now) {
			c.Define = append(c.Define, want)
		}
	}
	for _, a := range running {
		if a.Origin == watch.FromRules && have[id{a.Project, a.Name}] != nil {
			c.Delete = append(c.Delete, a)
		}
	}
	return c
}

// sameMeaning says whether two definitions differ at most in where they stand.
func sameMeaning(a, b watch.Alarm) bool {
	for _, x := range []*watch.Alarm{&a, &b} {
		x.ID, x.Revision, x.File, x.Created, x.Updated = 0, 0, "", time.Time{}, time.Time{}
		x.Dimensions = slices.Clone(x.Dimensions)
		slices.SortFunc(x.Dimensions, func(d, e watch.Dimension) int { return strings.Compare(d.Name, e.Name) })
		if len(x.Dimensions) == 0 {
			x.Dimensions = nil
		}
		if len(x.Tags) == 0 {
			x.Tags = nil
		}
		for _, list := range []*[]string{&x.OnAlarm, &x.OnOK, &x.OnNoData} {
			if len(*list) == 0 {
				*list = nil
			}
		}
	}
	return reflect.DeepEqual(a, b)
}

// Apply leads an engine's alarms to the rules: it defines first, then deletes,
// so that what was renamed is never unwatched. It returns what it planned; an
// error says at which alarm it stopped, and applying again goes on from there.
func (s *Set) Apply(ctx context.Context, now time.Time, e *watch.Engine) (Changes, error) {
	var running []watch.Alarm
	for _, v := range e.Alarms(now, watch.Caller{Role: watch.Operator}, watch.AlarmQuery{Origin: watch.FromRules}) {
		running = append(running, v.Alarm)
	}
	for _, r := range s.Rules { // a million others are not looked at
		if v, ok := e.View(now, r.Alarm.Project, r.Alarm.Name); ok && v.Origin != watch.FromRules {
			running = append(running, v.Alarm)
		}
	}
	c := s.Plan(running)
	return c, c.apply(ctx, now, e)
}

func (c Changes) apply(ctx context.Context, now time.Time, e *watch.Engine) error {
	for _, a := range c.Define {
		if _, err := e.Define(ctx, now, watch.Caller{Role: watch.Operator, Project: a.Project}, a); err != nil {
			return fmt.Errorf("%s: %s: %w", a.File, a.Name, err)
		}
	}
	for _, a := range c.Delete {
		err := e.Delete(ctx, now, watch.Caller{Role: watch.Operator, Project: a.Project}, []string{a.Name})
		if err != nil && !errors.Is(err, watch.ErrNotFound) { // deleted by somebody else: as wanted
			return err
		}
	}
	return nil
}

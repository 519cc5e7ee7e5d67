package outbox

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Permit says which actions alarms may ask for, by where they come from.
type Permit struct {
	API []Kind // of alarms that come by PutMetricAlarm; restart stands for reboot, replace and stack too
}

// never are what no alarm of the API may ask for: what runs on the operator's
// machine, and what is about hosts.
var never = []Kind{Exec, Evacuate}

// restarts are what restart stands for, and with signals what alarms of stacks
// may ask for, on resources of their stack.
var restarts = []Kind{Restart, Reboot, Replace, Stack}

// Check says what an alarm asks for that it may not, all of it, and what it
// may: a *watch.InvalidError. Whether a server is of the alarm's own project
// is not asked here: that needs the cloud, and is asked before the action.
func (p Permit) Check(a watch.Alarm) error {
	var wrong []watch.Mistake
	for _, list := range []struct {
		field   string
		actions []string
	}{{"AlarmActions", a.OnAlarm}, {"OKActions", a.OnOK}, {"InsufficientDataActions", a.OnNoData}} {
		for i, action := range list.actions {
			if err := p.allows(a, action); err != nil {
				wrong = append(wrong, watch.Mistake{Field: fmt.Sprintf("%s[%d]", list.field, i), What: err.Error()})
			}
		}
	}
	if a.Origin != watch.FromRules && !ownTarget(a) {
		wrong = append(wrong, watch.Mistake{Field: "cfnwatch:Target", What: fmt.Sprintf("%q is not allowed here: %s", a.Target, ownTargets(a))})
	}
	if wrong == nil {
		return nil
	}
	return &watch.InvalidError{Code: watch.InvalidValue, Mistakes: wrong}
}

func (p Permit) allows(a watch.Alarm, action string) error {
	n, err := ParseName(action)
	if err != nil {
		return err
	}
	if a.Origin == watch.FromRules {
		return nil
	}
	kinds := append([]Kind{Signal}, restarts...)
	if a.Origin != watch.FromStack {
		kinds = p.api()
	}
	switch {
	case !slices.Contains(kinds, n.Kind):
		return fmt.Errorf("%s is not allowed here: %s", Shown(action), list(kinds))
	case a.Origin == watch.FromStack && !ownStack(a, n.Argument):
		return fmt.Errorf("%s is not allowed here: it is not of the alarm's own stack %s", action, a.Stack)
	}
	return nil
}

// api are the kinds that alarms of the API may ask for.
func (p Permit) api() []Kind {
	var kinds []Kind
	for _, k := range p.API {
		switch {
		case k == Restart:
			kinds = append(kinds, restarts...)
		case !slices.Contains(never, k):
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// ownTarget says whether a target is surely of the alarm's own project and stack:
// budgets and suspensions are a target's, whoever names it. Whose a server is its
// id alone does not tell.
func ownTarget(a watch.Alarm) bool {
	return a.Target == "" || a.Target == "self" ||
		ofStack(a) && strings.HasPrefix(a.Target, "stack/") && target.MatchString(a.Target) && ownStack(a, a.Target)
}

// ownTargets says which those are.
func ownTargets(a watch.Alarm) string {
	if !ofStack(a) {
		return "only self, or with a Stack stack/<it>/<resource>"
	}
	return "only self and stack/" + cmp.Or(a.Stack, a.StackID) + "/<resource>"
}

// ofStack says whether an alarm is of one stack.
func ofStack(a watch.Alarm) bool {
	return a.Stack != "" && a.Stack != watch.AnyStack || a.StackID != ""
}

// ownStack says that a target is not of a stack that is known to be another.
func ownStack(a watch.Alarm, target string) bool {
	rest, ok := strings.CutPrefix(target, "stack/")
	if !ok {
		return true
	}
	stack, _, _ := strings.Cut(rest, "/")
	return stack == a.Stack || stack == a.StackID
}

func list(kinds []Kind) string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	if len(words) == 0 {
		return "nothing is"
	}
	slices.Sort(words)
	return "only " + strings.Join(words, ", ")
}

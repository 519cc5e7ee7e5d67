package outbox

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Permit says which actions alarms may ask for, by where they come from.
type Permit struct {
	API []Kind // of alarms that come by PutMetricAlarm: see ParseAPI; nil: DefaultAPI
}

// DefaultAPI is what alarms of the API may ask for where nothing is configured.
var DefaultAPI = []Kind{Webhook, Signal, Notify}

// never are what no alarm of the API may ask for: what runs on the operator's
// machine, and what is about hosts.
var never = []Kind{Exec, Evacuate}

// ofStacks are what alarms of stacks may ask for, on resources of their stack.
var ofStacks = []Kind{Signal, Restart, Reboot, Replace, Stack}

// ParseAPI reads what the configuration lets alarms of the API ask for: kinds
// of actions, of which restart stands for reboot, replace and stack too.
func ParseAPI(words []string) ([]Kind, error) {
	var kinds []Kind
	for _, word := range words {
		k := Kind(word)
		_, known := arguments[k]
		switch {
		case slices.Contains(never, k):
			return nil, fmt.Errorf("%s is never allowed to alarms of the API", k)
		case k == Restart:
			kinds = append(kinds, Restart, Reboot, Replace, Stack)
		case known || k == Webhook || k == Signal:
			kinds = append(kinds, k)
		default:
			return nil, fmt.Errorf("%w, or webhook, or signal", unknownKind(word))
		}
	}
	return kinds, nil
}

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
	var kinds []Kind
	switch a.Origin {
	case watch.FromRules:
		return nil
	case watch.FromStack:
		kinds = ofStacks
	default:
		if kinds = p.API; kinds == nil {
			kinds = DefaultAPI
		}
	}
	switch {
	case !slices.Contains(kinds, n.Kind) || slices.Contains(never, n.Kind):
		return fmt.Errorf("%s is not allowed here: only %s", Shown(action), list(kinds))
	case n.Kind == Masakari && !serverID.MatchString(n.Argument):
		return fmt.Errorf("%s is not allowed here: a server's id is, a host is not", action)
	case a.Origin == watch.FromStack && !ownStack(a, n.Argument):
		return fmt.Errorf("%s is not allowed here: it is not of the alarm's own stack %s", action, a.Stack)
	}
	return nil
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
	slices.Sort(words)
	return strings.Join(words, ", ")
}

package outbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A Status is how far a row has come.
type Status string

// Statuses of a row. Held and Failed rows are taken up again at their Next;
// the last four are ends.
const (
	Wanted    Status = "wanted"
	Claimed   Status = "claimed"
	Looked    Status = "looked"    // its baseline is known
	Acting    Status = "acting"    // the action may have begun
	Acted     Status = "acted"     // the other side has answered
	Verifying Status = "verifying" // the answer says yes, the effect is awaited
	Held      Status = "held"      // by a gate, for a time
	Failed    Status = "failed"    // and tried again

	Done    Status = "done"
	Refused Status = "refused" // by a gate, for good
	GaveUp  Status = "gave-up"
	Unknown Status = "unknown" // broken off in the middle: nobody can tell whether it ran
)

// Ended says that nothing more is done about a row.
func (s Status) Ended() bool {
	return s == Done || s == Refused || s == GaveUp || s == Unknown
}

// InFlight says that an action may be under way.
func (s Status) InFlight() bool {
	return s == Acting || s == Acted || s == Verifying
}

// A Row is an action that is or was wanted.
type Row struct {
	ID  int64  // the store's own, by which it is claimed and written; 0: it is not there yet
	Key string // unique for ever: see RowOf; that of a rough action begins with Object and |
	watch.Wanted
	Rough  bool   // it touches a machine; else it is a message
	Object string // what a rough action is about, by the alarm's Target or what the action names: see objectOf
	Born   time.Time

	Status Status
	Next   time.Time // not looked at before
	Claim  string    // who works on it; empty: nobody
	Lease  time.Time // when the claim ends by itself
	Began  time.Time // when it was last acting, a message first; zero: never

	Gate  string    // that holds or refused it: g1 to g10; empty: none
	Why   string    // for people: what Gate or the last failure said
	Since time.Time // when Gate began to say so
	Told  bool      // the operator was told of this hold

	Tries    int             // how often acting failed
	PutOff   time.Duration   // the waits after that, together
	Baseline json.RawMessage // what looked saw; what the action itself keeps
	Forgiven bool            // by a reset: no longer counted by budgets
	Trial    bool            // of test-action: marked, and rough actions stop before they act
	Notice   string          // what a notice to the operator says; empty: it tells of the transition
	Steps    []Step          // the last of them, oldest first
}

// A Step is something that happened to a row.
type Step struct {
	At      time.Time `json:"at"`
	Status  Status    `json:"status"`
	HTTP    int       `json:"http,omitempty"`    // status of the answer; 0: none
	Request string    `json:"request,omitempty"` // x-openstack-request-id
	Text    string    `json:"text,omitempty"`
}

// keptSteps is how many steps of a row are kept: the first and the last say
// most, the tries between are alike.
const keptSteps = 24

// RowOf returns the row of an action wanted at a time. A message has the key
// alarm.revision.transition.index.repeat; a rough action has what it is about,
// the transition that opened its episode, what it does, and the attempt.
func RowOf(w watch.Wanted, at time.Time) Row {
	r := Row{Wanted: w, Born: at, Status: Wanted, Next: at}
	n, err := ParseName(w.Action)
	// What cannot be parsed is refused when its turn comes: as a message it
	// would wait behind others.
	if r.Rough = err != nil || n.Rough(); r.Rough {
		r.Data = nil // it is for whoever is told
	}
	episode := fmt.Sprintf("%d.%d.%d", w.AlarmID, w.Revision, w.Number)
	if !r.Rough {
		r.Key = fmt.Sprintf("%s.%d.%d", episode, w.Index, w.Repeat)
		return r
	}
	r.Object = n.object(w.Project, w.Alarm, w.Target)
	r.Key = fmt.Sprintf("%s|%s|%d:%s|1", r.Object, episode, w.Index, strings.TrimPrefix(w.Action, prefix))
	return r
}

// object is what a rough action of an alarm with a target is about.
func (n Name) object(project, alarm, target string) string {
	if target == "" && n.Kind != Exec {
		target = n.Argument
	}
	return objectOf(project, alarm, target)
}

// objectOf is what the rough actions of an alarm with a target are about: names
// that mean something else in another project, or for another alarm, are made
// to differ, since what is about one object waits for each other and has one
// budget.
func objectOf(project, alarm, target string) string {
	switch {
	case target == "" || target == "self":
		return "alarm/" + project + "/" + alarm
	case strings.HasPrefix(target, "stack/"):
		return "project/" + project + "/" + target
	}
	return target
}

// note adds a step.
func (r *Row) note(s Step) {
	r.Steps = append(r.Steps, s)
	if len(r.Steps) > keptSteps {
		r.Steps = append(r.Steps[:keptSteps/2:keptSteps/2], r.Steps[len(r.Steps)-keptSteps/2:]...)
	}
}

// kind is what the row's action does; empty: nobody knows.
func (r *Row) kind() Kind {
	n, _ := ParseName(r.Action)
	return n.Kind
}

// endpoint is where the row's action goes, for what its project has sent there:
// what another has, to a path of its own on the same host, is nothing to it. Empty
// as endpointOf.
func (r *Row) endpoint() string {
	if at := endpointOf(r.Action); at != "" {
		return r.Project + " " + at
	}
	return ""
}

// noAction says that a name is understood, but nothing here does it.
func noAction(action string) string {
	if action == prefix+string(Notify) {
		return fmt.Sprintf("%s has nobody to tell: [notify] url says whom", action)
	}
	return fmt.Sprintf("this server cannot do %s: it does webhooks, signals, %s%s and %[2]s%[4]s", Shown(action), prefix, Exec, Notify)
}

// Undoable says of each action that an alarm asks for and nothing here does
// why it will be refused.
func (o *Outbox) Undoable(a watch.Alarm) (why []string) {
	actions := o.settings.Load().Actions
	for _, list := range [][]string{a.OnAlarm, a.OnOK, a.OnNoData} {
		for _, action := range list {
			if n, err := ParseName(action); err == nil && actions[n.Kind] == nil {
				why = append(why, noAction(action))
			}
		}
	}
	slices.Sort(why)
	return slices.Compact(why)
}

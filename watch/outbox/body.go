package outbox

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// body is what receivers of messages get: the document that Aodh posts to
// alarm actions (aodh/notifier/rest.py), and ours beside it.
type body struct {
	AlarmName  string          `json:"alarm_name"`
	AlarmID    string          `json:"alarm_id"`
	Severity   string          `json:"severity"`
	Previous   string          `json:"previous"`
	Current    string          `json:"current"`
	Reason     string          `json:"reason"`
	ReasonData json.RawMessage `json:"reason_data"`
	Ours       ours            `json:"cfnwatch"`
}

type ours struct {
	Key        string    `json:"key"`
	Project    string    `json:"project"`
	Alarm      string    `json:"alarm"`
	Revision   int       `json:"revision"`
	Transition int       `json:"transition"`
	Repeat     int       `json:"repeat,omitempty"`
	At         time.Time `json:"at"` // of the transition
	Target     string    `json:"target"`
	Rung       string    `json:"rung"`
	Notice     bool      `json:"notice,omitempty"` // about an action, not a transition
	Test       bool      `json:"test,omitempty"`
	DryRun     bool      `json:"dry_run,omitempty"`
}

// aodhState is a state as Aodh spells it.
func aodhState(s watch.State) string {
	return strings.ReplaceAll(strings.ToLower(string(s)), "_", " ")
}

// severity is Aodh's default; alarms of CloudWatch have none.
const severity = "low"

// bodyOf is the document for a row.
func bodyOf(r Row, dryRun bool) ([]byte, error) {
	b := body{
		AlarmName: r.Alarm, AlarmID: strconv.FormatInt(r.AlarmID, 10), Severity: severity,
		Previous: aodhState(r.From), Current: aodhState(r.To),
		Reason: r.Transition.Reason, ReasonData: r.Data,
		Ours: ours{
			Key: r.Key, Project: r.Project, Alarm: r.Alarm, Revision: r.Revision, Transition: r.Number, Repeat: r.Repeat,
			At: r.At.UTC(), Target: r.Target, Notice: r.Notice != "", Test: r.Trial, DryRun: dryRun,
		},
	}
	if r.Notice != "" {
		b.Reason = r.Notice
	}
	if len(b.ReasonData) == 0 || string(b.ReasonData) == "null" {
		b.ReasonData = json.RawMessage("{}")
	}
	return json.Marshal(b)
}

// handleBody is what a wait condition's handle takes
// (heat/engine/resources/aws/cfn/wait_condition_handle.py): these keys, no
// others. That the alarm came to this state is what it waits for.
func handleBody(r Row) ([]byte, error) {
	return json.Marshal(struct {
		Status   string
		Reason   string
		UniqueID string `json:"UniqueId"`
		Data     string
	}{"SUCCESS", r.Transition.Reason, r.Key, string(r.To)})
}

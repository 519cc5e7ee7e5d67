package watch

import (
	"encoding/json"
	"fmt"
)

// Event is the entry of the history that tells of a transition.
func (t Transition) Event() Event {
	type side struct {
		State  State           `json:"stateValue"`
		Reason string          `json:"stateReason,omitempty"`
		Data   json.RawMessage `json:"stateReasonData,omitempty"`
	}
	said := struct {
		Version    string `json:"version"`
		Old        side   `json:"oldState"`
		New        side   `json:"newState"`
		Transition int    `json:"transition"`
		Revision   int    `json:"revision"`
	}{"1.0", side{State: t.From}, side{t.To, t.Reason, t.Data}, t.Number, t.Revision}
	data, err := json.Marshal(said)
	if err != nil || len(data) > mostHistory { // data that SetAlarmState gave
		said.New.Data = nil
		data, _ = json.Marshal(said)
	}
	return Event{At: t.At, Kind: StateUpdate, Project: t.Project, Alarm: t.Alarm,
		Summary: fmt.Sprintf("Alarm updated from %s to %s", t.From, t.To), Data: data}
}

// mostHistory bounds HistoryData, as CloudWatch does.
const mostHistory = 4_095

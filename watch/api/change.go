package api

import (
	"context"
	"encoding/json"

	"github.com/cfn-agent/cfn-agent/watch"
)

// namesInput is the input of DeleteAlarms, EnableAlarmActions and
// DisableAlarmActions.
type namesInput struct{ AlarmNames []string }

func (in *namesInput) check() error {
	switch {
	case len(in.AlarmNames) == 0:
		return missing("AlarmNames")
	case len(in.AlarmNames) > maxNames:
		return invalid("AlarmNames has %d members, and %d are the most", len(in.AlarmNames), maxNames)
	}
	return nil
}

func (h *Handler) deleteAlarms(ctx context.Context, c *call, in *namesInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	for _, name := range in.AlarmNames {
		if v, ok := h.engine.View(c.arrived, c.caller.Project, name); ok {
			if err := mayChange(v.Alarm); err != nil {
				return nil, err
			}
		}
	}
	return &nothing{}, h.engine.Delete(ctx, c.arrived, c.caller, in.AlarmNames)
}

func (h *Handler) enableAlarmActions(ctx context.Context, c *call, in *namesInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return &nothing{}, h.engine.EnableActions(ctx, c.arrived, c.caller, in.AlarmNames, true)
}

func (h *Handler) disableAlarmActions(ctx context.Context, c *call, in *namesInput) (*nothing, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	return &nothing{}, h.engine.EnableActions(ctx, c.arrived, c.caller, in.AlarmNames, false)
}

type setAlarmStateInput struct {
	AlarmName       string
	StateValue      string
	StateReason     string
	StateReasonData string
}

// setAlarmState sets a state by hand. A reason is not asked for: old Heat's
// clients gave none.
func (h *Handler) setAlarmState(ctx context.Context, c *call, in *setAlarmStateInput) (*nothing, error) {
	switch {
	case in.AlarmName == "":
		return nil, missing("AlarmName")
	case in.StateValue == "":
		return nil, missing("StateValue")
	}
	if in.StateReason == "" {
		in.StateReason = "set by hand"
	}
	var data json.RawMessage
	if in.StateReasonData != "" {
		data = json.RawMessage(in.StateReasonData)
	}
	return &nothing{}, h.engine.SetState(ctx, c.arrived, c.caller, in.AlarmName, watch.State(in.StateValue), in.StateReason, data)
}

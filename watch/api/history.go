package api

import (
	"context"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

type describeAlarmHistoryInput struct {
	AlarmName       string
	AlarmTypes      []string
	HistoryItemType string
	StartDate       *stamp
	EndDate         *stamp
	ScanBy          string
	MaxRecords      *int
	NextToken       string
}

type describeAlarmHistoryOutput struct {
	AlarmHistoryItems list[historyItem]
	NextToken         string `json:",omitempty" xml:",omitempty"`
}

// A historyItem is AlarmHistoryItem of the model.
type historyItem struct {
	AlarmName       string `json:",omitempty" xml:",omitempty"`
	AlarmType       string
	Timestamp       *stamp
	HistoryItemType string
	HistorySummary  string
	HistoryData     string `json:",omitempty" xml:",omitempty"`
}

// kindsOf are the events that a history item type means: what became of an
// action, its gates and suspensions among it, is of type Action.
func kindsOf(itemType string) ([]watch.EventKind, error) {
	actions := []watch.EventKind{watch.Action, watch.Gate, watch.Suspension}
	switch kind := watch.EventKind(itemType); kind {
	case "":
		return append(actions, watch.ConfigurationUpdate, watch.StateUpdate), nil
	case watch.ConfigurationUpdate, watch.StateUpdate:
		return []watch.EventKind{kind}, nil
	case watch.Action:
		return actions, nil
	}
	return nil, invalid("HistoryItemType is none of ConfigurationUpdate, StateUpdate and Action")
}

// describeAlarmHistory shows what became of the project's alarms, of deleted
// ones too.
func (h *Handler) describeAlarmHistory(ctx context.Context, c *call, in *describeAlarmHistoryInput) (*describeAlarmHistoryOutput, error) {
	q := watch.EventQuery{Alarm: in.AlarmName}
	var err error
	if q.Kinds, err = kindsOf(in.HistoryItemType); err != nil {
		return nil, err
	}
	if q.Limit, err = pageSize(in.MaxRecords, maxPage); err != nil {
		return nil, err
	}
	if q.Next, err = cutToken(c.name, in.NextToken); err != nil {
		return nil, err
	}
	switch in.ScanBy {
	case "", "TimestampDescending":
	case "TimestampAscending":
		q.OldestFirst = true
	default:
		return nil, noScan()
	}
	if in.StartDate != nil {
		q.From = time.Time(*in.StartDate)
	}
	if in.EndDate != nil {
		q.To = time.Time(*in.EndDate)
	}
	events, next, err := h.engine.Events(ctx, c.caller, q)
	if err != nil {
		return nil, err
	}
	out := &describeAlarmHistoryOutput{AlarmHistoryItems: list[historyItem]{}, NextToken: token(c.name, next)}
	for _, e := range events {
		out.AlarmHistoryItems = append(out.AlarmHistoryItems, historyItemOf(e))
	}
	return out, nil
}

func historyItemOf(e watch.Event) historyItem {
	kind := e.Kind
	if kind == watch.Gate || kind == watch.Suspension {
		kind = watch.Action
	}
	return historyItem{
		AlarmName: e.Alarm, AlarmType: "MetricAlarm", Timestamp: stampOf(e.At),
		HistoryItemType: string(kind), HistorySummary: e.Summary, HistoryData: string(e.Data),
	}
}

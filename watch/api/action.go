package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cfn-agent/cfn-agent/watch"
)

// pushAction is the one action of guests.
const pushAction = "PutMetricData"

// An action is one of the API: who may ask for it, and what it does.
type action struct {
	least watch.Role
	do    func(h *Handler, c *call) (any, error)
}

// actions are all that are served.
var actions = map[string]action{
	pushAction:                of(watch.Guest, (*Handler).putMetricData),
	"PutMetricAlarm":          of(watch.Member, (*Handler).putMetricAlarm),
	"DescribeAlarms":          of(watch.Reader, (*Handler).describeAlarms),
	"DescribeAlarmsForMetric": of(watch.Reader, (*Handler).describeAlarmsForMetric),
	"DescribeAlarmHistory":    of(watch.Reader, (*Handler).describeAlarmHistory),
	"DeleteAlarms":            of(watch.Member, (*Handler).deleteAlarms),
	"SetAlarmState":           of(watch.Member, (*Handler).setAlarmState),
	"EnableAlarmActions":      of(watch.Member, (*Handler).enableAlarmActions),
	"DisableAlarmActions":     of(watch.Member, (*Handler).disableAlarmActions),
	"ListMetrics":             of(watch.Reader, (*Handler).listMetrics),
	"GetMetricStatistics":     of(watch.Reader, (*Handler).getMetricStatistics),
	"GetMetricData":           of(watch.Reader, (*Handler).getMetricData),
	"ListTagsForResource":     of(watch.Reader, (*Handler).listTags),
	"TagResource":             of(watch.Member, (*Handler).tagResource),
	"UntagResource":           of(watch.Member, (*Handler).untagResource),
	"PutCompositeAlarm":       {watch.Member, func(*Handler, *call) (any, error) { return nil, noComposites() }},
}

// of makes an action of a method that takes one request type.
func of[In, Out any](least watch.Role, f func(*Handler, context.Context, *call, *In) (*Out, error)) action {
	return action{least, func(h *Handler, c *call) (any, error) {
		in := new(In)
		if err := c.protocol.decode(c.Request, c.body, in); err != nil {
			return nil, err
		}
		if least == watch.Member {
			if err := h.changes.take(c.caller, alarmsOf(in), time.Now()); err != nil {
				return nil, err
			}
			h.changing.Lock()
			defer h.changing.Unlock()
		}
		out, err := f(h, c.Context(), c, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// alarmsOf is how many alarms a request is about, as far as one may be.
func alarmsOf(in any) int {
	if list, ok := in.(*namesInput); ok {
		return min(max(1, len(list.AlarmNames)), maxNames)
	}
	return 1
}

// actionOf is the action of a name.
func actionOf(name string) (action, error) {
	a, ok := actions[name]
	switch {
	case ok:
		return a, nil
	case name == "":
		return a, &Error{Status: 400, Code: "MissingAction", Message: "the request names no action"}
	}
	shown := strings.Map(func(r rune) rune {
		if r < 0x80 && (r|0x20 >= 'a' && r|0x20 <= 'z' || r >= '0' && r <= '9') {
			return r
		}
		return -1
	}, name)
	return a, &Error{400, "InvalidAction", "the action " + shown[:min(len(shown), 64)] + " is not served here", 0}
}

// allows says whether a role may ask for an action. A guest pushes and sees
// nothing, a reader sees and pushes nothing.
func (a action) allows(r watch.Role) bool {
	switch r {
	case watch.Operator, watch.Member:
		return true
	case watch.Guest, watch.Reader:
		return r == a.least
	}
	return false
}

func denied(c *call) *Error {
	return &Error{Status: 403, Code: "AccessDenied", Message: "a key of role " + string(c.caller.Role) + " may not call " + c.name}
}

// mayPush says whether a request is a push as far as its outside shows: what
// is compressed may be one.
func (c *call) mayPush() bool {
	if _, ok := c.protocol.(*queryProtocol); !ok {
		name, _ := c.protocol.action(c.Request, nil)
		return name == pushAction
	}
	if c.name != "" {
		return c.name == pushAction
	}
	return c.Header.Get("Content-Encoding") != "" || names(c.body) || names([]byte(c.URL.RawQuery))
}

var pushParam = []byte("Action=" + pushAction)

// names says whether parameters name the push.
func names(params []byte) bool {
	_, rest, ok := bytes.Cut(params, pushParam)
	return ok && (len(rest) == 0 || rest[0] == '&')
}

// newID is a request's: it must differ from others, and is no secret, so that it
// need not cost what crypto/rand does.
func newID() string {
	var id uuid.UUID
	binary.NativeEndian.PutUint64(id[:8], rand.Uint64())
	binary.NativeEndian.PutUint64(id[8:], rand.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // version 4 of RFC 9562
	return id.String()
}

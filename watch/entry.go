package watch

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"time"
)

// An entry is an alarm and all that is known of it. A million of them are to
// fit, so what many alarms have in common is kept once, in a kind.
type entry struct {
	// What a push and a look touch comes first: it shares a line of the cache.
	kind   *kind
	beats  heartbeats
	usual  time.Duration      // interval of the pushes of a presence alarm
	next   instant            // look
	queued instant            // earliest item in the heap of looks; never: none
	held   instant            // until then, or the next sample, the state is one that was set
	key    place              // that fed it lately; 0: none
	place  place              // its own
	others map[place]struct{} // keys that fed it before; nil: none

	dirty, pending         bool // to be looked at; a change is on its way to the store
	fresh                  bool // a sample came since it was looked at, not on presence
	urgent, changed, heard bool // to be flushed soon; in the list of changed, of arrivals
	overdue, leftOut, gone bool
	in                     stateCode

	number   int32
	revision int32
	repeated int32   // messages of this state
	instance string  // InstanceId of the newest sample that had one
	mixed    instant // when it last was another than before
	window   *window // of an alarm that is not on presence
	cell     int64   // bucket in which it was last looked at for a sample
	since    int64   // of the state, by the wall clock, in nanoseconds
	entered  instant // the state, by which messages are repeated
	told     *told   // of the transition into the state; nil: it was derived, or there was none
	project  *project
	id       int64
	name     string
	stack    string
	actions  *actions
	created  int64 // by the wall clock, in nanoseconds
	updated  int64
	rest     *rest // nil: nothing
}

// A stateCode is a State in the least room: its place in codes.
type stateCode uint8

var codes = [...]State{NoData, OK, Firing}

func codeOf(s State) stateCode { return stateCode(max(0, slices.Index(codes[:], s))) }

func (en *entry) state() State { return codes[en.in] }

// told is what a transition said.
type told struct {
	reason string
	data   json.RawMessage
}

// A rest is what few alarms have.
type rest struct {
	description, stackID, target, file string
	tags                               map[string]string
	dimensions                         []Dimension
}

// actions are those of an alarm, of ALARM, of OK and then of
// INSUFFICIENT_DATA. They never change: alarms share them.
type actions struct {
	list          []string
	onAlarm, onOK int
}

func (a *actions) equal(b actions) bool {
	return a.onAlarm == b.onAlarm && a.onOK == b.onOK && slices.Equal(a.list, b.list)
}

// A kind is what alarms that say the same have in common.
type kind struct {
	rule    *rule
	alarm   Alarm // without what entries keep themselves
	name    string
	users   int
	actions *actions        // of the alarm that came last
	reason  string          // of a presence alarm that is OK
	data    json.RawMessage // of a presence alarm
}

// set gives an entry its definition, and its kind.
func (e *Engine) set(en *entry, a Alarm) {
	before := en.kind
	en.id, en.name, en.revision, en.stack = a.ID, a.Name, int32(a.Revision), a.Stack
	en.created, en.updated = a.Created.UnixNano(), a.Updated.UnixNano()
	en.rest = nil
	if a.Description != "" || a.StackID != "" || a.Target != "" || a.File != "" || len(a.Tags) > 0 || len(a.Dimensions) > 0 {
		en.rest = &rest{a.Description, a.StackID, a.Target, a.File, a.Tags, a.Dimensions}
	}
	en.kind = e.share(a)
	list := actions{slices.Concat(a.OnAlarm, a.OnOK, a.OnNoData), len(a.OnAlarm), len(a.OnOK)}
	if last := en.kind.actions; last == nil || !last.equal(list) { // those of most are alike
		en.kind.actions = &list
	}
	en.actions = en.kind.actions
	if before != nil {
		e.unshare(before)
	}
}

// share returns the kind of an alarm.
func (e *Engine) share(a Alarm) *kind {
	a = Alarm{Project: a.Project, Namespace: a.Namespace, Metric: a.Metric, Unit: a.Unit, Statistic: a.Statistic, Period: a.Period, Periods: a.Periods,
		Datapoints: a.Datapoints, Threshold: a.Threshold, Comparison: a.Comparison, Missing: a.Missing, ActionsEnabled: a.ActionsEnabled,
		Legacy: a.Legacy, Tolerance: a.Tolerance, Range: a.Range, StartAfter: a.StartAfter, Ladder: a.Ladder, Match: a.Match, Repeat: a.Repeat, Origin: a.Origin}
	e.scratch = appendKind(e.scratch[:0], &a)
	k := e.kinds[string(e.scratch)]
	if k == nil {
		r := newRule(&a)
		k = &kind{rule: &r, alarm: a, name: string(e.scratch)}
		k.reason, k.data = k.rule.heardReason(), k.rule.presenceData()
		e.kinds[k.name] = k
	}
	k.users++
	return k
}

func (e *Engine) unshare(k *kind) {
	if k.users--; k.users == 0 {
		delete(e.kinds, k.name)
	}
}

// appendKind writes all that a kind has, so that two that differ in anything
// differ.
func appendKind(b []byte, a *Alarm) []byte {
	for _, s := range []string{a.Project, a.Namespace, a.Metric, a.Unit, string(a.Statistic), string(a.Comparison), string(a.Missing),
		a.Ladder, string(a.Match), string(a.Origin)} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for _, n := range []int64{int64(a.Period), int64(a.Periods), int64(a.Datapoints), int64(a.Tolerance), int64(a.Range), int64(a.StartAfter), int64(a.Repeat)} {
		b = binary.AppendVarint(b, n)
	}
	for _, yes := range []bool{a.ActionsEnabled, a.Legacy} {
		if b = append(b, 0); yes {
			b[len(b)-1] = 1
		}
	}
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(a.Threshold))
}

// alarm is the definition.
func (en *entry) alarm() Alarm {
	a := en.kind.alarm
	a.ID, a.Name, a.Revision, a.Stack, a.Dimensions = en.id, en.name, int(en.revision), en.stack, en.dimensions()
	a.Created, a.Updated = timeOf(en.created), timeOf(en.updated)
	a.OnAlarm, a.OnOK, a.OnNoData = en.wanted(Firing), en.wanted(OK), en.wanted(NoData)
	if r := en.rest; r != nil {
		a.Description, a.StackID, a.Target, a.File, a.Tags = r.description, r.stackID, r.target, r.file, r.tags
	}
	return a
}

// timeOf is a time that is kept as nanoseconds.
func timeOf(n int64) time.Time {
	if n == (time.Time{}).UnixNano() {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// wanted are the actions of a state.
func (en *entry) wanted(of State) []string {
	a, b := en.actions.onAlarm, en.actions.onAlarm+en.actions.onOK
	list := en.actions.list[b:]
	switch of {
	case Firing:
		list = en.actions.list[:a:a]
	case OK:
		list = en.actions.list[a:b:b]
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

func (en *entry) dimensions() []Dimension {
	if en.rest == nil {
		return nil
	}
	return en.rest.dimensions
}

// stackID is that of the stack that the alarm was imported from.
func (en *entry) stackID() string {
	if en.rest == nil {
		return ""
	}
	return en.rest.stackID
}

// said is the reason and the data of the present state.
func (e *Engine) said(en *entry, now time.Time) (string, json.RawMessage) {
	switch {
	case en.told != nil:
		return en.told.reason, en.told.data
	case en.number == 0:
		return notJudged, nil
	case !en.kind.rule.presence:
		return "", nil
	}
	return en.derived(en.state(), e.listened(en), now, e.instant(now))
}

// derived is what the definition of a presence alarm and its arrivals say of a
// state.
func (en *entry) derived(s State, h heartbeats, now time.Time, at instant) (string, json.RawMessage) {
	if s == OK {
		return en.kind.reason, en.kind.data
	}
	return en.kind.rule.silentReason(h, s, now, at), en.kind.data
}

// notJudged is the reason of an alarm without a transition.
const notJudged = "not judged yet"

// clear forgets what an alarm was fed.
func (en *entry) clear() {
	en.beats, en.window, en.usual = heartbeats{}, nil, en.kind.rule.period
	en.instance, en.mixed = "", 0
	switch {
	case !en.kind.rule.presence:
		en.window = &window{}
	case en.kind.rule.need > 1:
		en.beats.arrivals = &window{}
	}
}

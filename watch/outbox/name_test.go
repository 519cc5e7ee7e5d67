package outbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

const server = "2b8bd3f5-6a2c-4a3c-9d7e-0a5d9d6b1c11"

func TestParseName(t *testing.T) {
	for action, want := range map[string]Name{
		"cfnwatch:notify":                         {Notify, ""},
		"cfnwatch:exec:restart-web.sh":            {Exec, "restart-web.sh"},
		"cfnwatch:restart:self":                   {Restart, "self"},
		"cfnwatch:restart:stack/web/server":       {Restart, "stack/web/server"},
		"cfnwatch:reboot:" + server:               {Reboot, server},
		"cfnwatch:drain:pool/member":              {Drain, "pool/member"},
		"cfnwatch:workflow:heal":                  {Workflow, "heal"},
		"cfnwatch:masakari:compute-1":             {Masakari, "compute-1"},
		"cfnwatch:tacker:vnf/vdu":                 {Tacker, "vnf/vdu"},
		"https://example.com/hook":                {Webhook, "https://example.com/hook"},
		"http://heat:8000/v1/signal/" + arn:       {Signal, "http://heat:8000/v1/signal/" + arn},
		"http://heat/x/v1/waitcondition/" + arn:   {Signal, "http://heat/x/v1/waitcondition/" + arn},
		"http://heat:8000/v1/signal/arn%3Ano-key": {Webhook, "http://heat:8000/v1/signal/arn%3Ano-key"},
	} {
		if got, err := ParseName(action); err != nil || got != want {
			t.Errorf("ParseName(%q) = %v, %v, want %v", action, got, err, want)
		}
	}
}

func TestMistakesInNames(t *testing.T) {
	for action, want := range map[string]string{
		"cfnwatch:restrat:self":      "action cfnwatch:restrat is unknown: cfnwatch:restart?",
		"cfnwatch:rm":                "action cfnwatch:rm is unknown: there are drain, evacuate, exec,",
		"cfnwatch:exec:rm -rf /":     `action cfnwatch:exec:rm -rf /: "cfnwatch:exec" takes the name of an [exec NAME] section`,
		"cfnwatch:exec:":             `"cfnwatch:exec" takes`,
		"cfnwatch:notify:me":         `"cfnwatch:notify" takes nothing`,
		"cfnwatch:reboot:web":        `"cfnwatch:reboot" takes a server id`,
		"cfnwatch:drain:pool":        `"cfnwatch:drain" takes <pool>/<member>`,
		"ftp://u:S3CRET@host/S3CRET": "action ftp://host/... is neither an http(s) URL nor begins with cfnwatch:",
		"https:///S3CRET":            "the URL names no host",
		"arn:aws:sns:us-east-1:1:x":  "is neither an http(s) URL nor begins with cfnwatch:",
		"https://host/%zz?S3CRET":    "is neither an http(s) URL",
	} {
		_, err := ParseName(action)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3CRET") {
			t.Errorf("ParseName(%q): %v, want %q and no secret", action, err, want)
		}
	}
}

func TestWhatAlarmsMayAskFor(t *testing.T) {
	usual, restart := []Kind{Webhook, Signal, Notify}, []Kind{Webhook, Restart}
	for _, c := range []struct {
		origin watch.Origin
		api    []Kind
		action string
		want   string // in the error; empty: allowed
	}{
		{watch.FromRules, nil, "cfnwatch:exec:x", ""},
		{watch.FromRules, nil, "cfnwatch:evacuate:compute-1", ""},
		{watch.FromRules, nil, "cfnwatch:evacuate", "takes a host"},
		{watch.FromAPI, usual, "https://example.com/", ""},
		{watch.FromAPI, usual, "http://heat:8000/v1/signal/" + arn, ""},
		{watch.FromAPI, usual, "cfnwatch:notify", ""},
		{watch.FromAPI, usual, "cfnwatch:exec:x", "AlarmActions[0]: cfnwatch:exec:x is not allowed here: only notify, signal, webhook"},
		{watch.FromAPI, usual, "cfnwatch:reboot:" + server, "is not allowed here"},
		{watch.FromAPI, nil, "https://example.com/", "is not allowed here: nothing is"},
		{watch.FromAPI, []Kind{Exec, Evacuate}, "cfnwatch:exec:x", "is not allowed here"},
		{watch.FromAPI, restart, "cfnwatch:reboot:" + server, ""},
		{watch.FromAPI, restart, "cfnwatch:restart:self", ""},
		{watch.FromAPI, restart, "cfnwatch:notify", "only reboot, replace, restart, stack, webhook"},
		{watch.FromStack, nil, "cfnwatch:restart:stack/web/server", ""},
		{watch.FromStack, nil, "cfnwatch:restart:stack/id-of-web/server", ""},
		{watch.FromStack, nil, "cfnwatch:restart:stack/other/server", "not of the alarm's own stack web"},
		{watch.FromStack, nil, "cfnwatch:rebuild:" + server, "is not allowed here"},
		{watch.FromStack, nil, "https://example.com/", "https://example.com/... is not allowed here"},
		{watch.FromStack, nil, "http://heat:8000/v1/signal/" + arn, ""},
	} {
		err := Permit{API: c.api}.Check(watch.Alarm{Origin: c.origin, Stack: "web", StackID: "id-of-web", OnAlarm: []string{c.action}})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s from %s: %v, want allowed", c.action, c.origin, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s from %s: %v, want %q", c.action, c.origin, err, c.want)
		}
	}
}

// A target has budgets and suspensions: an alarm that came over the API could name
// that of another project.
func TestWhatAlarmsMayTarget(t *testing.T) {
	for _, c := range []struct {
		origin        watch.Origin
		stack, target string
		want          string // in the error; empty: allowed
	}{
		{watch.FromAPI, "web", "", ""},
		{watch.FromAPI, "web", "self", ""},
		{watch.FromAPI, "web", "stack/web/server", ""},
		{watch.FromAPI, "web", "stack/other/server", `cfnwatch:Target: "stack/other/server" is not allowed here: only self and stack/web/<resource>`},
		{watch.FromAPI, "web", "stack/web", "only self and stack/web/<resource>"},
		{watch.FromAPI, "web", "stack/web/a/b", "only self and stack/web/<resource>"},
		{watch.FromAPI, "web", server, "only self and stack/web/<resource>"},
		{watch.FromAPI, "web", "alarm/p2/their-alarm", "only self and stack/web/<resource>"},
		{watch.FromAPI, "", "stack//server", "only self, or with a Stack stack/<it>/<resource>"},
		{watch.FromAPI, "*", "stack/*/server", "only self, or with a Stack stack/<it>/<resource>"},
		{watch.FromAPI, "", "self", ""},
		{watch.FromStack, "web", "stack/web/server", ""},
		{watch.FromStack, "web", "stack/other/server", "only self and stack/web/<resource>"},
		{watch.FromRules, "web", "database-1", ""},
	} {
		err := Permit{}.Check(watch.Alarm{Origin: c.origin, Project: "p1", Stack: c.stack, Target: c.target})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("target %q of stack %q from %s: %v, want allowed", c.target, c.stack, c.origin, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("target %q of stack %q from %s: %v, want %q", c.target, c.stack, c.origin, err, c.want)
		}
	}
	if err := (Permit{}).Check(watch.Alarm{Origin: watch.FromStack, StackID: "id-of-web", Target: "stack/id-of-web/server"}); err != nil {
		t.Errorf("a target of the alarm's own stack, by its id: %v", err)
	}
}

// What is shown of any action holds nothing of a URL but its scheme, host and
// the resource of a signal.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{"cfnwatch:exec:x", "https://u:p@h/p?q#f", "http://h/v1/signal/" + arn, "cfnwatch:restart:stack/a/b", "%", "http://[::1]:80/x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, action string) {
		n, err := ParseName(action)
		if err != nil {
			return
		}
		if n.Kind == "" {
			t.Errorf("%q has no kind", action)
		}
		shown := Shown(action)
		if n.Kind == Webhook && strings.ContainsAny(shown, "?#@") {
			t.Errorf("%q is shown as %q", action, shown)
		}
		if again, err := ParseName(action); err != nil || again != n {
			t.Errorf("%q is %v, then %v, %v", action, n, again, err)
		}
	})
}

// What one project calls self or by its stack is not what another does: else
// they would wait for each other, and share a budget.
func TestObject(t *testing.T) {
	for _, c := range []struct{ action, target, want string }{
		{"cfnwatch:exec:x", "", "alarm/p/a"},
		{"cfnwatch:exec:x", "self", "alarm/p/a"},
		{"cfnwatch:exec:x", "stack/web/server", "project/p/stack/web/server"},
		{"cfnwatch:exec:x", "rack-4", "rack-4"},
		{"cfnwatch:restart:self", "", "alarm/p/a"},
		{"cfnwatch:restart:stack/web/server", "", "project/p/stack/web/server"},
		{"cfnwatch:reboot:" + server, "", server},
		{"cfnwatch:restart:stack/web/server", "stack/web/other", "project/p/stack/web/other"},
	} {
		w := watch.Wanted{Transition: watch.Transition{Project: "p", Alarm: "a"}, Action: c.action, Target: c.target}
		if r := RowOf(w, time.Time{}); r.Object != c.want || !strings.HasPrefix(r.Key, c.want+"|") {
			t.Errorf("%s of target %q is about %q, its key %q, want %q", c.action, c.target, r.Object, r.Key, c.want)
		}
	}
}

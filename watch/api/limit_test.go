package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
)

// do has the handler answer a step, in a bubble. As with SDKs, no two requests
// have the same signature.
func (w *world) do(t testing.TB, access, action string, in obj) *httptest.ResponseRecorder {
	t.Helper()
	body := encode(t, in, true)
	r := post(t, "/service/"+service+"/operation/"+action, body)
	r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
	r.Header.Set("Amz-Sdk-Invocation-Id", newID())
	sign(t, access, r, body, time.Now())
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, r)
	return got
}

func heartbeatOf(alarm string) obj {
	return obj{"Namespace", "system/linux", "MetricData", arr{obj{"MetricName", "Heartbeat", "Value", 1.0, "Dimensions", arr{obj{"Name", "AlarmName", "Value", alarm}}}}}
}

// settle ticks every second for a while.
func (w *world) settle(t testing.TB, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
		if _, err := w.engine.Tick(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) stateOf(t testing.TB, name string) watch.State {
	t.Helper()
	v, ok := w.engine.View(time.Now(), "p1", name)
	if !ok {
		t.Fatalf("there is no alarm %s", name)
	}
	return v.State
}

// A guest that pushes too often is told so, and is alive all the same.
func TestThrottledPushIsAnArrival(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{RatePerKey: 0.001, BurstPerKey: 1})
		w.heartbeat(t, "a", "web")
		if got := w.do(t, "GUEST", "PutMetricData", heartbeatOf("a")); got.Code != 200 {
			t.Fatalf("first push: %d %s", got.Code, got.Body)
		}
		for range 5 {
			w.settle(t, time.Minute)
			got := w.do(t, "GUEST", "PutMetricData", heartbeatOf("a"))
			after, err := strconv.Atoi(got.Header().Get("Retry-After"))
			if got.Code != 400 || got.Header().Get("X-Amzn-Query-Error") != "Throttling;Sender" || err != nil || after < 600 || after > 1000 {
				t.Errorf("push over the rate: %d %v, want 400 Throttling and to come again in 1,000 s or less", got.Code, got.Header())
			}
		}
		w.settle(t, 2*time.Minute)
		if got := w.stateOf(t, "a"); got != watch.OK {
			t.Errorf("state %s, want OK", got)
		}
		w.settle(t, 2*time.Minute)
		if got := w.stateOf(t, "a"); got != watch.Firing {
			t.Errorf("state after 4 minutes of silence %s, want ALARM", got)
		}
		if got := w.handler.Counters.Throttled.Load(); got != 5 {
			t.Errorf("%d throttled, want 5", got)
		}
	})
}

// A push that is refused for what it says is no heartbeat, and no silence.
func TestRefusedPushIsASignOfLife(t *testing.T) {
	for name, refused := range map[string]func(t *testing.T, w *world) int{
		"for its content": func(t *testing.T, w *world) int {
			return w.do(t, "GUEST", "PutMetricData", obj{"Namespace", "n", "MetricData", arr{obj{"MetricName", "m"}}}).Code
		},
		"for its clock": func(t *testing.T, w *world) int {
			body := encode(t, heartbeatOf("a"), true)
			r := post(t, "/service/"+service+"/operation/PutMetricData", body)
			sign(t, "GUEST", r, body, time.Now().Add(-time.Hour))
			got := httptest.NewRecorder()
			w.handler.ServeHTTP(got, r)
			return got.Code
		},
		"for its clock, in Query": func(t *testing.T, w *world) int {
			body := []byte("Version=2010-08-01&Action=PutMetricData&Namespace=n")
			r := post(t, "/v1/", body)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			sign(t, "GUEST", r, body, time.Now().Add(-time.Hour))
			got := httptest.NewRecorder()
			w.handler.ServeHTTP(got, r)
			return got.Code
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := unserved(t, Options{})
			w.heartbeat(t, "a", "web")
			if got := w.do(t, "GUEST", "PutMetricData", heartbeatOf("a")); got.Code != 200 {
				t.Fatalf("first push: %d %s", got.Code, got.Body)
			}
			for range 5 {
				w.settle(t, time.Minute)
				if code := refused(t, w); code/100 != 4 {
					t.Errorf("%s: %d, want it refused", name, code)
				}
			}
			if got := w.stateOf(t, "a"); got != watch.OK {
				t.Errorf("%s: state %s, want OK still", name, got)
			}
			w.settle(t, 5*time.Minute)
			if got := w.stateOf(t, "a"); got != watch.Firing {
				t.Errorf("%s: state %s once it is silent, want ALARM", name, got)
			}
		})
	}
}

// A describe of a guest's key, which it may not ask for, is no sign of life.
func TestRefusedReadIsNoSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{})
		w.heartbeat(t, "a", "web")
		w.do(t, "GUEST", "PutMetricData", heartbeatOf("a"))
		for range 5 {
			w.settle(t, time.Minute)
			if got := w.do(t, "GUEST", "DescribeAlarms", obj{}); got.Code != 403 {
				t.Errorf("DescribeAlarms of a guest: %d, want 403", got.Code)
			}
			body := encode(t, obj{}, true)
			r := post(t, "/service/"+service+"/operation/DescribeAlarms", body)
			sign(t, "GUEST", r, body, time.Now().Add(-time.Hour))
			late := httptest.NewRecorder()
			if w.handler.ServeHTTP(late, r); late.Code != 403 {
				t.Errorf("DescribeAlarms by a wrong clock: %d, want 403", late.Code)
			}
		}
		if got := w.stateOf(t, "a"); got != watch.Firing {
			t.Errorf("state %s, want ALARM", got)
		}
	})
}

// A push that comes again, byte for byte, is answered as before and counts for
// nothing; one that failed may come again.
func TestReplayedPushCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{})
		w.heartbeat(t, "a", "web")
		body := encode(t, heartbeatOf("a"), true)
		push := func() int {
			r := post(t, "/service/"+service+"/operation/PutMetricData", body)
			sign(t, "GUEST", r, body, bubble)
			got := httptest.NewRecorder()
			w.handler.ServeHTTP(got, r)
			return got.Code
		}
		for range 8 {
			if code := push(); code != 200 {
				t.Errorf("push: %d, want 200", code)
			}
			w.settle(t, time.Minute)
		}
		if got := w.stateOf(t, "a"); got != watch.Firing || w.handler.Counters.Taken.Load() != 1 {
			t.Errorf("state %s after one push and 7 replays, %d taken, want ALARM and 1", got, w.handler.Counters.Taken.Load())
		}
	})
}

// Who overheard a change cannot make it again. A read is answered again.
func TestReplayedChangeIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{})
		w.heartbeat(t, "a", "web")
		ask := func(action string, in obj) int {
			body := encode(t, in, true)
			r := post(t, "/service/"+service+"/operation/"+action, body)
			sign(t, "MEMBER", r, body, bubble)
			got := httptest.NewRecorder()
			w.handler.ServeHTTP(got, r)
			return got.Code
		}
		set := func(state string) int { return ask("SetAlarmState", obj{"AlarmName", "a", "StateValue", state}) }
		for _, c := range []struct {
			state string
			want  int
		}{{"ALARM", 200}, {"OK", 200}, {"ALARM", 409}, {"none", 400}, {"none", 400}} {
			if code := set(c.state); code != c.want {
				t.Errorf("set to %s: %d, want %d", c.state, code, c.want)
			}
		}
		if got := w.stateOf(t, "a"); got != watch.OK {
			t.Errorf("state %s, want OK: what came last and was new", got)
		}
		for range 2 {
			if code := ask("DescribeAlarms", obj{}); code != 200 {
				t.Errorf("a read: %d, want 200", code)
			}
		}
	})
}

func TestOneProjectDoesNotThrottleAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{RatePerProject: 2})
		for i, want := range []int{200, 200, 400} {
			if got := w.do(t, "MEMBER", "DescribeAlarms", obj{"MaxRecords", i + 1}); got.Code != want {
				t.Errorf("request %d: %d, want %d", i, got.Code, want)
			}
		}
		if got := w.do(t, "READER", "ListMetrics", obj{}); got.Code != 400 {
			t.Errorf("another key of the project: %d, want 400", got.Code)
		}
		if got := w.do(t, "FOREIGN", "DescribeAlarms", obj{}); got.Code != 200 {
			t.Errorf("another project: %d, want 200", got.Code)
		}
		time.Sleep(time.Second)
		if got := w.do(t, "MEMBER", "DescribeAlarms", obj{}); got.Code != 200 {
			t.Errorf("a second later: %d, want 200", got.Code)
		}
	})
}

// What writes the history has a lower rate than what reads or pushes, whatever
// it answers.
func TestChangesHaveARateOfTheirOwn(t *testing.T) {
	changes := regexp.MustCompile(`^(Put.*Alarm|SetAlarmState|EnableAlarmActions|DisableAlarmActions|DeleteAlarms|TagResource|UntagResource)$`)
	throttled := func(got *httptest.ResponseRecorder) bool {
		return got.Code == 400 && got.Header().Get("X-Amzn-Query-Error") == "Throttling;Sender" && got.Header().Get("Retry-After") == "1"
	}
	for _, s := range valid {
		synctest.Test(t, func(t *testing.T) {
			w := unserved(t, Options{})
			w.heartbeat(t, "there", "web")
			for i := range changeLimits.keyBurst {
				if got := w.do(t, "MEMBER", s.action, s.in); throttled(got) {
					t.Fatalf("%s is throttled after %d", s.action, i)
				}
			}
			if got := w.do(t, "MEMBER", s.action, s.in); throttled(got) != changes.MatchString(s.action) {
				t.Errorf("the %dth %s at once: %d %v %s", changeLimits.keyBurst+1, s.action, got.Code, got.Header(), got.Body)
			}
			if got := w.do(t, "READER", "DescribeAlarms", obj{}); got.Code != 200 {
				t.Errorf("after many of %s DescribeAlarms of another key: %d", s.action, got.Code)
			}
			time.Sleep(100 * time.Millisecond)
			if got := w.do(t, "MEMBER", s.action, s.in); throttled(got) {
				t.Errorf("%s is throttled after a tenth of a second", s.action)
			}
		})
	}
}

// A flood of changes cannot grow the history without end, whatever the number
// of alarms in a call; that of another project goes on.
func TestFloodOfChangesEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{})
		var names arr
		for i := range maxNames {
			names = append(names, strconv.Itoa(i))
			w.heartbeat(t, strconv.Itoa(i), "web")
		}
		disable := func(access string, names arr) *httptest.ResponseRecorder {
			return w.do(t, access, "DisableAlarmActions", obj{"AlarmNames", names})
		}
		for i := range changeLimits.projectBurst / maxNames {
			if got := disable("MEMBER", names); got.Code != 200 {
				t.Fatalf("call %d of 100 alarms: %d %s", i, got.Code, got.Body)
			}
		}
		time.Sleep(10 * time.Second) // 100 more calls of the key, 30 more alarms of the project
		if got := disable("MEMBER", names); got.Code != 400 || got.Header().Get("Retry-After") != "24" {
			t.Errorf("100 more alarms: %d %v, want to come again in (100-30)/3 s", got.Code, got.Header())
		}
		if got := disable("MEMBER", names[:30]); got.Code != 200 {
			t.Errorf("30 more alarms: %d %s", got.Code, got.Body)
		}
		if got := disable("MEMBER", names[:1]); got.Code != 400 {
			t.Errorf("one more than that: %d, want 400", got.Code)
		}
		if got := disable("FOREIGN", names); got.Code != 404 {
			t.Errorf("another project: %d, want 404: its alarm is not there", got.Code)
		}
	})
}

// Each change reads the alarm and stores it with what is new: two at once would
// undo one another.
func TestChangesAtOnceAreAllKept(t *testing.T) {
	w := unserved(t, Options{})
	w.heartbeat(t, "a", "")
	const tags = 40
	var all sync.WaitGroup
	begin := make(chan struct{})
	add := func(action string, in obj) {
		body := encode(t, in, true)
		r := post(t, "/service/"+service+"/operation/"+action, body)
		r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		sign(t, "MEMBER", r, body, time.Now())
		all.Go(func() {
			<-begin
			got := httptest.NewRecorder()
			if w.handler.ServeHTTP(got, r); got.Code != 200 {
				t.Errorf("%s: %d %s", action, got.Code, got.Body)
			}
		})
	}
	for i := range tags {
		add("TagResource", obj{"ResourceARN", arn("p1", "a"), "Tags", arr{obj{"Key", "k" + strconv.Itoa(i), "Value", "v"}}})
	}
	add("DisableAlarmActions", obj{"AlarmNames", arr{"a"}})
	close(begin)
	all.Wait()
	v, ok := w.engine.View(time.Now(), "p1", "a")
	if !ok || len(v.Tags) != tags || v.ActionsEnabled {
		t.Errorf("%d tags of %d are left, actions enabled: %v", len(v.Tags), tags, v.ActionsEnabled)
	}
}

// A million keys that push once a minute must not stay in memory.
func TestIdleKeysAreForgotten(t *testing.T) {
	r := newRates(Options{}.requests())
	now := bubble
	for i := range 1000 {
		if err := r.take(watch.Caller{Access: strconv.Itoa(i), Project: "p", Role: watch.Guest}, 1, now); err != nil {
			t.Fatal(err)
		}
	}
	r.take(watch.Caller{Access: "last", Project: "p", Role: watch.Guest}, 1, now.Add(sweepEvery+time.Second))
	if len(r.keys) != 1 {
		t.Errorf("%d keys are remembered, want 1", len(r.keys))
	}
}

// What cannot be handled within a second is refused; for five seconds, and the
// server counts as deaf.
func TestOverloadIsToldAndMakesDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{})
		w.heartbeat(t, "a", "web")
		for range cap(w.handler.pushes.all) {
			w.handler.pushes.all <- struct{}{}
		}
		began := time.Now()
		for i := range 7 {
			got := w.do(t, "GUEST", "PutMetricData", heartbeatOf("a"))
			if got.Code != 503 || got.Header().Get("Retry-After") != "1" || time.Since(began) != time.Duration(i+1)*time.Second {
				t.Errorf("push: %d after %v, want 503 after %d s", got.Code, time.Since(began), i+1)
			}
		}
		if got := w.engine.Listening(); !got.After(began) {
			t.Errorf("listening since %v, want it to have begun anew", got)
		}
		if got := w.do(t, "MEMBER", "DescribeAlarms", obj{}); got.Code != 200 {
			t.Errorf("a read: %d, want 200: it does not queue with pushes", got.Code)
		}
		<-w.handler.pushes.all
		if got := w.do(t, "GUEST", "PutMetricData", heartbeatOf("a")); got.Code != 200 {
			t.Errorf("push when there is room again: %d, want 200", got.Code)
		}
	})
}

// A project that keeps the server busy keeps itself out, and nobody else.
func TestOneProjectDoesNotCrowdOutAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{})
		var held []*share
		for range cap(w.handler.pushes.all) / 2 {
			in, _ := w.handler.pushes.enter("p1")
			held = append(held, in)
		}
		began := time.Now()
		for range 7 {
			if got := w.do(t, "GUEST", "PutMetricData", heartbeatOf("a")); got.Code != 503 {
				t.Errorf("push of the busy project: %d, want 503", got.Code)
			}
		}
		if took := time.Since(began); took != 7*time.Second || w.engine.Listening().After(began) {
			t.Errorf("refused within %v, listening since %v: want a second each, and no deafness", took, w.engine.Listening())
		}
		began = time.Now()
		if got := w.do(t, "FOREIGN", "PutMetricData", heartbeatOf("a")); got.Code != 200 || time.Since(began) > 0 {
			t.Errorf("push of another project: %d after %v, want 200 at once", got.Code, time.Since(began))
		}
		for _, in := range held {
			w.handler.pushes.leave(in)
		}
		for project, in := range w.handler.pushes.shares {
			if in.users > 0 || len(in.slots) > 0 || len(w.handler.pushes.all) > 0 {
				t.Errorf("of project %s %d users and %d slots are left when all is done, of all %d", project, in.users, len(in.slots), len(w.handler.pushes.all))
			}
		}
	})
}

func TestHalfOfThePushesRefusedIsNotDeaf(t *testing.T) {
	var h hearing
	now := bubble
	for range 60 {
		if h.count(true, now) || h.count(false, now) {
			t.Fatal("deaf although as many are heard as refused")
		}
		now = now.Add(time.Second)
	}
	for i := range 20 { // refused, but not in a row of seconds
		if h.count(false, now.Add(time.Duration(i)*2*time.Second)) {
			t.Fatal("deaf although nothing was refused each other second")
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	w := newWorld(t, Options{})
	const form = "Action=DescribeAlarms&Version=2010-08-01"
	for path, want := range map[string]int{"": 200, "/": 200, "/v1": 200, "/v1/": 200, "/v2/": 404, "/v1/x": 404, "//": 404} {
		r := newRequest(t, w.url+path, []byte(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := w.ask(t, "READER", r, []byte(form)); got.status != want || got.header.Get("Date") == "" {
			t.Errorf("POST %q: %d %s, want %d and a Date", path, got.status, got.body, want)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path+"?"+form, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.ask(t, "READER", r, nil); got.status != want {
			t.Errorf("GET %q: %d %s, want %d", path, got.status, got.body, want)
		}
	}
	for _, base := range []string{"", "/v1", "/v1/", "/"} {
		r := newRequest(t, w.url+base+"/service/"+service+"/operation/DescribeAlarms", []byte("\xa0"))
		r.Header.Set("Smithy-Protocol", "rpc-v2-cbor")
		if got := w.ask(t, "READER", r, []byte("\xa0")); got.status != 200 || got.header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
			t.Errorf("CBOR below %q: %d %q", base, got.status, got.body)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, w.url+"/v1/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.ask(t, "READER", r, nil); got.status != 405 || got.header.Get("Allow") != "POST" {
		t.Errorf("PUT: %d %v, want 405", got.status, got.header)
	}
}

// Of a fault of the server's own a client hears that there is one.
func TestStoreFaultIsNotShown(t *testing.T) {
	w := unserved(t, Options{})
	w.engine.Store = broken{w.engine.Store}
	got := w.do(t, "MEMBER", "PutMetricAlarm", valid[0].in)
	if got.Code != 500 || got.Header().Get("X-Amzn-Query-Error") != "InternalServiceError;Receiver" || strings.Contains(got.Body.String(), "sekret") {
		t.Errorf("%d %v %q, want 500 without the cause", got.Code, got.Header(), got.Body)
	}
}

type broken struct{ watch.Store }

func (broken) PutAlarm(context.Context, watch.Alarm, []watch.Event) (watch.Alarm, error) {
	return watch.Alarm{}, errors.New("sekret path: no space left on device")
}

// What an alarm may ask for is somebody else's to say, and is said to the
// client.
func TestForbiddenActionRefusesTheAlarm(t *testing.T) {
	w := unserved(t, Options{May: func(a watch.Alarm) error {
		if a.Origin != watch.FromAPI || a.Project != "p1" || a.Stack != "web" {
			t.Errorf("asked about %+v", a)
		}
		return errors.New("action exec is not allowed here: only webhook")
	}})
	in := append(obj{"AlarmActions", arr{"cfnwatch:exec:x"}, "Tags", arr{obj{"Key", "cfnwatch:Stack", "Value", "web"}}}, valid[0].in...)
	got := w.do(t, "MEMBER", "PutMetricAlarm", in)
	if got.Code != 400 || got.Header().Get("X-Amzn-Query-Error") != "InvalidParameterValue;Sender" || !strings.Contains(got.Body.String(), "only webhook") {
		t.Errorf("%d %v %q, want 400 InvalidParameterValue that says what is allowed", got.Code, got.Header(), got.Body)
	}
}

// An alarm of the operator's rules, or of a template, is not the project's to
// change.
func TestRulesAreNotChangedOverTheAPI(t *testing.T) {
	for origin, told := range map[watch.Origin]string{watch.FromRules: "rule files, and is changed there", watch.FromStack: "changed in its template"} {
		notChanged(t, origin, told)
	}
}

func notChanged(t *testing.T, origin watch.Origin, told string) {
	w := unserved(t, Options{})
	operator := watch.Caller{Role: watch.Operator}
	a := watch.Alarm{Project: "p1", Name: "new", Namespace: "n", Metric: "m", Statistic: watch.Sum, Period: time.Minute, Periods: 1, Comparison: watch.Less, Origin: origin}
	if _, err := w.engine.Define(t.Context(), time.Now(), operator, a); err != nil {
		t.Fatal(err)
	}
	for _, s := range []step{
		{action: "PutMetricAlarm", in: valid[0].in},
		{action: "DeleteAlarms", in: obj{"AlarmNames", arr{"new"}}},
		{action: "TagResource", in: obj{"ResourceARN", arn("p1", "new"), "Tags", arr{obj{"Key", "k", "Value", "v"}}}},
	} {
		if got := w.do(t, "MEMBER", s.action, s.in); got.Code != 400 || !strings.Contains(got.Body.String(), told) {
			t.Errorf("%s of an alarm of %s: %d %q, want 400", s.action, origin, got.Code, got.Body)
		}
	}
	if got := w.do(t, "FOREIGN", "PutMetricAlarm", valid[0].in); got.Code != 200 {
		t.Errorf("an alarm of that name in another project: %d %q, want 200", got.Code, got.Body)
	}
}

// The URLs of the operator's rules are secrets of the operator's, of which no
// project learns more than that they are there.
func TestActionsOfRulesAreConcealed(t *testing.T) {
	w := unserved(t, Options{Conceal: func(string) string { return "https://hooks.example/..." }})
	a := watch.Alarm{Project: "p1", Name: "ruled", Namespace: "n", Metric: "m", Statistic: watch.Sum, Period: time.Minute, Periods: 1, Comparison: watch.Less,
		Origin: watch.FromRules, OnAlarm: []string{"https://hooks.example/T0PS3CRET"}}
	if _, err := w.engine.Define(t.Context(), time.Now(), watch.Caller{Role: watch.Operator}, a); err != nil {
		t.Fatal(err)
	}
	for _, s := range []step{
		{action: "DescribeAlarms", in: obj{}},
		{action: "DescribeAlarmsForMetric", in: obj{"Namespace", "n", "MetricName", "m"}},
		{action: "DescribeAlarms", in: obj{"ActionPrefix", "https://hooks.example/."}},
	} {
		got := w.do(t, "MEMBER", s.action, s.in)
		if body := got.Body.String(); got.Code != 200 || !strings.Contains(body, "https://hooks.example/...") || strings.Contains(body, "T0P") {
			t.Errorf("%s %v: %d %q, want the alarm with its action concealed", s.action, s.in, got.Code, body)
		}
	}
	got := w.do(t, "MEMBER", "DescribeAlarms", obj{"ActionPrefix", "https://hooks.example/T0"})
	if body := got.Body.String(); got.Code != 200 || strings.Contains(body, "ruled") {
		t.Errorf("whoever guesses a URL is told so: %d %q", got.Code, body)
	}
}

// PutMetricAlarm of an alarm that is there keeps its state and the tags that
// are not given.
func TestPutMetricAlarmAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := unserved(t, Options{})
		tagged := func(tags ...any) obj { return append(obj{"Tags", arr(tags)}, valid[0].in...) }
		w.do(t, "MEMBER", "PutMetricAlarm", tagged(obj{"Key", "cfnwatch:Stack", "Value", "web"}, obj{"Key", "cfnwatch:StartAfter", "Value", "20m"}))
		w.do(t, "MEMBER", "SetAlarmState", obj{"AlarmName", "new", "StateValue", "ALARM", "StateReason", "r"})
		w.do(t, "MEMBER", "PutMetricAlarm", tagged(obj{"Key", "cfnwatch:StartAfter", "Value", "first-sample"}, obj{"Key", "cfnwatch:Repeat", "Value", "120"}))
		v, _ := w.engine.View(time.Now(), "p1", "new")
		if v.Stack != "web" || v.StartAfter != 0 || v.Repeat != 2*time.Minute || v.State != watch.Firing || v.Revision != 2 {
			t.Errorf("stack %q, start after %v, repeat %v, state %s, revision %d, want web, 0, 2m, ALARM, 2", v.Stack, v.StartAfter, v.Repeat, v.State, v.Revision)
		}
	})
}

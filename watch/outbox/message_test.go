package outbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	. "github.com/cfn-agent/cfn-agent/watch/outbox"
)

// notices gives the site an operator who is told.
func (s *site) notices() *receiver {
	rc := newReceiver(s.t)
	s.opts.Actions[Notify] = &Operator{Post: &Post{}, URLs: []string{rc.URL}}
	return rc
}

// reasons are those of messages that came.
func (rc *receiver) reasons() []string {
	var all []string
	for _, r := range rc.all() {
		var b struct{ Reason string }
		if err := json.Unmarshal([]byte(r.Body), &b); err != nil {
			b.Reason = err.Error()
		}
		all = append(all, b.Reason)
	}
	return all
}

func TestMessagesOfAnAlarmComeInOrderThoughTheFirstMustBeRetried(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	a := s.define(watch.Alarm{Name: "web", OnAlarm: []string{rc.URL}, OnOK: []string{rc.URL}})
	tries := 0
	rc.says(func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries <= 2 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	first, second := s.set(a, watch.Firing), s.set(a, watch.OK)
	s.start()
	s.ends(second[0])
	var keys []string
	for _, r := range rc.all() {
		keys = append(keys, r.Key)
	}
	if want := []string{first[0], first[0], first[0], second[0]}; !slices.Equal(keys, want) {
		t.Errorf("messages %q, want %q", keys, want)
	}
	shown := rc.URL
	want := []string{shown + ": failed: HTTP 503; tried again", shown + ": done: HTTP 200: POST " + shown}
	if got := s.history(first[0]); !slices.Equal(got, want) {
		t.Errorf("history %q, want %q: the same failure once", got, want)
	}
}

func TestMessageThatIsRefusedIsGivenUpAndTold(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	told := s.notices()
	rc.says(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	key := s.set(s.alarm("web", rc.URL+"/T0KEN"), watch.Firing)[0]
	s.start()
	if r := s.ends(key); r.Status != GaveUp || len(rc.all()) != 1 {
		t.Errorf("%s after %d tries, want gave-up after 1", r.Status, len(rc.all()))
	}
	eventually(t, "the operator is told", func() bool { return len(told.all()) > 0 })
	if got, want := told.reasons(), []string{rc.URL + "/...: gave-up: HTTP 404"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// An address that answers nothing is tried until the time is over.
func TestMessageIsGivenUpWhenItsTimeIsOver(t *testing.T) {
	s := newSite(t)
	s.opts.MessageFor = time.Millisecond
	key := s.set(s.alarm("web", "http://127.0.0.1:1/T0KEN"), watch.Firing)[0]
	s.start()
	r := s.ends(key)
	if r.Status != GaveUp || !strings.HasSuffix(r.Why, "connect: connection refused (for 1ms)") {
		t.Errorf("%s: %s", r.Status, r.Why)
	}
}

func TestRedirects(t *testing.T) {
	other := newReceiver(t)
	for _, c := range []struct {
		name   string
		status int
		to     string
		want   Status
	}{
		{"to the same host, as a message", http.StatusTemporaryRedirect, "/moved", Done},
		{"to the same host, as another request", http.StatusFound, "/moved", GaveUp},
		{"to another host", http.StatusTemporaryRedirect, other.URL, GaveUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, rc := newSite(t), newReceiver(t)
			rc.says(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/" {
					http.Redirect(w, req, c.to, c.status)
				}
			})
			key := s.set(s.alarm("web", rc.URL+"/"), watch.Firing)[0]
			s.start()
			if r := s.ends(key); r.Status != c.want {
				t.Errorf("%s (%s), want %s", r.Status, r.Why, c.want)
			}
			if got := rc.all(); c.want == Done && (len(got) != 2 || got[1].Body != got[0].Body || got[1].Key != key) {
				t.Errorf("requests %+v", got)
			}
		})
	}
	if got := other.all(); len(got) > 0 {
		t.Errorf("another host got %+v", got)
	}
}

// What went to a receiver in secret does not go on in the open.
func TestRedirectOutOfTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, "http://"+req.Host, http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	p := &Post{Access: Access{Private: true, Transport: srv.Client().Transport.(*http.Transport)}}
	_, err := p.Act(t.Context(), Row{Wanted: watch.Wanted{Action: srv.URL}})
	if f, ok := errors.AsType[*Failure](err); !ok || f.HTTP != http.StatusTemporaryRedirect {
		t.Errorf("Act = %v, want the redirect told and not followed", err)
	}
}

// What a receiver answers is not kept, however much of it there is: a project
// chooses its receivers.
func TestAnswersTakeNoRoom(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	const ours = "req-0a1b2c3d-0000-4a4a-8b8b-0123456789ab"
	rc.says(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/id":
			w.Header().Set("X-Openstack-Request-Id", ours)
		case "/long":
			w.Header().Set("X-Openstack-Request-Id", ours+strings.Repeat("a", 30_000))
		case "/location":
			w.Header().Set("Location", "http://%zz"+strings.Repeat("a", 30_000))
			w.WriteHeader(http.StatusTemporaryRedirect)
		case "/headers":
			for i := range 300 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("a", 1000))
			}
		}
	})
	s.opts.MessageFor = time.Millisecond
	var keys []string
	for _, path := range []string{"id", "long", "location", "headers"} {
		keys = append(keys, s.set(s.alarm(path, rc.URL+"/"+path), watch.Firing)...)
	}
	s.start()
	for i, want := range []Status{Done, Done, GaveUp, GaveUp} {
		r := s.ends(keys[i])
		kept := fmt.Sprint(r.Why, r.Steps)
		if r.Status != want || len(kept) > 2000 || strings.Contains(kept, ours) != (i == 0) {
			t.Errorf("%s: %s, and %d bytes are kept, want %s: %.500s", r.Alarm, r.Status, len(kept), want, kept)
		}
	}
}

// What a tenant asks for by the API does not reach the operator's network: not
// by address, nor by a name that leads there.
func TestPrivateAddressesAreNotForAlarmsOfTheAPI(t *testing.T) {
	rc := newReceiver(t)
	u, err := url.Parse(rc.URL)
	if err != nil {
		t.Fatal(err)
	}
	named := "http://localhost:" + u.Port()
	for _, c := range []struct {
		name   string
		origin watch.Origin
		url    string
		access Access
		want   Status
	}{
		{"address", watch.FromAPI, rc.URL, Access{}, Refused},
		{"name", watch.FromAPI, named, Access{}, Refused},
		{"stack", watch.FromStack, rc.URL, Access{}, Refused},
		{"permitted", watch.FromAPI, rc.URL, Access{Private: true}, Done},
		{"of the catalog", watch.FromAPI, rc.URL, Access{Hosts: []string{u.Host}}, Done},
		{"another of the catalog", watch.FromAPI, rc.URL, Access{Hosts: []string{"127.0.0.1:1"}}, Refused},
		{"operator's", watch.FromRules, named, Access{}, Done},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t)
			s.opts.Actions[Webhook] = &Post{Access: c.access}
			before := len(rc.all())
			key := s.set(s.define(watch.Alarm{Name: "web", Origin: c.origin, OnAlarm: []string{c.url}}), watch.Firing)[0]
			s.start()
			r := s.ends(key)
			if got := len(rc.all()) - before; r.Status != c.want || got > 0 != (c.want == Done) {
				t.Errorf("%s (%s), %d requests; want %s", r.Status, r.Why, got, c.want)
			}
			if told := fmt.Sprint(r.Why, r.Steps, s.history(key)); c.name == "name" && strings.Contains(told, "127.0.0.1") {
				t.Errorf("the history tells where a name of the operator's network leads: %s", told)
			}
		})
	}
}

// Nor does it keep the operator from an address of his own.
func TestRefusedAddressStaysOpenToTheOperator(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	var keys []string
	for i := range 6 {
		keys = append(keys, s.set(s.define(watch.Alarm{Name: fmt.Sprint("api", i), Origin: watch.FromAPI, OnAlarm: []string{rc.URL}}), watch.Firing)...)
	}
	s.start()
	for _, key := range keys {
		s.ends(key)
	}
	key, r := s.set(s.alarm("web", rc.URL), watch.Firing)[0], Row{}
	eventually(t, "the operator's message ends, or is held", func() bool {
		r = s.row(key)
		return r.Status.Ended() || r.Status == Held
	})
	if r.Status != Done {
		t.Errorf("%s by %q (%s), want it to go", r.Status, r.Gate, r.Why)
	}
}

const arn = "arn%3Aopenstack%3Aheat%3A%3Ap1%3Astacks/web/8f0e/resources/up%2520scale?Timestamp=2012&SignatureMethod=HmacSHA256&AWSAccessKeyId=a1&SignatureVersion=2&Signature=S3CRET%3D"

// Heat's own URLs are sent as they came, with the verb that they are signed
// for, and as JSON: any other content is taken for a form, and altered.
func TestSignalURLs(t *testing.T) {
	for _, c := range []struct{ path, method, body string }{
		{"/v1/signal/", "POST", `{"alarm_name":"web","alarm_id":"1","severity":"low","previous":"insufficient data","current":"alarm","reason":"it was set","reason_data":{},"cfnwatch":{`},
		{"/v1/waitcondition/", "PUT", `{"Status":"SUCCESS","Reason":"it was set","UniqueId":"1.1.1.0.0","Data":"ALARM"}`},
	} {
		s, rc := newSite(t), newReceiver(t)
		key := s.set(s.alarm("web", rc.URL+c.path+arn), watch.Firing)[0]
		s.start()
		s.ends(key)
		got := rc.all()
		if len(got) != 1 || got[0].Method != c.method || got[0].URI != c.path+arn || got[0].Type != "application/json" ||
			got[0].Signature != "" || !strings.HasPrefix(got[0].Body, c.body) {
			t.Errorf("requests %+v, want one %s %s with %s", got, c.method, c.path+arn, c.body)
		}
		shown := rc.URL + "/.../resources/up%20scale"
		if lines := s.history(key); !slices.Equal(lines, []string{shown + ": done: HTTP 200: " + c.method + " " + shown}) {
			t.Errorf("history %q", lines)
		}
	}
}

// Late, a signal to a scaling policy would scale for nothing.
func TestLateSignalsAreDropped(t *testing.T) {
	for _, c := range []struct {
		name, path, why string
		then            func(s *site, a watch.Alarm)
		want            Status
	}{
		{"state changed", "/v1/signal/", "the alarm has changed", func(s *site, a watch.Alarm) { s.set(a, watch.OK) }, Refused},
		{"alarm deleted", "/v1/signal/", "the alarm has changed", func(s *site, a watch.Alarm) {
			if err := s.engine.Delete(s.t.Context(), time.Now(), rules, []string{a.Name}); err != nil {
				s.t.Fatal(err)
			}
		}, Refused},
		{"a handle counts it all the same", "/v1/waitcondition/", "", func(s *site, a watch.Alarm) { s.set(a, watch.OK) }, Done},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, rc := newSite(t), newReceiver(t)
			a := s.alarm("web", rc.URL+c.path+arn)
			key := s.set(a, watch.Firing)[0]
			c.then(s, a)
			s.start()
			if r := s.ends(key); r.Status != c.want || !strings.Contains(r.Why, c.why) {
				t.Errorf("%s (%s), want %s (%s)", r.Status, r.Why, c.want, c.why)
			}
			if got := len(rc.all()); got > 0 != (c.want == Done) {
				t.Errorf("%d requests", got)
			}
		})
	}
}

// Nothing that a URL or the configuration holds as a secret is in a log, in
// the history, or in what explain tells.
func TestSecretsAreNotTold(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	var log bytes.Buffer
	s.opts.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	rc.says(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/redirected/S3CRET":
			http.Redirect(w, req, "http://127.0.0.1:1/S3CRET", http.StatusTemporaryRedirect)
		case "/broken/S3CRET":
			panic(http.ErrAbortHandler)
		case "/refused/S3CRET":
			w.WriteHeader(http.StatusForbidden)
		}
	})
	rc.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	host := strings.TrimPrefix(rc.URL, "http://")
	a := s.alarm("web", "http://user:S3CRET@"+host+"/redirected/S3CRET", rc.URL+"/refused/S3CRET?S3CRET#S3CRET",
		rc.URL+"/v1/signal/"+arn, "http://host.invalid/S3CRET", "https://"+host+"/S3CRET")
	keys := s.set(a, watch.Firing)
	b := s.alarm("broken", rc.URL+"/broken/S3CRET")
	keys = append(keys, s.set(b, watch.Firing)...)
	s.opts.MessageFor = time.Millisecond
	o, stop := s.start()
	told := ""
	for _, key := range keys {
		r := s.ends(key)
		told += strings.Join(s.history(key), "\n") + fmt.Sprint(r.Why, r.Steps)
	}
	for _, name := range []string{"web", "broken"} {
		x, err := o.ExplainAlarm(t.Context(), "p1", name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		told += string(data)
	}
	stop()
	for what, text := range map[string]string{"log": log.String(), "history": told} {
		for _, secret := range []string{"S3CRET", "hush"} {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("the %s tells a secret: %s", what, text[max(0, i-200):i+20])
			}
		}
	}
}

func TestDryRunTellsAndDoesNothing(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	s.command("restart", `touch "$1/ran"`, s.dir)
	s.opts.DryRun = true
	s.opts.Actions[Webhook] = &Post{DryRun: true}
	keys := s.set(s.alarm("web", rc.URL, "cfnwatch:exec:restart"), watch.Firing)
	s.start()
	if r := s.ends(keys[1]); r.Status != Refused || r.Gate != "g1" || r.Why != "dry run: nothing is done" {
		t.Errorf("%s by %s: %s", r.Status, r.Gate, r.Why)
	}
	s.ends(keys[0])
	if got := rc.all(); len(got) != 1 || !strings.Contains(got[0].Body, `"dry_run":true`) {
		t.Errorf("messages %+v, want one that says so", got)
	}
}

// A notice that one of two receivers did not take is sent to that one again.
func TestNotifyReachesEachReceiverOnce(t *testing.T) {
	s, well, ill := newSite(t), newReceiver(t), newReceiver(t)
	s.opts.Actions[Notify] = &Operator{Post: &Post{}, URLs: []string{ill.URL, well.URL}}
	tries := 0
	ill.says(func(w http.ResponseWriter, _ *http.Request) {
		if tries++; tries == 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	key := s.set(s.alarm("web", "cfnwatch:notify"), watch.Firing)[0]
	s.start()
	if r := s.ends(key); r.Status != Done || len(well.all()) != 1 || len(ill.all()) != 2 {
		t.Errorf("%s (%s): %d and %d messages, want done, 1 and 2", r.Status, r.Why, len(well.all()), len(ill.all()))
	}
}

func TestEndpointThatIsSilentLeavesTheOthers(t *testing.T) {
	s, dead, well := newSite(t), newReceiver(t), newReceiver(t)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	dead.says(func(http.ResponseWriter, *http.Request) { <-ctx.Done() })
	for i := range 100 {
		s.set(s.alarm(fmt.Sprintf("dead-%d", i), dead.URL), watch.Firing)
	}
	key := s.set(s.alarm("well", well.URL), watch.Firing)[0]
	_, stop := s.start()
	if r := s.ends(key); r.Status != Done {
		t.Errorf("%s (%s)", r.Status, r.Why)
	}
	if got := len(dead.all()); got > 4 {
		t.Errorf("%d requests wait for one endpoint, want 4 at most", got)
	}
	cancel()
	stop()
}

func TestRetryAfterIsHonoured(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	rc.says(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1000")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	key := s.set(s.alarm("web", rc.URL), watch.Firing)[0]
	s.start()
	eventually(t, "it fails", func() bool { return s.row(key).Status == Failed })
	r := s.row(key)
	if wait := time.Until(r.Next); wait < 900*time.Second || wait > 1000*time.Second {
		t.Errorf("tried again in %s, want in 1000 s", wait)
	}
}

// forgetful is a store that cannot be written for a while.
type forgetful struct {
	Store
	times *atomic.Int32
}

func (f forgetful) Update(ctx context.Context, changes ...Change) ([]string, error) {
	if f.times.Add(-1) >= 0 {
		return nil, errors.New("disk full")
	}
	return f.Store.Update(ctx, changes...)
}

// The answer to a message is kept until the store takes it: the message is not
// sent again for want of room on a disk.
func TestAnswerIsKeptWhileTheDiskIsFull(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	times := new(atomic.Int32)
	s.opts.Store = forgetful{s.store, times}
	rc.says(func(http.ResponseWriter, *http.Request) { times.Store(2) })
	key := s.set(s.alarm("web", rc.URL), watch.Firing)[0]
	s.start()
	if r := s.ends(key); r.Status != Done || len(rc.all()) != 1 || times.Load() >= 0 {
		t.Errorf("%s after %d messages, %d failures left", r.Status, len(rc.all()), times.Load())
	}
}

// What cannot be written down is not begun.
func TestNothingBeginsWhileTheDiskIsFull(t *testing.T) {
	s, rc := newSite(t), newReceiver(t)
	times := new(atomic.Int32)
	times.Store(1 << 20)
	s.opts.Store = forgetful{s.store, times}
	s.command("restart", `touch "$1/ran"`, s.dir)
	keys := s.set(s.alarm("web", rc.URL, "cfnwatch:exec:restart"), watch.Firing)
	_, stop := s.start()
	eventually(t, "it tries", func() bool { return times.Load() < 1<<20-1 })
	stop()
	if _, err := os.Stat(filepath.Join(s.dir, "ran")); err == nil || len(rc.all()) > 0 {
		t.Errorf("the command ran, or a message came: %v", rc.all())
	}
	times.Store(0)
	s.start()
	if a, b := s.ends(keys[0]), s.ends(keys[1]); a.Status != Done || b.Status != Done {
		t.Errorf("with room on the disk: %s and %s", a.Status, b.Status)
	}
}

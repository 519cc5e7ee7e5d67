package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// heartbeatQuery is what cfn-push-stats sends each minute.
const heartbeatQuery = "Action=PutMetricData&Version=2010-08-01&Namespace=system%2Flinux&MetricData.member.1.MetricName=Heartbeat" +
	"&MetricData.member.1.Value=1&MetricData.member.1.Unit=Count" +
	"&MetricData.member.1.Dimensions.member.1.Name=AlarmName&MetricData.member.1.Dimensions.member.1.Value=a" +
	"&MetricData.member.1.Dimensions.member.2.Name=InstanceId&MetricData.member.1.Dimensions.member.2.Value=7d2b6c5e-0000-4000-8000-000000000001"

const heartbeatJSON = `{"Namespace":"system/linux","MetricData":[{"MetricName":"Heartbeat","Value":1,"Unit":"Count","Dimensions":[` +
	`{"Name":"AlarmName","Value":"a"},{"Name":"InstanceId","Value":"7d2b6c5e-0000-4000-8000-000000000001"}]}]}`

func heartbeatCBOR(t testing.TB) []byte {
	return encode(t, obj{"Namespace", "system/linux", "MetricData", arr{obj{"MetricName", "Heartbeat", "Value", 1.0, "Unit", "Count", "Dimensions", arr{
		obj{"Name", "AlarmName", "Value", "a"}, obj{"Name", "InstanceId", "Value", "7d2b6c5e-0000-4000-8000-000000000001"}}}}}, true)
}

// forms are one heartbeat in each protocol.
func forms(t testing.TB) map[string]func() (*http.Request, []byte) {
	form := func(path string, body []byte, header, value string) func() (*http.Request, []byte) {
		return func() (*http.Request, []byte) {
			r := post(t, path, body)
			r.Header.Set(header, value)
			return r, body
		}
	}
	return map[string]func() (*http.Request, []byte){
		"query": form("/v1/", []byte(heartbeatQuery), "Content-Type", "application/x-www-form-urlencoded"),
		"json":  form("/v1", []byte(heartbeatJSON), "X-Amz-Target", service+".PutMetricData"),
		"cbor":  form("/v1/service/"+service+"/operation/PutMetricData", heartbeatCBOR(t), "Smithy-Protocol", "rpc-v2-cbor"),
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, form := range forms(b) {
		b.Run(name, func(b *testing.B) {
			r, body := form()
			b.ReportAllocs()
			for b.Loop() {
				var in putMetricDataInput
				if err := protocolOf(r).decode(r, body, &in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A nobody takes an answer.
type nobody struct {
	header http.Header
	status int
}

func (n *nobody) Header() http.Header         { return n.header }
func (n *nobody) Write(b []byte) (int, error) { return len(b), nil }
func (n *nobody) WriteHeader(status int)      { n.status = status }

// pusher returns what handles one signed heartbeat in each protocol: all that a
// push costs but for HTTP itself.
func pusher(t testing.TB, form func() (*http.Request, []byte)) func() {
	w := unserved(t, Options{RatePerKey: 1e9, BurstPerKey: 1e9, RatePerProject: 1e9})
	w.heartbeat(t, "a", "web")
	verify := w.handler.verify
	w.handler.verify = func(ctx context.Context, r *http.Request, body []byte, arrived time.Time) (*auth.Pass, error) {
		pass, err := verify(ctx, r, body, arrived)
		if err == nil {
			pass.Replayed = false // it is signed once
		}
		return pass, err
	}
	r, body := form()
	sign(t, "GUEST", r, body, time.Now())
	read := bytes.NewReader(nil)
	r.Body = io.NopCloser(read)
	res := nobody{header: http.Header{}}
	return func() {
		read.Reset(body)
		clear(res.header)
		w.handler.ServeHTTP(&res, r)
		if res.status != http.StatusOK {
			t.Fatal(res.status)
		}
	}
}

// BenchmarkPush verifies, decodes, puts and answers.
func BenchmarkPush(b *testing.B) {
	for name, form := range forms(b) {
		b.Run(name, func(b *testing.B) {
			push := pusher(b, form)
			b.ReportAllocs()
			begin, done := cpu(b), 0
			for b.Loop() {
				push()
				done++
			}
			b.ReportMetric(float64((cpu(b)-begin).Nanoseconds())/float64(done), "cpu-ns/push")
		})
	}
}

// A push allocates little, and no more than it did when this was
// written, and one more under the race detector.
func TestAllocationsOfAPush(t *testing.T) {
	most := map[string]float64{"query": 32, "json": 34, "cbor": 26}
	for name, form := range forms(t) {
		if got := testing.AllocsPerRun(100, pusher(t, form)); got > most[name] {
			t.Errorf("a push in %s allocates %v times, and %v are the most", name, got, most[name])
		}
	}
}

// BenchmarkPushFleet is BenchmarkPush for guests of many, each with an alarm
// of its own, in no order of theirs.
func BenchmarkPushFleet(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := unserved(b, Options{RatePerKey: 1e9, BurstPerKey: 1e9, RatePerProject: 1e9})
			for i := range n {
				w.heartbeat(b, fmt.Sprintf("stack-%07d-Heartbeat", i), "web")
			}
			const requests = 100_000
			now := time.Now()
			made, bodies := make([]*http.Request, requests), make([][]byte, requests)
			for i := range made {
				alarm := fmt.Sprintf("stack-%07d-Heartbeat", i*7919%n)
				bodies[i] = []byte(strings.Replace(heartbeatQuery, "Value=a&", "Value="+alarm+"&", 1))
				made[i] = post(b, "/v1/", bodies[i])
				made[i].Header.Set("Content-Type", "application/x-www-form-urlencoded")
				// Of the same guest no two have the same signature.
				sign(b, "GUEST", made[i], bodies[i], now.Add(-time.Duration(i/n)*time.Second))
			}
			runtime.GC()
			res := nobody{header: http.Header{}}
			begin, done := cpu(b), 0
			for b.Loop() {
				for i, r := range made {
					r.Body = io.NopCloser(bytes.NewReader(bodies[i]))
					clear(res.header)
					if w.handler.ServeHTTP(&res, r); res.status != http.StatusOK {
						b.Fatal(res.status)
					}
				}
				done += requests
			}
			b.ReportMetric(float64((cpu(b)-begin).Nanoseconds())/float64(done), "cpu-ns/push")
		})
	}
}

// cpu is what this process has used of the processors.
func cpu(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

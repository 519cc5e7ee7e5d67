package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
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
			for b.Loop() {
				push()
			}
		})
	}
}

// A push allocates little, and no more than it did when this was
// written, and one more under the race detector.
func TestAllocationsOfAPush(t *testing.T) {
	most := map[string]float64{"query": 39, "json": 47, "cbor": 40}
	for name, form := range forms(t) {
		if got := testing.AllocsPerRun(100, pusher(t, form)); got > most[name] {
			t.Errorf("a push in %s allocates %v times, and %v are the most", name, got, most[name])
		}
	}
}

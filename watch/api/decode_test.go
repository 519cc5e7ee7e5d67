package api

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

func p[T any](v T) *T { return &v }

// when is a time that all protocols can carry.
var when = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// full is what the requests below say in each protocol.
var full = putMetricDataInput{
	Namespace: "system/linux",
	MetricData: []datum{
		{
			MetricName: "Heartbeat", Value: p(1.0), Unit: "Counter", Timestamp: stampOf(when),
			Dimensions: []dimension{{"AlarmName", "st-Heartbeat"}, {"InstanceId", "i-1"}},
		},
		{MetricName: "Load", StatisticValues: &statisticSet{p(4.0), p(10.0), p(1.0), p(4.5)}, StorageResolution: p(1)},
		{MetricName: "Latency", Values: []float64{1, 2.5, -3}, Counts: []float64{1, 2, 3}},
	},
}

const fullQuery = "Action=PutMetricData&Version=2010-08-01&Namespace=system%2Flinux" +
	"&MetricData.member.1.MetricName=Heartbeat&MetricData.member.1.Value=1&MetricData.member.1.Unit=Counter" +
	"&MetricData.member.1.Timestamp=2026-11-28T12%3A00%3A00Z" +
	"&MetricData.member.1.Dimensions.member.2.Name=InstanceId&MetricData.member.1.Dimensions.member.2.Value=i-1" +
	"&MetricData.member.1.Dimensions.member.1.Name=AlarmName&MetricData.member.1.Dimensions.member.1.Value=st-Heartbeat" +
	"&MetricData.member.3.MetricName=Latency&MetricData.member.3.Values.member.1=1&MetricData.member.3.Values.member.2=2.5&MetricData.member.3.Values.member.3=-3" +
	"&MetricData.member.3.Counts.member.1=1&MetricData.member.3.Counts.member.2=2&MetricData.member.3.Counts.member.3=3" +
	"&MetricData.member.2.MetricName=Load&MetricData.member.2.StatisticValues.SampleCount=4&MetricData.member.2.StatisticValues.Sum=10" +
	"&MetricData.member.2.StatisticValues.Minimum=1&MetricData.member.2.StatisticValues.Maximum=4.5&MetricData.member.2.StorageResolution=1" +
	"&AWSAccessKeyId=4567&SignatureVersion=2"

const fullJSON = `{"Namespace":"system/linux","MetricData":[
	{"MetricName":"Heartbeat","Value":1,"Unit":"Counter","Timestamp":1795867200,
	 "Dimensions":[{"Name":"AlarmName","Value":"st-Heartbeat"},{"Name":"InstanceId","Value":"i-1"}]},
	{"MetricName":"Load","StatisticValues":{"SampleCount":4,"Sum":10,"Minimum":1,"Maximum":4.5},"StorageResolution":1,"Dimensions":null},
	{"MetricName":"Latency","Values":[1,2.5,-3],"Counts":[1,2,3],"Unheard":{"of":[]}}]}`

// fullCBOR is the same as a client of Go writes it, with maps and lists of
// indefinite length, and as one of Python does.
func fullCBOR(t testing.TB, indefinite bool) []byte {
	t.Helper()
	timed := any(cbor.Tag{Number: 1, Content: 1795867200})
	if indefinite {
		timed = cbor.Tag{Number: 1, Content: 1795867200.0}
	}
	v := obj{"Namespace", "system/linux", "MetricData", arr{
		obj{"MetricName", "Heartbeat", "Value", 1.0, "Unit", "Counter", "Timestamp", timed,
			"Dimensions", arr{obj{"Name", "AlarmName", "Value", "st-Heartbeat"}, obj{"Name", "InstanceId", "Value", "i-1"}}},
		obj{"MetricName", "Load", "StatisticValues", obj{"SampleCount", float32(4), "Sum", 10, "Minimum", 1.0, "Maximum", float32(4.5)},
			"StorageResolution", 1, "Dimensions", nil},
		obj{"MetricName", "Latency", "Values", arr{1.0, 2.5, -3.0}, "Counts", arr{1, 2, 3}, "Unheard", obj{"of", arr{}}},
	}}
	return encode(t, v, indefinite)
}

type (
	obj []any // keys and values by turns
	arr []any
)

// encode writes CBOR whose maps and lists are of indefinite length or not.
func encode(t testing.TB, v any, indefinite bool) []byte {
	t.Helper()
	head := func(major byte, n int) []byte {
		if indefinite {
			return []byte{major<<5 | 31}
		}
		return []byte{major<<5 | byte(n)} // n < 24
	}
	var b []byte
	var items []any
	switch v := v.(type) {
	case obj:
		b, items = head(5, len(v)/2), v
	case arr:
		b, items = head(4, len(v)), v
	default:
		b, err := cbor.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, item := range items {
		b = append(b, encode(t, item, indefinite)...)
	}
	if indefinite {
		b = append(b, 0xff)
	}
	return b
}

func TestOneRequestTypeFromEachProtocol(t *testing.T) {
	for name, c := range map[string]struct {
		protocol protocol
		body     []byte
	}{
		"query":           {&queryProtocol{}, []byte(fullQuery)},
		"JSON":            {jsonProtocol{}, []byte(fullJSON)},
		"CBOR":            {cborProtocol{}, fullCBOR(t, false)},
		"CBOR indefinite": {cborProtocol{}, fullCBOR(t, true)},
	} {
		var got putMetricDataInput
		if err := c.protocol.decode(post(t, "/", c.body), c.body, &got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !reflect.DeepEqual(got, full) {
			t.Errorf("%s: decoded %s, want %s", name, dump(got), dump(full))
		}
	}
}

func dump(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func post(t testing.TB, path string, body []byte) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(string(body)))
}

func TestQueryTakesParametersOfTheURLToo(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/?Action=DescribeAlarms&AlarmNames.member.1=a%20b+c&MaxRecords=5", nil)
	var in describeAlarmsInput
	if err := (&queryProtocol{}).decode(r, nil, &in); err != nil {
		t.Fatal(err)
	}
	if want := (describeAlarmsInput{AlarmNames: []string{"a b c"}, MaxRecords: p(5)}); !reflect.DeepEqual(in, want) {
		t.Errorf("decoded %s, want %s", dump(in), dump(want))
	}
}

func TestWhatIsNoRequest(t *testing.T) {
	deep := append([]byte{0xa1, 0x61, 'X'}, hexBytes(t, strings.Repeat("81", 40)+"80")...)
	for name, c := range map[string]struct {
		protocol protocol
		body     string
		want     string
	}{
		"a value that is no number": {&queryProtocol{}, "MetricData.member.1.Value=abc", `InvalidParameterValue: MetricData.member.1.Value: "abc" is not a number`},
		"members count from one":    {&queryProtocol{}, "MetricData.member.0.Value=1", `InvalidParameterValue: MetricData.member.0.Value: "0" is not the number of a member: they count from 1`},
		"a member far off":          {&queryProtocol{}, "MetricData.member.1000000000.Value=1", `InvalidParameterValue: MetricData.member.1000000000.Value: members are missing before this one: they count from 1 without a gap`},
		"a list that is a value":    {&queryProtocol{}, "MetricData=1", `InvalidParameterValue: MetricData: a list is given as member.1, member.2 and so on`},
		"a time that is none":       {&queryProtocol{}, "MetricData.member.1.Timestamp=now", `InvalidParameterValue: MetricData.member.1.Timestamp: "now" is not a time such as 2006-01-02T15:04:05Z`},
		"a bad escape":              {&queryProtocol{}, "Namespace=%zz", `SerializationException: the value of Namespace: invalid URL escape "%zz"`},
		"JSON of another type":      {jsonProtocol{}, `{"MetricData":[{"Value":"1"}]}`, `SerializationException: MetricData.Value: a JSON string is no float64`},
		"half of a JSON object":     {jsonProtocol{}, `{"MetricData":`, `SerializationException: the body is not JSON of this action: unexpected end of JSON input`},
		"CBOR with a key twice":     {cborProtocol{}, "\xa2\x61A\x01\x61A\x02", `SerializationException: the body is not CBOR of this action: cbor: found duplicate map key "A" at map element index 1`},
		"CBOR too deep":             {cborProtocol{}, string(deep), `SerializationException: the body is not CBOR of this action: cbor: exceeded max nested level 16`},
		"half of a CBOR map":        {cborProtocol{}, "\xbf\x61A", `SerializationException: the body is not CBOR of this action: unexpected EOF`},
	} {
		err := c.protocol.decode(post(t, "/", nil), []byte(c.body), new(putMetricDataInput))
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: decode = %v, want %s", name, err, c.want)
		}
	}
}

func hexBytes(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A few parameters must not make the server reserve much memory.
func TestQueryReservesNoMoreThanItIsGiven(t *testing.T) {
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "&MetricData.member.%d.Dimensions.member.1000.Name=x", i+1)
	}
	var in putMetricDataInput
	if err := (&queryProtocol{}).decode(post(t, "/", nil), []byte(b.String()), &in); err == nil {
		t.Error("a gap in each of 1,000 lists was taken")
	}
	n := 0
	for _, d := range in.MetricData {
		n += cap(d.Dimensions)
	}
	if n > 2000 {
		t.Errorf("there is room for %d dimensions, of 1,000 parameters", n)
	}
}

// A time has fields of its own in Go, which no parameter may reach.
func TestQueryReachesFieldsOfTheModelAlone(t *testing.T) {
	for _, field := range []string{"loc", "loc.name", "ext", "wall"} {
		var in putMetricDataInput
		if err := (&queryProtocol{}).decode(post(t, "/", nil), []byte("MetricData.member.1.Timestamp."+field+"=1"), &in); err != nil {
			t.Errorf("%s: %v, want it passed over like any unknown parameter", field, err)
		}
	}
}

// Empty members take few bytes to send, fewer once compressed, and each takes
// the room of a whole one.
func TestListsReserveNoMoreThanIsTaken(t *testing.T) {
	list := func(head, item, tail string, n int) string { return head + strings.Repeat(item, n) + tail }
	members := list("\x9f", "\xa0", "\xff", 9_000) // 0xa0 is an empty map
	for name, c := range map[string]struct {
		protocol protocol
		body     string
	}{
		"JSON datums":     {jsonProtocol{}, list(`{"MetricData":[`, `{},`, `{}]}`, maxPlain/3-10)},
		"JSON dimensions": {jsonProtocol{}, list(`{"MetricData":[{"Dimensions":[`, `{},`, `{}]}]}`, maxPlain/3-20)},
		"CBOR dimensions": {cborProtocol{}, list("\xa1\x6aMetricData\x9f", "\xa1\x6aDimensions"+members, "\xff", maxPlain/len(members)-2)},
	} {
		if len(c.body) > maxPlain {
			t.Fatalf("%s: %d bytes never come this far", name, len(c.body))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := c.protocol.decode(post(t, "/", nil), []byte(c.body), new(putMetricDataInput))
		runtime.ReadMemStats(&after)
		if spent := after.TotalAlloc - before.TotalAlloc; err == nil || spent > 4*maxPlain {
			t.Errorf("%s: %d bytes were allocated, and the answer is %v, want it refused for less", name, spent, err)
		}
	}
}

// A name that is kept, of an alarm or a metric, kept the whole request: some MiB
// for a few bytes.
func TestQueryDecodesStringsOfTheirOwn(t *testing.T) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var kept []string
	for i := range 100 {
		var in putMetricDataInput
		body := fmt.Appendf(nil, "Namespace=n%d&Unheard=%s", i, strings.Repeat("x", 1<<20))
		if err := (&queryProtocol{}).decode(post(t, "/", nil), body, &in); err != nil {
			t.Fatal(err)
		}
		kept = append(kept, in.Namespace)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 10<<20 {
		t.Errorf("%d names keep %d MiB", len(kept), grown>>20)
	}
	runtime.KeepAlive(kept)
}

func TestStampsInEachForm(t *testing.T) {
	f := func(text string, want time.Time) {
		t.Helper()
		var s stamp
		if err := s.UnmarshalText([]byte(text)); err != nil || !time.Time(s).Equal(want) {
			t.Errorf("UnmarshalText(%s) = %v, %v, want %v", text, time.Time(s), err, want)
		}
	}
	f("2026-11-28T12:00:00Z", when)
	f("2026-11-28T12:00:00", when)
	f("2026-11-28T12:00:00.25Z", when.Add(250*time.Millisecond))
	f("2026-11-28T14:00:00.000+02:00", when)
	f("2026-11-28 12:00:00", when)
	f("20261128T120000Z", when)
	f("1795867200.5", when.Add(500*time.Millisecond))
	f("2026-11-28", when.Add(-12*time.Hour))
	for _, text := range []string{"", "yesterday", "NaN", "1e300", "-1e14", "2026-13-01T00:00:00Z"} {
		if err := new(stamp).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q): no error", text)
		}
	}
}

func TestStampComesBackFromEachForm(t *testing.T) {
	want := stamp(when.Add(123 * time.Millisecond))
	var fromJSON, fromCBOR, fromText stamp
	j, err := json.Marshal(want)
	if err != nil || string(j) != "1795867200.123" || json.Unmarshal(j, &fromJSON) != nil || fromJSON != want {
		t.Errorf("JSON %s, %v, comes back as %v", j, err, time.Time(fromJSON))
	}
	c, err := cborEncoder.Marshal(want)
	if err != nil || c[0] != 0xc1 || c[1] != 0xfb || cborDecoder.Unmarshal(c, &fromCBOR) != nil || fromCBOR != want {
		t.Errorf("CBOR %x, %v, comes back as %v, want tag 1 and a 64-bit float", c, err, time.Time(fromCBOR))
	}
	x, err := want.MarshalText()
	if err != nil || string(x) != "2026-11-28T12:00:00.123Z" || fromText.UnmarshalText(x) != nil || fromText != want {
		t.Errorf("text %s, %v, comes back as %v", x, err, time.Time(fromText))
	}
}

func TestUnitsAreMeantKindly(t *testing.T) {
	for in, want := range map[string]string{
		"": "None", "Count": "Count", "Counter": "Count", "megabytes": "Megabytes", "PERCENT": "Percent",
		"bytes/second": "Bytes/Second", "None": "None", "furlongs": "None",
	} {
		if got := unitOf(in); got != want {
			t.Errorf("unitOf(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add(fullQuery)
	f.Add("AlarmNames.member.1=a&AlarmNames=")
	f.Add("AlarmNames.member.1=%80%80a\xff") // no UTF-8
	f.Add("MetricData.member.2.Values.member.3=1&MetricData.member.1.Timestamp=1e9")
	f.Fuzz(func(t *testing.T, body string) {
		for _, a := range inputs() {
			r := &http.Request{URL: &url.URL{}}
			if err := (&queryProtocol{}).decode(r, []byte(body), a); err != nil {
				continue
			}
			// What was decoded decodes from JSON of itself.
			roundTrip(t, a)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(fullJSON))
	f.Add([]byte(`{"AlarmNames":["a"],"MaxRecords":1,"StartDate":"2026-01-01","EndDate":1e9}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, a := range inputs() {
			if (jsonProtocol{}).decode(nil, body, a) == nil {
				roundTrip(t, a)
			}
		}
	})
}

func FuzzCBOR(f *testing.F) {
	f.Add(fullCBOR(f, true))
	f.Add(fullCBOR(f, false))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, a := range inputs() {
			if (cborProtocol{}).decode(nil, body, a) == nil {
				roundTrip(t, a)
			}
		}
	})
}

// inputs are one of each kind of request type.
func inputs() []any {
	return []any{new(putMetricDataInput), new(putMetricAlarmInput), new(describeAlarmHistoryInput), new(describeAlarmsInput)}
}

// roundTrip encodes a request in CBOR, which holds every value that a request
// type can, decodes it again and encodes it again.
func roundTrip(t *testing.T, in any) {
	t.Helper()
	first, err := cborEncoder.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	again := reflect.New(reflect.TypeOf(in).Elem()).Interface()
	if err := (cborProtocol{}).decode(nil, first, again); err != nil {
		t.Fatalf("%s does not come back: %v", dump(in), err)
	}
	second, err := cborEncoder.Marshal(again)
	if err != nil || string(first) != string(second) {
		t.Errorf("%x comes back as %x, %v", first, second, err)
	}
}

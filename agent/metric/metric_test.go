package metric

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// recorded reads the form of a recorded request.
func recorded(t testing.TB, name string) (form url.Values, body string) {
	t.Helper()
	f, err := os.Open("testdata/" + name + ".request.http")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	req, err := http.ReadRequest(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	if form, err = url.ParseQuery(string(data)); err != nil {
		t.Fatal(err)
	}
	return form, string(data)
}

func TestFormIsThatOfHeatCfntools(t *testing.T) {
	dimensions := map[string]string{
		"metering.stack": "t4", "InstanceId": "7d2b6c5e-0000-4000-8000-000000000001", "AlarmName": "t4-Alarm-x",
	}
	for name, p := range map[string]Datapoint{
		"cfn-push-stats-1.4.2-heartbeat":         {Name: "Heartbeat", Unit: "Counter", Value: 1},
		"cfn-push-stats-1.4.2-disk-and-custom":   {Name: "Foo", Unit: "Count", Value: 7},
		"cfn-push-stats-1.4.2-disk-and-custom.2": {Name: "DiskSpaceUtilization", Unit: "Percent", Value: 26.7},
	} {
		p.Namespace, p.Dimensions = "system/linux", dimensions
		form, body := recorded(t, name)
		got, err := Parse(form)
		if want := []Datapoint{p}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Parse(%s) = %v, %v, want %v", name, got, err, want)
		}
		// The order of dimensions means nothing, and is the only difference.
		sent := Form([]Datapoint{p})
		if got := sent.Encode(); len(got) != len(body) || !reflect.DeepEqual(values(sent), values(form)) {
			t.Errorf("Form(%s) = %s, want %s", name, got, body)
		}
	}
}

// values counts each value of a form under its parameter's last word.
func values(form url.Values) map[string]int {
	counts := map[string]int{}
	for name, list := range form {
		counts[name[strings.LastIndexByte(name, '.')+1:]+"="+list[0]]++
	}
	return counts
}

func TestForm(t *testing.T) {
	at := time.Date(2026, 1, 2, 16, 4, 5, 60e6, time.FixedZone("", 3600))
	form := Form([]Datapoint{
		{Namespace: "n/s", Name: "A", Value: 0.5, Time: at, Dimensions: map[string]string{"b": "2", "a": "1"}},
		{Namespace: "n/s", Name: "B", Unit: "Bytes", Value: 1 << 40},
	})
	want := url.Values{
		"Action": {"PutMetricData"}, "Version": {"2010-08-01"}, "Namespace": {"n/s"},
		"MetricData.member.1.MetricName": {"A"}, "MetricData.member.1.Value": {"0.5"},
		"MetricData.member.1.Timestamp":                 {"2026-01-02T15:04:05.06Z"},
		"MetricData.member.1.Dimensions.member.1.Name":  {"a"},
		"MetricData.member.1.Dimensions.member.1.Value": {"1"},
		"MetricData.member.1.Dimensions.member.2.Name":  {"b"},
		"MetricData.member.1.Dimensions.member.2.Value": {"2"},
		"MetricData.member.2.MetricName":                {"B"},
		"MetricData.member.2.Unit":                      {"Bytes"},
		"MetricData.member.2.Value":                     {"1099511627776"},
	}
	if !reflect.DeepEqual(form, want) {
		t.Errorf("Form = %v, want %v", form, want)
	}
}

func TestCheck(t *testing.T) {
	many := map[string]string{}
	for i := range MaxDimensions + 1 {
		many[fmt.Sprint("d", i)] = "v"
	}
	good := Datapoint{Namespace: "n", Name: "m"}
	f := func(want string, change func(*Datapoint)) {
		t.Helper()
		p := good
		change(&p)
		err := p.Check()
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.Contains(got, want) {
			t.Errorf("Check(%+.60v) = %v, want %q", p, err, want)
		}
	}
	f("", func(*Datapoint) {})
	f("", func(p *Datapoint) { p.Name = strings.Repeat("é", MaxName) })
	f("its name is not of 1 to 255", func(p *Datapoint) { p.Name = strings.Repeat("a", MaxName+1) })
	f("its name is not of 1 to 255", func(p *Datapoint) { p.Name = "\xff" })
	f("its namespace", func(p *Datapoint) { p.Namespace = "" })
	f("its namespace", func(p *Datapoint) { p.Namespace = ":n" })
	f("is not a value", func(p *Datapoint) { p.Value = math.NaN() })
	f("is not a value", func(p *Datapoint) { p.Value = math.Inf(-1) })
	f("", func(p *Datapoint) { p.Value = -maxValue })
	f("is not a value", func(p *Datapoint) { p.Value = maxValue * 2 })
	f("it has 31 dimensions", func(p *Datapoint) { p.Dimensions = many })
	f(`dimension "d" = ""`, func(p *Datapoint) { p.Dimensions = map[string]string{"d": ""} })
}

func TestCutKeepsTheLimitsOfARequest(t *testing.T) {
	var points []Datapoint
	for i := range 2500 {
		p := Datapoint{Namespace: "a", Name: fmt.Sprint("m", i), Unit: "Counter", Value: float64(i), Time: time.Unix(int64(i), 0)}
		if i%5 == 4 {
			p.Namespace = "b"
		}
		points = append(points, p)
	}
	var sizes []string
	for rest := points; len(rest) > 0; {
		var batch []Datapoint
		batch, rest = Cut(rest)
		sizes = append(sizes, fmt.Sprint(batch[0].Namespace, len(batch)))
		for i, p := range batch {
			if p.Namespace != batch[0].Namespace || i > 0 && !p.Time.After(batch[i-1].Time) {
				t.Fatalf("Cut gives %v after %v, want one namespace in order", p, batch[i-1])
			}
		}
	}
	if got, want := strings.Join(sizes, " "), "a1000 b500 a1000"; got != want {
		t.Errorf("Cut: batches %s, want %s", got, want)
	}
	if batch, rest := Cut(nil); batch != nil || rest != nil {
		t.Errorf("Cut(nil) = %v, %v, want nothing", batch, rest)
	}
}

func TestCutKeepsABodyBelowOneMegabyte(t *testing.T) {
	long := map[string]string{}
	for i := range 10 {
		long[fmt.Sprint("d", i)] = strings.Repeat("/", MaxDimension) // three bytes each when encoded
	}
	var points []Datapoint
	for range 100 {
		points = append(points, Datapoint{Namespace: "system/linux", Name: "Heart beat", Value: 1, Dimensions: long})
	}
	count := 0
	for rest := points; len(rest) > 0; {
		var batch []Datapoint
		batch, rest = Cut(rest)
		count += len(batch)
		body := strings.ReplaceAll(Form(batch).Encode(), "+", "%20")
		if len(body) > MaxBody || len(rest) > 0 && len(body) < MaxBody*9/10 {
			t.Errorf("body of %d datapoints has %d bytes, want up to %d", len(batch), len(body), MaxBody)
		}
	}
	if count != len(points) {
		t.Errorf("Cut gave %d datapoints, want %d", count, len(points))
	}
}

func TestParseRefuses(t *testing.T) {
	f := func(query, want string) {
		t.Helper()
		form, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(form); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%s) = %v, %v, want %q", query, got, err, want)
		}
	}
	f("Action=DescribeAlarms", `the action "DescribeAlarms"`)
	f("Action=PutMetricData&Namespace=n", "there is no MetricData.member.1")
	f("Action=PutMetricData&Namespace=n&MetricData.member.1.Value=1", "its name")
	f("Action=PutMetricData&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1", "its namespace")
	f("Action=PutMetricData&Namespace=n&MetricData.member.1.MetricName=m&MetricData.member.1.StatisticValues.Sum=1", `Value "" is not a number`)
	f("Action=PutMetricData&Namespace=n&MetricData.member.1.MetricName=m&MetricData.member.1.Value=NaN", "is not a value")
	f("Action=PutMetricData&Namespace=n&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1&MetricData.member.1.Timestamp=now", `Timestamp "now"`)
	f("Action=PutMetricData&Namespace=n&MetricData.member.1.MetricName=m&MetricData.member.1.Value=1&MetricData.member.1.Dimensions.member.1.Name=x", `dimension "x" = ""`)
}

// What is taken prints back to what is taken again as the same.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"heartbeat", "disk-and-custom", "disk-and-custom.2"} {
		_, body := recorded(f, "cfn-push-stats-1.4.2-"+name)
		f.Add(body)
	}
	f.Add("Action=PutMetricData&Namespace=n&MetricData.member.1.MetricName=m&MetricData.member.1.Value=-1e300&MetricData.member.1.Timestamp=2026-01-02T15:04:05.123456%2B01:00")
	f.Fuzz(func(t *testing.T, query string) {
		form, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		points, err := Parse(form)
		if err != nil {
			return
		}
		for i := range points {
			points[i].Time = points[i].Time.Truncate(time.Millisecond)
		}
		again, err := Parse(Form(points))
		if err != nil || !reflect.DeepEqual(again, points) {
			t.Fatalf("Parse(Form(%v)) = %v, %v", points, again, err)
		}
	})
}

package cfnapi

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/metadata/awsquery"
)

// The dialects differ in the form of Metadata and of the time; Heat writes
// None for what is absent.
func TestParseDetailDialects(t *testing.T) {
	json := func(fields string) string {
		return `{"DescribeStackResourceResponse":{"ResponseMetadata":{"RequestId":"1"},"DescribeStackResourceResult":{"StackResourceDetail":{` + fields + `}}}}`
	}
	xml := func(fields string) string {
		return `<?xml version="1.0"?><DescribeStackResourceResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStackResourceResult><StackResourceDetail>` +
			fields + `</StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`
	}
	when := time.Date(2012, 7, 23, 13, 6, 0, 0, time.UTC)
	tests := map[string]struct {
		body         string
		metadata, id string
		updated      time.Time
	}{
		"AWS JSON":          {json(`"Metadata":"{\"a\": [1]}","LastUpdatedTimestamp":1343048760,"PhysicalResourceId":"abc"`), `{"a": [1]}`, "abc", when},
		"AWS JSON, parts":   {json(`"Metadata":"{}","LastUpdatedTimestamp":1.34304876E9`), `{}`, "", when},
		"Heat JSON":         {json(`"Metadata":{"a": [1]},"LastUpdatedTimestamp":"2012-07-23T13:06:00Z","PhysicalResourceId":null`), `{"a": [1]}`, "", when},
		"Heat JSON, null":   {json(`"Metadata":null,"LastUpdatedTimestamp":null`), `{}`, "", time.Time{}},
		"XML":               {xml(`<Metadata>{&quot;a&quot;: &quot;&lt;&amp;&#10;&quot;}</Metadata><PhysicalResourceId>abc</PhysicalResourceId><LastUpdatedTimestamp>2012-07-23T13:06:00Z</LastUpdatedTimestamp>`), "{\"a\": \"<&\n\"}", "abc", when},
		"XML, other order":  {xml(`<LastUpdatedTimestamp>2012-07-23T13:06:00</LastUpdatedTimestamp><Unknown><x/></Unknown><Metadata>{}</Metadata>`), `{}`, "", when},
		"XML, no metadata":  {xml(`<Metadata></Metadata><PhysicalResourceId>None</PhysicalResourceId>`), `{}`, "", time.Time{}},
		"XML, None":         {xml(`<Metadata>None</Metadata><LastUpdatedTimestamp>None</LastUpdatedTimestamp>`), `{}`, "", time.Time{}},
		"XML, closed":       {xml(`<Metadata/>`), `{}`, "", time.Time{}},
		"XML, elements":     {xml(`<Metadata>{<x>no</x>}<x/></Metadata>`), `{}`, "", time.Time{}},
		"XML, odd time":     {xml(`<Metadata/><LastUpdatedTimestamp>-1e400</LastUpdatedTimestamp>`), `{}`, "", time.Time{}},
		"a byte order mark": {"\ufeff\n" + xml(`<Metadata>{}</Metadata>`), `{}`, "", time.Time{}},
	}
	for name, tt := range tests {
		got, err := parseDetail([]byte(tt.body))
		if err != nil || string(got.Metadata) != tt.metadata || got.PhysicalResourceID != tt.id || !got.LastUpdated.Equal(tt.updated) {
			t.Errorf("%s: parseDetail = %s %q %v, %v, want %s %q %v", name, got.Metadata, got.PhysicalResourceID, got.LastUpdated, err,
				tt.metadata, tt.id, tt.updated)
		}
	}
}

// What has no Metadata says nothing of the metadata: "{}" would be kept over
// what was known.
func TestFakeHeatAnswerWithoutMetadata(t *testing.T) {
	const begin, end = "<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail>",
		"</StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"
	for _, body := range []string{
		begin + "<StackId>x</StackId>" + end,
		begin + "<x><Metadata>{}</Metadata></x>" + end,
		`{"DescribeStackResourceResponse":{"DescribeStackResourceResult":{"StackResourceDetail":{"StackId":"x"}}}}`,
	} {
		if d, err := parseDetail([]byte(body)); err != nil || d.Metadata != nil {
			t.Errorf("parseDetail(%s) = %+v, %v, want no metadata", body, d, err)
		}
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) }))
		d, err := client(t, s).Fetch(t.Context())
		s.Close()
		if !errors.Is(err, awsquery.ErrBadAnswer) || !strings.Contains(err.Error(), "resource Guest of stack t3: bad answer: it has no Metadata") {
			t.Errorf("Fetch of %s = %+v, %v, want a bad answer", body, d, err)
		}
	}
}

// A tree of millions of elements took 222 MB and 9 s for an answer of 6 MB.
func TestParseDetailBoundsHostileXML(t *testing.T) {
	deep, flat := strings.Repeat("<a>", 2<<20), strings.Repeat("<a/>", 1<<16)
	const root = "<DescribeStackResourceResponse>"
	for name, tt := range map[string]struct{ body, want string }{
		"deep":            {deep, "it does not describe a resource"},
		"deep in the one": {root + deep, "its XML is nested too deep"},
		"flat in the one": {root + flat, "its XML is cut or damaged after"},
		"an endless page": {"<html>" + flat, "it does not describe a resource"},
	} {
		body := []byte(tt.body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := parseDetail(body)
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 300 {
			t.Errorf("%s: parseDetail = %v, want %q in one line", name, err, tt.want)
		}
		if strings.HasPrefix(name, "deep") && after.TotalAlloc-before.TotalAlloc > 2<<20 {
			t.Errorf("%s: parseDetail took %d bytes", name, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

func FuzzParseDetail(f *testing.F) {
	for _, name := range []string{"describe-v4-xml-default", "describe-v4-json", "error-unknown-stack"} {
		data, err := os.ReadFile("testdata/" + name + ".response.http")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[len(data)-600:])
		f.Add(data)
	}
	f.Add([]byte(`{"DescribeStackResourceResponse":{"DescribeStackResourceResult":{"StackResourceDetail":{"Metadata":"{}"}}}}`))
	f.Add([]byte(`<DescribeStackResourceResponse><DescribeStackResourceResult><StackResourceDetail><Metadata>{}</Metadata></StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseDetail(body)
		if err == nil && d.Metadata != nil && len(d.Metadata) == 0 {
			t.Error("parseDetail gives empty metadata and no error")
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("error of several lines: %q", err)
		}
	})
}

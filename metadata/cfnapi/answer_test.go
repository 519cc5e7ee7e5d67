package cfnapi

import (
	"os"
	"testing"
	"time"
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
		"XML without any":   {xml(``), `{}`, "", time.Time{}},
		"XML, odd time":     {xml(`<LastUpdatedTimestamp>-1e400</LastUpdatedTimestamp>`), `{}`, "", time.Time{}},
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
		if err == nil && len(d.Metadata) == 0 {
			t.Error("parseDetail gives no metadata and no error")
		}
	})
}

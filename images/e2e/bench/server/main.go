// Command server answers as heat-api-cfn does what guests without a Heat ask
// of it: DescribeStackResource in XML and in JSON, and the PUT of a signal; it
// also is an alarm server, and Nova's metadata service. It counts what it is
// asked, and checks no signature: the clients are measured.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

// metadata are, unless a file is named, those of resource WikiDatabase in the public Heat template
// F17/WordPress_Single_Instance_With_HA.yaml (openstack/heat-templates, Apache
// License 2.0).
//
//go:embed metadata.json
var metadata []byte

func main() {
	file := flag.String("metadata", "", "`file` with other metadata")
	flag.Parse()
	if flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: server [-metadata FILE] HOST:PORT...")
		os.Exit(2)
	}
	if *file != "" {
		var err error
		if metadata, err = os.ReadFile(*file); err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(1)
		}
	}
	c := counts{n: map[string]int{}, quiet: *file == ""}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/{$}", c.describe)
	mux.HandleFunc("POST /v1/{$}", c.put)
	mux.HandleFunc("PUT /v1/waitcondition/", c.signal)
	mux.HandleFunc("GET /counted/{what}", c.answer)
	mux.HandleFunc("GET /openstack/{version}/meta_data.json", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "application/json", []byte(`{"uuid": "7d2b6c5e-0000-4000-8000-000000000001", "meta": {"metering.stack": "bench"}}`), nil)
	})
	failed := make(chan error)
	for _, address := range flag.Args() {
		go func() { failed <- http.ListenAndServe(address, mux) }()
	}
	fmt.Fprintln(os.Stderr, "server:", <-failed)
	os.Exit(1)
}

// counts are of what was asked: "signals", "polls STACK", "pushes ALARM".
type counts struct {
	quiet bool // stacks of other names than bench have no services
	mu    sync.Mutex
	n     map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[what]++
}

func (c *counts) answer(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprint(w, c.n[r.PathValue("what")])
}

// put takes whatever datapoints, for the alarm that the first one names.
func (c *counts) put(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("Action") != "PutMetricData" || !isSigned(r) {
		http.Error(w, "not a signed PutMetricData", http.StatusBadRequest)
		return
	}
	alarm := ""
	for i := 1; r.Form.Has(dimension(i) + "Name"); i++ {
		if r.Form.Get(dimension(i)+"Name") == "AlarmName" {
			alarm = r.Form.Get(dimension(i) + "Value")
		}
	}
	c.add("pushes " + alarm)
	answer(w, "text/xml", []byte("<PutMetricDataResponse/>"), nil)
}

func dimension(i int) string { return fmt.Sprintf("MetricData.member.1.Dimensions.member.%d.", i) }

func isSigned(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ")
}

// quiet are the metadata without services, for guests that watch: there is no
// systemd where the benchmark runs that could tell of them.
var quiet = sync.OnceValue(func() json.RawMessage {
	var doc struct {
		Init struct {
			Config map[string]json.RawMessage `json:"config"`
		} `json:"AWS::CloudFormation::Init"`
	}
	if err := json.Unmarshal(metadata, &doc); err != nil {
		panic(err) // they are embedded
	}
	delete(doc.Init.Config, "services")
	text, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return text
})

// detail has the fields in Heat's order.
type detail struct {
	Description          string
	LastUpdatedTimestamp string
	LogicalResourceId    string
	Metadata             json.RawMessage
	PhysicalResourceId   string
	ResourceStatusReason string
	ResourceType         string
	StackId              string
	StackName            string
	ResourceStatus       string
}

func (c *counts) describe(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("Action") != "DescribeStackResource" || !isSigned(r) {
		http.Error(w, "not a signed DescribeStackResource", http.StatusBadRequest)
		return
	}
	d := detail{
		LastUpdatedTimestamp: "2026-11-20T22:31:03Z", LogicalResourceId: q.Get("LogicalResourceId"), Metadata: metadata,
		PhysicalResourceId: "77cc12d2-4816-4e4d-890e-c0605bd4367e", ResourceStatusReason: "state changed", ResourceType: "OS::Nova::Server",
		StackId:   "arn:openstack:heat::72e8852e54094689a89a76f87c8c1576:stacks/bench/5bd66e27-5259-4ae3-b6ba-98681889ac96",
		StackName: q.Get("StackName"), ResourceStatus: "UPDATE_COMPLETE",
	}
	if c.quiet && d.StackName != "bench" {
		d.Metadata = quiet()
	}
	c.add("polls " + d.StackName)
	if q.Get("ContentType") == "JSON" {
		body, err := json.Marshal(map[string]any{"DescribeStackResourceResponse": map[string]any{
			"DescribeStackResourceResult": map[string]any{"StackResourceDetail": d}}})
		answer(w, "application/json", body, err)
		return
	}
	body, err := d.xml()
	answer(w, "application/xml; charset=UTF-8", body, err)
}

func (d detail) xml() ([]byte, error) {
	// In XML Heat sends the metadata as text.
	type asText struct {
		detail
		Metadata string
	}
	var b bytes.Buffer
	b.WriteString("<DescribeStackResourceResponse><DescribeStackResourceResult>")
	err := xml.NewEncoder(&b).EncodeElement(asText{d, string(d.Metadata)}, xml.StartElement{Name: xml.Name{Local: "StackResourceDetail"}})
	b.WriteString("</DescribeStackResourceResult></DescribeStackResourceResponse>")
	return b.Bytes(), err
}

// signal counts what is a whole signal.
func (c *counts) signal(w http.ResponseWriter, r *http.Request) {
	var signal struct{ Status, Reason, UniqueId, Data *string }
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &signal)
	}
	if err != nil || signal.Status == nil || signal.Reason == nil || signal.UniqueId == nil || signal.Data == nil {
		http.Error(w, "not a signal", http.StatusBadRequest)
		return
	}
	c.add("signals")
	answer(w, "application/xml; charset=UTF-8", []byte("<resource>WaitHandle</resource>"), nil)
}

func answer(w http.ResponseWriter, contentType string, body []byte, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(body) // a client that has gone needs no answer
}

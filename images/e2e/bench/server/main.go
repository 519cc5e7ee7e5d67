// Command server answers as heat-api-cfn does what guests without a Heat ask
// of it: DescribeStackResource in XML and in JSON, and the PUT of a signal. It
// counts the signals, and checks no signature: the clients are measured.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

// metadata are, unless a file is named, those of resource WikiDatabase in the public Heat template
// F17/WordPress_Single_Instance_With_HA.yaml (openstack/heat-templates, Apache
// License 2.0).
//
//go:embed metadata.json
var metadata []byte

func main() {
	if len(os.Args) != 2 && len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: server HOST:PORT [METADATA.json]")
		os.Exit(2)
	}
	if len(os.Args) == 3 {
		var err error
		if metadata, err = os.ReadFile(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(1)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/{$}", describe)
	var taken atomic.Int64
	mux.HandleFunc("PUT /v1/waitcondition/", func(w http.ResponseWriter, r *http.Request) { take(w, r, &taken) })
	mux.HandleFunc("GET /v1/signals", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, taken.Load()) })
	if err := http.ListenAndServe(os.Args[1], mux); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

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

func describe(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("Action") != "DescribeStackResource" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		http.Error(w, "not a signed DescribeStackResource", http.StatusBadRequest)
		return
	}
	d := detail{
		LastUpdatedTimestamp: "2026-11-20T22:31:03Z", LogicalResourceId: q.Get("LogicalResourceId"), Metadata: metadata,
		PhysicalResourceId: "77cc12d2-4816-4e4d-890e-c0605bd4367e", ResourceStatusReason: "state changed", ResourceType: "OS::Nova::Server",
		StackId:   "arn:openstack:heat::72e8852e54094689a89a76f87c8c1576:stacks/bench/5bd66e27-5259-4ae3-b6ba-98681889ac96",
		StackName: q.Get("StackName"), ResourceStatus: "UPDATE_COMPLETE",
	}
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

// take counts what is a whole signal.
func take(w http.ResponseWriter, r *http.Request, taken *atomic.Int64) {
	var signal struct{ Status, Reason, UniqueId, Data *string }
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, &signal)
	}
	if err != nil || signal.Status == nil || signal.Reason == nil || signal.UniqueId == nil || signal.Data == nil {
		http.Error(w, "not a signal", http.StatusBadRequest)
		return
	}
	taken.Add(1)
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

// Command recorder stands where a guest's tools look for an alarm server and
// for Nova's metadata service. Of each PutMetricData it writes down every
// field, a line for the request, for its signature and for each datapoint, in
// a form that does not depend on the order in which a tool sends them. It
// checks no signature and judges nothing.
package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: recorder HOST:PORT META_DATA.json RECORD")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "recorder:", err)
		os.Exit(1)
	}
}

// serve listens at the address and where Nova's metadata are.
func serve(address, metadata, record string) error {
	var r recorder
	r.record = record
	mux := http.NewServeMux()
	mux.HandleFunc("/openstack/{version}/meta_data.json", func(w http.ResponseWriter, req *http.Request) { http.ServeFile(w, req, metadata) })
	mux.HandleFunc("/ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "refused", http.StatusBadRequest) })
	mux.HandleFunc("/", r.put)
	failed := make(chan error)
	for _, a := range []string{address, "169.254.169.254:80"} {
		go func() { failed <- http.ListenAndServe(a, mux) }()
	}
	return <-failed
}

type recorder struct {
	mu     sync.Mutex // of the file
	record string
}

// put writes down a request and answers as a server that took it.
func (r *recorder) put(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var form url.Values
	if err == nil {
		form, err = url.ParseQuery(string(body))
	}
	if err == nil {
		err = r.write(describe(req, form))
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	if form.Get("MetricData.member.1.MetricName") == "Refused" {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `<ErrorResponse><Error><Code>InvalidParameterValue</Code><Message>refused</Message></Error></ErrorResponse>`)
		return
	}
	fmt.Fprint(w, `<PutMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><ResponseMetadata/></PutMetricDataResponse>`)
}

func (r *recorder) write(text string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, err := os.OpenFile(r.record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// describe is a request in lines: what all of it has, then its datapoints.
func describe(req *http.Request, form url.Values) string {
	var b strings.Builder
	fmt.Fprintf(&b, "request %s http://%s%s Content-Type %q\n", req.Method, req.Host, req.URL, req.Header.Get("Content-Type"))
	fmt.Fprintf(&b, "signature %s\n", signature(req.Header))
	var fields, points []string
	members := map[string]url.Values{}
	for name, values := range form {
		if m := member.FindStringSubmatch(name); m != nil {
			if members[m[1]] == nil {
				members[m[1]] = url.Values{}
			}
			members[m[1]][m[2]] = values
			continue
		}
		fields = append(fields, name+"="+strings.Join(values, ","))
	}
	slices.Sort(fields)
	fmt.Fprintf(&b, "fields %s\n", strings.Join(fields, " "))
	for _, m := range members {
		points = append(points, "datapoint "+form.Get("Namespace")+" "+datapoint(m)+"\n")
	}
	slices.Sort(points)
	return b.String() + strings.Join(points, "")
}

var (
	member    = regexp.MustCompile(`^MetricData\.member\.(\d+)\.(.*)$`)
	dimension = regexp.MustCompile(`^(Dimensions\.member\.\d+\.)(Name|Value)$`)
	today     = regexp.MustCompile(`/\d{8}/`)
	time      = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`)
)

// datapoint is NAME UNIT VALUE, its dimensions sorted, and whatever else it has.
func datapoint(m url.Values) string {
	var rest []string
	for name, values := range m {
		d := dimension.FindStringSubmatch(name)
		switch {
		case d != nil && d[2] == "Name":
			rest = append(rest, values[0]+"="+m.Get(d[1]+"Value"))
		case d != nil, name == "MetricName", name == "Unit", name == "Value":
		case time.MatchString(values[0]):
			rest = append(rest, name+" TIME")
		default:
			rest = append(rest, name+" "+values[0])
		}
	}
	slices.Sort(rest)
	return strings.Join(append([]string{m.Get("MetricName"), m.Get("Unit"), m.Get("Value")}, rest...), " ")
}

// signature is its kind, for what it was made, and the headers that it covers.
func signature(h http.Header) string {
	kind, rest, _ := strings.Cut(h.Get("Authorization"), " ")
	parts := strings.Split(rest, ",")
	text := kind
	for _, p := range parts {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		switch name {
		case "Credential":
			text += " by " + today.ReplaceAllString(value, "/DATE/")
		case "SignedHeaders":
			text += " of " + value
		}
	}
	return text
}

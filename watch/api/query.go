package api

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// queryProtocol is AWS Query: parameters in a form or in the URL, XML back. It
// is made for one request.
type queryProtocol struct{ params []param }

type param struct{ name, value string }

// maxParams is above what a full PutMetricData of 1,000 datums needs.
const maxParams = 250_000

func (q *queryProtocol) action(r *http.Request, body []byte) (string, error) {
	if err := q.parse(r, body); err != nil {
		return "", err
	}
	for _, p := range q.params {
		if p.name == "Action" {
			return p.value, nil
		}
	}
	return "", nil
}

// decode sets the fields of in from parameters such as
// MetricData.member.1.Dimensions.member.2.Name. What in has no field for,
// such as a signature, is passed over.
func (q *queryProtocol) decode(r *http.Request, body []byte, in any) error {
	if err := q.parse(r, body); err != nil {
		return err
	}
	f := form{room: len(q.params)}
	v := reflect.ValueOf(in).Elem()
	layout := layoutOf(v.Type())
	for _, p := range q.params {
		if err := f.set(v, layout, p.name, p.value); err != nil {
			return invalid("%s: %v", p.name, err)
		}
	}
	return nil
}

// parse reads the parameters of the URL and then those of the body, once.
func (q *queryProtocol) parse(r *http.Request, body []byte) error {
	if q.params != nil {
		return nil
	}
	count := strings.Count(r.URL.RawQuery, "&") + bytes.Count(body, []byte("&")) + 2
	if count > maxParams {
		return invalid("the request has %d parameters, and %d are the most", count, maxParams)
	}
	q.params = make([]param, 0, count)
	for _, text := range []string{r.URL.RawQuery, string(body)} {
		for pair := range strings.SplitSeq(text, "&") {
			if pair == "" {
				continue
			}
			name, value, _ := strings.Cut(pair, "=")
			name, err := unescape(name)
			if err != nil {
				return malformed("the name of a parameter: %v", err)
			}
			if value, err = unescape(value); err != nil {
				return malformed("the value of %s: %v", name, err)
			}
			q.params = append(q.params, param{name, value})
		}
	}
	return nil
}

// unescape is url.QueryUnescape, which looks at each byte of what, as a rule,
// has nothing escaped.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// A form sets fields by the dotted names of parameters.
type form struct {
	room int // for members of lists: a request without gaps has no more of them than parameters
}

func (f *form) set(v reflect.Value, as *layout, path, value string) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return f.set(v.Elem(), as, path, value)
	case reflect.Struct:
		if path == "" {
			if t, ok := v.Addr().Interface().(*stamp); ok {
				return t.UnmarshalText([]byte(value))
			}
		}
		head, rest, _ := strings.Cut(path, ".")
		if to, ok := as.fields[head]; ok {
			return f.set(v.Field(to.index), to.layout, rest, value)
		}
		return nil
	case reflect.Slice:
		return f.member(v, as, path, value)
	}
	if path != "" {
		return nil
	}
	return setScalar(v, value)
}

// member sets what path, member.N or deeper, says of a list. Members may come
// in any order. The parameter of an empty list is its bare name.
func (f *form) member(v reflect.Value, as *layout, path, value string) error {
	if path == "" && value == "" {
		return nil
	}
	rest, ok := strings.CutPrefix(path, "member.")
	if !ok {
		return fmt.Errorf("a list is given as member.1, member.2 and so on")
	}
	number, rest, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 {
		return fmt.Errorf("%q is not the number of a member: they count from 1", number)
	}
	if grow := n - v.Len(); grow > 0 {
		if f.room -= grow; f.room < 0 {
			return fmt.Errorf("members are missing before this one: they count from 1 without a gap")
		}
		v.Grow(grow)
		v.SetLen(n)
	}
	return f.set(v.Index(n-1), as, rest, value)
}

func setScalar(v reflect.Value, value string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Clone(strings.ToValidUTF8(value, "\ufffd"))) // what is kept of a request must not keep all of it
	case reflect.Float64:
		x, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", value)
		}
		v.SetFloat(x)
	case reflect.Int:
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", value)
		}
		v.SetInt(n)
	case reflect.Bool:
		b, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", value)
		}
		v.SetBool(b)
	}
	return nil
}

// A layout is where the fields of a struct are by name, which is theirs in the
// API's model; that of a list or a pointer is its element's.
type layout struct{ fields map[string]place }

type place struct {
	index  int
	layout *layout // of the field; nil: it has no fields
}

var layouts sync.Map // reflect.Type to *layout

func layoutOf(t reflect.Type) *layout {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	if s, ok := layouts.Load(t); ok {
		return s.(*layout)
	}
	s := &layout{make(map[string]place, t.NumField())}
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() { // a time has others
			s.fields[f.Name] = place{i, layoutOf(f.Type)}
		}
	}
	layouts.Store(t, s)
	return s
}

func (q *queryProtocol) answer(w http.ResponseWriter, action, id string, out any) {
	b := bytes.NewBuffer(make([]byte, 0, 512))
	for _, s := range []string{"<", action, `Response xmlns="`, namespace, `">`} {
		b.WriteString(s)
	}
	if _, none := out.(*nothing); !none {
		// The types of answers hold nothing that XML can't.
		if err := xml.NewEncoder(b).EncodeElement(out, xml.StartElement{Name: xml.Name{Local: action + "Result"}}); err != nil {
			q.refuse(w, id, internal())
			return
		}
	}
	b.WriteString("<ResponseMetadata><RequestId>" + id + "</RequestId></ResponseMetadata></" + action + "Response>")
	h := w.Header()
	h[contentType] = xmlType
	h[requestID] = []string{id}
	write(w, http.StatusOK, b.Bytes())
}

func (*queryProtocol) refuse(w http.ResponseWriter, id string, e *Error) {
	h := w.Header()
	h[contentType] = xmlType
	e.headers(h, id)
	var b bytes.Buffer
	b.WriteString(`<ErrorResponse xmlns="` + namespace + `"><Error><Type>` + e.fault() + "</Type><Code>")
	xml.EscapeText(&b, []byte(e.Code))
	b.WriteString("</Code><Message>")
	xml.EscapeText(&b, []byte(e.Message))
	b.WriteString("</Message></Error><RequestId>" + id + "</RequestId></ErrorResponse>")
	write(w, e.Status, b.Bytes())
}

// write sends a whole answer. That nobody takes it is the client's loss.
func write(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body)
}

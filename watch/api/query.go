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
	for _, p := range q.params {
		if err := f.set(v, p.name, p.value); err != nil {
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
			name, err := url.QueryUnescape(name)
			if err != nil {
				return malformed("the name of a parameter: %v", err)
			}
			if value, err = url.QueryUnescape(value); err != nil {
				return malformed("the value of %s: %v", name, err)
			}
			q.params = append(q.params, param{name, value})
		}
	}
	return nil
}

// A form sets fields by the dotted names of parameters.
type form struct {
	room int // for members of lists: a request without gaps has no more of them than parameters
}

func (f *form) set(v reflect.Value, path, value string) error {
	if path == "" && v.CanAddr() {
		if t, ok := v.Addr().Interface().(*stamp); ok {
			return t.UnmarshalText([]byte(value))
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return f.set(v.Elem(), path, value)
	case reflect.Struct:
		head, rest, _ := strings.Cut(path, ".")
		if i, ok := fieldsOf(v.Type())[head]; ok {
			return f.set(v.Field(i), rest, value)
		}
		return nil
	case reflect.Slice:
		return f.member(v, path, value)
	}
	if path != "" {
		return nil
	}
	return setScalar(v, value)
}

// member sets what path, member.N or deeper, says of a list. Members may come
// in any order. The parameter of an empty list is its bare name.
func (f *form) member(v reflect.Value, path, value string) error {
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
	return f.set(v.Index(n-1), rest, value)
}

func setScalar(v reflect.Value, value string) error {
	switch v.Kind() {
	case reflect.String:
		v.SetString(value)
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

var fieldCache sync.Map // reflect.Type of a struct to map[string]int

// fieldsOf maps the names of a struct's fields, which are those of the API's
// model, to their places.
func fieldsOf(t reflect.Type) map[string]int {
	if m, ok := fieldCache.Load(t); ok {
		return m.(map[string]int)
	}
	m := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		if t.Field(i).IsExported() { // a time has others
			m[t.Field(i).Name] = i
		}
	}
	fieldCache.Store(t, m)
	return m
}

func (q *queryProtocol) answer(w http.ResponseWriter, action, id string, out any) {
	b := bytes.NewBuffer(make([]byte, 0, 512))
	b.WriteString("<" + action + `Response xmlns="` + namespace + `">`)
	if _, none := out.(*nothing); !none {
		// The types of answers hold nothing that XML can't.
		if err := xml.NewEncoder(b).EncodeElement(out, xml.StartElement{Name: xml.Name{Local: action + "Result"}}); err != nil {
			q.refuse(w, id, internal())
			return
		}
	}
	b.WriteString("<ResponseMetadata><RequestId>" + id + "</RequestId></ResponseMetadata></" + action + "Response>")
	h := w.Header()
	h.Set("Content-Type", "text/xml")
	h.Set(requestID, id)
	write(w, http.StatusOK, b.Bytes())
}

func (*queryProtocol) refuse(w http.ResponseWriter, id string, e *Error) {
	h := w.Header()
	h.Set("Content-Type", "text/xml")
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
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

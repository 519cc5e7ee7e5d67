package api

import (
	"net/http"
	"strings"
)

// A protocol is one wire form of the API.
type protocol interface {
	// action is the name of the action that a request asks for; body is
	// plain. Empty: none is named.
	action(r *http.Request, body []byte) (string, error)
	// decode reads a request into in, a pointer to one of the request types.
	decode(r *http.Request, body []byte, in any) error
	// answer writes what an action returned.
	answer(w http.ResponseWriter, action, id string, out any)
	// refuse writes an error.
	refuse(w http.ResponseWriter, id string, e *Error)
}

// Where the two newer protocols say which service and action they mean.
const (
	service     = "GraniteServiceVersion20100801"
	targetName  = "X-Amz-Target"
	protocolKey = "Smithy-Protocol"
	cborName    = "rpc-v2-cbor"
	requestID   = "X-Amzn-Requestid"
	queryError  = "X-Amzn-Query-Error"
	contentType = "Content-Type"
)

// Values of headers that all answers share; the names above are as net/http
// keeps them, so that neither costs anything.
var (
	xmlType       = []string{"text/xml"}
	jsonType      = []string{"application/x-amz-json-1.0"}
	cborType      = []string{"application/cbor"}
	cborProtocols = []string{cborName}
)

// namespace is that of XML answers, version what it is called in requests.
const (
	namespace = "http://monitoring.amazonaws.com/doc/2010-08-01/"
	version   = "2010-08-01"
)

// protocolOf tells which protocol a request speaks.
func protocolOf(r *http.Request) protocol {
	if _, _, ok := cutOperation(r.URL.Path); ok || first(r.Header, protocolKey) == cborName {
		return cborProtocol{}
	}
	if first(r.Header, targetName) != "" {
		return jsonProtocol{}
	}
	return &queryProtocol{}
}

// first is the first value of a header whose name is as net/http keeps it.
func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// cutOperation parts the path of an RPC v2 request,
// .../service/<service>/operation/<action>.
func cutOperation(path string) (base, action string, ok bool) {
	base, rest, ok := strings.Cut(path, "/service/")
	if !ok {
		return "", "", false
	}
	name, action, ok := strings.Cut(rest, "/operation/")
	if !ok || strings.Contains(action, "/") {
		return "", "", false
	}
	// Smithy lets a client name the service by its whole shape id.
	if name != service && !strings.HasSuffix(name, "."+service) {
		return "", "", false
	}
	return base, action, true
}

// served says whether the API is at a path. Clients keep the base path of the
// endpoint they were given, with or without its last slash.
func served(path string) bool {
	if base, _, ok := cutOperation(path); ok {
		path = base
	}
	switch path {
	case "", "/", "/v1", "/v1/":
		return true
	}
	return false
}

package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// jsonProtocol is AWS JSON 1.0; 1.1, which differs in its content type alone,
// is taken too. X-Amz-Target names the action.
type jsonProtocol struct{}

// shapes is the namespace of the model that error types are named by.
const shapes = "com.amazonaws.cloudwatch#"

func (jsonProtocol) action(r *http.Request, _ []byte) (string, error) {
	target := first(r.Header, targetName)
	name, action, ok := strings.Cut(target, ".")
	if !ok || name != service {
		return "", &Error{Status: 400, Code: "InvalidAction", Message: targetName + " is not " + service + ".<action>"}
	}
	return action, nil
}

// maxObjects is three times what a full PutMetricData of 1,000 datums has. Each
// takes two bytes to send, and much more to keep.
const maxObjects = 100_000

func (jsonProtocol) decode(_ *http.Request, body []byte, in any) error {
	if len(body) == 0 {
		return nil
	}
	if n := bytes.Count(body, []byte("{")); n > maxObjects {
		return invalid("the request has %d objects, and %d are the most", n, maxObjects)
	}
	err := json.Unmarshal(body, in)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return malformed("%s: a JSON %s is no %s", e.Field, e.Value, e.Type.Kind())
	}
	if err != nil {
		return malformed("the body is not JSON of this action: %v", err)
	}
	return nil
}

func (jsonProtocol) answer(w http.ResponseWriter, _, id string, out any) {
	body, err := json.Marshal(out)
	if err != nil {
		jsonProtocol{}.refuse(w, id, internal())
		return
	}
	h := w.Header()
	h[contentType] = jsonType
	h[requestID] = []string{id}
	write(w, http.StatusOK, body)
}

func (jsonProtocol) refuse(w http.ResponseWriter, id string, e *Error) {
	h := w.Header()
	h[contentType] = jsonType
	h.Set(queryError, e.Code+";"+e.fault())
	e.headers(h, id)
	body, _ := json.Marshal(errorBody{shapes + e.shape(), e.Message}) // two strings
	write(w, e.Status, body)
}

// An errorBody is the document of an error in JSON and in CBOR.
type errorBody struct {
	Type    string `json:"__type"`
	Message string `json:"message"`
}

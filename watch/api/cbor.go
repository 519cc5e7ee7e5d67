package api

import (
	"net/http"

	"github.com/fxamacker/cbor/v2"

	"github.com/cfn-agent/cfn-agent/agent/metric"
)

// cborProtocol is Smithy RPC v2 with CBOR; the path names the action.
type cborProtocol struct{}

var (
	cborDecoder = must(cbor.DecOptions{
		DupMapKey:          cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:    16,
		MaxArrayElements:   metric.MaxPoints, // of no list more are taken
		MaxMapPairs:        1_000,
		FieldNameMatching:  cbor.FieldNameMatchingCaseSensitive,
		BignumTag:          cbor.BignumTagForbidden,
		BinaryUnmarshaler:  cbor.BinaryUnmarshalerNone,
		ByteStringToString: cbor.ByteStringToStringForbidden,
	}.DecMode())
	cborEncoder = must(cbor.EncOptions{}.EncMode())
)

// must is for options that are constants: a mistake in them shows at once.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (cborProtocol) action(r *http.Request, _ []byte) (string, error) {
	_, action, ok := cutOperation(r.URL.Path)
	if !ok {
		return "", &Error{Status: 404, Code: "InvalidAction", Message: "the path is not .../service/" + service + "/operation/<action>"}
	}
	return action, nil
}

func (cborProtocol) decode(_ *http.Request, body []byte, in any) error {
	if len(body) == 0 {
		return nil
	}
	if err := cborDecoder.Unmarshal(body, in); err != nil {
		return malformed("the body is not CBOR of this action: %v", err)
	}
	return nil
}

func (cborProtocol) answer(w http.ResponseWriter, _, id string, out any) {
	body, err := cborEncoder.Marshal(out)
	if err != nil {
		cborProtocol{}.refuse(w, id, internal())
		return
	}
	h := w.Header()
	cborHeaders(h)
	h[requestID] = []string{id}
	write(w, http.StatusOK, body)
}

func (cborProtocol) refuse(w http.ResponseWriter, id string, e *Error) {
	h := w.Header()
	cborHeaders(h)
	h.Set(queryError, e.Code+";"+e.fault())
	e.headers(h, id)
	body, _ := cborEncoder.Marshal(errorBody{shapes + e.shape(), e.Message}) // two strings
	write(w, e.Status, body)
}

// cborHeaders says which protocol an answer is in: clients refuse one that
// does not.
func cborHeaders(h http.Header) {
	h[contentType] = cborType
	h[protocolKey] = cborProtocols
}

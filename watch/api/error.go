package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/auth"
)

// An Error is a refusal as a client sees it.
type Error struct {
	Status     int
	Code       string // of the Query protocol
	Message    string // one line
	RetryAfter time.Duration
}

// Error is the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// shape is the name of the same error in the model.
func (e *Error) shape() string {
	if shape, ok := shapeOf[e.Code]; ok {
		return shape
	}
	return e.Code
}

// fault says whose mistake it is, as the Query protocol calls it.
func (e *Error) fault() string {
	if e.Status >= http.StatusInternalServerError {
		return "Receiver"
	}
	return "Sender"
}

// headers sets what errors of all protocols have in common.
func (e *Error) headers(h http.Header, id string) {
	h.Set(requestID, id)
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
}

// in says where in the request e is about.
func (e *Error) in(where string) *Error {
	e.Message = where + ": " + e.Message
	return e
}

func invalid(format string, args ...any) *Error {
	return &Error{400, watch.InvalidValue, fmt.Sprintf(format, args...), 0}
}

func missing(name string) *Error {
	return &Error{400, watch.MissingParameter, "the parameter " + name + " is required", 0}
}

func combination(format string, args ...any) *Error {
	return &Error{400, watch.InvalidCombination, fmt.Sprintf(format, args...), 0}
}

func malformed(format string, args ...any) *Error {
	return &Error{400, "SerializationException", fmt.Sprintf(format, args...), 0}
}

// replayed refuses a change that comes again with the same signature, as whoever
// has overheard it could send it. What a client asks for twice in one second
// looks the same: it is not passed over in silence.
func replayed() *Error {
	return &Error{409, "ConflictException", "this very request came before, and is done or being done: sign it anew to ask for it once more", 0}
}

// internal is all that a client hears of a fault of ours; the log has the rest.
func internal() *Error {
	return &Error{500, "InternalServiceError", "the server could not do this; its log says why", 0}
}

// asError is the refusal that an error becomes.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := errors.AsType[*auth.Error](err); ok {
		return &Error{Status: e.Status, Code: e.Code, Message: e.Message, RetryAfter: e.RetryAfter}
	}
	if e, ok := errors.AsType[*watch.InvalidError](err); ok {
		return &Error{400, e.Code, e.Error(), 0}
	}
	if errors.Is(err, watch.ErrNotFound) {
		return &Error{Status: 404, Code: "ResourceNotFound", Message: err.Error()}
	}
	return internal()
}

// shapeOf are the names in the model of errors that the Query protocol calls
// otherwise.
var shapeOf = map[string]string{
	watch.InvalidValue:       "InvalidParameterValueException",
	watch.InvalidCombination: "InvalidParameterCombinationException",
	watch.MissingParameter:   "MissingRequiredParameterException",
	watch.LimitExceeded:      "LimitExceededFault",
	"InvalidFormat":          "InvalidFormatFault",
	"InternalServiceError":   "InternalServiceFault",
	"InvalidAction":          "UnknownOperationException",
}

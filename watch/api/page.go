package api

import (
	"encoding/base64"
	"strconv"

	"github.com/cfn-agent/cfn-agent/watch"
)

// A token is where the next page of an answer begins: opaque to clients, and
// good for the one action that gave it.
func token(action, next string) string {
	if next == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString([]byte(action + "\x00" + next))
}

// cutToken is what token was made of; empty for the first page.
func cutToken(action, token string) (next string, err error) {
	if token == "" {
		return "", nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	prefix := action + "\x00"
	if err != nil || len(text) <= len(prefix) || string(text[:len(prefix)]) != prefix {
		return "", badToken()
	}
	return string(text[len(prefix):]), nil
}

// cutOffset is the offset that token was made of; 0 for the first page.
func cutOffset(action, token string) (int, error) {
	next, err := cutToken(action, token)
	if err != nil || next == "" {
		return 0, err
	}
	n, err := strconv.ParseUint(next, 10, 31)
	if err != nil {
		return 0, badToken()
	}
	return int(n), nil
}

func badToken() *Error {
	return &Error{Status: 400, Code: watch.InvalidNextToken, Message: "NextToken is none that this action gave"}
}

// pageSize is how many a page holds: what is asked for, or all that may be.
func pageSize(asked *int, most int) (int, error) {
	switch {
	case asked == nil:
		return most, nil
	case *asked < 1 || *asked > most:
		return 0, invalid("MaxRecords is not between 1 and %d", most)
	}
	return *asked, nil
}

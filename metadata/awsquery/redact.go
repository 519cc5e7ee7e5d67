package awsquery

import (
	"net/url"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
)

var (
	// signature finds what proves the right to use a URL: the signatures of
	// the Query protocol, and that of a Swift temporary URL. What ends a
	// sentence after it is no part of it.
	signature = pattern.Lazy{Expr: `(?i)\b(Signature|X-Amz-Signature|X-Amz-Security-Token|temp_url_sig)(=|%3D)[^&\s"'\\<>,()]*[^&\s"'\\<>,():]`}
	// userInfo finds the user and password of a URL.
	userInfo = pattern.Lazy{Expr: `([A-Za-z][A-Za-z0-9+.-]*://)[^/?#\s"'\\<>]*@`}
)

// Redact cuts users with passwords, and the values of signatures, out of a
// text or URL.
func Redact(text string) string {
	// Most texts have neither, and some are long: looking is cheaper than matching.
	if strings.Contains(text, "://") {
		text = userInfo.Regexp().ReplaceAllString(text, "${1}[cut]@")
	}
	lower := strings.ToLower(text)
	for _, name := range []string{"signature", "security-token", "temp_url_sig"} {
		if strings.Contains(lower, name) {
			return signature.Regexp().ReplaceAllString(text, "${1}${2}[cut]")
		}
	}
	return text
}

// RedactURL is the form of a URL that may be shown: no user, no password, no
// signature.
func RedactURL(u *url.URL) string {
	shown := *u
	shown.User = nil
	if shown.RawQuery == "" {
		return shown.String()
	}
	return Redact(shown.String())
}

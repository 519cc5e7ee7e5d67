package awsquery

import (
	"net/url"
	"regexp"
)

// signature finds what proves the right to use a URL: the signatures of the
// Query protocol, and that of a Swift temporary URL.
var signature = regexp.MustCompile(`(?i)\b(Signature|X-Amz-Signature|X-Amz-Security-Token|temp_url_sig)(=|%3D)[^&\s"'<>,]+`)

// Redact cuts the values of signatures out of a text or URL.
func Redact(text string) string {
	return signature.ReplaceAllString(text, "${1}${2}[cut]")
}

// RedactURL is the form of a URL that may be shown: no user, no password, no
// signature.
func RedactURL(u *url.URL) string {
	shown := *u
	shown.User = nil
	return Redact(shown.String())
}

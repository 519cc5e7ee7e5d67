package sys

import "github.com/cfn-agent/cfn-agent/agent/pattern"

var (
	// What stands behind a word for a secret, in the commonest forms of
	// configuration: name = value, "name": "value", --name value.
	secretValue = pattern.Lazy{Expr: `(?i)((?:pass|pwd|secret|token|key|credential)[\w.-]*["']?(?:[ \t]*(?:=>|[:=])[ \t]*|[ \t]+))("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s,;]+)`}
	userInfo    = pattern.Lazy{Expr: `(://)[^\s/@]+@`}
	pemBody     = pattern.Lazy{Expr: `(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----\n).*?(-----END )`}
)

// MaskLikely hides what looks like a secret, of which nobody has told: the
// value behind a word such as password or token, the user and password of a
// URL, the body of a private key. It is for texts that others made, such as
// files and the output of commands, after a Mask of what is known.
func MaskLikely(text string) string {
	text = pemBody.Regexp().ReplaceAllString(text, "${1}"+Masked+"\n${2}")
	text = userInfo.Regexp().ReplaceAllString(text, "${1}"+Masked+"@")
	return secretValue.Regexp().ReplaceAllString(text, "${1}"+Masked)
}

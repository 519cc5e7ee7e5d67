package packages

import (
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/pattern"
)

var (
	// buildFailure finds the lines of Python, compilers and pip that say what
	// went wrong, buildEnd those of them that say only that a tool failed.
	buildFailure = pattern.Lazy{Expr: `(?i)^[\w.]*(error|exception|exit)\b|\berror:|^error\b|not found|no module named`}
	buildEnd     = pattern.Lazy{Expr: `failed with exit (code|status)|^ERROR: Failed building|did not run successfully`}
	errnoNumber  = pattern.Lazy{Expr: `^\[Errno -?[0-9]+\] `}
)

// buildError is the line that says why a package could not be built. pip shows
// what its subprocess wrote, up to a line "[end of output]", and then only
// that there was an error. Empty when nothing was built.
func buildError(output string) string {
	end := strings.LastIndex(output, "[end of output]")
	if end < 0 {
		return ""
	}
	begin := strings.LastIndex(output[:end], "of output]\n")
	var last, failure string
	for line := range strings.Lines(output[max(begin, 0):end]) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		last = line
		if buildFailure.Regexp().MatchString(line) && !buildEnd.Regexp().MatchString(line) {
			failure = line
		}
	}
	if failure == "" {
		failure = last
	}
	return shorten(failure)
}

// pipHint says that pip did not reach its index: it goes on, and then finds
// no distribution of any package.
func pipHint(output string) string {
	_, why, found := strings.Cut(output, "connection broken by ")
	if !found {
		return ""
	}
	why, _, _ = strings.Cut(why, "\n")
	_, why, found = strings.Cut(why, "Failed to establish a new connection: ")
	if !found {
		return "the package index does not answer"
	}
	why = errnoNumber.Regexp().ReplaceAllString(why, "")
	if end := strings.IndexAny(why, `'"`); end > 0 {
		why = why[:end]
	}
	return "the package index does not answer: " + why
}

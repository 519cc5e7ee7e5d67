package packages

import (
	"fmt"
	"strings"

	"github.com/cfn-agent/cfn-agent/agent/fetch"
	"github.com/cfn-agent/cfn-agent/agent/pattern"
)

// failureLine finds the lines of a package manager's output that say what
// went wrong, emptyLine those of them that say only that something did.
var (
	failureLine = pattern.Lazy{Expr: `(?i)^E:|\berror\b|\bfail(ed|ure)?\b|\bunable\b|\bcannot\b|\bcould not\b|\bno match|` +
		`\bno package|\bnot found\b|\bno provider|nothing provides|\bis needed by\b|^\S+ : \w*depends:|\bconflicts\b|` +
		`\blocked\b|permission denied|which is newer than|subprocess returned`}
	emptyLine = pattern.Lazy{Expr: `(?i)returned an error code|errors were encountered while|transaction failed|` +
		`please see the above|^Error:?$|try to add|you have held broken packages|: install failed$|^warning:|^W:|^Subprocess failed|` +
		`Problem occurred during or after|dpkg: error processing|some index files failed|have not been refreshed|` +
		`^note:|^hint:|error: (subprocess-exited-with-error|metadata-generation-failed)|ResolutionImpossible: for help|` +
		`did not run successfully|Encountered error while|with status 'error'`}
	webAddress    = pattern.Lazy{Expr: `[a-z0-9+]+://[^\s'"<>]+`}
	failurePrefix = pattern.Lazy{Expr: `^(?i:(E|error|dpkg|problem|rpm|zypper|fatal): *)+`}
)

// maxReason bounds a reason: it is one line of a report.
const maxReason = 400

// lastError returns the line of an output that says best why a package was not
// installed: the last failure that names it, else the last failure, else the
// last line.
func lastError(output, name string) string {
	var last, failure, named string
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		last = line
		if !failureLine.Regexp().MatchString(line) || emptyLine.Regexp().MatchString(line) {
			continue
		}
		failure = line
		if name != "" && names(line, name) {
			named = line
		}
	}
	for _, line := range []string{named, failure, last} {
		if line = shorten(line); line != "" {
			return line
		}
	}
	return "the package manager failed without a word"
}

// says returns the line that has one of the texts for a package, empty when
// none has.
func says(output string, texts []string, spec string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		for _, text := range texts {
			before, after, _ := strings.Cut(text, "%s")
			_, rest, ok := strings.Cut(line, before+spec)
			// "No match for argument: foo" must not be found for fo.
			if ok && strings.HasPrefix(rest, after) && (after != "" || rest == "" || rest[0] == ' ') {
				return shorten(line)
			}
		}
	}
	return ""
}

func shorten(line string) string {
	if short := failurePrefix.Regexp().ReplaceAllString(line, ""); short != "" {
		line = short
	}
	line = shown(strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line[strings.LastIndexByte(line, '\r')+1:])))
	if len(line) > maxReason {
		line = strings.ToValidUTF8(line[:maxReason], "") + "..."
	}
	return line
}

// names says that a line has the name of a package, and not only that of
// another which begins or ends with it: hello is named by "hello-2.0-1.noarch"
// and not by "hello-needy".
func names(line, name string) bool {
	for rest := line; ; {
		i := strings.Index(rest, name)
		if i < 0 {
			return false
		}
		before, after := rest[:i], rest[i+len(name):]
		if (before == "" || !nameByte(before[len(before)-1])) && endsName(after) {
			return true
		}
		rest = rest[i+1:]
	}
}

func endsName(after string) bool {
	if after == "" || !nameByte(after[0]) {
		return true
	}
	if len(after) == 1 {
		return after[0] == '.'
	}
	digit := after[1] >= '0' && after[1] <= '9'
	return after[0] == '.' && !nameByte(after[1]) || after[0] == '-' && digit || after[0] == '_' && digit
}

func nameByte(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || strings.IndexByte("+-._", b) >= 0
}

// tail is the end of an output, for the log.
func tail(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return shown(strings.Join(lines[max(0, len(lines)-10):], "\n"))
}

// shown is a text without the passwords and signatures of the URLs in it.
func shown(text string) string { return webAddress.Regexp().ReplaceAllStringFunc(text, fetch.Shown) }

// badName is why a name is refused: it would be taken as an option, or as
// something else than the name of a package.
func badName(name string) string { return fmt.Sprintf("%q is not the name of a package", name) }

// badVersion is why a version is refused.
func badVersion(version string) string { return fmt.Sprintf("%q is not a version", version) }

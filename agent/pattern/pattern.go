// Package pattern has regular expressions that are compiled when they are
// first used. The tools run once a minute on every guest, most of them need
// none of the expressions, and what a package sets up at start costs time and
// the pages of memory it touches.
package pattern

import (
	"regexp"
	"sync"
)

// A Lazy is a regular expression in the syntax of package regexp. A variable
// of it must be a composite literal, which needs no code at start:
//
//	var word = pattern.Lazy{Expr: `^\w+$`}
type Lazy struct {
	Expr string

	once sync.Once
	re   *regexp.Regexp
}

// Regexp returns the compiled expression. It panics when Expr is not one.
func (l *Lazy) Regexp() *regexp.Regexp {
	l.once.Do(func() { l.re = regexp.MustCompile(l.Expr) })
	return l.re
}

package pattern

import (
	"sync"
	"testing"
)

func TestLazyCompilesOnce(t *testing.T) {
	l := Lazy{Expr: `^(\w+)$`}
	first := l.Regexp()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if l.Regexp() != first {
				t.Error("compiled again")
			}
		})
	}
	wg.Wait()
	if !l.Regexp().MatchString("word") || l.Regexp().MatchString("two words") {
		t.Error("it does not match as its expression says")
	}
}

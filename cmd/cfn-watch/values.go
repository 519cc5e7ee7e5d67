package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

const day = 24 * time.Hour

// text takes any value.
func text(to *string) func(string) error {
	return func(v string) error { *to = v; return nil }
}

// somewhere takes the path of one that there must be.
func somewhere(to *string) func(string) error {
	return func(v string) error {
		if v == "" {
			return errors.New("is empty, and must be a path")
		}
		*to = v
		return nil
	}
}

// webURL takes an http(s) URL, which may be a secret: the error has nothing of
// it.
func webURL(to *string) func(string) error {
	return func(v string) error {
		if n, err := outbox.ParseName(v); v != "" && (err != nil || n.Kind != outbox.Webhook && n.Kind != outbox.Signal) {
			return errors.New("no http or https URL such as https://ops.example/hook")
		}
		*to = v
		return nil
	}
}

// webURLs takes several, parted by commas.
func webURLs(to *[]string) func(string) error {
	return func(v string) error {
		var list []string
		if err := words(&list)(v); err != nil {
			return err
		}
		for i := range list {
			if err := webURL(&list[i])(list[i]); err != nil {
				return fmt.Errorf("entry %d: %w", i+1, err)
			}
		}
		*to = list
		return nil
	}
}

// oneOf takes one of some words.
func oneOf[V any](known map[string]V, to *V) func(string) error {
	return func(v string) error {
		value, ok := known[strings.ToLower(v)]
		if !ok {
			return fmt.Errorf("%q is none of %s", v, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
		*to = value
		return nil
	}
}

// yes takes yes or no.
func yes(to *bool) func(string) error {
	words := oneOf(map[string]bool{"yes": true, "true": true, "on": true, "1": true, "no": false, "false": false, "off": false, "0": false}, to)
	return func(v string) error {
		if words(v) != nil {
			return fmt.Errorf("%q is neither yes nor no", v)
		}
		return nil
	}
}

// count takes a number of at least one.
func count(to *int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is not a whole number above 0", v)
		}
		*to = n
		return nil
	}
}

// span takes a time such as 10s, 5m, 3h or 30d.
func span(to *time.Duration) func(string) error {
	return func(v string) error {
		d, err := parseSpan(v)
		if err == nil {
			*to = d
		}
		return err
	}
}

func parseSpan(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if days, ok := strings.CutSuffix(v, "d"); ok {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(n) * day
		if n > 36500 {
			err = strconv.ErrRange
		}
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a time such as 10s, 5m, 3h or 30d", v)
	}
	return d, nil
}

// share takes a percentage, as a part of one.
func share(to *float64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseFloat(strings.TrimSuffix(v, "%"), 64)
		if err != nil || !strings.HasSuffix(v, "%") || !(n > 0 && n <= 100) {
			return fmt.Errorf("%q is not a share such as 20%%", v)
		}
		*to = n / 100
		return nil
	}
}

// budgets takes a list such as 3/1h, 6/24h.
func budgets(to *[]budget) func(string) error {
	return func(v string) error {
		var list []budget
		for item := range strings.SplitSeq(v, ",") {
			var b budget
			n, in, _ := strings.Cut(strings.TrimSpace(item), "/")
			if errors.Join(count(&b.count)(n), span(&b.in)(in)) != nil {
				return fmt.Errorf("%q is not a budget such as 3/1h", strings.TrimSpace(item))
			}
			list = append(list, b)
		}
		*to = list
		return nil
	}
}

// perSecond takes a rate such as 1/s.
func perSecond(to *float64) func(string) error {
	return func(v string) error {
		n, err := strconv.ParseFloat(strings.TrimSuffix(v, "/s"), 64)
		if err != nil || !(n > 0 && n <= 1e6) {
			return fmt.Errorf("%q is not a rate such as 1/s", v)
		}
		*to = n
		return nil
	}
}

// words takes a list parted by commas; of the known ones, where there are any.
func words(to *[]string, known ...string) func(string) error {
	return func(v string) error {
		var list []string
		for w := range strings.SplitSeq(v, ",") {
			w = strings.TrimSpace(w)
			if w == "" {
				continue
			}
			if len(known) > 0 && !slices.Contains(known, w) {
				return fmt.Errorf("%q is none of %s", w, strings.Join(known, ", "))
			}
			list = append(list, w)
		}
		*to = list
		return nil
	}
}

// fields takes words parted by blanks. There is no shell, and so no quoting:
// whoever tries it would have the quotes, and half of what was in them, in a word.
func fields(to *[]string) func(string) error {
	return func(v string) error {
		if strings.ContainsAny(v, `"'`) {
			return errors.New("quotes mean nothing here, words are parted by blanks alone: put what needs them in a script")
		}
		*to = strings.Fields(v)
		return nil
	}
}

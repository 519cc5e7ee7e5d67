package watch

import "strings"

// units are those of CloudWatch's StandardUnit, as they are and in lower case,
// and what old guests send instead.
var units = spellings(
	"Seconds", "Microseconds", "Milliseconds",
	"Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes",
	"Bits", "Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count",
	"Bytes/Second", "Kilobytes/Second", "Megabytes/Second", "Gigabytes/Second", "Terabytes/Second",
	"Bits/Second", "Kilobits/Second", "Megabits/Second", "Gigabits/Second", "Terabits/Second", "Count/Second", "None",
)

func spellings(names ...string) map[string]string {
	all := map[string]string{"Counter": "Count", "counter": "Count"}
	for _, name := range names {
		all[name], all[strings.ToLower(name)] = name, name
	}
	return all
}

// Unit spells a unit as CloudWatch does, whatever the case, and heat-cfntools'
// Counter as Count. known is false for any other word, which is returned as
// it is.
func Unit(s string) (unit string, known bool) {
	if s == "" {
		return "", true
	}
	if u, known := units[s]; known { // as most are: no allocation
		return u, true
	}
	if u, known := units[strings.ToLower(s)]; known {
		return u, true
	}
	return s, false
}

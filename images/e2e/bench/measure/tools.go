package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
)

const (
	// heat-cfntools has this port in its code.
	endpoint = "http://127.0.0.1:8000/v1/"
	// As Heat makes it: the tools must not change its escapes.
	signalURL = endpoint + "waitcondition/arn%3Aopenstack%3Aheat%3A%3A72e8852e54094689a89a76f87c8c1576%3Astacks/bench/" +
		"c50c2c2f-6737-4520-8a47-c4170a95cfa4/resources/WaitHandle?SignatureMethod=HmacSHA256&SignatureVersion=2&" +
		"AWSAccessKeyId=d4d2386c4378401098343b938f441c54&Timestamp=2026-11-20T22%3A36%3A21Z&Signature=Y2twB%2BZZ"
	keysFile = "/etc/cfn/cfn-credentials"
)

// Ours may cost at most this much of the other.
const (
	oldCPU, oldPeak   = 1.0 / 20, 1.0 / 3
	bareCPU, barePeak = 1.3, 1.2
)

// A trio is three programs that do the same.
type trio struct {
	name            string
	ours, old, bare program
}

func (s setting) trios() []trio {
	ask := []string{"-s", "bench", "-r", "Guest", "--credential-file", keysFile}
	tell := []string{"-i", "bench", signalURL}
	tool := func(dir, name string, args []string) program {
		return program{args: append([]string{filepath.Join(dir, name)}, args...)}
	}
	// The keys are those of the file.
	keys := []string{"ACCESS_KEY=bench", "SECRET_KEY=bench"}
	client := filepath.Join(s.bare, "bareclient")
	return []trio{
		{"get-metadata", tool(s.tools, "cfn-get-metadata", ask), tool("/usr/bin", "cfn-get-metadata", ask),
			program{[]string{client, "get-metadata", endpoint, "bench", "Guest"}, keys}},
		{"signal", tool(s.tools, "cfn-signal", tell), tool("/usr/bin", "cfn-signal", tell),
			program{[]string{client, "signal", signalURL, "bench"}, keys}},
	}
}

// compareTools measures the clients, and that each did what it was to do.
func (s setting) compareTools() ([]row, error) {
	var rows []row
	for _, t := range s.trios() {
		before, err := signals()
		if err != nil {
			return nil, err
		}
		if err := t.alike(); err != nil {
			return nil, err
		}
		ours, old, bare, err := s.turns(t)
		if err != nil {
			return nil, err
		}
		after, err := signals()
		if err != nil {
			return nil, err
		}
		if want := 3 + 2*s.goRuns + s.pyRuns; t.name == "signal" && after-before != want {
			return nil, fmt.Errorf("the server took %d signals of %d", after-before, want)
		}
		rows = append(rows,
			row{t.name + ", CPU, heat-cfntools", ours.milliseconds(), old.milliseconds(), oldCPU, "ms"},
			row{t.name + ", peak memory, heat-cfntools", ours.megabytes(), old.megabytes(), oldPeak, "MiB"},
			row{t.name + ", CPU, bare client", ours.milliseconds(), bare.milliseconds(), bareCPU, "ms"},
			row{t.name + ", peak memory, bare client", ours.megabytes(), bare.megabytes(), barePeak, "MiB"})
		floor, err := ownPeak()
		if err != nil {
			return nil, err
		}
		if least := min(ours.peak, bare.peak, old.peak); least <= floor {
			return nil, fmt.Errorf("a child's peak memory, %d KiB, cannot be told from our own, %d KiB", least, floor)
		}
	}
	return rows, nil
}

// turns runs the programs in turns, the slow one less often.
func (s setting) turns(t trio) (ours, old, bare usage, err error) {
	var o, p, b []usage
	for i := range s.goRuns {
		for _, c := range []struct {
			program
			all *[]usage
		}{{t.ours, &o}, {t.bare, &b}, {t.old, &p}} {
			if c.all == &p && i >= s.pyRuns {
				continue
			}
			_, u, err := c.run()
			if err != nil {
				return usage{}, usage{}, usage{}, err
			}
			*c.all = append(*c.all, u)
		}
	}
	return median(o), median(p), median(b), nil
}

// alike runs each once: caches are warm afterwards, and if they print JSON it
// means the same.
func (t trio) alike() error {
	var first any
	for i, p := range []program{t.ours, t.old, t.bare} {
		text, _, err := p.run()
		if err != nil {
			return err
		}
		if t.name == "signal" {
			continue
		}
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return fmt.Errorf("%s printed what is not JSON: %w", p.args, err)
		}
		if i == 0 {
			first = v
		} else if !reflect.DeepEqual(v, first) {
			return fmt.Errorf("%s printed something else than %s", p.args, t.ours.args)
		}
	}
	return nil
}

// signals asks the server how many signals it has taken. It does so by curl:
// net/http would make us larger than what is measured, see ownPeak.
func signals() (int, error) {
	text, _, err := program{args: []string{"curl", "-sf", endpoint + "signals"}}.run()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

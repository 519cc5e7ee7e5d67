package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"strconv"
)

const (
	// heat-cfntools has these ports in its code.
	endpoint      = "http://127.0.0.1:8000/v1/"
	watchEndpoint = "http://127.0.0.1:8003/v1/"
	counted       = "http://127.0.0.1:8000/counted/"
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
	// A push also finds out who the guest is, and writes a log.
	barePush = 1.5
)

// A trio is three programs that do the same.
type trio struct {
	name            string
	ours, old, bare program
	counts          string // what the server counts of their requests
	bareCPU         float64
	barePeak        float64
}

func (s setting) trios() []trio {
	ask := []string{"-s", "bench", "-r", "Guest", "--credential-file", keysFile}
	tell := []string{"-i", "bench", signalURL}
	beat := []string{"--heartbeat", "--watch", "bench", "--credential-file", keysFile}
	tool := func(dir, name string, args []string) program {
		return program{args: append([]string{filepath.Join(dir, name)}, args...)}
	}
	// The keys are those of the file.
	keys := []string{"ACCESS_KEY=bench", "SECRET_KEY=bench"}
	client := filepath.Join(s.bare, "bareclient")
	return []trio{
		{"get-metadata", tool(s.tools, "cfn-get-metadata", ask), tool("/usr/bin", "cfn-get-metadata", ask),
			program{[]string{client, "get-metadata", endpoint, "bench", "Guest"}, keys}, "polls bench", bareCPU, barePeak},
		{"signal", tool(s.tools, "cfn-signal", tell), tool("/usr/bin", "cfn-signal", tell),
			program{[]string{client, "signal", signalURL, "bench"}, keys}, "signals", bareCPU, barePeak},
		{"push-stats", tool(s.tools, "cfn-push-stats", beat), tool("/usr/bin", "cfn-push-stats", beat),
			program{[]string{client, "push", watchEndpoint, "bench"}, keys}, "pushes bench", barePush, barePush},
	}
}

// compareTools measures the clients, and that each did what it was to do.
func (s setting) compareTools() ([]row, error) {
	var rows []row
	for _, t := range s.trios() {
		before, err := count(t.counts)
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
		after, err := count(t.counts)
		if err != nil {
			return nil, err
		}
		if want := 3 + 2*s.goRuns + s.pyRuns; after-before != want {
			return nil, fmt.Errorf("the server counts %d %s of %d", after-before, t.counts, want)
		}
		rows = append(rows,
			row{t.name + ", CPU, heat-cfntools", ours.milliseconds(), old.milliseconds(), oldCPU, "ms"},
			row{t.name + ", peak memory, heat-cfntools", ours.megabytes(), old.megabytes(), oldPeak, "MiB"},
			row{t.name + ", CPU, bare client", ours.milliseconds(), bare.milliseconds(), t.bareCPU, "ms"},
			row{t.name + ", peak memory, bare client", ours.megabytes(), bare.megabytes(), t.barePeak, "MiB"})
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
		if t.name != "get-metadata" {
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

// count asks the server how often it was asked something. It does so by curl:
// net/http would make us larger than what is measured, see ownPeak.
func count(what string) (int, error) {
	text, _, err := program{args: []string{"curl", "-sf", counted + url.PathEscape(what)}}.run()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

package main

import (
	"fmt"
	"path/filepath"
)

// pushTime is what cfn-push-stats may take, in milliseconds: it is run each
// minute on every guest.
const pushTime = 50

// comparePush measures cfn-push-stats with all readings that take no time by
// themselves, which --cpu-util does.
func (s setting) comparePush() ([]row, error) {
	all := program{args: []string{filepath.Join(s.tools, "cfn-push-stats"), "--watch", "all", "--heartbeat", "--service-failure",
		"--mem-util", "--mem-used", "--mem-avail", "--swap-util", "--swap-used",
		"--disk-space-util", "--disk-space-used", "--disk-space-avail"}}
	var costs []usage
	for range s.goRuns {
		_, u, err := all.run()
		if err != nil {
			return nil, err
		}
		costs = append(costs, u)
	}
	requests, err := count("pushes all")
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("push-stats of %d metrics, ", len(all.args)-3)
	return []row{
		{what + "time, limit", median(costs).elapsed(), pushTime, 1, "ms"},
		{what + "requests, one a run", float64(requests), float64(s.goRuns), 1, ""},
	}, nil
}

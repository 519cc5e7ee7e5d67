package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// runPeak is how much of the largest of cron's processes the daemon, which
	// stays, may need.
	runPeak = 0.4
	// residentLimit is what it may keep in memory, in MiB.
	residentLimit = 12
)

// compareRun measures cfn-agent run against what cron starts each minute of
// heat-cfntools for the same: cfn-hup -f, and a heartbeat of cfn-push-stats;
// over the same minutes. One daemon polls at its default interval, one each
// minute, as cron does. Their whole life counts, the start too. Neither has
// services to look at. That cron itself, and the shells that it starts, cost
// something is left out.
func (s setting) compareRun() ([]row, error) {
	polled, err := s.afterPolls("polls", "run")
	if err != nil {
		return nil, err
	}
	hupPolled, err := s.afterPolls("hup", "hup", "--daemon")
	if err != nil {
		return nil, err
	}
	old := []program{
		{args: []string{"/usr/bin/cfn-hup", "-f"}},
		{args: []string{"/usr/bin/cfn-push-stats", "--heartbeat", "--watch", "old"}},
	}
	if _, err := together(old); err != nil { // caches are warm, and the hook has fired, afterwards
		return nil, err
	}
	seldom, err := s.start("seldom", "", "run")
	if err != nil {
		return nil, err
	}
	defer seldom.kill()
	often, err := s.start("often", "interval = 1m", "run")
	if err != nil {
		return nil, err
	}
	defer often.kill()
	cron, err := eachMinute(s.minutes, old)
	if err != nil {
		return nil, err
	}
	for _, d := range []*daemon{seldom, often} {
		if err := d.stop(); err != nil {
			return nil, err
		}
		// A first one may fall before, a last one after what is measured.
		if n, err := count("pushes " + d.name); err != nil || n < s.minutes-1 || n > s.minutes+1 {
			return nil, fmt.Errorf("daemon %s sent %d heartbeats in %d minutes: %w", d.name, n, s.minutes, err)
		}
	}
	if n, err := count("polls often"); err != nil || n < s.minutes-1 {
		return nil, fmt.Errorf("daemon often polled %d times in %d minutes: %w", n, s.minutes, err)
	}
	what := fmt.Sprintf("run, %d minutes, ", s.minutes)
	return []row{
		{what + "CPU, heat-cfntools by cron", seldom.cost.milliseconds(), cron.milliseconds(), oldCPU, "ms"},
		{what + "peak memory, heat-cfntools by cron", seldom.cost.megabytes(), cron.megabytes(), runPeak, "MiB"},
		{what + "a poll each, CPU, heat-cfntools by cron", often.cost.milliseconds(), cron.milliseconds(), oldCPU, "ms"},
		{what + "a poll each, peak memory, heat-cfntools by cron", often.cost.megabytes(), cron.megabytes(), runPeak, "MiB"},
		{fmt.Sprintf("run, resident after %d polls, limit", s.polls), polled, residentLimit, 1, "MiB"},
		{fmt.Sprintf("hup --daemon, resident after %d polls, limit", s.polls), hupPolled, residentLimit, 1, "MiB"},
	}, nil
}

// eachMinute runs programs at the beginning of each minute, and returns what
// they cost together; the peak is that of the largest.
func eachMinute(minutes int, programs []program) (usage, error) {
	var sum usage
	for range minutes {
		next := time.After(time.Minute)
		u, err := together(programs)
		if err != nil {
			return sum, err
		}
		sum.cpu += u.cpu
		sum.peak = max(sum.peak, u.peak)
		<-next
	}
	return sum, nil
}

func together(programs []program) (usage, error) {
	var sum usage
	for _, p := range programs {
		_, u, err := p.run()
		if err != nil {
			return sum, err
		}
		sum.cpu += u.cpu
		sum.peak = max(sum.peak, u.peak)
	}
	return sum, nil
}

// afterPolls is the memory that a daemon keeps after many polls, in MiB.
func (s setting) afterPolls(name string, args ...string) (float64, error) {
	d, err := s.start(name, "", args...)
	if err != nil {
		return 0, err
	}
	defer d.kill()
	end := time.Now().Add(5 * time.Minute)
	for i := 0; ; i++ {
		if err := d.cmd.Process.Signal(syscall.SIGUSR1); err != nil { // poll now
			return 0, err
		}
		time.Sleep(20 * time.Millisecond)
		if i%50 > 0 {
			continue
		}
		n, err := count("polls " + name)
		if err != nil {
			return 0, err
		}
		if n >= s.polls {
			break
		}
		if time.Now().After(end) {
			return 0, fmt.Errorf("the daemon polled only %d times", n)
		}
	}
	resident, err := d.memory("VmRSS")
	return float64(resident) / 1024, errors.Join(err, d.stop())
}

// A daemon is a cfn-agent that stays, with a root, a stack and an alarm of its
// own, all of one name.
type daemon struct {
	name string
	cmd  *exec.Cmd
	cost usage // once it was stopped
}

func (s setting) start(name, interval string, args ...string) (*daemon, error) {
	root := filepath.Join(s.scratch, "run-"+name)
	if err := makeRoot(root); err != nil {
		return nil, err
	}
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, err
	}
	for path, text := range map[string]string{
		"proc/sys/kernel/random/boot_id": string(id),
		keysFile:                         "AWSAccessKeyId=bench\nAWSSecretKey=bench\n",
		"etc/cfn/hooks.d/hook.conf":      "[hook]\ntriggers = post.update\npath = Resources.Guest.Metadata\naction = true\n",
		"etc/cfn/cfn-agent.conf": fmt.Sprintf("[main]\nstack = %s\nresource = Guest\nurl = %s\nwatch-url = %s\n%s\n[heartbeat]\nwatch = %s\n",
			name, endpoint, watchEndpoint, interval, name),
		// All that cfn-agent hup reads; for run it says the same again.
		"etc/cfn/cfn-hup.conf": fmt.Sprintf("[main]\nstack = %s\nurl = %s\n", name, endpoint),
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	cmd := exec.Command(filepath.Join(s.tools, "cfn-agent"), args...)
	cmd.Env = append(os.Environ(), "CFN_ROOT="+root)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{name: name, cmd: cmd}
	return d, d.await(filepath.Join(root, pidFile))
}

// pidFile is there once the daemon has begun, and takes signals.
const pidFile = "run/cfn-hup.pid"

func (d *daemon) await(path string) error {
	for range 100 {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	d.kill()
	return fmt.Errorf("daemon %s has not begun within 5 s", d.name)
}

// stop ends the daemon, and says what its life has cost.
func (d *daemon) stop() error {
	peak, err := d.memory("VmHWM")
	if err != nil {
		return err
	}
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("daemon %s: %w", d.name, err)
	}
	d.cost = usage{cpu: d.cmd.ProcessState.UserTime() + d.cmd.ProcessState.SystemTime(), peak: peak}
	return nil
}

// kill ends a daemon that was not stopped.
func (d *daemon) kill() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait() // it was killed
	}
}

// memory is a value of proc_pid_status(5), in KiB.
func (d *daemon) memory(name string) (int64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(data), "\n") {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		}
	}
	return 0, fmt.Errorf("daemon %s has no %s: has it ended?", d.name, name)
}

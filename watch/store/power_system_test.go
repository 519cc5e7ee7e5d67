//go:build system

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cfn-agent/cfn-agent/agent/powercut"
	"github.com/cfn-agent/cfn-agent/watch"
	"github.com/cfn-agent/cfn-agent/watch/outbox"
)

// powerDir is the variable of the environment that makes a process of this
// test write to a store there.
const powerDir = "CFN_TEST_STORE_POWER"

// addition is a migration that tells how often it ran, and of what.
const addition = "UPDATE state SET reason = reason || '+'; CREATE TABLE added (x); INSERT INTO added SELECT alarm_id FROM state;"

// A writer writes to a store, and says on stdout what has returned.
type writer struct {
	t *testing.T
	s *Store
	o Options
}

// TestWriterThatLosesPower is the process under which the power is cut.
func TestWriterThatLosesPower(t *testing.T) {
	dir := os.Getenv(powerDir)
	if dir == "" {
		t.Skip("it is started by another test")
	}
	v := &writer{t: t, o: Options{Log: slog.New(slog.DiscardHandler)}}
	path := filepath.Join(dir, "state.db")
	v.open(path)
	for n := range int64(4) {
		v.write(n)
	}
	doomed := put(t, v.s, "doomed")
	v.do("deleted doomed", v.s.DeleteAlarms(t.Context(), []int64{doomed}, nil))
	v.do("backup", v.s.Backup(t.Context(), filepath.Join(dir, "backup")))
	v.do("close", v.s.Close())
	fmt.Println("migrating")
	v.o.schema = second(t, addition)
	v.open(path)
	v.write(20)
	v.do("pruned", v.s.Prune(t.Context(), now.Add(3*time.Hour)))
	v.write(21)
	v.do("close", v.s.Close())
	fmt.Println("beginning anew")
	v.o.New = true
	v.open(path)
	v.write(30)
}

func (v *writer) do(what string, err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	fmt.Println(what)
}

func (v *writer) open(path string) {
	var err error
	v.s, err = Open(context.Background(), path, v.o)
	v.do("opened", err)
	for _, q := range []string{"PRAGMA wal_autocheckpoint(10)", "PRAGMA journal_size_limit(100000)"} { // as large stores come to it
		if _, err := v.s.writer.Exec(q); err != nil {
			v.t.Fatal(err)
		}
		if _, err := v.s.windows.Exec(q); err != nil {
			v.t.Fatal(err)
		}
	}
}

// write is an alarm's life: it is defined, fires, and its action begins.
func (v *writer) write(n int64) {
	ctx := context.Background()
	a, err := v.s.PutAlarm(ctx, alarmNamed(strconv.FormatInt(n, 10)), nil)
	v.do(fmt.Sprint("alarm ", n), err)
	b := batchOf(a, n)
	b.Events[0].At = now.Add(time.Duration(n) * time.Hour)
	b.Transitions[0].Reason = strings.Repeat("r", 2000) // some pages
	v.do(fmt.Sprint("fired ", n), v.s.Record(ctx, b))
	rows, err := v.s.Rows(ctx, outbox.RowQuery{AlarmID: a.ID})
	if len(rows) != 1 {
		v.t.Fatalf("%d actions, %v", len(rows), err)
	}
	row, ok, err := v.s.Claim(ctx, rows[0].ID, "o", now, now.Add(time.Hour))
	if !ok {
		v.t.Fatalf("no claim: %v", err)
	}
	v.do(fmt.Sprint("claimed ", n), err)
	row.Status = outbox.Acting
	_, err = v.s.Update(ctx, outbox.Change{Row: row, Owner: "o"})
	v.do(fmt.Sprint("acting ", n), err)
	v.do("flushed", v.s.Flush(ctx, []watch.Kept{{AlarmID: a.ID, Fed: now, Window: bytes.Repeat([]byte{1}, 3000)}}))
	v.do(fmt.Sprint("key ", n), v.s.PutKey(ctx, Key{Access: strconv.FormatInt(n, 10), Project: "p1", Created: now}))
}

// The power is cut while a store is made, written, folded in, backed up,
// migrated, pruned and set aside. It opens again, what had returned is there,
// and nothing is there in part.
func TestPowerCut(t *testing.T) {
	m := recordWriter(t)
	done := map[powercut.Loss]int{}
	for moment := range m.Moments() {
		last, next := m.Last(moment), m.Last(min(moment+1, m.Moments()-1))
		for loss, telling := range map[powercut.Loss]bool{
			powercut.Unsynced: last == "write said" || strings.HasPrefix(last, "sync"), // at other moments it leaves the same
			powercut.Some:     strings.HasPrefix(next, "sync"),                         // what may be there is most then
			powercut.Nothing:  moment%16 == 0 || withinOne(m.Said(moment, "said"), "migrating", "pruned"),
		} {
			if telling {
				done[loss]++
				cutAt(t, m, moment, loss)
			}
		}
	}
	if done[powercut.Unsynced] < 100 || done[powercut.Some] < 50 {
		t.Errorf("the power was cut so often: %v", done)
	}
}

// withinOne says that of two lines the first was said and the second not yet.
func withinOne(said, first, second string) bool {
	return strings.Contains(said, first+"\n") && !strings.Contains(said, second+"\n")
}

func cutAt(t *testing.T, m *powercut.Machine, moment int, loss powercut.Loss) {
	dir, err := os.MkdirTemp("/dev/shm", "cfn-watch-") // where a sync costs nothing
	if err != nil {
		t.Error(err)
		return
	}
	defer os.RemoveAll(dir)
	err = m.Cut(moment, loss, dir)
	if err == nil {
		err = checkCut(t, dir, m.Said(moment, "said"))
	}
	if err != nil {
		t.Errorf("%s at %d, after %s: %v", loss, moment, m.Last(moment), err)
	}
}

func recordWriter(t *testing.T) *powercut.Machine {
	t.Helper()
	dir, world := t.TempDir(), t.TempDir()
	m, err := powercut.New(dir, world)
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(world, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriterThatLosesPower$")
	cmd.Env = append(os.Environ(), powerDir+"="+dir)
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = said, &stderr
	tape := filepath.Join(world, "tape")
	if err := powercut.Record(cmd, tape); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		t.Fatalf("%v: %s%s", err, stderr.String(), text)
	}
	if err := m.Read(tape); err != nil {
		t.Fatal(err)
	}
	return m
}

// checkCut opens what a cut left of a store, when that much had been said.
func checkCut(t *testing.T, dir, said string) error {
	path, o := filepath.Join(dir, "state.db"), Options{Log: slog.New(slog.DiscardHandler)}
	said, anew, newAsked := strings.Cut(said, "beginning anew\n")
	if strings.Contains(said, "migrating\n") {
		o.schema = second(t, addition)
	}
	s, err := Open(t.Context(), path, o)
	if err != nil {
		return err
	}
	defer s.Close()
	left, err := lookAt(t.Context(), s)
	if err != nil {
		return err
	}
	if _, old := left.alarms["0"]; newAsked && !old {
		said = anew
	} else if strings.Contains(anew, "opened\n") {
		return errors.New("the old store is there again")
	}
	if o.schema == nil {
		return errors.Join(left.check(said), checkCopy(t, filepath.Join(dir, "backup"), strings.Contains(said, "backup\n")))
	}
	migrated := strings.Contains(said, "migrating\nopened\n")
	return errors.Join(left.check(said), left.checkAddition(s, said != anew), checkCopy(t, path+".v1", migrated))
}

// checkCopy says whether a backup that is there can take the place of a store.
func checkCopy(t *testing.T, path string, must bool) error {
	if _, err := os.Stat(path); err != nil && !must {
		return nil
	}
	return check(t.Context(), path, ours())
}

// A remainder is what is left of a store.
type remainder struct {
	alarms  map[string]loaded
	history map[string]bool
	rows    map[string]outbox.Row
	keys    map[string]bool
}

func lookAt(ctx context.Context, s *Store) (left remainder, err error) {
	left = remainder{map[string]loaded{}, map[string]bool{}, map[string]outbox.Row{}, map[string]bool{}}
	if err := s.Load(ctx, func(a watch.Alarm, k watch.Kept) error {
		left.alarms[a.Name] = loaded{a, k}
		return nil
	}); err != nil {
		return left, err
	}
	events, _, err := s.Events(ctx, watch.EventQuery{Limit: 1000})
	for _, e := range events {
		left.history[e.Alarm] = true
	}
	rows, err2 := s.Rows(ctx, outbox.RowQuery{Limit: 1000})
	for _, r := range rows {
		left.rows[r.Alarm] = r
	}
	keys, err3 := s.Keys(ctx)
	for _, k := range keys {
		left.keys[k.Access] = true
	}
	return left, errors.Join(err, err2, err3)
}

// old says that an alarm's history may have been pruned.
func old(name string) bool { return len(name) == 1 && name < "3" }

// check compares with what was said: that is there, and each transaction is
// there whole or not at all.
func (l remainder) check(said string) error {
	for line := range strings.Lines(said) {
		what, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		a, there := l.alarms[name]
		is := map[string]bool{
			"alarm": there, "deleted": !there, "key": l.keys[name],
			"fired":   a.Kept.State == watch.Firing && (l.history[name] || old(name)),
			"claimed": l.rows[name].Claim == "o", "acting": l.rows[name].Status == outbox.Acting,
		}
		if ok, known := is[what]; known && !ok {
			return fmt.Errorf("%s: of %s, which was said, there is %+v, %+v", said, line, a.Kept, l.rows[name])
		}
	}
	pruning := strings.Contains(said, "acting 20")
	for name, a := range l.alarms {
		fired := a.Kept.State == watch.Firing
		if _, wanted := l.rows[name]; wanted != fired || l.history[name] != fired && !(pruning && old(name)) {
			return fmt.Errorf("of one batch of %s there is the state %t, the history %t, the action %t", name, fired, l.history[name], wanted)
		}
		if w := a.Kept.Window; len(w) > 0 && !bytes.Equal(w, bytes.Repeat([]byte{1}, 3000)) {
			return fmt.Errorf("a window of %d bytes is there in part", len(w))
		}
	}
	return nil
}

// checkAddition says whether the migration ran once.
func (l remainder) checkAddition(s *Store, before bool) error {
	var added int
	if err := s.writer.QueryRow("SELECT count(*) FROM added").Scan(&added); err != nil {
		return err
	}
	want := 0
	for name, a := range l.alarms {
		n := strings.Count(a.Kept.Reason, "+")
		if len(name) == 1 {
			want++
			n--
		}
		if n != 0 {
			return fmt.Errorf("the migration changed the reason of %s to %q", name, a.Kept.Reason)
		}
	}
	if before && added != want {
		return fmt.Errorf("the migration saw %d alarms of %d", added, want)
	}
	return nil
}

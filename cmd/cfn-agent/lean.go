// The runtime would look up at each start how much processor time the control
// group allows, and go on to look in what stays.

//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

package main

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stayLean keeps a program small that stays. What lives on its heap is less
// than a megabyte, which by default would be let grow to four; and each
// processor that it may use costs memory, and threads that look for work.
func stayLean() {
	debug.SetGCPercent(20)
	runtime.GOMAXPROCS(1)
}

// restingSize is what a program that stays may have in memory while it rests,
// in bytes: most do with less, and are spared what it costs to have more.
const restingSize = 10 << 20

// keepSmall gives back the pages of the program when more than limit bytes are
// in memory. Most of them only the start needs, and those that are needed again
// are mapped again, from the kernel's cache: a millisecond or two in all.
// Nothing is lost: pages that cannot be written are as they are in the file.
func keepSmall(limit int) {
	if residentSize() <= limit {
		return
	}
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		// As "00400000-00a55000 r-xp 00000000 fe:00 1234  /usr/bin/cfn-agent", proc_pid_maps(5).
		fields := strings.Fields(lines.Text())
		if len(fields) < 6 || fields[1][1] == 'w' || filepath.Clean(fields[5]) != exe {
			continue
		}
		first, end, _ := strings.Cut(fields[0], "-")
		from, err1 := strconv.ParseUint(first, 16, 64)
		to, err2 := strconv.ParseUint(end, 16, 64)
		if err1 == nil && err2 == nil {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(from), uintptr(to-from), unix.MADV_DONTNEED)
		}
	}
}

// residentSize is what is in memory, in bytes; 0 when it cannot be told.
func residentSize() int {
	text, err := os.ReadFile("/proc/self/statm") // as "2245 2019 1590 1080 0 9001 0", in pages, proc_pid_statm(5)
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize()
}

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

// forgetProgram gives back the pages of the program, most of which only its
// start needs. Those that are needed again are mapped again, from the kernel's
// cache: a millisecond or two in all. Nothing is lost: pages
// that cannot be written are as they are in the file.
func forgetProgram() {
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

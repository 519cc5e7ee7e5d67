package main

import (
	"os"
	"strings"
	"unsafe"
)

// cloneArgs returns copies of the program's arguments: hideArg overwrites the
// originals.
func cloneArgs() []string {
	var args []string
	for _, a := range os.Args[1:] {
		args = append(args, strings.Clone(a))
	}
	return args
}

// hideArg overwrites a secret in the program's own arguments with asterisks,
// where ps(1) and /proc/PID/cmdline read them. Old templates pass the secret
// key on the command line and cannot be changed. The Go runtime makes os.Args
// of the memory that the kernel shows, without a copy; if it ever copies, the
// secret stays visible and nothing else happens.
func hideArg(secret string) {
	for _, a := range os.Args {
		if i := strings.Index(a, secret); i >= 0 {
			b := unsafe.Slice(unsafe.StringData(a), len(a))
			for j := i; j < i+len(secret); j++ {
				b[j] = '*'
			}
		}
	}
}

package main

import "testing"

// A program that has grown gives back what it does not need; one that is small
// is left as it is.
func TestProgramThatHasGrownGivesPagesBack(t *testing.T) {
	before := residentSize()
	if before < restingSize/2 {
		t.Fatalf("%d bytes are in memory: that cannot be", before)
	}
	keepSmall(2 * before)
	if same := residentSize(); same < before-1<<20 {
		t.Errorf("%d bytes are in memory, %d before: a small program gave pages back", same, before)
	}
	keepSmall(before / 2)
	if after := residentSize(); after > before-1<<20 {
		t.Errorf("%d bytes are in memory, %d before", after, before)
	}
}

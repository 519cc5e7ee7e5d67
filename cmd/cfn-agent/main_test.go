package main

import "testing"

// A command that is looked up by another name than its own would be found
// under cfn-agent, and not as a program.
func TestEachCommandIsBuiltByItsName(t *testing.T) {
	for _, known := range builders {
		if got := known.build(&env{}).Name(); got != known.name {
			t.Errorf("the command %q is built by the name %q", got, known.name)
		}
		if got, want := commandFor("cfn-"+known.name, &env{}).Name(), "cfn-"+known.name; got != want {
			t.Errorf("the program %s runs %q", want, got)
		}
	}
}

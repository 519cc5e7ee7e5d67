package packages

import "testing"

// The outputs are those of pip 23.2 and, of the last two, 22.3.
const (
	pipNoBuildTools = `Processing ./bad-1.0.tar.gz
  Installing build dependencies: started
  Installing build dependencies: finished with status 'error'
  error: subprocess-exited-with-error
  
  × pip subprocess to install build dependencies did not run successfully.
  │ exit code: 1
  ╰─> [3 lines of output]
      Looking in links: /srv/links
      ERROR: Could not find a version that satisfies the requirement setuptools>=40.8.0 (from versions: none)
      ERROR: No matching distribution found for setuptools>=40.8.0
      [end of output]
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
error: subprocess-exited-with-error

× pip subprocess to install build dependencies did not run successfully.
│ exit code: 1
╰─> See above for output.

note: This error originates from a subprocess, and is likely not a problem with pip.
`
	pipSetupRaises = `  error: subprocess-exited-with-error
  
  × Preparing metadata (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [18 lines of output]
      Traceback (most recent call last):
        File "/opt/v/lib/python3.11/site-packages/setuptools/build_meta.py", line 335, in run_setup
          exec(code, locals())
        File "<string>", line 1, in <module>
      RuntimeError: libfoo 2 is needed
      [end of output]
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
error: metadata-generation-failed

× Encountered error while generating package metadata.
╰─> See above for output.

note: This is an issue with the package mentioned above, not pip.
hint: See above for details.
`
	pipNoHeader = `  × Building wheel for bad (pyproject.toml) did not run successfully.
  │ exit code: 1
  ╰─> [9 lines of output]
      running build_ext
      gcc -fPIC -c bad.c -o build/bad.o
      bad.c:1:10: fatal error: Python.h: No such file or directory
          1 | #include <Python.h>
            |          ^~~~~~~~~~
      compilation terminated.
      error: command '/usr/bin/gcc' failed with exit code 1
      [end of output]
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
  ERROR: Failed building wheel for bad
ERROR: Could not build wheels for bad, which is required to install pyproject.toml-based projects
`
	pipNoCompiler = `  ╰─> [2 lines of output]
      running build_ext
      error: command 'gcc' failed: No such file or directory
      [end of output]
  
  note: This error originates from a subprocess, and is likely not a problem with pip.
`
)

// "note: This error originates from a subprocess" was all that was said.
func TestCauseOfAFailedBuildIsSaid(t *testing.T) {
	const list = "python3 -m pip list --format=json"
	for output, why := range map[string]string{
		pipNoBuildTools: "No matching distribution found for setuptools>=40.8.0",
		pipSetupRaises:  "RuntimeError: libfoo 2 is needed",
		pipNoHeader:     "bad.c:1:10: fatal error: Python.h: No such file or directory",
		pipNoCompiler:   "command 'gcc' failed: No such file or directory",
		"  ╰─> [1 lines of output]\n      ***\n      [end of output]\n": "***",
		"ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.\n" +
			"ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/en/latest/\n": "Cannot install a==1 and b==2 because these package versions have conflicting dependencies.",
	} {
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		s, _ := machine(t, "python3", call{"python3 -m pip --version", 0, ""}, call{list, 0, "[]"}, call{list, 0, "[]"},
			call{"python3 -m pip install -r FILE", 1, output}, call{list, 0, "[]"}, call{list, 0, "[]"})
		s.Run = masked(s.Run, tmp)
		check(t, s, set("python", entry("bad")), "bad: ! cannot install bad: "+why)
	}
}

// Where the index did not answer, packages were said not to exist.
func TestIndexThatDoesNotAnswerIsSaid(t *testing.T) {
	const retrying = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('<pip._vendor.urllib3.connection.HTTPConnection object at 0x7f>: " +
		"Failed to establish a new connection: [Errno 111] Connection refused')': /nosuch/\n"
	for output, want := range map[string]string{
		retrying: "the package index does not answer: Connection refused",
		"WARNING: Retrying (Retry(total=1)) after connection broken by 'ReadTimeoutError(\"HTTPSConnectionPool(host='h', port=443): Read timed out.\")': /a/": "the package index does not answer",
		"ERROR: No matching distribution found for a": "",
	} {
		if got := pipHint(output); got != want {
			t.Errorf("pipHint(%.60q) = %q, want %q", output, got, want)
		}
	}
}

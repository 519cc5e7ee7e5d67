// Command barefiles is what the files of a document cost at least: each
// written to a temporary file, synced and renamed, or read and compared. Of
// the document it takes path and content alone; nothing is decided.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: barefiles write|read DOCUMENT ROOT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "barefiles:", err)
		os.Exit(1)
	}
}

func run(mode, document, root string) error {
	data, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	var doc struct {
		Init struct {
			Config struct {
				Files map[string]struct{ Content string }
			}
		} `json:"AWS::CloudFormation::Init"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return err
	}
	for path, f := range doc.Init.Config.Files {
		path = filepath.Join(root, path)
		if mode == "write" {
			err = write(path, f.Content)
		} else {
			err = compare(path, f.Content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func write(path, content string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".bare")
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func compare(path, content string) error {
	data, err := os.ReadFile(path)
	if err == nil && string(data) != content {
		err = fmt.Errorf("%s differs", path)
	}
	return err
}

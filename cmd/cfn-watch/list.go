package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// rowsAtOnce is how many rows of a table are aligned with each other: of a
// million, most are gone when the last comes.
const rowsAtOnce = 1000

// askEach asks the server for a list and prints it as it comes, as JSON or as
// a table: a header, and a row for each.
func askEach[T any](g *global, c *cobra.Command, name string, in any, header string, row func(w io.Writer, one T)) error {
	if g.output == "json" {
		return printEach(g, c, name, in)
	}
	out := bufio.NewWriter(g.stdout)
	w, rows := newTable(out), 0
	fmt.Fprintln(w, header)
	err := each(g, c, name, in, func(one T) error {
		row(w, one)
		if rows++; rows%rowsAtOnce == 0 {
			return w.Flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(w.Flush(), out.Flush())
}

// each asks for a list, of which people read each.
func each[T any](g *global, c *cobra.Command, name string, in any, f func(T) error) error {
	client, err := g.client()
	if err != nil {
		return err
	}
	return client.Each(c.Context(), name, in, func(one json.RawMessage) error {
		var t T
		if err := readable(one, &t); err != nil {
			return err
		}
		return f(t)
	})
}

// printEach prints a list as one array.
func printEach(g *global, c *cobra.Command, name string, in any) error {
	client, err := g.client()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(g.stdout)
	var line bytes.Buffer
	before := "[\n  "
	err = client.Each(c.Context(), name, in, func(one json.RawMessage) error {
		line.Reset()
		line.WriteString(before)
		before = ",\n  "
		if err := json.Indent(&line, one, "  ", "  "); err != nil {
			return err
		}
		_, err := out.Write(line.Bytes())
		return err
	})
	if err != nil {
		return err
	}
	end := "\n]\n"
	if before[0] == '[' {
		end = "[]\n"
	}
	out.WriteString(end)
	return out.Flush()
}

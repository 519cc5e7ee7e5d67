package main

import "github.com/spf13/cobra"

func commands(g *global) []*cobra.Command {
	return []*cobra.Command{newServeCommand(g)}
}

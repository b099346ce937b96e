// Package bench measures an exchange from outside: it starts the real server
// as a process of its own, fills it with a seeded region and sends it load.
package bench

import "hutong/cmd/hutong/bench/mpi"

// Cmd is the group of benchmark commands. Each is a command of its own
// package or file; a new one is one more field here.
type Cmd struct {
	Server RunCmd  `cmd:"" name:"run" default:"withargs" help:"Measure a server: load a seeded region, send load, write a report."`
	Mpi    mpi.Cmd `cmd:"" help:"Measure the master patient index on seeded people."`
}

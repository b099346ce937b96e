package bench

import (
	"context"
	"time"
)

// RunCmd measures the server's HTTP interface.
type RunCmd struct {
	Patients   []int         `default:"1000,10000" help:"Patients to load, one scale after the other."`
	Seconds    float64       `default:"3" help:"Length of the open-loop part of each workload; the saturation probe before it takes half of that."`
	Seed       uint64        `default:"20261122" help:"The same seed gives the same data and the same requests."`
	Out        string        `default:"bench-out" type:"path" help:"Folder for report.json, report.md and the charts." placeholder:"DIR"`
	Bundles    string        `type:"path" help:"Folder of Synthea transaction bundles; without it that workload is left out, and the report says so." placeholder:"DIR"`
	Only       []string      `help:"Names of the workloads to run; default all." placeholder:"NAME"`
	Auth       string        `enum:"open,smart" default:"open" help:"How the server is started: open, or smart with a hospital's client (consent and audit take part)."`
	Peer       string        `help:"FHIR base of another server: the same workloads run against it in turns, and the report gives ratios." placeholder:"URL"`
	PeerHeader []string      `help:"Header for the peer, such as 'Authorization: Bearer ...'." placeholder:"NAME: VALUE"`
	Dir        string        `type:"path" help:"Scratch folder for the server's data; default is a temporary one. It is deleted at the end." placeholder:"DIR"`
	Timeout    time.Duration `default:"2h" help:"Give up after this time."`
}

// Run measures and writes the report.
func (c *RunCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return ctx.Err()
}

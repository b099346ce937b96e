// Command hutong is the whole exchange in one binary: a FHIR R4 repository, a
// master patient index and a consent-aware gateway, with the tools to run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"hutong/cmd/hutong/bench"
	"hutong/cmd/hutong/crash"
	"hutong/cmd/hutong/exchange"
	"hutong/cmd/hutong/keep"
)

// cli is the command line. Every flag can also be given as an environment
// variable (HUTONG_LISTEN) or in the YAML file of --config (listen: ...).
type cli struct {
	Config kong.ConfigFlag `help:"YAML file with the same names as the flags." placeholder:"FILE"`

	Serve       serveCmd       `cmd:"" help:"Run the exchange."`
	Demo        demoCmd        `cmd:"" help:"Run the exchange with a synthetic region loaded."`
	Generate    generateCmd    `cmd:"" help:"Write the transaction bundles of a synthetic region."`
	Load        loadCmd        `cmd:"" help:"Post FHIR bundles and resources to an exchange."`
	Token       tokenCmd       `cmd:"" help:"Get an access token from an exchange."`
	Account     accountCmd     `cmd:"" help:"Add and disable users and clients (server stopped)."`
	Health      healthCmd      `cmd:"" help:"Ask a running exchange whether it is ready."`
	Mpi         mpiCmd         `cmd:"" help:"Match plain CSV files of people with the index's engine."`
	Bench       bench.Cmd      `cmd:"" help:"Measure: load a seeded region, send load, write a report."`
	Fsck        keep.Fsck      `cmd:"" help:"Prove every index row of a stopped store against its resources."`
	Backup      keep.Backup    `cmd:"" help:"Copy the store, running or stopped."`
	Restore     keep.Restore   `cmd:"" help:"Rebuild a store from a backup, as of any archived moment."`
	Crash       crash.Cmd      `cmd:"" help:"Kill a serving exchange again and again and prove that nothing is lost."`
	Migrate     keep.Migrate   `cmd:"" help:"Bring a stopped store to the format of this release."`
	VerifyAudit verifyAuditCmd `cmd:"" help:"Prove the audit chain whole."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "hutong:", err)
		os.Exit(1)
	}
}

// run parses args and runs the command that they name.
func run(ctx context.Context, args []string) error {
	var c cli
	p, err := kong.New(&c,
		kong.Name("hutong"),
		kong.Description("Hutong (互通): a regional health information exchange."),
		kong.UsageOnError(),
		kong.DefaultEnvars("HUTONG"),
		kong.Configuration(yamlConfig),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		return err
	}
	k, err := p.Parse(args)
	if err != nil {
		return err
	}
	err = k.Run()
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		if name := k.Command(); name == "serve" || name == "demo" {
			return nil // a signal is how they end
		}
		return fmt.Errorf("interrupted: %w", err) // half a backup is none
	}
	return err
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	fmt.Println("hutong", exchange.Version)
	return nil
}
